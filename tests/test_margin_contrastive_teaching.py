"""Notebook 04: its circles, and the margin explorer without a browser."""

import time

import numpy as np
import pytest
import torch

from course.figures import geometry
from course.figures.plain import png
from course.widgets.margin_explorer import ANCHOR, DEGREES, KINDS, LABELS, MARGINS, MarginExplorer
from dmdlite.components.losses import margin_contrastive_loss
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.training.figures import COLOURS, MODEL

CONSTANT, PER_LABEL = KINDS


def texts(figure) -> str:
    return " ".join(text.get_text() for axis in figure.axes for text in [axis.title, *axis.texts])


def lines(figure, style: str) -> int:
    """Lines from the anchor, each of which is drawn once for each triplet."""
    return sum(line.get_linestyle() == style and len(line.get_xdata()) == 2 for line in figure.axes[0].lines)


@pytest.fixture(scope="module")
def explorer():
    return MarginExplorer()


def test_points_are_where_their_angles_say():
    points = geometry.on_circle([0, 90, 180, -90])
    torch.testing.assert_close(points, torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]))


def test_sentiments_have_a_colour_of_their_own():
    shades = [geometry.sentiment_colour(label) for label in (-3.0, -1.0, 0.0, 1.0, 3.0)]
    assert len(set(shades)) == 5
    assert shades[0][2] > shades[0][1] and shades[-1][0] > shades[-1][2]  # purple, orange
    taken = [tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)) for colour in [*COLOURS.values(), MODEL]]
    assert all(np.abs(np.subtract(shade[:3], colour)).sum() > 0.3 for shade in shades for colour in taken)


def test_circles_draw_directions_and_not_lengths():
    samples = {"language": torch.tensor([[3.0, 0.0], [0.0, 0.2]])}
    figure = geometry.draw_circles({"a": samples, "b": samples}, torch.tensor([1.0, -1.0]), "title")
    points = figure.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(points, [[1, 0], [0, 1]])
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert texts(figure) == "a b" and legend == {"label −1", "label +1", "language"}
    assert png(figure).startswith(b"\x89PNG")


def test_marks_at_one_angle_do_not_hide_each_other():
    samples = {m: torch.tensor([[1.0, 0.0]]) for m in MODALITIES}
    drawn = geometry.draw_circles({"a": samples}, torch.tensor([1.0]), "title").axes[0].collections
    places = np.concatenate([marks.get_offsets() for marks in drawn])
    assert np.abs(np.diff(np.sort(places[:, 0]))).min() > 0.1 and (places[:, 1] == 0).all()


def test_the_angles_of_a_triplet():
    samples = {"language": geometry.on_circle([10, 50]), "vision": geometry.on_circle([70, 170])}
    pairs = [(("vision", 0), ("language", 1))]
    shown = [
        texts(
            geometry.draw_triplets(samples, torch.tensor([2.0, -2.0]), ("language", 0), pairs, "title", angles=angles)
        )
        for angles in (True, False)
    ]
    assert shown[0].split() == ["10°", "50°", "70°", "170°"] and not shown[1].strip()


def test_figures_of_measurements():
    apart = torch.tensor([3.0, 1.5])
    figure = geometry.draw_floors({"one": (apart, apart / 4, apart / 8), "two": (apart, apart, apart)}, "title")
    floor = figure.axes[0].lines[1]
    assert floor.get_xdata().tolist() == [1.5, 3.0] and floor.get_ydata().tolist() == [1.5 / 8, 3 / 8]
    figure = geometry.draw_dots({"control": [0.0, 0.1], "loss": [0.5, 0.6]}, "title", "separation")
    assert "0.05" in texts(figure) and "0.55" in texts(figure) and png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("margin", MARGINS)
def test_explorer_computes_the_loss_of_the_package(explorer, kind, margin):
    now = explorer.situation(75, margin, kind)
    samples = {m: geometry.on_circle([75 if (m, clip) == ANCHOR else d for clip, d in enumerate(DEGREES[m])])
               for m in MODALITIES}  # fmt: skip
    fields = {"margin_constant": margin, "margin_per_label_distance": 0.0}
    if kind == PER_LABEL:
        fields = {"margin_constant": 0.0, "margin_per_label_distance": margin}
    assert now.loss == pytest.approx(margin_contrastive_loss(samples, LABELS, DMDConfig.paper(**fields)).item())
    assert len(now.triplets) == 4 and {t.negative[0] for t in now.triplets} == {"language"}
    asked = {1: 1, 2: 4} if kind == PER_LABEL else {1: 1, 2: 1}
    for triplet in now.triplets:
        assert triplet.margin == pytest.approx(margin * asked[triplet.negative[1]])
        assert triplet.hinge == pytest.approx(max(0, triplet.margin - triplet.to_positive + triplet.to_negative))


def test_its_arrow_points_downhill(explorer):
    for angle in (-120, 45, 90, 150):
        now = explorer.situation(angle, 1.0, CONSTANT)
        x, y = geometry.on_circle([angle])[0].tolist()
        along = float(now.step @ torch.tensor([-y, x]))  # against the clock
        assert abs(float(now.step @ torch.tensor([x, y]))) < 1e-5  # along the circle, not out of it
        beside = [explorer.situation(angle + turn, 1.0, CONSTANT).loss for turn in (-2, 2)]
        assert (along > 0) == (beside[1] < beside[0])


def test_it_draws_what_is_active(explorer):
    for angle, margin in ((0, 0.3), (90, 0.3), (-180, 2.0)):
        now, figure = explorer.situation(angle, margin, CONSTANT), explorer.figure(angle, margin, CONSTANT)
        assert lines(figure, "-") == lines(figure, "--") == len(now.active)
        assert figure.get_suptitle() == f"loss {now.loss:.3f}, active triplets: {len(now.active)} of 4"
    for angle in range(-180, 180, 15):  # an arrow whose tip lies outside would not be drawn
        axis = explorer.figure(angle, 1.0, CONSTANT).axes[0]
        assert all(abs(place) < axis.get_xlim()[1] for text in axis.texts for place in text.xy)
    assert not explorer.figure(0, 0.3, CONSTANT).axes[0].texts and explorer.figure(90, 0.3, CONSTANT).axes[0].texts


def test_its_controls_move_everything():
    explorer = MarginExplorer()
    assert "margin-explorer" in explorer.box._dom_classes and explorer.box.children[0] is explorer.angle
    assert all(int(slider.layout.width[:-2]) >= 300 for slider in (explorer.angle, explorer.margin))
    seen = [(bytes(explorer.picture.value), explorer.caption.value, explorer.table.value)]
    for control, value in ((explorer.angle, 105), (explorer.margin, 1.0), (explorer.kind, PER_LABEL)):
        control.value = value
        seen.append((bytes(explorer.picture.value), explorer.caption.value, explorer.table.value))
    for before, after in zip(seen, seen[1:], strict=False):
        assert all(old != new for old, new in zip(before, after, strict=True))
    assert explorer.caption.value == explorer.view(105, 1.0, PER_LABEL)[1]
    assert "vision of +2" in explorer.table.value and "language of −2" in explorer.table.value


def test_it_reacts_at_once(explorer):
    def processor_seconds():
        start = time.process_time()
        explorer.view(30, 0.5, CONSTANT)
        return time.process_time() - start

    assert min(processor_seconds() for _ in range(3)) < 0.3
