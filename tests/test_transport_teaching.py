"""The figures and the widget of notebook 14."""

import numpy as np
import pytest
import torch

from course.figures import png
from course.figures.transport import draw_seeds, draw_similarities, draw_transport
from course.widgets.transport_explorer import CLOUDS, EPSILONS, TransportExplorer


@pytest.fixture(scope="module")
def explorer():
    return TransportExplorer()


def test_the_plan_is_drawn_as_lines_and_numbers():
    x, y = np.array([[0.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])
    figure = draw_transport(x, y, np.array([[0.5, 0.0], [0.1, 0.4]]), "message")
    plane, matrix = figure.axes
    assert sorted(line.get_linewidth() for line in plane.lines) == pytest.approx([0.8, 3.2, 4.0])
    shown = [text.get_text() for text in matrix.texts]
    assert {"50", "0", "10", "40", "50 %", "60 %", "40 %"} == set(shown)
    assert figure.get_suptitle() == "message" and figure.get_figwidth() <= 7 and png(figure).startswith(b"\x89PNG")


def test_similarities_share_a_scale_and_show_the_anchors():
    matrices = {"teacher": np.eye(3), "student": np.full((3, 3), 0.5)}
    figure = draw_similarities(matrices, np.array([[1], [2], [0]]), "message")
    teacher, student, marked = (axis.images[0] for axis in figure.axes[:3])
    assert teacher.get_clim() == student.get_clim() == (0.0, 1.0)
    assert np.argwhere(marked.get_array() == 1).tolist() == [[0, 1], [1, 2], [2, 0]]
    assert not any(axis.collections for axis in figure.axes[:3])  # nothing covers the matrices


def test_seeds_are_lines_and_means_are_named():
    figure = draw_seeds({"error": {"control": np.array([1.0, 2.0]), "student": np.array([0.5, 0.7])}}, "message")
    assert len(figure.axes[0].lines) == 2
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.50", "0.60"]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_every_setting_has_its_marginals(explorer, cloud, epsilon):
    best, numbers = explorer.solve(cloud, epsilon, 0.3, 0.7)
    torch.testing.assert_close(best.plan.sum(0), torch.full((4,), 0.25, dtype=torch.float64))
    torch.testing.assert_close(best.plan.sum(1), torch.full((4,), 0.25, dtype=torch.float64), atol=1e-3, rtol=0)
    assert numbers["divergence"] > -1e-6 and numbers["carried"] <= numbers["cost"] + 1e-6


def test_a_larger_epsilon_spreads_the_plan(explorer):
    plans = [explorer.solve("left and right", epsilon, 0.1, 0.9)[0].plan for epsilon in EPSILONS]
    used = [int((plan > 0.005).sum()) for plan in plans]
    assert used[0] == 4 and used[-1] == 16 and used == sorted(used)


def test_the_same_cloud_costs_entropy_but_no_divergence(explorer):
    numbers = explorer.solve("the same cloud twice", 0.3, 0.2, 0.2)[1]
    assert numbers["cost"] > 0.05 and numbers["divergence"] == 0


def test_controls_change_what_is_shown(explorer):
    explorer.cloud.value = "crossing"
    assert (explorer.across.value, explorer.up.value) == (0.1, 0.1)
    seen = {explorer.caption.value}
    explorer.epsilon.value = 1.0
    seen.add(explorer.caption.value)
    explorer.across.value = 0.6
    seen.add(explorer.caption.value)
    explorer.up.value = 0.5
    seen.add(explorer.caption.value)
    assert len(seen) == 4 and "every point gives 0.25 and gets 0.25" in explorer.caption.value
    assert bytes(explorer.picture.value).startswith(b"\x89PNG")
