"""What a comparison has found, as pandas DataFrames, and the same as CSV and Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame, Series

from dmdlite.config import TrainingConfig
from dmdlite.experiments.missing import SUBSETS, subset_name
from dmdlite.experiments.paired import holm, paired_test
from dmdlite.experiments.published import number, published_columns, published_markdown
from dmdlite.files import write_text
from dmdlite.training.metrics import title

REFERENCE = "dmd"  # every model is tested against it
SPELLED = {"dmd": "DMD", "dhmd": "DHMD", "mult": "MulT", "misa": "MISA", "pmr": "PMR", "pkdot": "PKDOT"}
FILES = {"seeds": "comparison_seeds.csv", "table": "comparison.csv", "missing": "missing_modalities.csv"}
RUN = ["model", "kind", "seed", "failure", "error", "best_epoch", "epochs"]
PAIRED = {"mean": "difference_mean", "std": "difference_std", "n": "difference_n", "p": "p"}
WHOLE = {"seed", "seeds", "failed", "best_epoch", "epochs", "difference_n", "parameters", "parameters_in_training"}


@dataclass
class Comparison:
    """The DataFrames of a comparison; each is stored as the CSV file in `FILES`.

    seeds       one row per model and seed: kind, failure (a sentence), error (the score that ranks the models),
                best_epoch, epochs, every test score, and loss_TERM for a term that a variant adds to the loss.
                Baselines (kind "linear" or "constant") have no seed.
    table       one row per model, which is its index: mean and sample standard deviation over the seeds of the scores
                that are shown and of added terms (NAME_mean, NAME_std), paired difference of the error to DMD's with
                p and Holm's p, parameters, seconds per epoch, published numbers.
    missing     one row per model and subset of the modalities present at test time: mean and deviation of error and
                scores.
    """

    seeds: DataFrame
    table: DataFrame
    missing: DataFrame
    training: TrainingConfig | None = None
    clips: int = 0  # in the test split
    published: DataFrame = field(default_factory=DataFrame)

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


def missing_table(records: Sequence[dict[str, Any]], shown: Sequence[str], models: Sequence[str]) -> DataFrame:
    """`Comparison.missing` from one record per run and subset: model, present and scores."""
    runs = DataFrame(records, columns=["model", "present", *shown])
    runs = runs.assign(error=runs[shown[0]]).groupby(["model", "present"])
    table = DataFrame({"seeds": runs.size()}).join(_mean_and_std(runs, ["error", *shown]))
    rows = pd.MultiIndex.from_product([models, map(subset_name, SUBSETS)], names=["model", "present"])
    return _whole(table.reindex(rows).reset_index().fillna({"seeds": 0}))


def _mean_and_std(groups: Any, columns: Sequence[str]) -> DataFrame:
    found = groups[list(columns)].agg([("mean", lambda x: x.mean()), ("std", lambda x: x.std())])
    return found.set_axis([f"{column}_{name}" for column, name in found.columns], axis=1)


def _tests(seeds: DataFrame) -> DataFrame:
    """Every model's paired test against DMD, if DMD is among them."""
    runs = seeds.dropna(subset=["seed", "error"]).groupby("model", sort=False)
    errors = {name: own.set_index("seed").error.to_dict() for name, own in runs}
    reference = errors.pop(REFERENCE, {})
    tests = {name: vars(test) for name, own in errors.items() if (test := paired_test(own, reference))}
    table = DataFrame(list(tests.values()), list(tests), list(PAIRED), dtype=float)
    return table.rename(columns=PAIRED).assign(p_holm=holm(table.p))


def _whole(table: DataFrame) -> DataFrame:
    return table.astype({name: "Int64" for name in table if name in WHOLE})


def markdown(found: Comparison) -> str:
    """comparison.md: the budget above the table; how to read it, what failed and what is published below."""
    columns = _columns(found)
    lines = [_heading(found), "", *markdown_table(list(columns), zip(*columns.values())), "", _legend(found)]
    lines += [f"\nFailed: {failure}" for failure in found.failures]
    published = published_markdown(found.published, found.clips, title_of)
    return "\n".join(lines) + "\n" + (f"\n{published}" if published else "")


