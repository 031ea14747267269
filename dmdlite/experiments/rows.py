"""What a comparison has found: one row for each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.experiments.paired import Paired, holm, paired_test
from dmdlite.experiments.published import Published, published_rows
from dmdlite.training.metrics import error_name, table_scores, title

REFERENCE = "dmd"
Scores = dict[str, float]
Spread = tuple[float, float | None]  # mean and sample standard deviation, which one value does not have


@dataclass
class Row:
    """One model. What has no seed, a baseline, has one result under None."""

    name: str
    measure: str  # the score that is the error, as in `error_name`
    kind: str = "model"  # or "linear", "constant"
    results: dict[int | None, dict[str, Any]] = field(default_factory=dict)  # seed -> metrics.json of its run
    subsets: dict[int | None, dict[str, Scores]] = field(default_factory=dict)  # seed -> present modalities -> scores
    terms: dict[int, Scores] = field(default_factory=dict)  # seed -> terms of the loss that only this model has
    failures: dict[int, str] = field(default_factory=dict)  # seed -> what went wrong
    test: Paired | None = None  # of its error against DMD's
    parameters: dict[str, int] | None = None  # at "test" time, and in "training"
    seconds: float | None = None  # of one epoch

    @property
    def errors(self) -> dict[int | None, float]:
        return {seed: metrics["test"][self.measure] for seed, metrics in self.results.items()}

    def error(self) -> Spread | None:
        """None if every run has failed."""
        return spread(list(self.errors.values()))

    def score(self, name: str) -> Spread | None:
        return spread([metrics["test"][name] for metrics in self.results.values()])

    def term(self, name: str) -> Spread | None:
        """A term of the loss that DMD does not have, in the best epoch; None if this model has none of that name."""
        return spread([terms[name] for terms in self.terms.values() if name in terms])

    def score_with(self, present: str, name: str | None = None) -> Spread | None:
        """A score, or the error, when only these modalities are present."""
        scores = [found[present] for found in self.subsets.values() if present in found]
        return spread([one[name or self.measure] for one in scores])


@dataclass
class Comparison:
    """All that the files of a comparison are written from."""

    rows: list[Row]
    seeds: list[int]
    test: FeatureSplit
    config: DMDConfig
    training: TrainingConfig
    dataset: str | None = None  # on which papers report

    def __getitem__(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def __contains__(self, name: str) -> bool:
        return any(row.name == name for row in self.rows)

    @property
    def shown(self) -> list[str]:
        """The scores that the tables show."""
        return list(table_scores(self.config.task, self.config.outputs))

    @property
    def terms(self) -> list[str]:
        """The terms of losses that somebody has added."""
        return list(dict.fromkeys(name for row in self.rows for terms in row.terms.values() for name in terms))

    @property
    def error_title(self) -> str:
        return title(error_name(self.config.task))

    @property
    def published(self) -> list[Published]:
        """The papers' rows; they are all about one sentiment for each clip."""
        one_number = self.config.task == "regression" and self.config.outputs == 1
        names = [row.name for row in self.rows]
        return published_rows(names, self.dataset, self.config) if one_number else []

    @property
    def failures(self) -> list[str]:
        """One sentence for each run that failed."""
        return [f"{row.name}, seed {seed}: {text}" for row in self.rows for seed, text in row.failures.items()]


def spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def add_tests(rows: Sequence[Row]) -> None:
    """Tests every model against DMD, if DMD is among them."""
    reference = next((row for row in rows if row.name == REFERENCE), None)
    if reference is None:
        return
    tests = [None if row is reference else paired_test(row.errors, reference.errors) for row in rows]
    for row, test in zip(rows, holm(tests), strict=True):
        row.test = test
