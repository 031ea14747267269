"""A variant by objects given to the constructor: it trains, is logged, drawn, compared, saved, and refused clearly."""

import csv

import pytest
import torch
from test_models import small_batch, small_config
from torch import nn

from dmdlite.components.decoupling import Decoupled, FeatureDecoupler
from dmdlite.components.graph_distillation import EvidenceUnit
from dmdlite.components.heads import AdaptiveFusion
from dmdlite.components.reinforcement import CrossModalReinforcement, SelfAttentionReaders
from dmdlite.components.streams import TimeMeans
from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.toy import toy_world
from dmdlite.experiments.compare import compare
from dmdlite.models.dmd import DMD
from dmdlite.training.loop import seed_everything
from dmdlite.training.runs import evaluate, load_model
from dmdlite.training.trainer import train


class Doubled(FeatureDecoupler):
    def forward(self, projected) -> Decoupled:
        return super().forward({m: 2 * x for m, x in projected.items()})


def smoothness(out, labels):
    """How far neighbouring steps of the common streams are apart."""
    return sum(x.diff(dim=1).square().mean() for x in out.decoupled.common.values())


def smooth_dmd(config: DMDConfig) -> DMD:
    return DMD(config, losses={"smoothness": smoothness})


def parts_of(config: DMDConfig) -> dict:
    """One object for every part that can be replaced."""
    private, common = 2 * config.width, 3 * config.width
    return dict(
        decouple=Doubled(config.width),
        read_margin=TimeMeans(),
        read_common=SelfAttentionReaders(config),
        reinforce=CrossModalReinforcement(config),
        fusion=AdaptiveFusion(private, common, 0.0, config.fusion_gate),
        homogeneous=EvidenceUnit(config, "homogeneous", config.width),
        heterogeneous=EvidenceUnit(config, "heterogeneous", private),
    )


def made(seed: int = 0, config: DMDConfig | None = None, **parts) -> DMD:
    seed_everything(seed)
    return DMD(config or small_config(), **parts)


@pytest.mark.parametrize("name", parts_of(small_config()))
def test_any_part_can_be_replaced(name):
    part = parts_of(small_config())[name]
    model, plain = made(**{name: part}), made()
    assert (model.units[name] if name in model.units else getattr(model, name)) is part
    box = f"units.{name}." if name in model.units else f"{name}."
    weights, others = model.state_dict(), plain.state_dict()
    assert any(key.startswith(box) for key in weights | others) or name == "read_margin"
    for key in others:  # what is not replaced starts as in a plain DMD
        assert key.startswith(box) or torch.equal(weights[key], others[key]), key
    out = model.train()(**small_batch())
    out.loss.backward()
    touched = [p.grad for p in part.parameters()]
    assert all(gradient is not None for gradient in touched) or not touched or name == "decouple"
    assert model.saved_fields()["own_parts"] == {name: f"{type(part).__module__}.{type(part).__qualname__}"}


def test_a_new_term_counts_fully_and_a_known_one_keeps_its_weight():
    batch, config = small_batch(), small_config()
    plain = made().eval()(**batch)
    added = made(losses={"smoothness": smoothness}).eval()(**batch)
    assert added.losses["smoothness"] > 0
    torch.testing.assert_close(added.loss, plain.loss + added.losses["smoothness"])
    replaced = made(losses={"margin": smoothness}).eval()(**batch)
    weight = config.loss_weights["margin"]
    expected = plain.loss + weight * (replaced.losses["margin"] - plain.losses["margin"])
    torch.testing.assert_close(replaced.loss, expected)


def test_a_loss_may_learn():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, out, labels):
            return self.scale * smoothness(out, labels)

    model = made(losses={"scaled": Scale()})
    model(**small_batch()).loss.backward()
    assert dict(model.named_parameters())["learned_losses.scaled.scale"].grad != 0


def test_parts_that_change_nothing_change_nothing():
    config, batch = small_config(), small_batch()
    plain = made()
    same = made(decouple=FeatureDecoupler(config.width), losses={})
    same.decouple.load_state_dict(plain.decouple.state_dict())
    for x, y in zip(plain.eval()(**batch).losses.values(), same.eval()(**batch).losses.values(), strict=True):
        assert torch.equal(x, y)


