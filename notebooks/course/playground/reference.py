"""The playground's arithmetic in PyTorch, with the package's own heads, unit, losses and optimizer.

`engine.js` does the same in the browser; `tests/test_playground.py` compares the two number by number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course.playground.store import TRAIN, Clips, clips_of, start_of
from dmdlite.components.losses import task_loss_where_known
from dmdlite.config import MODALITIES, SPACES, TrainingConfig
from dmdlite.training.loop import make_optimizer

BATCH, RATE, CLIP = 24, 5e-3, TrainingConfig().gradient_clip
LABEL_SEED, NOISE_SEED, ORDER_FACTOR = 7, 11, 0x9E3779B1
LEARNED = math.nan  # in a matrix of strengths


def mulberry32(seed: int) -> Iterator[float]:
    """Uniform numbers from 0 to 1: Tommy Ettinger's generator, of 32-bit integers, which JavaScript has too."""
    word, state = 0xFFFFFFFF, seed & 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & word
        t = ((state ^ (state >> 15)) * (state | 1)) & word
        t = (t ^ (t + ((t ^ (t >> 7)) * (t | 61)))) & word
        yield (t ^ (t >> 14)) / 2**32


@cache
def shuffled(count: int, seed: int) -> tuple[int, ...]:
    """Fisher and Yates's shuffle."""
    order, uniform = list(range(count)), mulberry32(seed)
    for last in range(count - 1, 0, -1):
        other = int(next(uniform) * (last + 1))
        order[last], order[other] = order[other], order[last]
    return tuple(order)


@cache
def normals(count: int, seed: int) -> Float[Tensor, " count"]:
    """Standard normal numbers by Box and Muller."""
    uniform = mulberry32(seed)
    pairs = ((1 - next(uniform), next(uniform)) for _ in range(count))
    drawn = [math.sqrt(-2 * math.log(radius)) * math.cos(2 * math.pi * turn) for radius, turn in pairs]
    return torch.tensor(drawn, dtype=torch.float64)


def batch_at(step: int, order: int) -> list[int]:
    """The training clips of a step, counted from 0; an order is a sequence of shuffles."""
    epoch, place = divmod(step, TRAIN // BATCH)
    clips = shuffled(TRAIN, order * ORDER_FACTOR + epoch)
    return list(clips[place * BATCH : (place + 1) * BATCH])


def all_learned() -> Float[Tensor, "3 3"]:
    return torch.full((3, 3), LEARNED, dtype=torch.float64).fill_diagonal_(0.0)


@dataclass(frozen=True)
class Settings:
    """Everything that can be changed while the students learn; another world begins a new run."""

    world: str = "language"
    labels: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(MODALITIES, 1.0))  # share of clips
    noise: float = 0.0  # standard deviation of what an annotator adds to a label, in points
    lessons: float = 3.0  # weight of Eq. (9), and of the prior's penalty
    prior: bool = False
    edges: Mapping[str, Float[Tensor, "3 3"]] = field(default_factory=lambda: dict.fromkeys(SPACES, all_learned()))

    def with_edge(self, space: str, source: str, target: str, strength: float) -> Settings:
        matrix = self.edges[space].clone()
        matrix[MODALITIES.index(source), MODALITIES.index(target)] = strength
        return replace(self, edges={**self.edges, space: matrix})


def training_labels(clips: Clips, settings: Settings) -> Float[Tensor, "clip modality"]:
    """What the annotators said of the training clips, nan where a student is not told."""
    said = clips.labels[:TRAIN] + settings.noise * normals(TRAIN, NOISE_SEED)
    told, order = torch.full((TRAIN, len(MODALITIES)), torch.nan, dtype=torch.float64), shuffled(TRAIN, LABEL_SEED)
    for column, m in enumerate(MODALITIES):
        known = list(order[: math.floor(settings.labels[m] * TRAIN + 0.5)])
        told[known, column] = said[known]
    return told


class Students:
    """Three heads and a GD-Unit of one space, on one order of batches. Without lessons they are the control."""

    def __init__(self, space: str, order: int = 0, taught: bool = True):
        self.space, self.order, self.taught, self.step = space, order, taught, 0
        self.parts = start_of(space)
        units = {False: self.parts["unit"], True: start_of(space, prior=True)["unit"]}
        self.priors = {prior: (unit.config, unit.prior) for prior, unit in units.items()}
        self.optimizer = make_optimizer(self.parts, TrainingConfig(learning_rate=RATE))
        self.losses: dict[str, float] = {}

    def arrange(self, settings: Settings) -> None:
        """The unit as the settings want it."""
        unit = self.parts["unit"]
        unit.config, unit.prior = self.priors[settings.prior]
        unit.fixed_edges.copy_(settings.edges[self.space])

    def read(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Nodes (clip, modality, width) and logits (clip, modality), as `DMD.run_graph` makes them."""
        layer = {"homogeneous": "hidden", "heterogeneous": "features"}[self.space]
        out = [self.parts[m](features[m]) for m in MODALITIES]
        return torch.stack([getattr(x, layer) for x in out], 1), torch.stack([x.prediction for x in out], 1)

    def learn(self, settings: Settings) -> None:
        """One step of Adam."""
        self.arrange(settings)
        clips, unit, batch = clips_of(settings.world), self.parts["unit"], batch_at(self.step, self.order)
        nodes, logits = self.read({m: x[batch] for m, x in clips.features[self.space].items()})
        told = training_labels(clips, settings)[batch]
        terms = {m: task_loss_where_known(logits[:, j], told[:, j], "regression") for j, m in enumerate(MODALITIES)}
        loss = sum(terms.values())
        if self.taught:
            distilled = unit.losses(unit(nodes, logits), nodes, logits)
            terms |= {name: distilled[name] for name in ("logit", "prior_penalty")}
            loss = loss + settings.lessons * (terms["logit"] + terms["prior_penalty"])
        self.losses = {name: float(term.detach()) for name, term in {**terms, "total": loss}.items()}
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(self.parts.parameters(), CLIP)
        self.optimizer.step()
        self.step += 1

    @torch.no_grad()
    def look(self, settings: Settings) -> tuple[dict[str, float], Float[Tensor, "3 3"]]:
        """The mean absolute error of each head on the validation clips, and the mean strengths in force there."""
        self.arrange(settings)
        clips, unit = clips_of(settings.world), self.parts["unit"]
        nodes, logits = self.read({m: x[TRAIN:] for m, x in clips.features[self.space].items()})
        errors = (logits - clips.labels[TRAIN:, None]).abs().mean(dim=0).tolist()
        return dict(zip(MODALITIES, errors)), unit.strengths(unit(nodes, logits)).mean(dim=0)
