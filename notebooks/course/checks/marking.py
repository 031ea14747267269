"""Turns assertions about a student's answer into a check that reports on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import isfunction
from typing import Any

import torch

Check = Callable[[Callable], None]


def exercise(number: str) -> Callable[[Check], Check]:
    """Decorates a function that asserts things about an answer, so that it prints the outcome."""

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
    """The answer itself, except that it complains when it returns nothing."""

    @wraps(answer)
    def call(*inputs: Any, **options: Any) -> Any:
        result = answer(*inputs, **options)
        expect(result is not None, f"{answer.__name__} returns nothing; is a `return` missing?")
        return result

    return call


def expect(condition: Any, message: str) -> None:
    """An assertion whose message speaks to a student."""
    if not condition:
        raise AssertionError(message)


def like(got: Any, value: Any, tolerance: float = 1e-5) -> bool:
    """Do two numbers or tensors have the same shape and, but for rounding, the same values?"""
    got, value = (torch.as_tensor(x, dtype=torch.float64) for x in (got, value))
    return got.shape == value.shape and torch.allclose(got, value, atol=tolerance)


def rule_out(got: Any, mistakes: Mapping[str, Any], tolerance: float = 1e-5) -> None:
    """Fails if the answer is what a known mistake gives. mistakes: message -> that value; the first match counts."""
    for message, value in mistakes.items():
        expect(not like(got, value, tolerance), message)
