"""Marks one student's notebooks: every answer against its check, and against examples or tests that students lack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from course.checks.answers import NotAttempted, Wrong
from course.checks.marking import CORRECT, OPEN, PUBLIC, WRONG
from course.mark.answers import CALL, Exercise, exercises
from course.mark.hidden import TESTS
from course.mark.remote import Sandbox, answer
from course.mark.untrusted import load, plain

COURSE = Path(__file__).parent.parent.parent
MISSING, BY_HEART = "not handed in", "right only in the examples of the check"
FAILS = "correct in the public example, but it fails a hidden test"
HIDDEN_EXAMPLES = 12


@dataclass(frozen=True)
class Mark:
    """What became of one exercise of one student."""

    number: str
    outcome: str
    told: str = ""

    @property
    def points(self) -> int:
        return int(self.outcome == CORRECT)


@cache
def course() -> dict[str, list[Exercise]]:
    """File name of a notebook -> its exercises."""
    paths = sorted(COURSE.glob("[0-9][0-9]_*.ipynb"))
    return {path.name: list(exercises(path)) for path in paths}


def mark(folder: Path, seed: int, seconds: float) -> Iterator[Mark]:
    """Every exercise of the course, in order, for the notebooks in one student's folder.

    seed: of the hidden examples. seconds: for one call of an answer.
    """
    with Sandbox(seconds, cpu_seconds=60 + int(20 * seconds)) as sandbox:
        for name, asked in course().items():
            checks = import_module(f"course.checks.{name[3:-6]}")
            cells = _cells(folder / name)
            for exercise in asked:
                check = getattr(checks, exercise.check)
                if isinstance(cells, str):
                    yield Mark(check.exercise, MISSING, cells)
                else:
                    yield _mark(check, exercise, cells, sandbox, seed)


def _mark(check, exercise: Exercise, cells: list[str], sandbox: Sandbox, seed: int) -> Mark:
    before, name = _answered(cells, exercise)
    try:
        given = answer(sandbox, before, name)
    except NotAttempted:
        return Mark(check.exercise, OPEN)
    except Wrong as problem:
        return Mark(check.exercise, WRONG, plain(str(problem)))
    outcome, told = check.examine(given)
    unseen = TESTS[check.exercise] if outcome == PUBLIC else check
    if outcome in (CORRECT, PUBLIC) and unseen.draw:
        found, told = unseen.examine(given, range(seed, seed + HIDDEN_EXAMPLES))
        outcome = CORRECT if found == CORRECT else FAILS if outcome == PUBLIC else BY_HEART
    return Mark(check.exercise, outcome, plain(told))


def _answered(cells: list[str], exercise: Exercise) -> tuple[list[str], str]:
    """The cells up to an exercise, and what its answer is called there."""
    for place, source in enumerate(cells):
        for check, name in CALL.findall(source):
            if check == exercise.check and name.isidentifier():
                return cells[: place + 1], name
    return cells, exercise.answer  # the call of the check was deleted


def _cells(path: Path) -> list[str] | str:
    """The sources of the code cells of an untrusted file, or why there are none."""
    cells = load(path)
    return cells if isinstance(cells, str) else [cell["source"] for cell in cells if cell["cell_type"] == "code"]
