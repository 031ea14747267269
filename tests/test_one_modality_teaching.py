"""The figures and the widget of notebook 02."""

import numpy as np
import pytest

from course import figures
from course.figures.convolutions import draw_chain, draw_kernel
from course.figures.scores import EDGE, draw_scores, wrong_side
from course.figures.unimodal import draw_accuracies, draw_learning, draw_score_panels
from course.widgets.score_explorer import ScoreExplorer
from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS
from dmdlite.training.metrics import sentiment_metrics

LABELS = np.array([-2.0, -0.6, 0.0, 0.4, 1.2, 2.8])
PREDICTIONS = np.array([-1.4, 0.3, -0.2, 0.7, 0.9, 2.6])


@pytest.fixture
def explorer():
    return ScoreExplorer(PREDICTIONS, LABELS, COLOURS["language"])


def texts(figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in [axis.title, axis._left_title, *axis.texts]]


def test_a_chain_tells_its_stages_and_shapes():
    figure = draw_chain([("stream", "(60, 10)"), ("convolution", "(56, 16)")], "a title")
    assert {"stream", "convolution", "(60, 10)", "(56, 16)", "a title"} <= set(texts(figure))
    assert figures.png(figure).startswith(b"\x89PNG")


def test_each_output_of_a_kernel_stands_under_the_middle_of_its_window():
    stream = np.array([0.0, 0.0, 1.0, 3.0, 3.0, 1.0, 0.0, 0.0])
    figure = draw_kernel(stream, np.array([-1.0, 0.0, 1.0]), 6, "smile", "a title", COLOURS["vision"])
    above, below = figure.axes
    bars = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in below.containers[0]}
    assert bars == pytest.approx({1: 1, 2: 3, 3: 2, 4: -2, 5: -3, 6: -1})
    assert len(above.containers[0]) == 8 and "8 come in, 6 are left" in below.get_xlabel()


def test_learning_has_one_panel_for_each_run():
    records = [{"epoch": e, "losses": {"total": 2.0 / e}, "valid_error": abs(e - 2) + 1.0} for e in (1, 2, 3)]
    figure = draw_learning({"audio": records, "shuffled": records}, 1.3, "a title")
    assert [axis.get_title() for axis in figure.axes] == ["audio", "shuffled"]
    (best,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert (best.get_xdata()[0], best.get_ydata()[0], best.get_color()) == (2, 1.0, COLOURS["audio"])


def test_accuracies_are_the_means_over_the_seeds():
    ours, printed = {m: [0.6, 0.8] for m in MODALITIES}, {m: [0.655] for m in MODALITIES}
    views = {"ours": dict.fromkeys(MODALITIES, 0.75)}
    figure = draw_accuracies(
        {"ours": ours, "print": printed}, "title", chance={"ours": 0.5}, views=views, by_eye=["print"]
    )
    left, right = figure.axes
    assert [bar.get_height() for bar in left.patches] == pytest.approx([0.7] * 3)
    assert [bar.get_hatch() for bar in right.patches] == ["//"] * 3 and "≈ 0.655" in texts(figure)
    assert len(left.collections) == 3 and not right.collections and not right.lines
    assert figures.png(figure).startswith(b"\x89PNG")


def test_score_panels_show_every_score_beside_the_constant():
    scores = {m: sentiment_metrics(PREDICTIONS, LABELS) for m in MODALITIES}
    constant = sentiment_metrics(np.full(6, 0.1), LABELS)
    figure = draw_score_panels(scores, constant, {"mae": "MAE", "acc7": "ACC7"}, "a title")
    for axis, name in zip(figure.axes, ("mae", "acc7"), strict=True):
        assert [bar.get_height() for bar in axis.patches] == pytest.approx([scores["audio"][name]] * 3)
        assert axis.lines[0].get_ydata()[0] == constant[name]


def test_the_wrong_side_is_what_acc2_counts_as_wrong():
    wrong = wrong_side(PREDICTIONS, LABELS)
    assert wrong.tolist() == [False, True, False, False, False, False]  # a label of 0 is on neither side
    assert 1 - wrong.sum() / (LABELS != 0).sum() == sentiment_metrics(PREDICTIONS, LABELS)["acc2"]
    assert wrong_side(np.zeros(2), np.array([1.0, -1.0])).tolist() == [True, False]  # 0 is not positive


def test_scores_are_drawn_with_every_clip_even_beyond_the_rim():
    axis = draw_scores(9 * PREDICTIONS, LABELS, "a title").axes[0]
    points = np.concatenate([dots.get_offsets() for dots in axis.collections])
    assert len(points) == 6 and np.abs(points).max() == EDGE


def test_score_explorer_starts_with_the_model_itself(explorer):
    assert "1 · prediction + 0" in explorer.table.value and "changed" not in explorer.table.value
    assert bytes(explorer.picture.value).startswith(b"\x89PNG")


def test_score_explorer_follows_its_sliders(explorer):
    first = bytes(explorer.picture.value)
    explorer.scale.value = 2.0
    assert bytes(explorer.picture.value) != first and "2 · prediction + 0" in explorer.table.value
    assert explorer.table.value.count("changed") == 2  # MAE and ACC7
    explorer.shift.value = -1.0
    assert "2 · prediction − 1" in explorer.table.value
    expected = sentiment_metrics(2 * PREDICTIONS - 1, LABELS)["mae"]
    assert f"<b>{expected:.3f}</b>" in explorer.table.value


def test_score_explorer_knows_what_each_score_ignores(explorer):
    still = explorer.scores(1.0, 0.0)
    assert list(still) == ["mae", "corr", "acc2", "f1", "acc7"]
    for scale, shift, same in ((2.0, 0.0, {"corr", "acc2", "f1"}), (1.0, 0.5, {"corr"})):
        moved = explorer.scores(scale, shift)
        assert {name for name in still if moved[name] == pytest.approx(still[name])} >= same
    assert explorer.scores(0.0, 0.5)["corr"] == 0 and explorer.scores(-1.0, 0.0)["corr"] == pytest.approx(
        -still["corr"]
    )
    assert explorer.view(1.5, 0.5)[1] == explorer.view(1.5, 0.5)[1]
