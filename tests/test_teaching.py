"""Figures and widgets: the pure views, and the controls bound to them, without a browser."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import dmdlite
from course import figures
from course.widgets.clip_browser import ClipBrowser
from course.widgets.paper_or_code import PaperOrCode
from dmdlite.components.reinforcement import attention_maps
from dmdlite.data import toy
from dmdlite.data.toy import toy_world
from dmdlite.models.dmd import DMD
from dmdlite.training.loop import predict_logits


@pytest.fixture(scope="module")
def world():
    return toy_world(40)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return DMD(dmdlite.DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1))


def texts(figure) -> str:
    return " ".join(text.get_text() for axis in figure.axes for text in [axis.title, axis._left_title, *axis.texts])


def test_the_map_lights_what_it_is_told():
    figure = figures.model_map(["decoupling"])
    lit = [box for box in figure.axes[0].patches if box.get_linewidth() == 2]
    assert len(lit) == 1 and "You are here: decoupling" in texts(figure)
    with pytest.raises(ValueError, match="unknown stage 'kitchen'"):
        figures.model_map(["kitchen"])


def test_a_clip_is_told_or_kept_secret(world):
    told, secret = (figures.draw_clip(world, "test", 0, 1.25, reveal=reveal) for reveal in (True, False))
    label = f"{world.splits['test'].labels[0]:+.1f}"
    assert label in told.get_suptitle() and "predicted +1.2" in told.get_suptitle()
    assert label not in secret.get_suptitle() and "view" in texts(told) and "view" not in texts(secret)
    for word in world.splits["test"].raw_text[0].split():
        assert word in texts(told)


def test_faces_smile_and_frown():
    def corner(units):
        axis = Figure().subplots()
        figures.draw_face(axis, dict.fromkeys(toy.CHANNELS["vision"], 0.0) | units)
        mouth = axis.lines[-1].get_ydata()
        return mouth[0] - mouth[len(mouth) // 2]

    assert corner({"AU12_lip_corner_puller": 2.0}) > 0.1 > -0.1 > corner({"AU15_lip_corner_depressor": 2.0})


def test_pictures_are_pictures(world):
    for figure in (
        figures.draw_bars({"language": 1.0, "nothing": 0.5}, "title", "MAE", ("a constant", 0.7)),
        figures.draw_table(np.eye(3), list("abc"), list("xyz"), "title", "gradient"),
    ):
        assert figures.png(figure).startswith(b"\x89PNG")


def test_clip_browser(world, model):
    browser, test = ClipBrowser(world, model), world.splits["test"]
    predictions = predict_logits(model, test)
    first = bytes(browser.picture.value)
    browser.slider.value = 3
    assert first != bytes(browser.picture.value) and bytes(browser.picture.value).startswith(b"\x89PNG")
    assert test.raw_text[3] in browser.caption.value
    assert f"off by {abs(predictions[3] - test.labels[3]):.1f}" in browser.caption.value
    assert browser.view(0)[1] == browser.view(0)[1] and browser.slider.max == len(test) - 1


def test_paper_or_code(world, model):
    code, paper = model.config, dmdlite.DMDConfig.paper().replace(**{
        name: getattr(model.config, name)
        for name in ("feature_widths", "lengths", "width", "heads", "layers", "minimum_memory_layers",
                     "kernel_sizes")
    })  # fmt: skip
    batch = world.splits["train"].batch(range(6))
    explorer = PaperOrCode(batch, code.without_dropout(), paper.without_dropout())
    assert "fusion_gate" in explorer.differences and "width" not in explorer.differences
    explorer.menu.value = "fusion_gate"
    assert "replaces" in explorer.table.value and "scales" in explorer.table.value
    same, other = explorer.outcome("fusion_gate", explorer.code), explorer.outcome("fusion_gate", explorer.paper)
    assert f"{same['total loss']:.3f}" in explorer.table.value and same["first prediction"] != other["first prediction"]
    losses = [explorer.outcome("margin_constant", side) for side in (explorer.code, explorer.paper)]
    assert losses[0]["first prediction"] == losses[1]["first prediction"]  # the same weights on both sides


def test_finished_model_is_the_run_that_it_claims_to_be(request):
    """The model that notebook 00 opens scores what its metrics.json says."""
    import json

    folder = request.config.rootpath / "notebooks" / "finished_model"
    splits = dmdlite.load_features(request.config.rootpath / "data_samples" / "toy")
    model = DMD.from_pretrained(folder)
    mae = float(np.abs(predict_logits(model, splits["test"]) - splits["test"].labels).mean())
    assert mae == pytest.approx(json.loads((folder / "metrics.json").read_text())["test"]["mae"], abs=1e-4)


@pytest.mark.parametrize("lengths", [(12, 12, 12), (16, 60, 50)], ids=["computed together", "one by one"])
def test_attention_maps_are_those_of_the_forward_pass(lengths):
    torch.manual_seed(0)
    lengths = dict(zip(dmdlite.MODALITIES, lengths, strict=True))
    config = dmdlite.DMDConfig.toy(lengths=lengths, width=8, heads=2, layers=2).without_dropout()
    model = DMD(config).eval()
    batch = {m: torch.randn(3, lengths[m], width) for m, width in config.feature_widths.items()}
    maps = attention_maps(model, batch)
    kept = config.lengths_after_convolution
    assert set(maps) == {(i, j) for i in dmdlite.MODALITIES for j in dmdlite.MODALITIES if i != j}
    for (source, target), pair in maps.items():
        assert pair.shape == (2, 3, 2, kept[target], kept[source])
        torch.testing.assert_close(pair.sum(-1), torch.ones(pair.shape[:-1]))
    # Under the causal mask the first step of language sees nothing of vision later than their difference in length.
    ahead = abs(kept["vision"] - kept["language"])
    assert maps["vision", "language"][..., 0, ahead + 1 :].eq(0).all()
    changed = {**batch, "audio": torch.randn_like(batch["audio"])}
    other = attention_maps(model, changed)
    assert not torch.equal(maps["audio", "language"], other["audio", "language"])
    assert torch.equal(maps["vision", "language"], other["vision", "language"])
