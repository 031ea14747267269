"""What is one published number worth? The results of finished runs, recomputed under the habits of public threads.

Honest: one epoch, chosen by validation, every score from it; the mean over seeds; ACC2 and F1 without the clips
labelled zero. The habits: the best epoch of each score, by validation or by test (MMSA#96, #106; ALMT's readme;
CMU-MultimodalSDK#305); the epoch with the lowest test error (multimodal_routing#2); the best of several seeds
(mdswyz/DMD#2); clips labelled zero in or out, whichever gives more (MMSA#45); one run (mdswyz/DMD#8, #22).

audit.md, audit.png    what each habit adds: mean and spread over systems
audit.csv              one row per habit, model and score, as `audit` returns it
audit_epochs.csv       one row per model, seed and epoch, as `epoch_table` returns it; all else follows from it
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from dmdlite.experiments.plan import Run
from dmdlite.experiments.reports import markdown_table
from dmdlite.experiments.tables import published_steps, title_of
from dmdlite.files import write_text
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET
from dmdlite.training.metrics import lower_is_better, title
from dmdlite.training.runs import Result, write_picture

RUN, TWIN = ["model", "seed"], "_with_zero"  # TWIN: ends the name of a score's twin, over the clips labelled zero, too
SINGLE, ALL = "one run", "all of these"


def write_audit(results: Mapping[Run, Result], shown: Sequence[str], folder: Path) -> DataFrame:
    """`audit` of these runs, after it has been written to the folder. shown: the scores, first the error."""
    epochs = epoch_table(results, shown)
    table = audit(epochs)
    write_text(folder / "audit_epochs.csv", epochs.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "audit.csv", table.to_csv(index=False, lineterminator="\n", float_format="%.6f"))
    write_text(folder / "audit.md", audit_markdown(epochs, table))
    write_picture(folder / "audit.png", draw_audit(table))
    return table


def epoch_table(results: Mapping[Run, Result], shown: Sequence[str]) -> DataFrame:
    """One row per model, seed and epoch: kept (whether its weights were), valid_SCORE, test_SCORE; the error first."""
    rows = []
    for (model, seed), result in results.items():
        for record in result.epochs:
            kept, test = record["epoch"] == result.metrics["best_epoch"], record["test_scores"]
            row = {"model": model, "seed": seed, "epoch": record["epoch"], "kept": kept}
            row |= {f"valid_{name}": record["valid_scores"][name] for name in shown}
            twins = [name + TWIN for name in shown if name + TWIN in test]
            rows.append(row | {f"test_{name}": test[name] for name in [*shown, *twins]})
    return DataFrame(rows)


def audit(epochs: DataFrame) -> DataFrame:
    """One row per habit, model and score: honest, reported, inflation, and seeds_std, its deviation over seeds, if any.

    inflation: by how much the habit flatters the model. Accuracies and F1 are in per cent, inflation in points of it.
    Habits that need several seeds are left out for models with one; those that need clips labelled zero, without any.
    """
    epochs = epochs.sort_values("seed", kind="stable")  # of equal seeds the first counts, whatever the order
    valid, test = (_oriented(epochs, split) for split in ("valid", "test"))
    error, by_model = valid.columns[0], dict(level="model", sort=False)
    own = _at_best(epochs.set_index(test.index.names).kept.astype(int), test, RUN)
    honest, highest = own.groupby(**by_model).mean(), test.groupby(**by_model).max()
    several = own[own.groupby(**by_model)[error].transform("size") > 1]
    by_validation = DataFrame({name: _at_best(valid[name], test[name], RUN) for name in valid})
    gains = {
        "best epoch of each score, by validation": by_validation - own,
        "best epoch by test error": _at_best(test[error], test, RUN) - own,
        "best epoch of each score, by test": test.groupby(RUN, sort=False).max() - own,
        "best seed by test error": _at_best(several[error], several, RUN[:1]) - honest,
        "best seed of each score": several.groupby(**by_model).max() - honest,
        "zero labels in or out": _favourable(honest) - honest,
        SINGLE: several - several.groupby(**by_model).transform("mean"),
        ALL: highest.assign(**_favourable(highest)) - honest,
    }
    found = [_rows(habit, gain.reindex(columns=valid.columns), honest) for habit, gain in gains.items()]
    return pd.concat([rows for rows in found if len(rows)], ignore_index=True)


def _oriented(epochs: DataFrame, split: str) -> DataFrame:
    """The scores of a split by model, seed and epoch, times their unit: more is better."""
    columns = {name: name.removeprefix(f"{split}_") for name in epochs if name.startswith(f"{split}_")}
    scores = epochs.set_index([*RUN, "epoch"])[list(columns)].rename(columns=columns)
    return scores * [_unit(name) for name in scores]


def _unit(score: str) -> int:
    """-1 for an error, 100 for what papers give in per cent, 1 for correlations."""
    return -1 if lower_is_better(score) else 1 if score in ("corr", "ccc") else 100


def _at_best(key: Series, scores: Any, group: list[str]) -> Any:
    """The scores in that row of each group where the key is highest, the first of equal ones."""
    rows = scores.loc[key.groupby(group, sort=False).idxmax().tolist()]
    return rows.droplevel([name for name in key.index.names if name not in group])


def _favourable(scores: DataFrame) -> DataFrame:
    """Of each score that has a twin, the higher of both."""
    pairs = {name: [name, name + TWIN] for name in scores if name + TWIN in scores}
    return DataFrame({name: scores[pair].max(axis=1) for name, pair in pairs.items()}, index=scores.index)


def _rows(habit: str, gains: DataFrame, honest: DataFrame) -> DataFrame:
    gains = gains.dropna(how="all").dropna(axis="columns", how="all")
    models, signs = gains.groupby(level="model", sort=False), np.sign([_unit(name) for name in gains])
    own, gain = honest.loc[list(models.groups), list(gains)], models.mean()
    parts = {"honest": own * signs, "reported": (own + gain) * signs, "inflation": gain, "seeds_std": models.std()}
    table = DataFrame({name: part.stack(future_stack=True) for name, part in parts.items()})
    return pd.concat({habit: table}, names=["habit", "model", "score"]).reset_index()


def summary(table: DataFrame) -> DataFrame:
    """By habit and score: mean and std of the inflation over systems; seeds, the mean of seeds_std."""
    groups = table.groupby(["habit", "score"], sort=False)
    return groups.agg(mean=("inflation", "mean"), std=("inflation", "std"), seeds=("seeds_std", "mean"))


def audit_markdown(epochs: DataFrame, table: DataFrame) -> str:
    """audit.md: what each habit adds on average, and the honest scores of each system beside all habits together."""
    found, both = summary(table), table[table.habit == ALL].set_index(["model", "score"])
    pairs = [f"{row.honest:{_form(row.Index[1])}} → {row.reported:{_form(row.Index[1])}}" for row in both.itertuples()]
    habits = Series([_cell(*row) for row in found.itertuples()], found.index).unstack(sort=False).fillna("")
    systems = Series(pairs, both.index).unstack(sort=False).rename(index=title_of)
    lines = [_legend(epochs, table), ""]
    for cells, heading in ((habits, "habit"), (systems, "system, honest → all of these")):
        lines += [*markdown_table([heading, *map(title, cells)], cells.reset_index().to_numpy().tolist()), ""]
    return "\n".join(lines)


def _form(score: str) -> str:
    return ".1f" if _unit(score) == 100 else ".3f"


def _cell(place: tuple[str, str], mean: float, std: float, seeds: float) -> str:
    form = _form(place[1])
    each = [f"{mean:+{form}}", f"± {std:{form}}", f"({seeds:{form}})"]
    parts = [f"± {seeds:{form}}"] if place[0] == SINGLE else each
    return " ".join(part for part in parts if "nan" not in part)


def _legend(epochs: DataFrame, table: DataFrame) -> str:
    seeds = epochs.groupby("model").seed.nunique()
    counts = " to ".join(map(str, sorted({seeds.min(), seeds.max()})))
    text = f"""What each habit adds to the honest results (systems: {len(seeds)}, seeds: {counts}, epochs: up to
        {epochs.epoch.max()}): mean ± standard deviation over systems; in brackets, over the seeds of a system.
        Accuracies and F1 are in points (per cent). Above zero the habit flatters: a score is higher, an error lower.
        Honest: one epoch, chosen by validation, every score from it; the mean over seeds."""
    if SINGLE not in set(table.habit):
        text += " One seed tells neither what the best of several adds nor how far one run strays: give more --seeds."
    if steps := published_steps(set(table.score)):
        apart = " and ".join(f"{step:.1f} points of {title(score)}" for score, step in steps.items())
        text += f" For scale: neighbours in one published list differ by {apart} (median)."
    return " ".join(text.split())


def draw_audit(table: DataFrame) -> Figure:
    """What each habit adds: a bar for the mean over systems, a dot for each; dashed: a usual published improvement."""
    found, habits, steps = summary(table), list(table.habit.unique()), published_steps(set(table.score))
    scores = list(steps) or [x for x in table.score.unique() if _unit(x) == 100][:2] or list(table.score[:1])
    figure = Figure(figsize=(11, 2.0 + 0.42 * len(habits)), layout="constrained")
    axes = figure.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    colours = [{SINGLE: QUIET, ALL: MODEL}.get(habit, COLOURS["language"]) for habit in habits]
    for axis, score in zip(axes, scores, strict=True):
        bars = found.xs(score, level="score").reindex(habits)
        single, dots = bars.index == SINGLE, table[(table.score == score) & (table.habit != SINGLE)]
        widths = bars["mean"].where(~single, 2 * bars.seeds)
        axis.barh(range(len(bars)), widths, left=np.where(single, -bars.seeds, 0), color=colours)
        axis.plot(dots.inflation, dots.habit.map(habits.index), "o", color=INK, markersize=4, alpha=0.7)
        axis.axvline(0, color=INK, linewidth=1)
        axis.axvline(steps.get(score, 0), color=INK, linewidth=1, linestyle="dashed")
        axis.set_xlabel(f"{title(score)}: {'points' if _unit(score) == 100 else 'units'} gained", fontsize=11)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set(yticks=range(len(habits)), yticklabels=habits, ylim=(len(habits) - 0.4, -0.6))
    gains = {score: found.loc[(ALL, score), "mean"] for score in scores}
    gained = " and ".join(
        f"{x:{_form(score)}}{' points' * (_unit(score) == 100)} of {title(score)}" for score, x in gains.items()
    )
    figure.suptitle(f"Together the habits add {gained} to the same runs", fontsize=13)
    note = "bar: mean over systems; dot: one system; grey: ± the standard deviation of one seed"
    figure.supxlabel(note + "; dashed: the distance of neighbours in a published list" * bool(steps), fontsize=9)
    return figure
