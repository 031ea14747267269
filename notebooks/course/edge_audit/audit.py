"""Does the graph find the teacher? Rules of edge learning in toy worlds whose best teacher is known.

In each world one modality is planted as the strong one, nothing is sarcastic, and so the truth is the order of the
modalities' reliability. `python notebooks/audit_edges.py` runs it; notebook 11 shows its tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from course.edge_audit.rules import RULES
from dmdlite.config import MODALITIES, SPACES, DMDConfig, TrainingConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.data.toy import ToyWorld, toy_world
from dmdlite.experiments.executors import executor_for, run_all
from dmdlite.models.dmd import DMD
from dmdlite.presets import Matrix
from dmdlite.training.allocator import keep_freed_memory
from dmdlite.training.loop import make_batch, make_optimizer, seed_everything, train_epoch

Record = dict[str, Any]
CLIPS = 1000
WEIGHT = 0.05  # λ2 as published


def audit_config(weight: float = WEIGHT) -> DMDConfig:
    """A small DMD. weight: λ2, of all terms of both graphs."""
    config = DMDConfig.toy(width=16, layers=1, minimum_memory_layers=1)
    graphs = {name: value * weight / WEIGHT for name, value in config.loss_weights.items() if name.startswith("gd_")}
    return config.replace(loss_weights=graphs)


@dataclass(frozen=True)
class Audit:
    """What is run for each rule, planted modality and seed."""

    config: DMDConfig = field(default_factory=audit_config)
    training: TrainingConfig = field(default_factory=lambda: TrainingConfig(epochs=10))
    clips: int = CLIPS
    label_noise: float = 0.0  # standard deviation of the noise on the training labels

    @property
    def labels(self) -> str:
        return "noisy" if self.label_noise else "exact"


EXACT = Audit()
NOISY = Audit(audit_config(10 * WEIGHT), label_noise=1.0)


@lru_cache(maxsize=1)
def audit_world(planted: str, seed: int, clips: int = CLIPS, label_noise: float = 0.0) -> ToyWorld:
    world = toy_world(clips, seed, strongest=planted, sarcasm=0.0)
    train = world.splits["train"]
    noise = label_noise * np.random.default_rng(seed).standard_normal(len(train)).astype(np.float32)
    return replace(world, splits=world.splits | {"train": replace(train, labels=train.labels + noise)})


def true_teacher(reliability: Mapping[str, float]) -> str:
    """The modality that sees the sentiment best."""
    return max(reliability, key=reliability.__getitem__)


def true_edges(reliability: Mapping[str, float]) -> Matrix:
    """The edges that a toy world calls for: each modality is taught by those that see better, a third each edge."""
    return [[(reliability[i] > reliability[j]) / 3 for j in MODALITIES] for i in MODALITIES]


def audit(
    rules: Sequence[str] = tuple(RULES),
    planted: Sequence[str] = MODALITIES,
    seeds: Sequence[int] = range(5),
    plan: Audit = EXACT,
    jobs: int = 1,
) -> Iterator[list[Record]]:
    """Trains every rule in every world with every seed; the records of each run as they come, one for each space.

    Raises ValueError for a rule that is not in RULES, and RuntimeError if a run fails.
    """
    if unknown := [rule for rule in rules if rule not in RULES]:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got {unknown[0]!r}")
    tasks = [(f"{rule} | {strong}", seed) for seed in seeds for strong in planted for rule in rules]
    with executor_for(min(jobs, len(tasks))) as executor:
        for outcome in run_all(partial(_run, plan), tasks, executor):
            if outcome.failure is not None:
                raise RuntimeError(f"{outcome.task[0]}, seed {outcome.task[1]}: {outcome.failure}")
            yield outcome.value


def _run(plan: Audit, task: tuple[str, int]) -> list[Record]:
    (rule, planted), seed = task[0].split(" | "), task[1]
    return audit_run(rule, planted, seed, plan)


def audit_run(rule: str, planted: str, seed: int, plan: Audit) -> list[Record]:
    """One training run; one record for each space, of means over the test clips.

    The model is measured after the last epoch, because the epoch of the lowest validation error differs between rules.
    """
    world = audit_world(planted, seed, plan.clips, plan.label_noise)
    seed_everything(seed)
    model = RULES[rule](plan.config)
    first_loss = train_all_epochs(model, world.splits["train"], plan.training.replace(seed=seed))
    errors, edges = read(model, world.splits["test"])
    run = {"labels": plan.labels, "rule": rule, "planted": planted, "seed": seed, "first_loss": first_loss}
    best = true_teacher(world.reliability)
    found = lambda space: measures(space, edges[space], errors, best) | amounts(model, space, edges[space])
    return [run | {"space": space} | found(space) for space in SPACES]


def train_all_epochs(model: DMD, split: FeatureSplit, training: TrainingConfig) -> float:
    """Trains without looking at other splits, and returns the loss of the first epoch."""
    keep_freed_memory()
    optimizer = make_optimizer(model, training)
    epochs = [train_epoch(model, split, optimizer, training, n) for n in range(training.epochs)]
    return epochs[0]["losses"]["total"]


@torch.no_grad()
def read(model: DMD, split: FeatureSplit) -> tuple[dict[str, float], dict[str, Float[Tensor, "3 3"]]]:
    """The mean absolute error of every head, and the mean edges of both graphs, as learned: without the prior."""
    out = model.eval()(**make_batch(model, split, list(range(len(split))), padding_mask=False))
    labels = torch.as_tensor(split.labels)
    errors = {head: (found - labels).abs().mean().item() for head, found in out.predictions.items()}
    return errors, {space: edges.mean(dim=0) for space, edges in out.edges.items()}


def measures(space: str, edges: Float[Tensor, "3 3"], errors: dict[str, float], best: str) -> Record:
    """The edges as shares of all six, whether they found the best teacher, and the errors of this space's heads."""
    shares = (edges / edges.sum().clamp_min(1e-9)).double().numpy()
    planted = MODALITIES.index(best)
    found = {f"{MODALITIES[i]}_to_{MODALITIES[j]}": shares[i, j] for i in range(3) for j in range(3) if i != j}
    found |= {"found": int(shares.sum(axis=1).argmax() == planted), "into_planted": shares[:, planted].sum()}
    found |= {"from_prior": distance(shares, np.array(DMDConfig.official().graph_priors[space]))}
    found |= {f"error_{m}": errors[f"{space}_{m}"] for m in MODALITIES} | {"error": errors["final"]}
    weak = [m for m in MODALITIES if m != MODALITIES[planted]]
    return found | {"error_weak": float(np.mean([errors[f"{space}_{m}"] for m in weak]))}


def amounts(model: DMD, space: str, edges: Float[Tensor, "3 3"]) -> Record:
    """How much each modality is taught in all: its incoming edges, and the prior where there is one.

    The shares in `measures` hide this. The stored runs are older and do not have it.
    """
    taught = model.units[space].strengths(edges).sum(dim=0)
    return {f"taught_{m}": weight.item() for m, weight in zip(MODALITIES, taught, strict=True)}


def distance(shares: Float[np.ndarray, "3 3"], prior: Float[np.ndarray, "3 3"]) -> float:
    """Total variation: the share of the edges' weight that would have to move, from 0 to 1."""
    return float(np.abs(shares - prior).sum() / 2)
