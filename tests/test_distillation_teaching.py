"""The figures of notebook 05."""

import numpy as np
import pytest
import torch

from course.figures import distillation_results as results
from course.figures import png
from course.figures.distillation_schemes import draw_schemes
from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS


@pytest.fixture
def numbers():
    return torch.Generator().manual_seed(0)


def titles(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_schemes_show_three_graphs_and_who_set_their_arrows():
    conventional = np.zeros((3, 3))
    conventional[0, 1] = 1.0
    figure = draw_schemes(conventional)
    assert len(figure.axes) == 3 and {"Conventional", "DMD", "arrows and weights set by hand"} <= set(titles(figure))
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown.count("1.00") == 1 and shown.count("0.00") == 5 and "on raw features" in shown
    assert all([text.get_text() for text in axis.texts].count("?") == 6 for axis in figure.axes[1:])
    assert png(figure).startswith(b"\x89PNG") and figure.get_figwidth() <= 7


def test_label_curves_stand_at_the_mean_over_the_worlds(numbers):
    curve = torch.rand(3, 8, generator=numbers)
    figure = results.draw_label_curves(
        [0, 5, 10], {"vision": {"alone": curve + 1, "taught": curve}}, "message", 1.3, "language"
    )
    taught = next(line for line in figure.axes[0].lines if line.get_label() == "taught")
    np.testing.assert_allclose(taught.get_ydata(), curve.mean(1), rtol=1e-6)
    assert taught.get_color() == COLOURS["language"] and figure.get_suptitle() == "message"
    assert png(figure).startswith(b"\x89PNG")


def test_directions_frame_the_strongest(numbers):
    bars = {s: {t: torch.rand(8, generator=numbers) for t in MODALITIES} for s in MODALITIES}
    figure = results.draw_directions(bars, "message")
    drawn = list(figure.axes[0].patches)
    np.testing.assert_allclose(drawn[4].get_height(), bars["vision"]["vision"].mean(), rtol=1e-6)
    assert [place for place, patch in enumerate(drawn) if patch.get_linewidth() == 1.8] == [0, 4, 8]
    assert png(figure).startswith(b"\x89PNG")


def test_weight_curves_draw_all_six_arrows_each_below_its_student(numbers):
    sweep = torch.rand(4, 8, 3, 3, generator=numbers)
    figure = results.draw_weight_curves([0.1, 0.3, 1.0, 3.0], {"language": sweep, "audio": sweep}, "message")
    axes = np.reshape(figure.axes, (2, 3))
    for j, student in enumerate(MODALITIES):
        lines = {line.get_label(): line for line in axes[1, j].lines if "teaches" in line.get_label()}
        assert set(lines) == {f"{teacher} teaches" for teacher in MODALITIES if teacher != student}
        assert axes[0, j].get_title() == f"student: {student}"
    line = next(line for line in axes[0, 2].lines if line.get_label() == "vision teaches")
    np.testing.assert_allclose(line.get_ydata(), sweep[:, :, 1, 2].mean(1), rtol=1e-6)
    assert line.get_color() == COLOURS["vision"] and png(figure).startswith(b"\x89PNG")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"{m} teaches" for m in MODALITIES]


def test_visible_shares_carry_their_numbers():
    shares = {kind: {"language → vision": -0.001, "vision → audio": 0.25} for kind in ("features", "outputs")}
    figure = results.draw_visible_shares(shares, "message")
    written = [text.get_text() for text in figure.axes[0].texts]
    assert written == ["0.00", "0.25"] * 2 and png(figure).startswith(b"\x89PNG")
