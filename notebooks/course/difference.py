"""How far two results of the same computation lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def largest_difference(a: Any, b: Any) -> float:
    """The largest |a − b| over all entries: numbers, arrays, tensors, or dicts and sequences of these.

    Raises ValueError where the two differ in shape, in length or in their keys.
    """
    if isinstance(a, Mapping):
        if set(a) != set(b):
            raise ValueError(f"the keys differ: {sorted(map(str, a))} and {sorted(map(str, b))}")
        return max(largest_difference(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        if len(a) != len(b):
            raise ValueError(f"the lengths differ: {len(a)} and {len(b)}")
        return max(largest_difference(one, other) for one, other in zip(a, b, strict=True))
    a, b = (x.detach().double().numpy() if isinstance(x, torch.Tensor) else np.asarray(x, float) for x in (a, b))
    if a.shape != b.shape:
        raise ValueError(f"the shapes differ: {a.shape} and {b.shape}")
    return float(np.abs(a - b).max())
