"""Does an answer pass gradients on as it should?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from course.checks.answers import Wrong


def same_gradients(right: Callable, got: Tensor, expected: Tensor, given: tuple, again: tuple) -> None:
    """Fails if the gradients of two equal results differ. given, again: the inputs of the one and of the other."""
    if not got.requires_grad:
        raise Wrong("the value is right, but no gradient is left: no `.item()`, `float()` or `.detach()` on the way")
    seed = torch.Generator().manual_seed(0)
    weights = torch.rand(expected.shape, generator=seed, dtype=expected.dtype)
    names, mine, theirs = zip(*_leaves(signature(right).parameters, given, again))
    found, due = (
        torch.autograd.grad(result, inputs, weights, allow_unused=True)
        for result, inputs in ((got, mine), (expected, theirs))
    )
    for name, x, gradient, target in zip(names, mine, found, due, strict=True):
        gradient, target = (torch.zeros_like(x) if g is None else g for g in (gradient, target))
        if not torch.allclose(gradient, target, rtol=1e-3, atol=1e-4):
            why = _why(gradient, target)
            raise Wrong(f"the value is right, but the gradient with respect to `{name}` is not: {why}")


def _leaves(names: Any, given: tuple, again: tuple) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, input and its twin of every tensor that asks for a gradient; dicts are opened."""
    for name, x, twin in zip(names, given, again):
        if isinstance(x, SimpleNamespace):
            x, twin = vars(x), vars(twin)
        if isinstance(x, dict):
            yield from _leaves([f"{name}[{key!r}]" for key in x], tuple(x.values()), tuple(twin.values()))
        elif isinstance(x, Tensor) and x.requires_grad:
            yield name, x, twin


def _why(gradient: Tensor, target: Tensor) -> str:
    if not target.any():
        return "it should be zero; detach what must not move"
    if not gradient.any():
        return "it is zero; is it detached, or turned into a number and back?"
    return "is a part of it detached?"
