"""Is the difference between two models more than the luck of a seed? The paired t-test over seeds."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from pandas import Series
from scipy.stats import ttest_1samp


@dataclass(frozen=True)
class Paired:
    """A model's error minus the reference's, seed by seed, and the two-sided p of the paired t-test.

    `std` and `p` are None where they are undefined: for a single seed, and `p` if all differences are equal.
    """

    mean: float
    std: float | None
    n: int
    p: float | None


def paired_test(errors: Mapping[Hashable, float], reference: Mapping[Hashable, float]) -> Paired | None:
    """Compares the errors of those seeds (or other pairs) that both have. None if there are none."""
    differences = Series([error - reference[seed] for seed, error in errors.items() if seed in reference], dtype=float)
    if differences.empty:
        return None
    std = float(differences.std()) if len(differences) > 1 else None
    p = float(ttest_1samp(differences, 0).pvalue) if std else None
    return Paired(float(differences.mean()), std, len(differences), p)


def holm(p: Series) -> Series:
    """The p of all tests in a table after Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979).

    In a table of twenty rows one falls below 0.05 by luck. Holm's correction keeps the chance of any false finding
    below 0.05, however the rows depend on each other (they share DMD's runs), and never finds less than Bonferroni's.
    The price: p depends on which other rows are in the table.
    """
    p = p.dropna().sort_values()
    return (p * np.arange(len(p), 0, -1)).clip(upper=1.0).cummax()
