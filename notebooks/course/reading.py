"""Looking into a trained model without changing it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dmdlite.components.reinforcement import PAIRS
from dmdlite.models.dmd import DMD

Maps = dict[tuple[str, str], Float[Tensor, "layer batch head target source"]]  # (source, target) -> its attention


@torch.no_grad()
def attention_maps(model: DMD, batch: dict[str, Any]) -> Maps:
    """The six cross-modal attention maps of Eq. (10), as `model(**batch)` uses them.

    Row t of a map says at which steps of the source step t of the target looks; it sums to 1. Steps are those that the
    temporal convolutions leave: step s covers the input steps s to s + kernel size − 1 ("valid" convolutions).
    """
    layers = model.reinforce.crossmodal.layers
    seen: list[list[Tensor]] = [[] for _ in layers]

    def look(kept):
        return lambda attention, given: kept.extend(attention.map(given[0], given[1], given[3]))

    hooks = [layer.attention.register_forward_pre_hook(look(kept)) for layer, kept in zip(layers, seen)]
    try:
        model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    kept = model.config.lengths_after_convolution
    return {
        (source, target): torch.stack([maps[pair][..., : kept[target], : kept[source]] for maps in seen])
        for pair, (source, target) in enumerate(PAIRS)
    }
