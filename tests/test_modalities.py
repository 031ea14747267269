"""Any modalities that make sense: every system on each pair, one sentence where that cannot be, clips without one."""

import json
from itertools import combinations

import pytest
import torch
from test_models import TINY_BERT, right_padding, small_batch, small_config, tokens

from dmdlite.config import MODALITIES, SPACES, DMDConfig, TrainingConfig
from dmdlite.data.features import feature_shapes
from dmdlite.data.toy import toy_world
from dmdlite.experiments.compare import compare
from dmdlite.models.base import WITH_TWO
from dmdlite.models.dmd import DMD
from dmdlite.models.registry import NAMES, RECIPES, build
from dmdlite.training.figures import draw_edges
from dmdlite.training.linear import linear_baseline
from dmdlite.training.loop import seed_everything
from dmdlite.training.runs import load_result

with_pairs = pytest.mark.parametrize("pair", list(combinations(MODALITIES, 2)), ids="+".join)
NEED_THREE = [name for name in NAMES if RECIPES[name].make.needs[0] == 3]
OF_TWO = [name for name in NAMES if name not in (*NEED_THREE, *MODALITIES)]


def only(modalities, batch=4) -> dict:
    return {name: x for name, x in small_batch(batch).items() if name in (*modalities, "labels")}


@with_pairs
@pytest.mark.parametrize("name", OF_TWO)
def test_a_pair_is_enough(name, pair, tmp_path):
    """What is not read needs no size that fits, neither a stream nor a mask, and changes nothing."""
    (unread,) = set(MODALITIES) - set(pair)
    model, batch = build(name, small_config(modalities=list(pair), lengths={unread: 1})), only(pair)
    mask = right_padding(dict(language=[1, 4, 9, 7], vision=[2, 12, 6, 1], audio=[10, 1, 3, 8]), small_config())
    batch["mask"] = {m: mask[m] for m in pair}
    out = model(**batch)
    assert out.loss.isfinite() and out.prediction.shape == (4,) and not any(unread in term for term in out.losses)
    weights = model.config.loss_weights
    torch.testing.assert_close(out.loss, sum(weights.get(term, 1.0) * value for term, value in out.losses.items()))
    out.loss.backward()
    finite = {name: p.grad.isfinite().all() for name, p in model.named_parameters() if p.grad is not None}
    assert all(finite.values()) and not any(unread in weight for weight in finite)
    for m in pair:
        with pytest.raises(ValueError, match=f"{m} is missing; this model reads {', '.join(pair)}"):
            model(**{n: x for n, x in batch.items() if n != m})
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert again.config == model.config and again.reads == pair
    assert torch.equal(again(**batch, **{unread: torch.ones(4, 3, 2)}).prediction, model.eval()(**batch).prediction)


@with_pairs
@pytest.mark.parametrize("name", ["dmd", "dhmd", "dmd_without_crossmodal_attention"])
def test_graphs_of_two_have_two_edges(name, pair):
    model = build(name, small_config(modalities=list(pair)))
    out = model(**only(pair))
    for space, edges in out.edges.items():
        prior, whole = model.units[space].prior, torch.tensor(model.config.graph_priors[space])
        assert edges.shape == (4, 2, 2) and prior.shape == (2, 2)
        assert edges.diagonal(dim1=1, dim2=2).eq(0).all() and (edges > 0).sum() == 4 * 2
        torch.testing.assert_close(edges.sum(dim=(1, 2)), torch.ones(4))
        i, j = (MODALITIES.index(m) for m in pair)
        torch.testing.assert_close(prior[0, 1] / prior[1, 0], whole[i, j] / whole[j, i])
        torch.testing.assert_close(prior.sum(), torch.tensor(1.0))
    assert all(x.shape == (4, model.config.width) for x in out.reinforced.values())
    assert out.reinforced.keys() == set(pair) and len(out.predictions) == 6
    assert DMD(small_config("paper", modalities=list(pair)))(**only(pair)).loss.isfinite()


def test_each_hears_the_other_and_nobody_else():
    model, batch = DMD(small_config(modalities=["vision", "audio"])).eval(), only(["vision", "audio"])
    assert model.reinforce.pairs == [("audio", "vision"), ("vision", "audio")]
    assert model.reinforce.crossmodal.norm.weight.shape == model.reinforce.memory.norm.weight.shape == (2, 8)
    other = {"vision": torch.randn_like(batch["vision"])}
    assert not torch.allclose(model(**batch).reinforced["audio"], model(**batch | other).reinforced["audio"])


@with_pairs
@pytest.mark.parametrize("name", ["dmd", "dhmd"])
def test_edges_that_follow_errors(name, pair):
    model = build(name, small_config(modalities=list(pair), edge_learning="errors"))
    batch = only(pair, 8)
    for _ in range(30):
        model.update_evidence(out := model(**batch), batch["labels"])
    for space in SPACES:
        errors = [(out.predictions[f"{space}_{m}"] - batch["labels"]).abs().mean() for m in pair]
        teacher = int(errors[1] < errors[0])
        edges = model(**batch).edges[space][0]
        assert edges[teacher, 1 - teacher] > 0.5 > edges[1 - teacher, teacher] and edges.diagonal().eq(0).all()


