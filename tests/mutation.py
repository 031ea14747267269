"""Tries every check on wrong answers made by machine and by hand, and writes the scores into docs/checks.md.

A task with hidden tests is scored with its public example and these together, as it is marked.

python tests/mutation.py        writes docs/checks.md
python tests/mutation.py -v     prints what each wrong answer is told, too

A mutant that passes is a hole, unless it is right: then it is in tests/mutants_that_are_right.txt, reviewed by hand.
"""

import contextlib
import importlib
import io
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [path for path in (str(ROOT / "notebooks"), str(ROOT / "tests")) if path not in sys.path]

from mutants import distorted, mutants  # noqa: E402

from course.mark.answers import Exercise, exercises, namespace  # noqa: E402
from course.mark.hidden import with_hidden_tests  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
RIGHT = ROOT / "tests" / "mutants_that_are_right.txt"
SECONDS = 1.0  # of this process; no answer takes so long, so a mutant that does loops
PAGE, MARK = ROOT / "docs" / "checks.md", "<!-- written by tests/mutation.py -->"


class TooLong(BaseException):
    """No Exception, so that no check takes it for a mistake of the student."""


@dataclass
class Score:
    """What became of the mutants of one exercise."""

    number: str
    told: int = 0  # seen through, and told why
    stopped: int = 0  # they raise an error or loop
    passed: list[str] = field(default_factory=list)  # names of the mutants that the check takes
    by_hand: int = 0  # wrong answers written by hand
    missed_by_hand: list[int] = field(default_factory=list)

    def right(self, known: set[str]) -> int:
        return sum(f"{self.number} | {name}" in known for name in self.passed)

    def holes(self, known: set[str]) -> list[str]:
        return [name for name in self.passed if f"{self.number} | {name}" not in known]


def checks_of(path: Path):
    """The module with the checks of a notebook; it has the notebook's name."""
    return importlib.import_module(f"course.checks.{path.stem[3:]}")


def known_right() -> set[str]:
    """Those that give what the printed solution gives, or what an exercise leaves free; its comments say why."""
    return {line for line in RIGHT.read_text(encoding="utf-8").splitlines() if " | " in line}


def answers(exercise: Exercise) -> Iterator[tuple[str, Callable[[], Callable]]]:
    """(name, what makes the answer) of every mutant; making it may already fail."""
    around = namespace([*exercise.before, exercise.solution])

    def made(source: str) -> Callable:
        names = dict(around)
        exec(source, names)
        return names[exercise.answer]

    for name, source in mutants(exercise.solution):
        yield name, lambda source=source: made(source)
    solution = made(exercise.solution)
    if hasattr(solution, "__code__"):
        for name, answer in distorted(solution):
            yield name, lambda answer=answer: answer


def outcome(examine: Callable, make: Callable[[], Callable]) -> tuple[str, str]:
    """The outcome of a check, what it says, and "stopped" for an answer that raises or loops."""
    signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, told = examine(make())
    except TooLong:
        return "stopped", "it loops"
    except Exception as problem:  # not even a function
        return "stopped", repr(problem)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return ("stopped" if "stops with an error" in told else found), told


def _too_long(*_) -> None:
    raise TooLong


def score(path: Path, exercise: Exercise, verbose: bool = False) -> Score:
    """Tries one check on all mutants of its printed solution, and on the wrong answers written by hand."""
    check = getattr(checks_of(path), exercise.check)
    examine, found = with_hidden_tests(check), Score(check.exercise)
    for name, make in answers(exercise):
        result, told = outcome(examine, make)
        found.stopped += result == "stopped"
        found.told += result == "not right yet"
        if result in ("correct", "not attempted yet") and name != "result nothing":
            found.passed.append(name)
        if verbose:
            print(f"{check.exercise} {name}: {result}. {told}")
    wrong = importlib.import_module(f"wrong_answers.{path.stem[3:]}").WRONG[exercise.check]
    found.by_hand = len(wrong)
    for place, answer in enumerate(wrong):
        result, told = outcome(examine, lambda answer=answer: answer)
        if result == "correct":
            found.missed_by_hand.append(place)
        if verbose:
            print(f"{check.exercise} by hand {place}: {result}. {told}")
    return found


def table(scores: list[Score], known: set[str]) -> str:
    """The scores as a Markdown table with a row for the sum."""
    rows = []
    for s in scores:
        holes = len(s.holes(known))
        seen_by_hand = s.by_hand - len(s.missed_by_hand)
        rows.append([s.told + s.stopped + holes, s.told + s.stopped, s.right(known), s.by_hand, seen_by_hand])
    rows.append([sum(column) for column in zip(*rows, strict=True)])
    lines = ["| exercise | wrong mutants | seen through | score | right after all | by hand | seen through |"]
    lines.append("|---|---|---|---|---|---|---|")
    for number, (wrong, seen, right, by_hand, seen_by_hand) in zip([*(s.number for s in scores), "all"], rows):
        lines.append(
            f"| {number} | {wrong} | {seen} | {100 * seen / wrong:.1f} % | {right} | {by_hand} | {seen_by_hand} |"
        )
    return "\n".join(lines)


def main() -> None:
    verbose = "-v" in sys.argv
    scores = [score(path, exercise, verbose) for path in NOTEBOOKS for exercise in exercises(path)]
    known = known_right()
    for s in scores:
        for name in s.holes(known):
            print(f"passes: {s.number} | {name}")
        for place in s.missed_by_hand:
            print(f"passes: {s.number}, number {place} of those written by hand")
    stale = known - {f"{s.number} | {name}" for s in scores for name in s.passed}
    print("\n".join(f"no longer passes: {line}" for line in sorted(stale)))
    text = PAGE.read_text(encoding="utf-8").split(MARK)[0]
    PAGE.write_text(f"{text}{MARK}\n\n{table(scores, known)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
