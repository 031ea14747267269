"""Is the difference between two models more than luck of the seed? The paired t-test over seeds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import ttest_rel


@dataclass(frozen=True)
class Paired:
    """A model's error less the reference's, seed by seed, and the two-sided p of the paired t-test.

    `std` and `p` are None where they are not defined: for a single seed, or where all differences are equal.
    """

    mean: float
    std: float | None
    n: int
    p: float | None
    p_holm: float | None = None  # corrected for the number of tests in the table


def paired_test(errors: Mapping[Hashable, float], reference: Mapping[Hashable, float]) -> Paired | None:
    """Errors by seed, or by whatever makes a pair; the seeds that both have are compared. None if there is none."""
    seeds = [seed for seed in errors if seed in reference]
    if not seeds:
        return None
    ours, theirs = (np.array([side[seed] for seed in seeds]) for side in (errors, reference))
    mean, std = float((ours - theirs).mean()), float((ours - theirs).std(ddof=1)) if len(seeds) > 1 else None
    p = float(ttest_rel(ours, theirs).pvalue) if std else None
    return Paired(mean, std, len(seeds), p)


def holm(tests: Sequence[Paired | None]) -> list[Paired | None]:
    """The same tests with `p_holm`, Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979).

    A table of twenty rows invites to pick the one with the smallest p, and one row in twenty falls below 0.05 by luck.
    Holm's keeps the chance of even one false finding below 0.05, whatever the rows have in common (they all share
    DMD's runs), and never finds less than Bonferroni's. Its price: p depends on which other rows are in the table.
    """
    order = sorted((test.p, place) for place, test in enumerate(tests) if test is not None and test.p is not None)
    corrected, largest = list(tests), 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[place] = replace(tests[place], p_holm=largest)
    return corrected
