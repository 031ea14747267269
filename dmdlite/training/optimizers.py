"""The optimizer and the learning rates over the epochs: those that a TrainingConfig names, or one's own functions."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from torch import nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, PolynomialLR, ReduceLROnPlateau

from dmdlite.config import TrainingConfig
from dmdlite.models.saving import name_of

OPTIMIZERS = {"adam": Adam, "adamw": AdamW}
# Name -> the scheduler of these learning rates; `epochs` are those after the warm-up.
SCHEDULERS: dict[str, Callable[[Optimizer, TrainingConfig, int], Any]] = {
    "plateau": lambda x, how, _: ReduceLROnPlateau(x, factor=how.plateau_factor, patience=how.plateau_patience),
    "cosine": lambda x, _, epochs: CosineAnnealingLR(x, epochs),
    "linear": lambda x, _, epochs: PolynomialLR(x, epochs),
    "constant": lambda x, *_: ConstantLR(x, factor=1.0),
}


def make_optimizer(model: nn.Module, training: TrainingConfig) -> Optimizer:
    """For every trainable parameter; the first of `learning_rates` whose key is a part of its name is its rate.

    Raises ValueError for a key that is in no name, and if a function of one's own returns anything else.
    """
    if callable(training.optimizer):
        return _own(training.optimizer, model)
    check_rates(training, [model])
    rest = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    groups: list[dict[str, Any]] = []
    for part, rate in training.learning_rates.items():
        groups.append({"params": [rest.pop(name) for name in list(rest) if part in name], "lr": rate})
    groups = [{"params": list(rest.values())}, *groups]
    own = {"lr": training.learning_rate, "weight_decay": training.weight_decay, "fused": True}
    return OPTIMIZERS[training.optimizer](groups, **own)


def _own(make: Callable[[nn.Module], Any], model: nn.Module) -> Optimizer:
    found, own = make(model), {id(parameter) for parameter in model.parameters()}
    if not isinstance(found, Optimizer):
        raise ValueError(f"{name_of(make)} must return a torch.optim.Optimizer, but returned a {name_of(found)}")
    if any(id(parameter) not in own for group in found.param_groups for parameter in group["params"]):
        raise ValueError(f"{name_of(make)} must take its parameters from the model it is given, not from another one")
    return found


def check_rates(training: TrainingConfig, models: Iterable[nn.Module]) -> None:
    """Raises ValueError for learning rates that no trainable parameter of these models would have."""
    used = {part for model in models for part in fitting(training, model).learning_rates}
    if unused := [part for part in training.learning_rates if part not in used]:
        raise ValueError(f"learning_rates has {unused[0]!r}, which is in the name of no trainable parameter")


def fitting(training: TrainingConfig, model: nn.Module) -> TrainingConfig:
    """The same without learning rates that are for other models of a comparison."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    rates = {part: x for part, x in training.learning_rates.items() if any(part in name for name in names)}
    return replace(training, learning_rates=rates)


class Schedule:
    """A rise of the learning rates, and then a scheduler, which is stepped after each epoch.

    Epoch e of the warm-up, counted from 1, has e / (warm-up + 1) of each rate.
    """

    def __init__(self, optimizer: Optimizer, scheduler: Any, warmup: int):
        self.optimizer, self.scheduler, self.warmup, self.epoch = optimizer, scheduler, warmup, 0
        self.full = self.get_last_lr()
        self._rise()

    def _rise(self) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.full, strict=True):
            group["lr"] = rate * (self.epoch + 1) / (self.warmup + 1)

    def step(self, shortfall: float | None = None) -> None:
        """After an epoch with this error. Trainer also calls it after every batch, without one: nothing happens."""
        if shortfall is None:
            return
        self.epoch += 1
        if self.epoch <= self.warmup:
            self._rise()
        else:
            self.scheduler.step(*([shortfall] if isinstance(self.scheduler, ReduceLROnPlateau) else []))

    def get_last_lr(self) -> list[float]:
        """Of each group of parameters: Trainer asks for them."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch = state["epoch"]
        self.scheduler.load_state_dict(state["scheduler"])


def make_schedule(optimizer: Optimizer, training: TrainingConfig) -> Schedule:
    """`Schedule.step` follows each epoch. Raises ValueError if a function of one's own returns no scheduler."""
    make, epochs = training.scheduler, max(1, training.epochs - training.warmup_epochs)
    scheduler = make(optimizer) if callable(make) else SCHEDULERS[make](optimizer, training, epochs)
    if not all(hasattr(scheduler, method) for method in ("step", "state_dict", "load_state_dict")):
        raise ValueError(f"{name_of(make)} must return a scheduler of torch.optim, but returned a {name_of(scheduler)}")
    return Schedule(optimizer, scheduler, training.warmup_epochs)
