"""What every check is made of: it compares with numbers that were worked out here, never with the student's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isfunction
from typing import Any

Check = Callable[[Callable], None]


def exercise(number: str) -> Callable[[Check], Check]:
    """Turns a function that asserts things about an answer into one that reports on it."""

    def decorate(check: Check) -> Check:
        @wraps(check)
        def report(answer: Callable) -> None:
            try:
                check(_returning(answer) if isfunction(answer) else answer)
            except NotImplementedError:
                print(f"Exercise {number}: not attempted yet")
            else:
                print(f"Exercise {number}: correct")

        report.exercise = number
        return report

    return decorate


def _returning(answer: Callable) -> Callable:
    """The answer itself, but it complains when it returns nothing."""

    @wraps(answer)
    def call(*inputs: Any, **options: Any) -> Any:
        result = answer(*inputs, **options)
        expect(result is not None, f"{answer.__name__} returns nothing; is a `return` missing?")
        return result

    return call


def expect(condition: Any, message: str) -> None:
    """An assertion that speaks to a student."""
    if not condition:
        raise AssertionError(message)