def _heading(found: Comparison) -> str:
    training, seeds = found.training, [str(seed) for seed in found.seeds.seed.dropna().unique()]
    spread = "mean ± standard deviation over seeds" if len(seeds) > 1 else "seed"
    budget = [f"at most {training.epochs} epochs"]
    budget += [f"stopped after {training.early_stopping_patience} without a lower validation error"]
    budget += [f"batches of {training.batch_size * training.gradient_accumulation}"]
    budget += [f"Adam with learning rate {training.learning_rate:g}"]
    budget += [f"weight decay {training.weight_decay:g}"] if training.weight_decay else []
    budget += ["padding masked"] if training.padding_mask else []
    budget += ["bfloat16"] if training.bf16 else []
    text = f"""Test split ({found.clips} clips), {spread} {", ".join(seeds)}. One budget for all: {", ".join(budget)};
        the best epoch by validation error is kept and nothing was tuned for any model."""
    return " ".join(text.split())


def _columns(found: Comparison) -> dict[str, Iterable[str]]:
    """The cells of comparison.md, by the title of the column."""
    table = found.table
    successes = lambda row: f" ({row.seeds} of {row.seeds + row.failed} seeds)" if row.seeds and row.failed else ""
    columns = {"model": [title_of(name) + successes(row) for name, row in table.iterrows()]}
    columns |= {title(score): spread(table, score, empty="failed") for score in found.shown}
    if REFERENCE in table.index:
        columns[f"{title(found.shown[0])} − DMD's"] = spread(table, "difference", sign="+")
        columns["p (Holm)"] = ["< 0.001" if p < 0.001 else number(p, ".3f") for p in table.p_holm]
    columns |= {f"loss: {term.replace('_', ' ')}": spread(table, f"loss_{term}") for term in found.terms}
    columns["parameters"] = [number(count, ",") for count in table.parameters]
    columns["s/epoch"] = [number(seconds, ".2g") for seconds in table.seconds_per_epoch]
    return columns


def _legend(found: Comparison) -> str:
    tests = f"""{title(found.shown[0])} − DMD's: the difference with the same seed. p: two-sided paired t-test over
        seeds, corrected by Holm for the {found.table.p.count()} tests of this table."""
    terms = "loss: a term that DMD does not have, in training, in the best epoch."
    text = f"""{tests if REFERENCE in found.table.index else ""} {terms if found.terms else ""} parameters: those that a
        prediction depends on. s/epoch: seconds of the training steps of one epoch (one thread on a CPU). linear: ridge
        regression on time means, or logistic regression for classes; it has no seed."""
    return " ".join(text.split())


def spread(table: DataFrame, name: str, sign: str = "", empty: str = "") -> list[str]:
    """NAME_mean ± NAME_std of each row."""
    pairs = zip(table[f"{name}_mean"], table[f"{name}_std"])
    return [empty if pd.isna(mean) else plus_minus(mean, std, sign) for mean, std in pairs]


def plus_minus(mean: float, std: float | None, sign: str = "") -> str:
    """A single value has no deviation."""
    return f"{mean:{sign}.3f}" + ("" if pd.isna(std) else f" ± {std:.3f}")


def missing_markdown(found: Comparison) -> str:
    """missing_modalities.md: the error of every model with each subset of the modalities present."""
    error, subsets = found.shown[0], list(map(subset_name, SUBSETS))
    heading = f"{title(error)} on the test split when only these modalities are present; an absent one is zeros."
    cells = found.missing.assign(cell=spread(found.missing, "error", empty="failed"))
    rows = [[title_of(name), *own.cell] for name, own in cells.groupby("model", sort=False)]
    if "constant" in found.table.index:
        rows.append(["constant", *spread(found.table.loc[["constant"]], error) * len(subsets)])
    titles = ["model", *(subset.replace("+", " + ") for subset in subsets)]
    return "\n".join([heading, "", *markdown_table(titles, rows)]) + "\n"


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table: the first column flush left, all others flush right."""
    rule = "|---" + "|---:" * (len(titles) - 1) + "|"
    line = lambda cells: "| " + " | ".join(cells) + " |"
    return [line(titles), rule, *map(line, rows)]
