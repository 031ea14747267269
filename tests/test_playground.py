"""The playground's arithmetic in a browser equals the package's, and what a student should find there is so."""

import json
from dataclasses import replace
from functools import cache

import pytest
import torch
from chromium import browser, listen
from torch.testing import assert_close

from course.playground import export
from course.playground.page import page as playground_page
from course.playground.reference import LEARNED, Settings, Students, batch_at, shuffled
from course.playground.store import FILE, RELIABILITY, TRAIN, VALID, clips_of, stored
from course.widgets.graph_state import PAIRS, PRESETS
from dmdlite.config import MODALITIES, SPACES
from dmdlite.presets import PUBLISHED_PRIORS

__all__ = ["browser"]  # a fixture
STEPS = 60
LEARNERS = [  # space, order, taught
    ("homogeneous", 0, True),
    ("heterogeneous", 3, True),
    ("homogeneous", 3, False),
    ("heterogeneous", 1, False),
]

# Each setting is a list of moves: the name of a setting and its value, an edge with its strength, or steps.
MOVES = {
    "all learned": [("run", STEPS)],
    "all learned, with prior": [("prior", True), ("run", STEPS)],
    "few labels and noise": [("world", "vision"), ("labels", 0.1), ("noise", 1.2), ("prior", True), ("run", STEPS)],
    "learned, set and off": [
        ("world", "audio"), ("homogeneous", "language", "audio", 0.7), ("homogeneous", "vision", "audio", "off"),
        ("heterogeneous", "audio", "vision", 0.25), ("heterogeneous", "audio", "language", "off"),
        ("labels", {"language": 0.0, "vision": 0.35}), ("prior", True), ("lessons", 7.5), ("run", STEPS),
    ],
    "all set": [
        *((space, source, target, 0.4) for space in SPACES for source in MODALITIES for target in MODALITIES
          if source != target),
        ("labels", 0.0), ("noise", 0.4), ("lessons", 0.5), ("run", STEPS),
    ],
    "changed on the way": [
        ("noise", 0.8), ("run", 15), ("homogeneous", "audio", "language", 1.0), ("labels", {"audio": 0.5}), ("run", 15),
        ("prior", True), ("homogeneous", "audio", "language", "learned"), ("heterogeneous", "vision", "audio", "off"),
        ("run", 15), ("lessons", 0.0), ("labels", 1.0), ("run", 15),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    file = tmp_path_factory.mktemp("playground") / "playground.html"
    file.write_text(playground_page(), encoding="utf-8")
    page = browser.new_page()
    complaints = listen(page)
    page.goto(file.as_uri())
    yield page
    assert complaints == []


def in_browser(page, moves, *spaces):
    """The state after these moves, from a fresh start; by default of both spaces."""
    calls = ["begin()"]
    for name, *values in moves:
        call = {"run": "run", **dict.fromkeys(SPACES, "setEdge")}.get(name, "set")
        calls.append(f"{call}(...{json.dumps(values if name == 'run' else [name, *values])})")
    page.evaluate("; ".join(f"playground.{call}" for call in calls))
    return page.evaluate(f"playground.state(...{json.dumps(spaces)})")


def after(settings, name, *values):
    """The settings after one move."""
    if name in SPACES:
        *pair, strength = values
        return settings.with_edge(name, *pair, {"off": 0.0, "learned": LEARNED}.get(strength, strength))
    (value,) = values
    if name == "labels":
        value = {**settings.labels, **(value if isinstance(value, dict) else dict.fromkeys(MODALITIES, value))}
    return replace(settings, **{name: value})


def in_torch(moves):
    students, settings = [Students(*learner) for learner in LEARNERS], Settings()
    for name, *values in moves:
        if name != "run":
            settings = after(settings, name, *values)
        for each in students:
            for _ in range(values[0] if name == "run" else 0):
                each.learn(settings)
    return students, settings


@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES)
def test_browser_and_package_agree(without_shape_checks, page, moves):
    state = in_browser(page, moves)
    weights = [page.evaluate(f"playground.heads(...{json.dumps(learner)})") for learner in LEARNERS]
    students, settings = in_torch(moves)
    exact = dict(atol=1e-4, rtol=0)
    assert state["step"] == STEPS
    for each, heads in zip(students, weights, strict=True):
        errors, edges = each.look(settings)
        seen = state["orders"][each.space][each.order]
        assert_close(seen["errors" if each.taught else "control"], errors, **exact)
        for name, weight in each.parts.named_parameters():
            assert_close(torch.tensor(heads[name], dtype=torch.float64), weight.detach().flatten(), **exact)
        if each.taught:
            assert_close(torch.tensor(seen["edges"], dtype=torch.float64), edges, **exact)
            assert_close({term: float(loss) for term, loss in seen["losses"].items()}, each.losses, **exact)


def test_means_are_over_all_orders(page):
    state = in_browser(page, [("run", 5)])
    for space in SPACES:
        for m in MODALITIES:
            each = [order["errors"][m] for order in state["orders"][space]]
            assert len(set(each)) > 1 and state["errors"][space][m] == pytest.approx(sum(each) / len(each))


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("set('labels', 1.5)", "share of labels must be a number from 0 to 1, not 1.5"),
        ("set('prior', 'yes')", "prior must be one of true, false, not yes"),
        ("set('speed', 2)", "name of a setting must be one of world, labels"),
        ("setEdge('homogeneous', 'audio', 'audio', 1)", "no modality teaches itself"),
        ("setEdge('homogeneous', 'audio', 'face', 1)", "must be one of language, vision, audio, not face"),
        ("setEdge('homogeneous', 'audio', 'vision', -1)", "strength must be a number from 0 to 10, not -1"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(page, call, complaint):
    with pytest.raises(Exception, match=complaint):
        page.evaluate(f"playground.{call}")


def test_stored_file_is_small_and_belongs_to_this_code():
    assert FILE.stat().st_size < 500_000
    assert stored()["start"] == {space: export.start_entry(space) for space in SPACES}
    for world in RELIABILITY:
        labels = torch.as_tensor(export.drawn(world, export.CLIP_SEED).splits["train"].labels[: TRAIN + VALID])
        assert_close(clips_of(world).labels, labels.double())
    for space, prior in stored()["priors"].items():
        assert_close(torch.tensor(prior), torch.tensor(PUBLISHED_PRIORS[space]))


def test_an_epoch_shows_every_clip_once():
    for order in (0, 3):
        assert sorted(sum((batch_at(step, order) for step in range(5)), [])) == list(range(TRAIN))
    assert batch_at(0, 0) != batch_at(0, 1) != batch_at(5, 1) and shuffled(3, 0) != shuffled(3, 1)


# What a student should find, in the engine that the tests above compare: means over all orders of batches ----------

GOOD = {"language": "vision", "vision": "language", "audio": "language"}  # strong teacher -> its fair student
WEAK = {"language": "audio", "vision": "audio", "audio": "vision"}


@pytest.fixture(scope="module")
def found(page):
    """found(world, preset, ...): the homogeneous graph after 120 steps. labelled: the only one with labels, if any."""

    @cache
    def find(world, preset, labelled=None, prior=False):
        labels = {m: float(labelled in (None, m)) for m in MODALITIES}
        moves = [("world", world), ("labels", labels), ("prior", prior), ("run", 120)]
        held = [(i, j, PRESETS[preset][i][j]) for i, j in PAIRS] if PRESETS[preset] else []
        moves = [("homogeneous", MODALITIES[i], MODALITIES[j], strength) for i, j, strength in held] + moves
        state = in_browser(page, moves, "homogeneous")
        return {name: state[name]["homogeneous"] for name in ("errors", "control", "edges")}

    return find


@pytest.mark.parametrize("world", RELIABILITY)
def test_with_all_labels_a_good_teacher_changes_little(found, world):
    state = found(world, f"{world} teaches")
    assert all(abs(state["errors"][m] - state["control"][m]) < 0.05 for m in MODALITIES)


@pytest.mark.parametrize("world", RELIABILITY)
def test_without_labels_a_good_teacher_halves_an_error(found, world):
    student, state = GOOD[world], found(world, f"{world} teaches", world)
    assert state["errors"][student] < 0.52 * state["control"][student]
    with_labels = found(world, f"{world} teaches")["control"][student]
    assert state["errors"][student] < with_labels + 0.05  # nearly what its own labels would do


@pytest.mark.parametrize("world", RELIABILITY)
def test_a_bad_teacher_harms(found, world):
    state = found(world, f"{WEAK[world]} teaches")
    assert state["errors"][world] > state["control"][world] + 0.15


@pytest.mark.parametrize("world", RELIABILITY)
def test_learned_edges_go_where_two_agree(found, world):
    """Where only one modality has labels, it is the two others that agree: neither knows anything."""
    i, j = (MODALITIES.index(m) for m in MODALITIES if m != world)
    state = found(world, "learned", world)
    assert state["edges"][i][j] + state["edges"][j][i] > 0.95
    assert all(state["errors"][m] > 0.9 * state["control"][m] for m in MODALITIES if m != world)  # nothing is gained


@pytest.mark.parametrize("world", RELIABILITY)
def test_with_the_prior_learned_edges_go_to_the_prior(found, world):
    """Strengths are learned edges plus the prior: twice the prior when the penalty has won."""
    edges = torch.tensor(found(world, "learned", prior=True)["edges"])
    assert_close(edges, 2 * torch.tensor(PUBLISHED_PRIORS["homogeneous"]), atol=0.06, rtol=0)
