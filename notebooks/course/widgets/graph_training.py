"""The same few lessons from the same start for every graph, so that only the graph can make the difference.

Each graph gets them in several orders of batches: how far their results lie apart is the noise of a result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from course.edge_audit.audit import read
from course.widgets.graph_state import SWITCHED_OFF, Held, held_strengths
from dmdlite.config import MODALITIES, SPACES, DMDConfig, TrainingConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.models.dmd import DMD
from dmdlite.training.loop import make_optimizer, seed_everything, train_epoch

HEADS = [f"{space}_{m}" for space in SPACES for m in MODALITIES]
ORDERS = 3  # of batches
START_EPOCHS, LESSON_EPOCHS, LESSON_RATE = 6, 3, 1e-3


def editor_config() -> DMDConfig:
    """Small and quick. Eq. (9) alone distils; as in the paper the graphs have no prior and undamped scores.

    Distillation weighs 3 in the total, not 0.05, so that a few dozen steps show what a graph does.
    """
    terms = {f"gd_{space}_{term}": 0.0 for space in SPACES for term in ("representation", "prior_penalty")}
    return DMDConfig.toy(
        width=12,
        heads=2,
        layers=1,
        minimum_memory_layers=1,
        graph_sharpness=1.0,
        graph_priors=dict.fromkeys(SPACES),
        loss_weights=terms | {f"gd_{space}_logit": 3.0 for space in SPACES},
    ).without_dropout()


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of one choice of graphs."""

    graphs: dict[str, str]  # space -> the name of its graph
    runs: Sequence[Mapping[str, float]]  # of each order of batches: head -> mean absolute error on the validation clips
    edges: dict[str, Float[Tensor, "3 3"]] = field(default_factory=dict)  # space -> mean strengths after the lessons

    @property
    def errors(self) -> dict[str, float]:
        """Head -> mean absolute error, the mean over the orders."""
        return {head: sum(run[head] for run in self.runs) / len(self.runs) for head in HEADS}

    def changes(self, control: Outcome, head: str) -> list[float]:
        """How much this head errs more than the control's, order by order."""
        return [run[head] - other[head] for run, other in zip(self.runs, control.runs, strict=True)]


class Lessons:
    """A model trained briefly without distillation, and the lessons that can follow.

    Each call of `after` begins with the same weights and sees the same batches in the same orders.
    """

    def __init__(
        self, train: FeatureSplit, valid: FeatureSplit, config: DMDConfig, seed: int = 0, orders: int = ORDERS
    ):
        self.train, self.valid, self.training, self.orders = train, valid, TrainingConfig(seed=seed), orders
        self.steps = LESSON_EPOCHS * -(-len(train) // self.training.batch_size)
        seed_everything(seed)
        self.start = DMD(config)
        hold(self.start, dict.fromkeys(SPACES, held_strengths(SWITCHED_OFF)))
        train_epochs(self.start, train, self.training, range(START_EPOCHS))

    def after(self, held: Mapping[str, Held], names: dict[str, str]) -> Outcome:
        """The outcome of the lessons under these graphs."""
        return outcome([self._taught(held, order) for order in range(self.orders)], self.valid, names)

    def before(self) -> Outcome:
        return outcome([self.start], self.valid, {})

    def _taught(self, held: Mapping[str, Held], order: int) -> DMD:
        model = deepcopy(self.start)
        hold(model, held)
        training = self.training.replace(learning_rate=LESSON_RATE, seed=self.training.seed + 1000 * order)
        train_epochs(model, self.train, training, range(START_EPOCHS, START_EPOCHS + LESSON_EPOCHS))
        return model


def hold(model: DMD, held: Mapping[str, Held]) -> None:
    for space, strengths in held.items():
        model.units[space].fixed_edges.copy_(strengths)


def train_epochs(model: DMD, split: FeatureSplit, training: TrainingConfig, epochs: range) -> None:
    optimizer = make_optimizer(model, training)
    with one_thread():
        for epoch in epochs:
            train_epoch(model, split, optimizer, training, epoch)
    model.eval()


@contextmanager
def one_thread() -> Iterator[None]:
    """A model this small runs faster on one thread, and gives the same numbers whatever the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def outcome(models: Sequence[DMD], split: FeatureSplit, names: dict[str, str]) -> Outcome:
    """models: one for each order of batches."""
    readings = [read(model, split) for model in models]
    strengths = {
        space: torch.stack([m.units[space].strengths(edges[space]) for m, (_, edges) in zip(models, readings)]).mean(0)
        for space in SPACES
    }
    return Outcome(names, [{head: errors[head] for head in HEADS} for errors, _ in readings], strengths)
