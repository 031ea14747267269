"""PKDOT held to the published code: outputs, every loss term, the total and gradient norms, small and at full size.

The golden anchors are given: their order, on which the loss depends, differs between versions of NumPy and processors.
"""

import json
from dataclasses import fields

import numpy as np
import pytest
import torch
from published import GOLDEN, gradient_norms
from published_pkdot import FULL, SIZES, SMALL, vectors, weights

from dmdlite.components.similarities import partitioned_anchors, pick_anchors, shifted_similarities
from dmdlite.config import DMDConfig
from dmdlite.models import pkdot
from dmdlite.models.official.pkdot import FUSION
from dmdlite.models.official.weights import sources_of
from dmdlite.models.pkdot import PKDOT, PKDOTConfig, PKDOTTeacher
from dmdlite.training.systems import start_from


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=tolerance, atol=tolerance)


def config_of(name: str, **changes) -> PKDOTConfig:
    return PKDOTConfig.official(width=SIZES[name]["width"], heads=SIZES[name]["heads"], **changes)


def student_of(name: str) -> PKDOT:
    own = weights(**SIZES[name])
    return PKDOT.from_official(own["student"], config_of(name), own["teacher"], own["t_net"])


def as_streams(vectors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One time step for each clip."""
    return {m: vectors[m][:, None] for m in ("vision", "audio")} | {"labels": vectors["labels"]}


def trained(model: PKDOT, batch: dict[str, torch.Tensor], anchors: torch.Tensor):
    """The output of one step with these anchors, and the gradient norms under the published names."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pkdot, "partitioned_anchors", lambda *_: anchors)
        out = model.train()(**batch)
    out.loss.backward()
    sources = sources_of(model.state_dict(), {f"fuse.{ours}": theirs for ours, theirs in FUSION.items()})
    gradients = gradient_norms(model)
    assert gradients.keys() == sources.keys()  # neither T-Net nor teacher learns
    return out, {sources[name][0]: norm for name, norm in gradients.items()}


def same_anchors(ours: torch.Tensor, theirs: torch.Tensor):
    assert torch.equal(ours.sort(dim=1).values, theirs.sort(dim=1).values)


@pytest.mark.parametrize("name", SMALL)
def test_small(name):
    with np.load(GOLDEN / f"{name}.npz") as file:
        golden = {key: torch.from_numpy(file[key]) for key in file.files}
    under = lambda part: {key.removeprefix(part): x for key, x in golden.items() if key.startswith(part)}
    t_net = weights(**SIZES[name])["t_net"]
    model = PKDOT.from_official(under("weights/student/"), config_of(name), under("weights/teacher/"), t_net)
    out, gradients = trained(model, as_streams(under("input/")), golden["output/anchors"])
    ours = dict(prediction=out.prediction, fused=out.fused, hallucinated=out.privileged)
    ours |= dict(teacher_prediction=out.taught.prediction, teacher_fused=out.taught.fused, anchors=out.anchors)
    ours |= {f"similarities_{who}": x for who, x in out.similarities.items()}
    assert ours.keys() == under("output/").keys()
    for key, x in ours.items():
        close(x, golden[f"output/{key}"])
    same_anchors(partitioned_anchors(out.taught.fused, 30, "lowest"), out.anchors)
    losses = {term: out.losses[term] for term in ("task_final", "transport")} | {"total": out.loss}
    for term, value in losses.items():
        assert value.item() == pytest.approx(golden[f"loss/{term}"].item(), rel=1e-5, abs=1e-5)
    for weight, norm in under("gradient_norm/").items():
        assert gradients[weight] == pytest.approx(norm.item(), rel=1e-4, abs=1e-7), weight


@pytest.mark.parametrize("name", FULL)
def test_full_sizes(name):
    golden = json.loads((GOLDEN / "pkdot_full.json").read_text())[name]
    anchors = torch.tensor(golden["anchors"])
    batch = {x: y.double() if y.is_floating_point() else y for x, y in vectors(**SIZES[name]).items()}
    out, gradients = trained(student_of(name).double(), as_streams(batch), anchors)
    close(out.prediction, torch.tensor(golden["prediction"], dtype=torch.float64))
    close(out.taught.prediction, torch.tensor(golden["teacher_prediction"], dtype=torch.float64))
    same_anchors(partitioned_anchors(out.taught.fused, 30, "lowest"), anchors)
    losses = {term: out.losses[term].item() for term in ("task_final", "transport")} | {"total": out.loss.item()}
    assert losses == pytest.approx(golden["losses"], rel=1e-5)
    assert gradients == pytest.approx(golden["gradient_norms"], rel=1e-4, abs=1e-7)


def test_official_differs_where_its_docstring_says():
    own, official = PKDOTConfig(), PKDOTConfig.official()
    differ = {f.name for f in fields(own) if getattr(own, f.name) != getattr(official, f.name)}
    named = {word for word in PKDOTConfig.official.__doc__.split("`")[1::2] if hasattr(own, word)}
    assert differ == named
    assert official.prevalent == ("vision",) and official.loss_weights["transport"] == 0.6
    with pytest.raises(ValueError, match="dataset must be one of 'biovid', got 'mosi'"):
        PKDOTConfig.official("mosi")


def test_files_of_weights(tmp_path):
    """As the published training writes them, one for each part; also as a start for further training."""
    name, batch = SMALL[0], as_streams(vectors(**SIZES[SMALL[0]]))
    own, expected = weights(**SIZES[name]), student_of(name)(**batch)
    for part, state in own.items():
        torch.save(state, tmp_path / f"{part}.pth")
    files = {part: tmp_path / f"{part}.pth" for part in own}
    loaded = PKDOT.from_official(files["student"], config_of(name), files["teacher"], files["t_net"])
    close(loaded(**batch).loss, expected.loss, 0)
    started = start_from(student_of(name), files["teacher"])
    teacher = PKDOTTeacher.from_official(files["teacher"], config_of(name))
    for model in (teacher, start_from(PKDOTTeacher(config_of(name)), files["teacher"]).eval()):
        close(model(**batch).prediction, expected.taught.prediction, 0)
    close(started.fuse.head.weight, own["teacher"]["fc.weight"], 0)
    loaded.save_pretrained(tmp_path / "ours")
    close(PKDOT.from_pretrained(tmp_path / "ours")(**batch).loss, expected.loss, 0)


def test_a_model_saved_before_these_choices_loads(tmp_path):
    PKDOTTeacher(PKDOTConfig.of(DMDConfig.toy())).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    old = {name: value for name, value in saved.items() if name not in PKDOTConfig.later}
    (tmp_path / "config.json").write_text(json.dumps(old))
    assert PKDOTTeacher.from_pretrained(tmp_path).saved_fields() == saved


def test_weights_that_do_not_fit():
    name = SMALL[0]
    own, config = weights(**SIZES[name])["student"], config_of(name)
    with pytest.raises(ValueError, match="no weight 'fc.bias'"):
        PKDOT.from_official({x: y for x, y in own.items() if x != "fc.bias"}, config)
    with pytest.raises(ValueError, match="'cross_attention_a.bias', which this config has no place for"):
        PKDOT.from_official(own | {"cross_attention_a.bias": torch.zeros(1)}, config)
    with pytest.raises(ValueError, match="made for another shape: 'fuse.ask_prevalent.in_proj_bias'"):
        PKDOT.from_official(own, config_of(SMALL[1]))
    with pytest.raises(ValueError, match="which this config has no place for"):
        PKDOT.from_official(own, PKDOTConfig.of(DMDConfig.toy()))


def test_a_published_prediction_depends_on_the_other_clips():
    model, batch = student_of(SMALL[0]), as_streams(vectors(**SIZES[SMALL[0]]))
    alone, together = (model(vision=batch["vision"][:clips]).prediction[:8] for clips in (8, 64))
    assert (alone - together).abs().max() > 0.05


def test_a_fresh_frozen_t_net_is_another_one():
    """Its weights are in no published file."""
    name, batch = SMALL[0], as_streams(vectors(**SIZES[SMALL[0]]))
    first, second = (PKDOT.from_official(weights(**SIZES[name])["student"], config_of(name)) for _ in range(2))
    assert not torch.equal(first(**batch).prediction, second(**batch).prediction)
    assert not any(p.requires_grad for p in first.hallucinate.parameters())


@pytest.mark.parametrize(("choice", "k"), [("lowest", 3), ("highest", 3), ("lowest", 9), ("highest", 9)])
def test_partitioned_anchors_are_the_same_clips(choice, k):
    z = torch.randn(7, 5)
    same_anchors(partitioned_anchors(z, k, choice), pick_anchors(shifted_similarities(z), k, choice))


def test_parts_of_the_published_choice():
    """The published fusion also joins two prevalent modalities; what cannot be read is refused."""
    config = PKDOTConfig.of(
        DMDConfig.toy(), fusion="transformer", transport_solver="annealed", anchor_order="partition"
    )
    batch = {m: torch.randn(4, config.lengths[m], config.feature_widths[m]) for m in config.modalities}
    out = PKDOT(config)(**batch, labels=torch.randn(4))
    assert out.prediction.shape == (4,) and out.loss.isfinite() and out.losses["hallucination"] > 0
    with pytest.raises(ValueError, match="privileged is language, which is not one of the modalities"):
        PKDOTConfig.official(privileged="language")
    with pytest.raises(ValueError, match="keeps vectors as they are, of width 512, but got {'vision': 20}"):
        PKDOTConfig.official(feature_widths=dict(vision=20))
    with pytest.raises(ValueError, match="needs all three modalities"):
        PKDOT(config.replace(fusion="joined", modalities=["vision", "audio"]))
