"""The distillation graph editor: what it computes, what it shows, and the controls bound to both."""

import re
import time
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import dmdlite
from course.edge_audit.audit import true_edges
from course.figures.graphs import draw_graphs
from course.widgets import graph_views as views
from course.widgets.graph_editor import GraphEditor
from course.widgets.graph_state import (
    BY_HAND,
    PAIRS,
    PRESETS,
    GraphReading,
    by_errors,
    held_strengths,
    preset_name,
    read_graph,
    space_inputs,
)
from course.widgets.graph_training import HEADS, Lessons, Outcome, editor_config
from dmdlite.components.graph_distillation import advantage, edges_of, logit_difference
from dmdlite.config import MODALITIES, SPACES, DMDConfig
from dmdlite.data.toy import toy_world
from dmdlite.models.dmd import DMD

HELD = torch.tensor([[0.0, 0.3, 0.05], [0.0, 0.0, 0.2], [0.7, 0.1, 0.0]])
MIXED = torch.tensor([[0.0, torch.nan, 0.05], [0.0, 0.0, torch.nan], [0.7, torch.nan, 0.0]])


@pytest.fixture(scope="module")
def splits():
    return toy_world(100).splits


@pytest.fixture(scope="module")
def editor(splits):
    return GraphEditor(splits, PRESETS | {"my own": [[0.0, 0.1, 0.2], [0.3, 0.0, 0.4], [0.5, 0.6, 0.0]]})


@pytest.fixture()
def fresh(editor):
    editor.reset()
    for space in reversed(SPACES):
        editor.space.value = space
        editor.set_graph("learned")
    return editor


def picture(editor):
    return bytes(editor.picture.value).decode()


def edge(editor, source, target):
    pair = MODALITIES.index(source), MODALITIES.index(target)
    return next(controls for controls in editor.edges if controls.pair == pair)


def test_presets_are_graphs():
    for name, strengths in PRESETS.items():
        held = held_strengths(strengths)
        assert held.diagonal().eq(0).all() and preset_name(held, PRESETS) == name
        if strengths is not None and name != "no distillation":
            assert held.sum().item() == pytest.approx(1.0)
    assert held_strengths(None).isnan().sum() == 6 and preset_name(HELD, PRESETS) == BY_HAND
    assert held_strengths(PRESETS["audio teaches"])[2, :2].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("held", [held_strengths(None), HELD, MIXED], ids=["learned", "held", "mixed"])
@pytest.mark.parametrize("changes", [{}, {"graph_nodes": "features"}], ids=["published", "nodes are features"])
def test_a_reading_is_what_the_whole_model_does(splits, space, held, changes):
    torch.manual_seed(0)
    config = DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1, **changes)
    model = DMD(config.without_dropout()).eval()
    batch = splits["valid"].batch(range(8))
    reading = read_graph(model, space, space_inputs(model, batch)[space], held)

    out = model(**batch)  # with the same graph: read_graph leaves it in the unit
    loss = out.losses[f"gd_{space}_logit"]
    assert reading.weighted.sum().item() == pytest.approx(loss.item(), rel=1e-5)
    free = held.isnan()
    torch.testing.assert_close(reading.strengths[free], (out.edges[space].mean(0) + model.units[space].prior)[free])
    torch.testing.assert_close(reading.strengths[~free], held[~free])
    loss.backward()
    for place, m in enumerate(MODALITIES):
        gradients = [p.grad.square().sum() for p in model.get_submodule(f"{space}_heads")[m].parameters()]
        assert reading.pulls[place].item() == pytest.approx(sum(gradients).sqrt().item(), rel=1e-4)


def test_of_held_edges_the_gradient_is_linear_in_the_strengths(editor):
    """∇ Σ w ε = Σ w ∇ε at each student's head, with the teacher held fixed."""
    model, inputs = editor.lessons.start, editor.inputs["homogeneous"]
    heads = model.homogeneous_heads
    epsilon = logit_difference(torch.stack([heads[m](inputs.heads[m]).prediction for m in MODALITIES], dim=1)).mean(0)
    reading = read_graph(model, "homogeneous", inputs, HELD)
    torch.testing.assert_close(reading.disagreements, epsilon.detach())
    torch.testing.assert_close(reading.per_student, (HELD * epsilon.detach()).sum(0))
    for j, student in enumerate(MODALITIES):
        weights, total = list(heads[student].parameters()), 0.0
        for i in {0, 1, 2} - {j}:
            gradients = torch.autograd.grad(epsilon[i, j], weights, retain_graph=True)
            total = total + HELD[i, j] * torch.cat([gradient.flatten() for gradient in gradients])
        torch.testing.assert_close(reading.pulls[j], total.norm())


