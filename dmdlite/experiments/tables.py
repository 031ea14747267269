"""What a comparison has found, and what papers report, as pandas DataFrames."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas import DataFrame, Series
from scipy.stats import ttest_1samp

from dmdlite.config import ModelConfig, TrainingConfig
from dmdlite.experiments.missing import subset_name, subsets_of
from dmdlite.files import write_text

REFERENCE = "dmd"  # every model is tested against it
SPELLED = {x.lower(): x for x in ("DMD", "DHMD", "DLF", "MulT", "MISA", "PMR", "MoMKE", "PKDOT")}
FILES = {"seeds": "comparison_seeds.csv", "table": "comparison.csv", "missing": "missing_modalities.csv"}
RUN = ["model", "kind", "seed", "failure", "error", "best_epoch", "epochs"]
WHOLE = {"seed", "seeds", "failed", "best_epoch", "epochs", "difference_n", "parameters", "parameters_in_training"}
# Scores in per cent, but mae. Empty: a model that is not one of ours; an encoder or alignment that the source does not
# give. first_hand: reported by the system's own authors.
PUBLISHED = Path(__file__).with_name("published.csv")


@dataclass
class Comparison:
    """The DataFrames of a comparison; each is stored as the CSV file in `FILES`.

    seeds       one row per model and seed: kind, failure (a sentence), error (the score that ranks the models),
                best_epoch, epochs, every test score, and loss_TERM for a term that a variant adds to the loss.
                Baselines (kind "linear" or "constant") have no seed.
    table       one row per model, which is its index: mean and sample standard deviation over the seeds of the scores
                that are shown and of added terms (NAME_mean, NAME_std), paired difference of the error to DMD's with
                p and Holm's p, parameters, seconds per epoch, published numbers; of tuned models the best numbers.
    missing     one row per model and subset of the modalities present at test time: mean and deviation of each score.
    """

    seeds: DataFrame
    table: DataFrame
    missing: DataFrame
    training: TrainingConfig | None = None
    clips: int = 0  # in the test split
    published: DataFrame = field(default_factory=DataFrame)
    trials: int = 0  # for each model, before the seeds: how many of its numbers were tried on the validation split
    audit: DataFrame = field(default_factory=DataFrame)  # as `audit` of audit.py returns it, if that was asked for

    @classmethod
    def read(cls, folder: str | Path) -> "Comparison":
        """The DataFrames that a comparison has left in its folder, to the last bit."""
        frames = {name: pd.read_csv(Path(folder) / file, dtype={"failure": str}) for name, file in FILES.items()}
        frames["table"] = frames["table"].set_index("model")
        return cls(**{name: _whole(frame) for name, frame in frames.items()})

    def write_csv(self, folder: Path) -> None:
        for name, file in FILES.items():
            write_text(folder / file, getattr(self, name).to_csv(index=name == "table", lineterminator="\n"))

    def scores(self, name: str) -> Series:
        """A test score of every run and baseline, by model and seed: `scores("mae")["dmd"]` are those of DMD."""
        return self.seeds[self.seeds.error.notna()].set_index(["model", "seed"])[name]

    @property
    def errors(self) -> Series:
        return self.scores("error")

    @property
    def shown(self) -> list[str]:
        """The scores that the table shows; the first is the error."""
        means = [name.removesuffix("_mean") for name in self.table if name.endswith("_mean")]
        return [name for name in means if name != "difference" and not name.startswith("loss_")]

    @property
    def terms(self) -> list[str]:
        """The added terms of the loss."""
        return [name.removeprefix("loss_") for name in self.seeds if name.startswith("loss_")]

    @property
    def failures(self) -> list[str]:
        """One sentence per failed run."""
        failed = self.seeds.dropna(subset="failure")
        return [f"{run.model}, seed {run.seed}: {run.failure}" for run in failed.itertuples()]


def title_of(name: str) -> str:
    """A model's name in tables and figures, e.g. "DMD without decoupling" for dmd_without_decoupling."""
    return " ".join(SPELLED.get(word, word) for word in name.split("_"))


def seeds_table(records: Sequence[dict[str, Any]], shown: Sequence[str]) -> DataFrame:
    """`Comparison.seeds` from one record per run; the first of the scores that are shown is the error."""
    table = DataFrame(records)
    table = table.reindex(columns=list(dict.fromkeys([*RUN, *table, *shown])))
    return _whole(table.assign(error=table[shown[0]]))


def model_table(seeds: DataFrame, shown: Sequence[str], costs: DataFrame, published: DataFrame) -> DataFrame:
    """`Comparison.table`. costs: parameters, parameters_in_training and seconds_per_epoch, by model."""
    runs = seeds.groupby("model", sort=False)
    table = DataFrame({"kind": runs.kind.first(), "seeds": runs.error.count(), "failed": runs.failure.count()})
    terms = [name for name in seeds if name.startswith("loss_")]
    parts = [_mean_and_std(runs, [*shown, *terms]), _tests(seeds), costs, published_columns(published)]
    return _whole(table.join(parts))


