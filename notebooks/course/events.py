"""Where the true events of the toy world lie among the steps of an attention map, and how much attention they get."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dmdlite.components.reinforcement import Maps
from dmdlite.components.streams import Masks
from dmdlite.components.transformer import attention_mask
from dmdlite.config import MODALITIES
from dmdlite.data.toy import ToyWorld
from dmdlite.models.dmd import DMD

HALF_EVENT = 0.25  # seconds before and after the middle of the telling word; 0.2 s away an event is half as high


def step_seconds(model: DMD, world: ToyWorld, modality: str) -> Float[Tensor, " step"]:
    """The middle of what each step of vision or audio covers: s to s + kernel size − 1, in frames."""
    kernel, kept = model.config.kernel_sizes[modality], model.config.lengths_after_convolution[modality]
    return (torch.arange(kept) + kernel / 2) / world.frame_rates[modality]


def real_steps(model: DMD, world: ToyWorld, split: str) -> Masks:
    """Which steps have their middle in the recording, and not in the padding."""
    kernels, kept = model.config.kernel_sizes, model.config.lengths_after_convolution
    lengths = {m: torch.as_tensor(world.splits[split].lengths[m])[:, None] for m in MODALITIES}
    return {m: torch.arange(kept[m]) + kernels[m] // 2 < lengths[m] for m in MODALITIES}


def event_steps(model: DMD, world: ToyWorld, split: str) -> Masks:
    """The telling word, and the half second of face and voice around its middle."""
    truth, kept = world.truth[split], model.config.lengths_after_convolution
    words = torch.arange(kept["language"])
    steps = {"language": words == torch.as_tensor(truth["telling_word"])[:, None]}
    for m in world.frame_rates:
        distance = step_seconds(model, world, m) - torch.as_tensor(truth["telling_seconds"])[:, None]
        steps[m] = distance.abs() <= HALF_EVENT
    return steps


def elsewhere(
    event: Bool[Tensor, "clip step"], real: Bool[Tensor, "clip step"], seed: int
) -> Bool[Tensor, "clip step"]:
    """For each clip a stretch as long as its event, at a random place among the real steps, away from the event.

    All False where there is no room for one.
    """
    generator = torch.Generator().manual_seed(seed)
    stretch = torch.zeros_like(event)
    for row, here, inside in zip(stretch, event, real & ~event):
        length = int(here.sum())
        room = inside.unfold(0, length, 1).all(dim=-1).nonzero()[:, 0]
        if len(room):
            start = room[torch.randint(len(room), (), generator=generator)]
            row[start : start + length] = True
    return stretch


def fair_shares(
    weights: Float[Tensor, "*more target source"], counted: Bool[Tensor, "*#more target source"]
) -> Float[Tensor, "*more target source"]:
    """Attention in fair shares: 1 everywhere if a row spreads evenly over the steps that count, 2 is twice as much.

    What falls on steps that do not count is left out. A row in which no step counts is nan.
    """
    kept = weights * counted
    return kept / kept.sum(dim=-1, keepdim=True) * counted.sum(dim=-1, keepdim=True)


def countable(maps: Maps, pair: tuple[str, str], real: Masks, causal: bool) -> Bool[Tensor, "batch _ _"]:
    """The real source steps that each target step may see."""
    source, target = pair
    steps = maps[pair].shape[-2:]
    visible = attention_mask(steps[:1], steps[1:], causal).visible[0, 0]
    return visible & real[source][:, None, :]


def event_attention(
    maps: Maps, real: Masks, event: Masks, causal: bool
) -> dict[tuple[str, str], Float[Tensor, "layer batch head"]]:
    """(source, target) -> the attention that a step of the source's event gets, in fair shares, clip by clip.

    A mean over the event's steps, and over the clip's real target steps that can see some of them (nan if none can).
    An untrained model gives about 1.
    """
    result = {}
    for pair, weights in maps.items():
        source, target = pair
        counted = countable(maps, pair, real, causal)
        seen = counted & event[source][:, None, :]
        on_event = (fair_shares(weights, counted[:, None]) * seen[:, None]).sum(dim=-1) / seen.sum(dim=-1)[:, None]
        asking = real[target] & seen.any(dim=-1)
        result[pair] = on_event.where(asking[:, None], torch.nan).nanmean(dim=-1)
    return result
