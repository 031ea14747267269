"""What is measured: the published presets at their lengths, and our side of a training step and an evaluation."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from dmdlite import DMD, MODALITIES, DMDConfig
from dmdlite.components.losses import margin_contrastive_loss
from dmdlite.training.allocator import keep_freed_memory

LENGTHS = {
    ("mosi", True): (50, 50, 50),
    ("mosi", False): (50, 500, 375),
    ("mosei", True): (50, 50, 50),
    ("mosei", False): (50, 500, 500),
}
MOSI = DMDConfig.official("mosi")
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """A preset, whether its streams are aligned word by word, and the clips of one batch."""

    dataset: str
    aligned: bool
    batch: int

    def __str__(self) -> str:
        return f"{self.dataset.upper()} {'aligned' if self.aligned else 'unaligned'}, batch {self.batch}"

    @property
    def config(self) -> DMDConfig:
        lengths = dict(zip(MODALITIES, LENGTHS[self.dataset, self.aligned], strict=True))
        return DMDConfig.official(self.dataset, lengths=lengths)

    def data(self, device: str = "cpu") -> Batch:
        """One batch of random streams and labels."""
        return make_batch(self.config, self.batch, device)


def prepare() -> None:
    """Settings of every process that measures: all cores (or OMP_NUM_THREADS), a fixed seed, freed memory kept."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", cores)))
    torch.manual_seed(0)
    keep_freed_memory()


def make_labels(count: int) -> Tensor:
    """Sentiments on MOSI's grid, multiples of 0.2 or of 1/3, of which several are equal."""
    fifths, thirds = ((1.5 * torch.randn(count) * n).round() / n for n in (5, 3))
    return torch.where(torch.rand(count) < 0.5, fifths, thirds).clamp(-3, 3)


def make_batch(config: DMDConfig, size: int, device: str = "cpu") -> Batch:
    """Random streams of the sizes in `config`, and labels."""
    streams = {m: torch.randn(size, config.lengths[m], config.feature_widths[m]) for m in MODALITIES}
    return {name: x.to(device) for name, x in (streams | {"labels": make_labels(size)}).items()}


class Ours:
    """Our model on one batch. `compiled` captures CUDA graphs; with `bf16` matrix products run in bfloat16."""

    def __init__(self, model: DMD, batch: Batch, *, bf16: bool = False, compiled: bool = False):
        self.device = batch["labels"].device.type
        self.model = self.forward = model.to(self.device).train()
        if compiled:
            torch.compiler.reset()  # what was compiled for another batch size would make this one dynamic
            self.forward = torch.compile(model, mode="reduce-overhead", dynamic=False)
        self.batch, self.bf16, self.compiled = batch, bf16, compiled

    def step(self) -> float:
        """Forward, every loss, backward; the loss is read at the end, as the published loop does."""
        self.model.zero_grad()
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            loss = self.forward(**self.batch).loss
        loss.backward()
        return loss.item()

    def evaluate(self) -> Tensor:
        """The predictions; the model has to be in evaluation mode."""
        with torch.inference_mode():
            return self.forward(**{m: self.batch[m] for m in MODALITIES}).prediction


def margin_inputs(clips: int, width: int = 50) -> tuple[Batch, Tensor]:
    """Features of three modalities that ask for a gradient, and labels."""
    return {m: torch.randn(clips, width, requires_grad=True) for m in MODALITIES}, make_labels(clips)


def our_margin(features: Batch, labels: Tensor) -> Tensor:
    """Our margin loss, as `official` configures it."""
    return margin_contrastive_loss(features, labels, MOSI)


def value_and_gradient(margin, features: Batch, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A margin loss and its gradient with respect to all the features."""
    value = margin(features, labels)
    return value.detach(), torch.cat(torch.autograd.grad(value, list(features.values())))
