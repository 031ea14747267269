"""Random inputs for further examples of an exercise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


class Dice:
    """Draws inputs; the same seed gives the same ones. With `gradient`, tensors of real numbers ask for a gradient."""

    def __init__(self, seed: int, gradient: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.gradient = gradient

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def array(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        """Normally distributed numbers, float64."""
        return np.asarray(scale * self.rng.standard_normal(shape))

    def tensor(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Normally distributed numbers, float32."""
        return torch.tensor(self.array(*shape, scale=scale), dtype=torch.float32).requires_grad_(self.gradient)

    def positive(self, *shape: int) -> Tensor:
        """Numbers between 0 and 1, float32."""
        return torch.tensor(self.rng.random(shape), dtype=torch.float32).requires_grad_(self.gradient)

    def edges(self) -> Tensor:
        """A (3, 3) graph: positive numbers, zeros on the diagonal."""
        weights = self.rng.random((3, 3)) * (1 - np.eye(3))
        return torch.tensor(weights, dtype=torch.float32).requires_grad_(self.gradient)

    def pick(self, options: Any) -> Any:
        """One of a few things."""
        return options[self.whole(0, len(options) - 1)]
