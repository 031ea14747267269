"""Dropout with cheap random numbers: on a CPU, PyTorch's own take longer than the attention that they mask."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dmdlite.components import dropout as plain


class Dropout(plain.Dropout):
    """The same distribution as the plain `Dropout`, drawn by `keep_mask`."""

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or not self.drops:
            return x
        rate = self.rates.reshape(-1, *[1] * (x.ndim - 1)) if self.rates.ndim else self.rate
        return x * (keep_mask(x.shape, rate, x.device) / (1 - rate)).to(x.dtype)


def keep_mask(shape: Sequence[int], rate: float | Tensor, device: torch.device) -> Tensor:
    """One byte for each entry: 1 with probability 1 − rate, else 0. `rate` is a number or broadcasts to `shape`.

    On a CPU one random word of 64 bits decides about four entries, 16 bits for each, so a rate is met to 2⁻¹⁷.
    """
    if device.type != "cpu" or torch.compiler.is_compiling():
        return (torch.rand(shape, device=device) >= rate).to(torch.uint8)
    count = math.prod(shape)
    seed = int(torch.randint(2**63 - 1, ()))  # SFC64 fills a tensor in less than half of PyTorch's time
    words = torch.from_numpy(np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.int16))
    bits = words[:count].view(shape)  # uniform over −2¹⁵ … 2¹⁵ − 1
    threshold = torch.as_tensor(rate * 2**16 - 2**15).round().clamp(max=2**15 - 1).to(torch.int16)
    return (bits >= threshold).view(torch.uint8)
