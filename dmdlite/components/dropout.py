"""Dropout: in training each entry is zero with a given probability, and what is left grows to keep the mean."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zeroes each entry with probability `rate` in training and divides the rest by 1 − rate, as nn.Dropout does.

    A list of rates has one for each encoder, which is the first axis of the input. See also `fast/dropout.py`.
    """

    def __init__(self, rate: float | Sequence[float]):
        super().__init__()
        self.rate, self.drops = rate, bool(rate if isinstance(rate, float | int) else any(rate))
        self.rates = nn.Buffer(torch.tensor(rate), persistent=False)  # (encoder,) or, for all alike, ()

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or not self.drops:
            return x
        rate = self.rates.reshape(-1, *[1] * (x.ndim - 1)) if self.rates.ndim else self.rate
        keep = torch.rand_like(x) >= rate
        return x * keep / (1 - rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
