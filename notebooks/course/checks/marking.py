"""Turns assertions about a student's answer into a check that reports on it and never stops a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import getmembers, isclass, isfunction
from textwrap import fill
from typing import Any

import numpy as np
import torch

from course.checks.answers import NotAttempted, Wrong, guarded, is_a_stub, said
from course.checks.drawing import Dice
from course.checks.gradients import same_gradients

Check = Callable[[Callable], None]
CORRECT, WRONG, OPEN, UNSEEN = "correct", "not right yet", "not attempted yet", "its cell has not been run"
PUBLIC = "correct in the public example"  # of a task whose hidden tests are in `course.mark.hidden`
SEEDS = range(6)  # of the further examples that every check draws
_outcomes: dict[str, str] = {}  # number of an exercise -> the outcome of its last check


def exercise(
    number: str,
    returns: str | None = None,
    draw: Callable[[Dice], tuple] | None = None,
    right: Callable | None = None,
    gradient: bool = False,
    public: bool = False,
) -> Callable[[Check], Check]:
    """Decorates a function that asserts things about an answer, so that it prints the outcome and raises nothing.

    returns: what an answer returns, a key of `answers.KINDS`. draw: inputs for further examples, on which the answer
    has to agree with `right`, in its gradients, too, if `gradient`. public: this check tries one example only; the
    hidden tests, which students do not have, decide.
    """

    def decorate(check: Check) -> Check:
        def examine(answer: Any, seeds: Iterable[int] = SEEDS) -> tuple[str, str]:
            """The outcome and what to tell about it."""

            def attempt() -> None:
                call = guarded(answer, returns)
                check(call)
                if draw and right:
                    further(call, draw, right, gradient, seeds)

            outcome, told = _outcome(attempt, answer)
            return PUBLIC if public and outcome == CORRECT else outcome, told

        @wraps(check)
        def report(answer: Any) -> None:
            outcome, told = examine(answer)
            _outcomes[number] = outcome
            print(block(f"Exercise {number}: {outcome}", told))

        report.exercise, report.examine = number, examine
        report.draw, report.right, report.gradient = draw, right, gradient
        return report

    return decorate


def _outcome(attempt: Callable[[], None], answer: Any) -> tuple[str, str]:
    """What became of an attempt, and what to tell about it; nothing but an interrupt gets through."""
    try:
        attempt()
    except NotAttempted:
        return OPEN, ""
    except (Wrong, AssertionError) as problem:
        return WRONG, str(problem)
    except Exception as problem:
        if is_a_stub(problem):  # in a class
            return OPEN, ""
        what = "your class stops with an error" if isclass(answer) else "the check cannot use what you return"
        return WRONG, f"{what}\n{said(problem)}"
    return CORRECT, ""


def block(title: str, text: str) -> str:
    """A title and under it an indented paragraph."""
    lines = [fill(line, 100, initial_indent="    ", subsequent_indent="    ") for line in text.splitlines()]
    return "\n".join([title, *lines])


def summary_of(module: str) -> Callable[[], None]:
    """A function that prints which exercises of a module of checks are done, in the order of their numbers."""

    def summary() -> None:
        checks = [check for _, check in getmembers(sys.modules[module], isfunction) if hasattr(check, "exercise")]
        numbers = sorted((check.exercise for check in checks), key=lambda number: [*map(int, number.split("."))])
        outcomes = {number: _outcomes.get(number, UNSEEN) for number in numbers}
        done = sum(outcome in (CORRECT, PUBLIC) for outcome in outcomes.values())
        print(f"Exercises of this notebook: {done} of {len(numbers)} correct")
        for number, outcome in outcomes.items():
            print(f"    {number}  {outcome}")

    return summary


def expect(condition: Any, message: str) -> None:
    """An assertion whose message speaks to a student."""
    if not condition:
        raise Wrong(message)


def like(got: Any, value: Any, tolerance: float = 1e-5) -> bool:
    """Do two numbers or tensors have the same shape and, but for rounding, the same values?"""
    got, value = _doubles(got), _doubles(value)
    return got.shape == value.shape and torch.allclose(got, value, atol=tolerance)


def _doubles(x: Any) -> torch.Tensor:
    """Any number, list, array or tensor as a tensor, without its gradient."""
    return x.detach().double() if isinstance(x, torch.Tensor) else torch.from_numpy(np.array(x, dtype=np.float64))


def rule_out(got: Any, mistakes: Mapping[str, Any], tolerance: float = 1e-5) -> None:
    """Fails if the answer is what a known mistake gives. mistakes: message -> that value; the first match counts."""
    for message, value in mistakes.items():
        expect(not like(got, value, tolerance), message)


def further(
    answer: Callable, draw: Callable[[Dice], tuple], right: Callable, gradient: bool, seeds: Iterable[int]
) -> None:
    """Compares the answer with the right one on inputs drawn at random."""
    for seed in seeds:
        given, again = draw(Dice(seed, gradient)), draw(Dice(seed, gradient))
        got, expected = answer(*given), right(*again)
        _compare(got, expected)
        if gradient:
            same_gradients(right, got, expected, given, again)


def _compare(got: Any, expected: Any) -> None:
    """Fails where shape, type of number or value differ; both may be dicts or tuples."""
    if isinstance(expected, Mapping):
        expect(set(got) == set(expected), f"the dict should hold {', '.join(expected)} and nothing else")
        got, expected = (tuple(x[key] for key in expected) for x in (got, expected))
    if isinstance(expected, tuple):
        expect(len(got) == len(expected), f"return {len(expected)} things, not {len(got)}")
        for one, other in zip(got, expected, strict=True):
            _compare(one, other)
    elif isinstance(expected, str):
        expect(got == expected, f"right in the first examples, but in another one {got!r} should be {expected!r}")
    else:
        shape, due = (tuple(getattr(x, "shape", ())) for x in (got, expected))
        expect(shape == due, f"right in the first examples, but in another one the shape should be {due}, not {shape}")
        if shape:
            expect(got.dtype == expected.dtype, f"your numbers are {got.dtype}; {expected.dtype} came in")
        same = like(got, expected, 1e-4 if shape else 1e-5)
        values = "" if shape else f": {float(_doubles(expected)):.4f} expected, got {float(_doubles(got)):.4f}"
        expect(same, f"right in the first examples, but not in another one{values}; does it use all that it is given?")