def test_who_is_not_taught_is_not_pulled(editor):
    reading = read_graph(
        editor.lessons.start, "homogeneous", editor.inputs["homogeneous"], held_strengths(PRESETS["audio teaches"])
    )
    assert reading.per_student[2] == 0 and reading.pulls[2] == 0 and reading.pulls[:2].gt(0).all()


def test_lessons_begin_at_the_same_start_and_end_the_same(editor, splits):
    lessons = editor.lessons
    weights = {name: x.clone() for name, x in lessons.start.state_dict().items()}
    held = {"homogeneous": HELD, "heterogeneous": MIXED}
    first, second = (lessons.after(held, {}) for _ in range(2))
    assert first.errors == second.errors and set(first.errors) == set(HEADS)
    assert all(torch.equal(x, weights[name]) for name, x in lessons.start.state_dict().items())
    other = lessons.after(dict.fromkeys(SPACES, held_strengths(PRESETS["no distillation"])), {})
    assert all(other.errors[head] != first.errors[head] for head in HEADS)
    again = Lessons(splits["train"], splits["valid"], editor_config())
    assert again.before().errors == lessons.before().errors


def test_held_edges_stay_where_they_are_held(editor):
    outcome = editor.lessons.after(dict.fromkeys(SPACES, MIXED), {})
    for strengths in outcome.edges.values():
        assert torch.equal(strengths[~MIXED.isnan()], MIXED[~MIXED.isnan()])
        assert strengths[MIXED.isnan()].gt(0).all()


def test_a_slider_sets_its_edge(fresh):
    controls = fresh.edges[0]
    assert controls.pair == (1, 0) and controls.mode.value == "learn" and controls.slider.value in (0.15, 0.2)
    before = fresh.picture.value, controls.numbers.value, fresh.students[0].value
    controls.slider.value = 0.6
    assert fresh.held["homogeneous"][1, 0].item() == pytest.approx(0.6) and controls.mode.value == "set"
    assert fresh.readings["homogeneous"].strengths[1, 0].item() == pytest.approx(0.6)
    assert all(a != b for a, b in zip(before, (fresh.picture.value, controls.numbers.value, fresh.students[0].value)))
    assert ">0.60<" in controls.numbers.value and fresh.preset.value == BY_HAND
    controls.slider.value = 0.0
    assert controls.mode.value == "off" and ">0.00<" in controls.numbers.value
    controls.mode.value = "set"
    assert controls.slider.value == 0.25 and fresh.held["homogeneous"][1, 0] == 0.25
    controls.mode.value = "off"
    assert controls.slider.value == 0.0 and fresh.held["homogeneous"][1, 0] == 0
    controls.mode.value = "learn"
    assert fresh.held["homogeneous"][1, 0].isnan() and fresh.preset.value == "learned"
    assert (fresh.picture.value, controls.numbers.value, fresh.students[0].value) == before


def test_presets_and_spaces(fresh):
    fresh.preset.value = "my own"
    torch.testing.assert_close(fresh.readings["homogeneous"].strengths, held_strengths(fresh.presets["my own"]))
    assert edge(fresh, "vision", "audio").slider.value == 0.4 and edge(fresh, "audio", "vision").slider.value == 0.6
    fresh.space.value = "heterogeneous"
    assert fresh.preset.value == "learned" and fresh.held["heterogeneous"].isnan().sum() == 6
    fresh.set_edge("language", "audio", 0.3)
    assert fresh.preset.value == BY_HAND and edge(fresh, "language", "audio").mode.value == "set"
    fresh.space.value = "homogeneous"
    assert fresh.preset.value == "my own" and edge(fresh, "language", "audio").slider.value == 0.2
    fresh.preset.value = BY_HAND
    assert fresh.preset.value == "my own"


def test_the_train_button_adds_a_row(fresh):
    fresh.preset.value = "uniform"
    fresh.train_button.click()
    assert len(fresh.outcomes) == 1 and not fresh.train_button.disabled
    assert fresh.outcomes[0].graphs == {"homogeneous": "uniform", "heterogeneous": "learned"}
    assert (
        f"{fresh.outcomes[0].errors['homogeneous_audio']:.2f}" in fresh.table.value and "uniform" in fresh.table.value
    )
    fresh.train()
    assert fresh.outcomes[1].errors == fresh.outcomes[0].errors
    fresh.reset_button.click()
    assert fresh.outcomes == [] and "uniform" not in fresh.table.value
    fresh.space.value, fresh.preset.value = "homogeneous", "no distillation"
    fresh.space.value = "heterogeneous"
    fresh.preset.value = "no distillation"
    assert fresh.train().errors == fresh.control.errors


def test_the_table_is_empty_at_the_start_but_for_its_headings_and_the_control(fresh):
    assert fresh.outcomes == [] and "a row appears" in fresh.table.value
    assert all(word in fresh.table.value for word in ("before", "the control", "homogeneous heads", "audio"))