@with_pairs
@pytest.mark.parametrize(
    "name", ["dmd", "dhmd", "dlf", "mult", "misa", "momke", "early_fusion", "late_fusion", "conventional_distillation"]
)
def test_eight_clips_are_learned(name, pair, without_shape_checks):
    seed_everything(0)
    batch = only(pair, 8) | {"labels": torch.linspace(-3, 3, 8)}
    model = build(name, small_config(modalities=list(pair))).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    before = model(**batch).losses["task_final"]
    for _ in range(40):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    assert model(**batch).losses["task_final"] < 0.6 * before


@pytest.mark.parametrize("name", [name for name in NAMES if RECIPES[name].make.needs[0] > 1])
def test_one_modality_is_refused_where_several_belong_together(name):
    why = (
        "DMD distils between modalities and needs two or three"
        if name.startswith("dmd")
        else r"\w+ [\w ]+ needs [\w ]+"
    )
    with pytest.raises(ValueError, match=f"^{why}; for one train the model 'vision'$"):
        build(name, small_config(modalities=["vision"]))


@pytest.mark.parametrize("name", NEED_THREE)
def test_two_modalities_are_refused_where_three_belong_together(name):
    words = rf"{RECIPES[name].make.__name__} [\w ]+ needs all three modalities; for two train one of {WITH_TWO}$"
    with pytest.raises(ValueError, match=f"^{words}"):
        build(name, small_config(modalities=["language", "audio"]))


def test_who_needs_how_many():
    for name in ("vision", "early_fusion", "late_fusion"):
        assert build(name, small_config(modalities=["vision"]))(**only(["vision"])).loss.isfinite()
    assert NEED_THREE == ["pmr", "pkdot", "pkdot_teacher", "pkdot_without_teacher"]
    assert {RECIPES[name].make for name in WITH_TWO.split(", ")} == {RECIPES[name].make for name in OF_TWO}


@pytest.mark.parametrize(
    ("modalities", "message"),
    [
        (["language", "visoin"], "modalities cannot be 'visoin'; did you mean 'vision'"),
        (["audio", "vision", "audio"], "one or more of language, vision, audio, each once, got"),
        ([], "one or more of language, vision, audio, each once, got"),
        ("language", "modalities must be a list, got 'language'"),
        ({"language": 1}, "modalities must be a list, got"),
    ],
)
def test_bad_modalities(modalities, message):
    with pytest.raises(ValueError, match=message):
        small_config(modalities=modalities)


def test_modalities_of_a_config():
    config = small_config(modalities=["audio", "language"])
    assert config.modalities == ["language", "audio"] and set(config.lengths) == set(MODALITIES)
    assert config.lengths_after_convolution.keys() == {"language", "audio"}
    assert DMDConfig(**json.loads(json.dumps(config.to_dict()))) == config != small_config()
    with pytest.raises(ValueError, match=r"lengths\['audio'\] is 1, shorter than its kernel"):
        config.replace(lengths={"audio": 1})
    with pytest.raises(ValueError, match="modality must be one of language, audio, got 'vision'"):
        build("vision", config)


def test_a_language_model_is_for_those_who_read_language():
    config = small_config(language_model=TINY_BERT)
    assert DMD(config.replace(modalities=["vision", "audio"])).read.language_encoder is None
    batch = only(["language", "audio"]) | {"language": tokens()}
    assert DMD(config.replace(modalities=["language", "audio"]))(**batch).loss.isfinite()


@pytest.mark.parametrize("gone", MODALITIES)
@pytest.mark.parametrize("clips", [1, slice(4)], ids=["one clip", "all clips"])
@pytest.mark.parametrize("name", NAMES)
def test_clips_without_a_modality_are_finite(name, clips, gone):
    model, batch = build(name, small_config()), small_batch()
    mask = {m: torch.ones(4, model.config.lengths[m], dtype=torch.bool) for m in MODALITIES}
    mask[gone][clips] = False
    out = model(**batch, mask=mask)
    out.loss.backward()
    assert out.prediction.isfinite().all() and all(x.isfinite() for x in (out.loss, *out.losses.values()))
    assert all(edges.isfinite().all() for edges in out.edges.values())
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_comparison_of_two_modalities(tmp_path):
    splits = toy_world(40).splits
    sizes = dict(width=8, heads=2, layers=1, minimum_memory_layers=1, modalities=["language", "audio"])
    config, training = DMDConfig.toy(**feature_shapes(splits) | sizes), TrainingConfig(epochs=1, batch_size=16)
    found = compare(["dmd", "audio"], splits, config, [0], tmp_path, training, dataset="mosi", progress=False)
    assert not found.failures and found.published.empty
    assert list(found.missing.present.unique()) == ["language+audio", "language", "audio"]
    assert found.missing.error_mean.notna().all() and (tmp_path / "missing_modalities.png").is_file()
    features = sum(config.feature_widths[m] for m in config.modalities)
    assert found.table.parameters["linear"] == linear_baseline(splits, config)[1] == 1 + features
    figure = draw_edges(load_result(tmp_path / "dmd" / "seed_0").epochs, None, config.modalities)
    assert [x.get_text() for x in figure.legends[0].get_texts()] == ["language → audio", "audio → language"]
    assert "(both sum to 1)" in figure.axes[0].get_ylabel()
    with pytest.raises(ValueError, match="PMR merges three streams in its hub and needs all three modalities"):
        compare(["pmr"], splits, config, [0], tmp_path / "other", training, progress=False)
    assert not (tmp_path / "other").exists()
