"""Calls an answer with care: whatever a student's function does, what comes out is a value or a sentence."""

from __future__ import annotations

import dis
import traceback
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import wraps
from inspect import isclass, isfunction, signature
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Wrong(Exception):
    """What is wrong with an answer, in a sentence for its author."""


class NotAttempted(Exception):
    """There is no answer yet."""


def _number(x: Any) -> bool:
    plain = isinstance(x, (int, float, np.number)) and not isinstance(x, (bool, np.bool_))
    return plain or (isinstance(x, (np.ndarray, Tensor)) and tuple(x.shape) == ())


def _real(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype.is_floating_point and x.device.type == "cpu"


# What an answer returns: the test, and how to say it.
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "number": (_number, "one number"),
    "whole": (lambda x: _number(x) and float(x) == int(x), "one whole number"),
    "loss": (lambda x: _real(x) and tuple(x.shape) == (), "one number as a tensor of shape ()"),
    "tensor": (_real, "a tensor of real numbers"),
    "mask": (
        lambda x: isinstance(x, Tensor) and x.dtype == torch.bool and x.device.type == "cpu",
        "a tensor of True and False (torch.bool)",
    ),
    "masks": (
        lambda x: isinstance(x, (tuple, list)) and len(x) == 2 and all(KINDS["mask"][0](mask) for mask in x),
        "two tensors of True and False (torch.bool)",
    ),
    "array": (lambda x: isinstance(x, np.ndarray) and x.dtype.kind == "f", "a NumPy array of real numbers"),
    "dict": (lambda x: isinstance(x, dict), "a dict"),
    "pair": (lambda x: isinstance(x, (tuple, list)) and len(x) == 2, "two numbers"),
    "text": (lambda x: isinstance(x, str), "a string"),
}


def guarded(answer: Any, returns: str | None) -> Callable:
    """The answer, but what it does wrong whatever the exercise is becomes `Wrong`, and a missing one `NotAttempted`."""
    if answer is None or answer is ... or answer is NotImplemented or (isfunction(answer) and _is_empty(answer)):
        raise NotAttempted
    if not callable(answer):
        raise Wrong(f"give the check the function itself, without brackets; it got {describe(answer)}")
    if isclass(answer):
        methods = [part for part in vars(answer).values() if isfunction(part)]
        if methods and all(map(_is_empty, methods)):
            raise NotAttempted
        return answer
    name = getattr(answer, "__name__", "your function")

    @wraps(answer)
    def call(*inputs: Any, **options: Any) -> Any:
        before = [_copy(x) for x in inputs]
        result = _call(answer, name, inputs, options)
        if result is ... or result is NotImplemented:
            raise NotAttempted
        if result is None:
            raise Wrong(f"{name} returns nothing; is a `return` missing?")
        changed = [place for place, (x, old) in enumerate(zip(inputs, before, strict=True)) if not _equal(x, old)]
        if changed:
            what = _argument(answer, changed[0])
            raise Wrong(
                f"{name} writes into {what}, which the caller may need again: make a new one and leave it as it was"
            )
        is_kind, wanted = KINDS[returns] if returns else (lambda _: True, "")
        if not is_kind(result):
            raise Wrong(f"return {wanted}; {name} returns {describe(result)}")
        return result

    return call


def _call(answer: Callable, name: str, inputs: tuple, options: dict) -> Any:
    """Calls; an error of the student's code becomes `Wrong`, with its line."""
    try:
        return answer(*inputs, **options)
    except (Wrong, NotAttempted):
        raise
    except (Exception, SystemExit) as problem:
        if is_a_stub(problem):
            raise NotAttempted from None
        try:
            signature(answer).bind(*inputs, **options)
        except TypeError:
            raise Wrong(f"{name} is called with {len(inputs)} arguments: leave its first line as it was") from None
        except ValueError:
            pass
        raise Wrong(f"{name} stops with an error{_where(problem, name)}\n{said(problem)}") from None


def is_a_stub(problem: BaseException) -> bool:
    """Is it the `raise NotImplementedError` of a stub? PyTorch's own errors of that kind say more."""
    return type(problem) is NotImplementedError and not problem.args


def said(problem: BaseException) -> str:
    """Kind and first line of an error."""
    text = str(problem).strip().split("\n")[0]
    return f"{type(problem).__name__}: {text}"[:300] if text else type(problem).__name__


def _argument(function: Callable, place: int) -> str:
    """An argument by its name, or by its place if that has none."""
    names = list(signature(function).parameters)
    return f"`{names[place]}`" if place < len(names) else f"its argument number {place + 1}"


def _where(problem: BaseException, name: str) -> str:
    """The last line of the student's own that was running, if it can be read."""
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if frame.name == name]
    return f" in its line `{frames[-1].line}`" if frames and frames[-1].line else ""


def _is_empty(function: Callable) -> bool:
    """Nothing but `...`, `pass` or a docstring inside?"""
    steps = [step for step in dis.get_instructions(function) if step.opname not in ("RESUME", "NOP", "CACHE")]
    returned = steps[0].argval if steps and steps[0].opname in ("LOAD_CONST", "RETURN_CONST") else function
    return len(steps) <= 2 and returned is None


def describe(x: Any) -> str:
    """An object in a few words: type, and shape and kind of number if it has them."""
    kind = type(x).__name__
    if isinstance(x, (np.ndarray, Tensor)):
        return (
            f"a {'tensor' if isinstance(x, Tensor) else 'NumPy array'} of shape {tuple(x.shape)}, {x.dtype}{_place(x)}"
        )
    several = isinstance(x, (tuple, list)) and 0 < len(x) < 4
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" + (
        f" of {' and '.join(map(describe, x))}" if several else ""
    )


def _place(x: np.ndarray | Tensor) -> str:
    return f", on the device {x.device}" if isinstance(x, Tensor) and x.device.type != "cpu" else ""


def _copy(x: Any) -> Any:
    """A copy to compare with later; tensors without their history."""
    if isinstance(x, Tensor):
        return x.detach().clone()
    if isinstance(x, Mapping):
        return {key: _copy(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [_copy(value) for value in x]
    return deepcopy(x) if isinstance(x, np.ndarray) else x


def _equal(x: Any, old: Any) -> bool:
    if isinstance(x, Tensor):
        return x.shape == old.shape and torch.equal(torch.nan_to_num(x.detach()), torch.nan_to_num(old))
    if isinstance(x, np.ndarray):
        return np.array_equal(x, old, equal_nan=x.dtype.kind == "f")
    if isinstance(x, Mapping):
        return list(x) == list(old) and all(_equal(value, old[key]) for key, value in x.items())
    if isinstance(x, (list, tuple)):
        return len(x) == len(old) and all(map(_equal, x, old))
    return True