def test_trained_edges_are_shown_large_until_one_is_changed(fresh):
    start = picture(fresh)
    outcome = fresh.train()  # all six are learned
    assert f"after {fresh.lessons.steps} steps" in picture(fresh)
    for space in SPACES:
        fresh.space.value = space
        assert all(f">{outcome.edges[space][pair]:.2f}<" in picture(fresh) for pair in PAIRS)
        assert f"errors of the {space} heads" in fresh.table.value
    fresh.space.value = "homogeneous"
    fresh.edges[0].slider.value = 0.6
    assert "at the start" in picture(fresh)
    fresh.set_graph("learned")
    assert picture(fresh) == start


def test_the_picture_follows_a_slider_while_it_is_dragged(fresh):
    assert all(controls.slider.continuous_update for controls in fresh.edges)
    began = time.process_time()
    for strength in range(1, 11):
        fresh.edges[0].slider.value = strength / 10
        assert f">{strength / 10:.2f}<" in picture(fresh)
    assert time.process_time() - began < 1.5  # ten pictures


def reading_of(strengths):
    strengths = torch.tensor(strengths)
    return GraphReading(strengths, torch.ones(3, 3), strengths, torch.tensor([0.0, 1.5, 2.25]))


def test_views_say_what_they_are_given():
    reading = reading_of([[0.0, 0.2, 0.6], [0.0, 0.0, 0.2], [0.0, 0.0, 0.0]])
    assert views._message(reading) == "language → audio makes 60% of the distillation loss of 1.00"
    assert views._message(reading_of([[0.0] * 3] * 3)) == "Nothing is distilled"
    assert "ζ of vision <b>0.20</b>" in views.view_student(reading, 1) and "<b>1.50</b>" in views.view_student(
        reading, 1
    )
    assert [f">{x}<" in views.view_edge(reading, (0, 2)) for x in ("0.60", "1.00")] == [True, True]
    drawn = views.view_reading(reading, "homogeneous").decode()
    assert drawn.count(">0.20<") == 2 and drawn.count(">off<") == 3 and drawn.count("<polygon") == 6
    ElementTree.fromstring(drawn)  # well-formed


def test_the_table_tells_a_change_from_its_noise():
    graphs, edges = dict.fromkeys(SPACES, "a & b"), dict.fromkeys(SPACES, torch.eye(3))

    def outcome(*errors):
        return Outcome(graphs, [dict.fromkeys(HEADS, error) for error in errors], edges)

    control = outcome(0.5, 0.6, 0.5)
    table = views.view_outcomes(control, control, [outcome(0.4, 0.5, 0.375)], "homogeneous")
    assert table.count("font-weight: bold'>-0.11<") == 3 and "a &amp; b" in table
    assert table.count("from -0.125 to -0.100") == 3 and "3 orders" in table
    noisy = views.view_outcomes(control, control, [outcome(0.4, 0.7, 0.5)], "homogeneous")
    assert "bold'>" not in noisy and noisy.count(">+0.00<") == 3
    widths = [float(re.search(r"width='([\d.]+)' height='6'", text)[1]) for text in (table, noisy)]
    assert widths[1] > widths[0] > 0


def test_graphs_beside_each_other():
    figure = draw_graphs({"one": np.full((3, 3), 0.2), "two": np.zeros((3, 3)), "three": np.eye(3)}, "What to see")
    assert [axis.get_title() for axis in figure.axes] == ["one", "two", "three"]
    numbers = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert numbers[0].count("0.20") == 6 and numbers[1].count("0.00") == 6 and "language" in numbers[0]
    assert views.graph_icon(torch.ones(3, 3)).count("<path") == len(PAIRS) == 6


def test_the_editor_takes_another_config(splits):
    config = dmdlite.DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1).without_dropout()
    editor = GraphEditor(splits, config=config)
    assert editor.readings["homogeneous"].strengths.sum().item() == pytest.approx(2.0, abs=1e-4)  # with the prior


def test_a_preset_may_follow_the_errors_of_the_heads(splits):
    world_truth = true_edges({"language": 0.8, "vision": 0.9, "audio": 0.5})
    editor = GraphEditor(splits, PRESETS | {"truth": world_truth, "by errors": by_errors})
    for space in SPACES:
        editor.space.value = space
        editor.preset.value = "by errors"
        errors = torch.tensor([editor.before.errors[f"{space}_{m}"] for m in MODALITIES])
        expected = edges_of(advantage(errors), DMDConfig().edge_sharpness)
        torch.testing.assert_close(editor.readings[space].strengths, expected)
        assert editor.preset.value == "by errors"
    editor.preset.value = "truth"
    strengths = editor.readings[SPACES[-1]].strengths
    assert strengths.sum().item() == pytest.approx(1) and strengths[:, 1].sum() == 0 and strengths[1].sum() > 0.6
    assert editor.train().graphs == {"homogeneous": "by errors", "heterogeneous": "truth"}