def missing_table(
    records: Sequence[dict[str, Any]], shown: Sequence[str], models: Sequence[str], modalities: Sequence[str]
) -> DataFrame:
    """`Comparison.missing` from one record per run and subset: model, present and scores."""
    runs = DataFrame(records, columns=["model", "present", *shown])
    runs = runs.assign(error=runs[shown[0]]).groupby(["model", "present"])
    table = DataFrame({"seeds": runs.size()}).join(_mean_and_std(runs, ["error", *shown]))
    rows = pd.MultiIndex.from_product([models, map(subset_name, subsets_of(modalities))], names=["model", "present"])
    return _whole(table.reindex(rows).reset_index().fillna({"seeds": 0}))


def _mean_and_std(groups: Any, columns: Sequence[str]) -> DataFrame:
    found = groups[list(columns)].agg([("mean", lambda x: x.mean()), ("std", lambda x: x.std())])
    return found.set_axis([f"{column}_{name}" for column, name in found.columns], axis=1)


def _tests(seeds: DataFrame) -> DataFrame:
    """Every model's paired test against DMD, if DMD is among them."""
    runs = seeds.dropna(subset=["seed", "error"]).groupby("model", sort=False)
    errors = {name: own.set_index("seed").error.to_dict() for name, own in runs}
    reference = errors.pop(REFERENCE, {})
    tests = {name: test for name, own in errors.items() if (test := paired_test(own, reference))}
    columns = ["difference_mean", "difference_std", "difference_n", "p"]
    table = DataFrame(list(tests.values()), list(tests), columns, dtype=float)
    return table.assign(p_holm=holm(table.p))


def _whole(table: DataFrame) -> DataFrame:
    return table.astype({name: "Int64" for name in table if name in WHOLE})


class Paired(NamedTuple):
    """A model's error minus the reference's, seed by seed, and the two-sided p of the paired t-test."""

    mean: float
    std: float | None  # None for a single seed
    n: int
    p: float | None  # None for a single seed, and if all differences are equal


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

    It keeps the chance of any false finding below 0.05, however the tests depend on each other (they share DMD's runs),
    and never finds less than Bonferroni's. The price: p depends on which other rows are in the table.
    """
    p = p.dropna().sort_values()
    return (p * np.arange(len(p), 0, -1)).clip(upper=1.0).cummax()


def published_rows(names: Sequence[str], dataset: str | None, config: ModelConfig) -> DataFrame:
    """The rows for these models, then those of other systems; none whose features are known to be aligned otherwise.

    Word-aligned features have three equal lengths; unaligned ones do not.
    """
    table = pd.read_csv(PUBLISHED)
    table["paper"], table["source"] = zip(*(text.rsplit(", ", 1) for text in table.source), strict=True)
    alignment = "aligned" if len(set(config.lengths.values())) == 1 else "unaligned"
    fits = table.alignment.isin([alignment, np.nan]) & table.model.isin([*names, np.nan])
    place = {name: i for i, name in enumerate(names)}
    return table[(table.dataset == dataset) & fits].sort_values("model", key=lambda x: x.map(place), kind="stable")


def published_steps(scores: Collection[str]) -> dict[str, float]:
    """The median distance of neighbours in one published list, in points of ACC2 and ACC7: a usual improvement.

    Empty where the scores are not those of CMU-MOSI and CMU-MOSEI.
    """
    table = pd.read_csv(PUBLISHED)
    table = table[~table.model.str.startswith(f"{REFERENCE}_", na=False)]  # without the ablations
    lists = ["source", "dataset", "alignment"]
    gaps = {x: table.sort_values(x).groupby(lists, dropna=False)[x].diff() for x in ("acc2", "acc7")}
    return {name: float(gap[gap > 0].median()) for name, gap in gaps.items()} if "acc7" in scores else {}


def published_columns(rows: DataFrame) -> DataFrame:
    """Those of our models on features like ours, for comparison.csv: texts by model; semicolons separate its rows."""
    if rows.empty or (rows := rows.dropna(subset=["model", "alignment"])).empty:
        return DataFrame()
    columns = {"published": rows.published_as, "published_source": rows.source + ", " + rows.alignment}
    columns |= {f"published_{score}": rows[score].map(number) for score in ("acc2", "f1", "acc7")}
    return DataFrame(columns).groupby(rows.model, sort=False).agg("; ".join)


def number(value: Any, form: str = ".1f") -> str:
    """Formatted; empty for one that is missing."""
    return "" if pd.isna(value) else format(value, form)
