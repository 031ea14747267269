"""Who may look at whom: the causal order and the padding, as cross-modal attention wants to know them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

BLOCKS, SMALLEST = 4, 24  # target steps go in so many blocks at most, of so many steps at least


class Visible(NamedTuple):
    """Which source steps each target step may look at, for each group and clip."""

    steps: Bool[Tensor, "group #batch 1 target source"]
    reach: int | None = None  # target step q sees nothing after source step q + reach

    @classmethod
    def among(
        cls,
        targets: Sequence[int],
        sources: Sequence[int],
        causal: bool,
        masks: Sequence[Bool[Tensor, "batch _"]] | None = None,
        device: torch.device | None = None,
    ) -> "Visible":
        """targets, sources: the number of steps, for each group; masks: which source steps are no padding.

        Causal: target step q sees source steps up to q + |T_source − T_target|, as published.
        """
        q, k = torch.arange(max(targets), device=device)[:, None], torch.arange(max(sources), device=device)
        reach = [abs(source - target) if causal else len(k) for target, source in zip(targets, sources)]
        steps = torch.stack([(k <= q + ahead) & (k < source) for ahead, source in zip(reach, sources)])[:, None, None]
        if masks is not None:
            real = torch.stack([F.pad(mask, (0, len(k) - mask.shape[1])) for mask in masks])
            steps = steps & real[:, :, None, None]
        return cls(steps, max(reach) if causal else None)

    def of_last(self) -> "Visible":
        """What the last target step sees."""
        return Visible(self.steps[..., -1:, :])

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Blocks of target steps, each with the source steps that it can see: the rest need not be computed."""
        target, source = self.steps.shape[-2:]
        if self.reach is None:
            yield slice(target), slice(source)
            return
        size = max(-(-target // BLOCKS), SMALLEST)
        for start in range(0, target, size):
            stop = min(start + size, target)
            yield slice(start, stop), slice(min(stop + self.reach, source))
