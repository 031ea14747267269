"""The stored comparison of notebook 12: `Comparison.read` gives its DataFrames, and these are the rows it looks at."""

from __future__ import annotations

import numpy as np
from pandas import DataFrame
from scipy.stats import t

from dmdlite.config import MODALITIES
from dmdlite.experiments.tables import REFERENCE, Comparison, title_of
from dmdlite.training.metrics import table_scores, title

SCORES = {name: title(name) for name in table_scores("regression", outputs=1)}
LOWER_IS_BETTER = ("mae",)


def models_of(found: Comparison) -> DataFrame:
    """The rows of the trained models, with two more columns: whether a model is multimodal, and an ablation of DMD."""
    table = found.table[(found.table.kind == "model") & (found.table.seeds > 0)]
    ablation = table.index.str.startswith(f"{REFERENCE}_")
    return table.assign(multimodal=~table.index.isin(MODALITIES), ablation=ablation)


def missing_errors(found: Comparison, score: str = "mae") -> DataFrame:
    """The mean test score by model (rows, by title) and present modalities (columns, "language+audio")."""
    means = found.missing.set_index(["model", "present"])[f"{score}_mean"]
    return means.dropna().unstack(sort=False).rename(index=title_of)


def effects_of(table: DataFrame, alpha: float = 0.05) -> DataFrame:
    """How far each model is from the reference, paired by seed: mean, 95 % interval, d, and whether it is clear.

    d is the mean difference in its own standard deviations, Cohen's d for pairs; clear: p, corrected by Holm, < alpha.
    """
    rows = table[table.difference_n > 1].rename(index=title_of)
    mean, std, n = rows.difference_mean, rows.difference_std, rows.difference_n.astype(float)
    half = t.ppf(1 - alpha / 2, n - 1) * std / np.sqrt(n)
    return DataFrame(
        {"mean": mean, "low": mean - half, "high": mean + half, "d": mean / std, "clear": rows.p_holm < alpha}
    )
