"""Theirs and ours timed in turn: the speed of a machine drifts, the ratio of two neighbouring runs much less."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import Any

from benchmarks.cases import Case, Ours
from benchmarks.floors import seconds_of, synchronize
from benchmarks.reference import Published, checkout
from dmdlite import DMD

ROUNDS = int(os.environ.get("DMD_BENCH_ROUNDS", 11))
WARM_UP = min(ROUNDS, 2)


@dataclass(frozen=True)
class Times:
    """Seconds of every round; `published` is empty without the published code."""

    ours: list[float]
    published: list[float]

    @property
    def ratios(self) -> list[float]:
        """How many times faster ours was, round by round."""
        return [theirs / ours for theirs, ours in zip(self.published, self.ours, strict=True)]

    @property
    def spread(self) -> tuple[float, float]:
        """The middle half of the ratios."""
        if len(self.ratios) < 2:
            return self.ratios[0], self.ratios[0]
        low, _, high = quantiles(self.ratios, n=4, method="inclusive")
        return low, high

    @property
    def milliseconds(self) -> dict[str, float | None]:
        """The median of each side."""
        sides = {"published": self.published, "ours": self.ours}
        return {side: 1e3 * median(seconds) if seconds else None for side, seconds in sides.items()}


def paired(benchmark, ours: Callable[[], Any], theirs: Callable[[], float] | None, device: str = "cpu") -> Times:
    """Each round takes the seconds that `theirs` tells, then times `ours`; the first rounds do not count."""
    seconds: list[float] = []

    def before() -> None:
        if theirs:
            seconds.append(theirs())
        synchronize(device)

    def timed() -> None:
        ours()
        synchronize(device)

    benchmark.pedantic(timed, setup=before, rounds=ROUNDS, warmup_rounds=WARM_UP)
    return Times(list(benchmark.stats.stats.data), seconds[WARM_UP:])


def sides(case: Case, device: str = "cpu", **options: Any) -> tuple[Ours, Published | None]:
    """Both models on the same batch and with the same weights; without the published code ours alone."""
    batch = case.data(device)
    if checkout() is None:
        return Ours(DMD(case.config), batch, **options), None
    theirs = Published(case, batch)
    weights, *graphs = theirs.weights()
    return Ours(DMD.from_official(weights, case.config, *graphs), batch, **options), theirs


def evaluation(ours: Ours, theirs: Published | None) -> Callable[[], float] | None:
    """Puts both into evaluation mode; returns what tells the seconds of theirs."""
    ours.model.eval()
    if theirs is None:
        return None
    theirs.model.eval()
    return partial(seconds_of, theirs.evaluate, theirs.device)