def test_a_term_that_nothing_gives_is_one_clear_sentence():
    class Logits(EvidenceUnit):
        def losses(self, edges, nodes, logits):
            return {"logit": super().losses(edges, nodes, logits)["logit"]}

    config = small_config()
    model = made(heterogeneous=Logits(config, "heterogeneous", 2 * config.width))
    with pytest.raises(ValueError, match="nothing gives the term 'gd_heterogeneous_prior_penalty'.*loss_weights to 0"):
        model(**small_batch())


def test_a_variant_is_saved_refused_and_loaded(tmp_path):
    model = made(seed=1, decouple=Doubled(small_config().width))
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="own decouple: make it with them, then `load_saved`"):
        DMD.from_pretrained(tmp_path)
    again = made(seed=2, decouple=Doubled(small_config().width))
    again.load_saved(tmp_path)
    assert all(torch.equal(x, y) for x, y in zip(again.state_dict().values(), model.state_dict().values(), strict=True))
    with pytest.raises(ValueError, match="holds another model: 'own_parts' is not as in this one"):
        made().load_saved(tmp_path)


WORLD = toy_world(60)
TINY = DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)


def test_a_run_knows_its_variant(tmp_path):
    training = TrainingConfig(epochs=1)
    model = made(config=TINY, losses={"smoothness": smoothness})
    result = train(model, WORLD.splits, tmp_path, training, progress=False)
    assert result.epochs[0]["losses"]["smoothness"] > 0
    assert evaluate(tmp_path, WORLD.splits, made(3, TINY, losses={"smoothness": smoothness}))["test"] == {
        name: pytest.approx(value) for name, value in result.metrics["test"].items()
    }
    with pytest.raises(ValueError, match="own smoothness"):
        load_model(tmp_path)
    with pytest.raises(ValueError, match="already holds another run"):
        train(made(config=TINY), WORLD.splits, tmp_path, training, progress=False)


def test_variants_are_compared_and_their_terms_have_a_column(tmp_path):
    training = TrainingConfig(epochs=2)
    variants = {"smooth_dmd": smooth_dmd, "the_same": DMD}
    options = dict(training=training, variants=variants, progress=False)
    found = compare(["dmd"], WORLD.splits, TINY, [0, 1], tmp_path, **options)
    errors = found.errors
    assert errors["the_same"].equals(errors["dmd"])  # nothing was changed, so nothing may differ
    assert not errors["smooth_dmd"].equals(errors["dmd"]) and found.table.difference_n["smooth_dmd"] == 2
    table = (tmp_path / "comparison.md").read_text()
    assert "| loss: smoothness |" in table and "| smooth DMD |" in table.replace("smooth dmd", "smooth DMD")
    rows = {row["model"]: row for row in csv.DictReader((tmp_path / "comparison.csv").open())}
    assert float(rows["smooth_dmd"]["loss_smoothness_mean"]) > 0 and rows["dmd"]["loss_smoothness_mean"] == ""
    assert (tmp_path / "smooth_dmd" / "seed_0" / "losses.png").stat().st_size > 10_000
    again = compare(["dmd"], WORLD.splits, TINY, [0, 1], tmp_path, **options)  # nothing left to do
    assert again.errors["smooth_dmd"].equals(errors["smooth_dmd"])


def test_variants_can_run_side_by_side_if_they_can_be_imported(tmp_path):
    options = dict(training=TrainingConfig(epochs=1), progress=False, jobs=2)
    with pytest.raises(ValueError, match="jobs must be 1 for 'mine', which is defined in a notebook or inside"):
        compare(["dmd"], WORLD.splits, TINY, [0], tmp_path, variants={"mine": lambda config: DMD(config)}, **options)
    with pytest.raises(ValueError, match="a variant needs a name of its own"):
        compare(["dmd"], WORLD.splits, TINY, [0], tmp_path, variants={"mult": smooth_dmd}, **options)
    assert not any(tmp_path.iterdir())
