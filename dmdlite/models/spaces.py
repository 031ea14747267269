"""Search spaces: which numbers of a system tuning may change, and how far from the system's own.

A number is named as a field of TrainingConfig or of the system's config; a dot leads to an entry of a dict, as in
"loss_weights.margin". Its own value is always in its range, and a part that is switched off stays off.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dmdlite.checking import suggestion
from dmdlite.config import ModelConfig, TrainingConfig

Numbers = dict[str, Any]  # name -> value


@dataclass(frozen=True)
class Range:
    """Any number between two others; log: as likely within each power of ten."""

    low: float
    high: float
    log: bool = False

    def around(self, own: float, config: ModelConfig) -> "Range":
        return Range(min(self.low, own), max(self.high, own), self.log)


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    values: tuple

    def around(self, own: Any, config: ModelConfig) -> "Choices":
        return Choices(tuple(dict.fromkeys((*self.values, own))))


@dataclass(frozen=True)
class Around:
    """From the system's own number divided by `factor` to `factor` times it; nothing where that is 0 or none."""

    factor: float

    def around(self, own: float | None, config: ModelConfig) -> Range | None:
        return Range(own / self.factor, own * self.factor, log=True) if own else None


@dataclass(frozen=True)
class Widths:
    """The system's own width times each of these factors, as a multiple of its heads."""

    factors: tuple[float, ...]

    def around(self, own: int, config: ModelConfig) -> Choices:
        heads = config.heads
        each = [heads * max(1, round(factor * own / heads)) for factor in self.factors]
        return Choices(tuple(sorted({own, *(width for width in each if width >= 4)})))


Space = Mapping[str, Range | Choices | Around | Widths]

BASE: Space = {
    "learning_rate": Around(10.0),
    "weight_decay": Choices((0.0, 1e-4, 1e-3, 1e-2)),
    "output_dropout": Range(0.0, 0.6),
    "width": Widths((0.5, 1.0, 2.0)),
}
DEPTH: Space = {"layers": Choices((1, 2, 3, 4))}


def weights(*terms: str) -> Space:
    """The weights of these terms of the loss."""
    return {f"loss_weights.{term}": Around(10.0) for term in terms}


def own_numbers(names: Iterable[str], config: ModelConfig, training: TrainingConfig) -> Numbers:
    """The values of these numbers. Raises ValueError for a name that neither config has."""
    fields = vars(config) | vars(training)
    known = fields | {
        f"{name}.{key}": x for name, part in fields.items() if isinstance(part, dict) for key, x in part.items()
    }
    if unknown := [name for name in names if name not in known]:
        both = f"neither {type(config).__name__} nor TrainingConfig has {unknown[0]!r}, which is to be tuned"
        raise ValueError(both + suggestion(unknown[0], known))
    return {name: known[name] for name in names}


def resolved(space: Space, own: Numbers, config: ModelConfig) -> dict[str, Range | Choices]:
    """The space around the system's own numbers."""
    each = {name: space[name].around(value, config) for name, value in own.items()}
    return {name: span for name, span in each.items() if span is not None}


def nested(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """{"loss_weights.margin": 0.1} as {"loss_weights": {"margin": 0.1}}."""
    found: dict[str, Any] = {}
    for name, value in numbers.items():
        first, dot, key = name.partition(".")
        found[first] = {**found.get(first, {}), key: value} if dot else value
    return found


def with_numbers(
    numbers: Numbers, training: TrainingConfig, settings: Mapping[str, Any]
) -> tuple[TrainingConfig, dict[str, Any]]:
    """The budget and the settings of a run with these numbers, which go before those that are there."""
    each = nested(numbers)
    budget = {name: each.pop(name) for name in vars(training).keys() & each.keys()}
    parts = {name: settings[name] | x for name, x in each.items() if isinstance(settings.get(name), dict)}
    return training.replace(**budget), {**settings, **each, **parts}
