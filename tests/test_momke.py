"""MoMKE: what is missing counts for nothing, what routers do, and how stage two takes over stage one."""

import pytest
import torch
from test_models import TINY_BERT, right_padding, small_batch, small_config, tokens

from dmdlite.components.losses import task_loss
from dmdlite.config import MODALITIES, DMDConfig, TrainingConfig
from dmdlite.data.features import feature_shapes
from dmdlite.data.toy import toy_world
from dmdlite.models.momke import EXPERTS, MIXTURE, MoMKE
from dmdlite.models.registry import RECIPES, build
from dmdlite.training.runs import load_model
from dmdlite.training.systems import train_system

SYSTEMS = ("momke", "momke_experts")
with_systems = pytest.mark.parametrize("name", SYSTEMS)
with_readers = pytest.mark.parametrize("reader", ["time_steps", "time_mean"])
LENGTHS = dict(language=[9, 4, 7, 1], vision=[12, 3, 1, 8], audio=[10, 2, 6, 0])


@with_readers
@with_systems
def test_what_the_mask_calls_missing_makes_no_difference(name, reader):
    """The last clip has no audio, whatever is stored there. Nor has padding of any stream."""
    model, batch = build(name, small_config(), clip_reader=reader).eval(), small_batch()
    mask = right_padding(LENGTHS, small_config())
    out = model(**batch, mask=mask)
    other = {m: torch.where(mask[m][..., None], batch[m], 100 * torch.randn_like(batch[m])) for m in MODALITIES}
    assert torch.equal(model(**batch | other, mask=mask).prediction, out.prediction)
    silent = {m: batch[m] * mask[m][..., None] for m in MODALITIES}
    torch.testing.assert_close(model(**batch | silent).prediction, out.prediction)  # zeros without a mask
    changed = {"audio": torch.cat([torch.randn_like(batch["audio"][:3]), batch["audio"][3:]])}
    moved = model(**batch | changed, mask=mask).prediction != out.prediction
    assert moved.tolist() == [True, True, True, False]


@with_systems
def test_a_clip_without_anything_is_the_same_whatever_it_is(name):
    model, nothing = build(name, small_config()).eval(), right_padding({m: [0] * 4 for m in MODALITIES}, small_config())
    out = model(**small_batch(), mask=nothing)
    assert out.prediction.isfinite().all() and (out.prediction == out.prediction[0]).all() and out.loss.isfinite()
    out.loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@with_systems
def test_token_ids_that_are_not_attended_to_are_missing(name):
    config = small_config(language_model=TINY_BERT, language_model_trainable=False)
    model, batch = build(name, config).eval(), small_batch() | {"language": tokens()}
    batch["language"][2] = 0
    mask = {m: torch.ones(4, config.lengths[m], dtype=torch.bool) for m in MODALITIES}
    mask["language"][2] = False
    torch.testing.assert_close(model(**batch).prediction, model(**batch, mask=mask).prediction)


def test_routers_share_out_every_step():
    model, mask = build("momke", small_config()).eval(), right_padding(LENGTHS, small_config())
    out = model(**small_batch(), mask=mask)
    for m in MODALITIES:
        shares, mixture = out.shares[m], out.mixtures[m]
        assert shares.shape == (*mask[m].shape, 3) and mixture.shape == (*mask[m].shape, 8)
        torch.testing.assert_close(shares.sum(dim=2), torch.ones(mask[m].shape))
        assert torch.equal(mixture.any(dim=2), mask[m])


def test_a_router_that_trusts_the_own_expert_alone_says_what_stage_one_says():
    """So streams, experts and shares are in one order; a router that trusts another says something else."""
    alone, model = build("momke_experts", small_config()).eval(), build("momke", small_config()).eval()
    model.learn_from(alone)
    mask = right_padding(LENGTHS, small_config())
    expected = alone(**small_batch(), mask=mask).predictions
    for turn in range(3):
        for e, m in enumerate(MODALITIES):
            with torch.no_grad():
                model.routers[m][3].bias.copy_(1e4 * torch.eye(3)[(e + turn) % 3])
        mixtures = model(**small_batch(), mask=mask).mixtures
        for m in MODALITIES:
            vector = mixtures[m].sum(dim=1) / mask[m].sum(dim=1, keepdim=True).clamp_min(1)
            same = torch.allclose(model.heads[m](vector)[:, 0], expected[m], atol=1e-5)
            assert same == (turn == 0)


def test_experts_learn_alone_and_from_the_clips_that_they_can_read():
    model, batch = build("momke_experts", small_config()), small_batch()
    mask = right_padding(LENGTHS, small_config())
    out = model(**batch, mask=mask)
    assert out.losses.keys() == EXPERTS.keys() == MIXTURE.keys()
    torch.testing.assert_close(
        out.losses["task_audio"], task_loss(out.predictions["audio"][:3], batch["labels"][:3], "regression")
    )
    means = torch.stack(list(out.predictions.values()), dim=1)
    torch.testing.assert_close(out.prediction, torch.cat([means[:3].mean(dim=1), means[3:, :2].mean(dim=1)]))
    out.losses["task_audio"].backward()
    learned = {name: p.grad for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.rpartition(".")[0] for name in learned if not name.startswith("experts.")} == {
        "project.audio",
        "heads.audio",
    }
    for gradient in (x for name, x in learned.items() if name.startswith("experts.")):
        assert [bool(x.any()) for x in gradient] == [False, False, True]
    mask["audio"][:] = False
    assert model(**batch, mask=mask).losses["task_audio"] == 0


def test_squared_errors():
    batch = small_batch()
    out = build("momke", small_config(), regression_error="squared")(**batch)
    torch.testing.assert_close(out.loss, (out.prediction - batch["labels"]).square().mean())


@pytest.mark.parametrize("members", [1, 2])
def test_stage_two_starts_from_stage_one(members, tmp_path):
    """Also as an ensemble, each of whose members goes on from its own experts."""
    splits, folder_of = toy_world(40).splits, lambda name: tmp_path / name
    sizes = dict(width=8, heads=2, layers=1, minimum_memory_layers=1, members=members, standardise=True)
    config, training = DMDConfig.toy(**feature_shapes(splits) | sizes), TrainingConfig(epochs=1, missing_rate=0.3)
    options = dict(settings={"clip_reader": "time_mean"}, progress=False)
    frozen = training.replace(learning_rate=1e-30)
    train_system("momke_experts", RECIPES, splits, config, frozen, folder_of, **options)
    model, result = train_system("momke", RECIPES, splits, config, frozen, folder_of, **options)
    experts = load_model(folder_of("momke_experts"), RECIPES["momke_experts"].build(config, options["settings"]))
    for name, weight in experts.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight)
    assert result.metrics["test"]["mae"] > 0 and (tmp_path / "momke_experts" / "metrics.json").is_file()


def test_experts_that_do_not_fit():
    with pytest.raises(ValueError, match="the model of stage one was made for another shape"):
        build("momke", small_config()).learn_from(build("momke_experts", small_config(width=16)))


@with_systems
def test_saved_models_predict_the_same_bits(name, tmp_path):
    model, batch = build(name, small_config()).eval(), small_batch()
    model.save_pretrained(tmp_path)
    loaded = MoMKE.from_pretrained(tmp_path)
    assert torch.equal(loaded(**batch).prediction, model(**batch).prediction) and loaded.config == model.config
