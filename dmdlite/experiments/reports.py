"""A comparison to read: its tables in Markdown beside what papers report, and its two figures."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from dmdlite.experiments.tables import REFERENCE, Comparison, number, title_of
from dmdlite.files import write_text
from dmdlite.models.registry import GROUPS
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET
from dmdlite.training.metrics import title
from dmdlite.training.runs import write_picture

TEST_CLIPS = {"mosi": 686, "mosei": 4659}
ABLATION, WEAKEST = "#66779A", "cividis"  # both told apart without colour, too: by an open marker, by the numbers
OWN_COLOURS = {REFERENCE: MODEL, **COLOURS, **dict.fromkeys(GROUPS["ablations"], ABLATION)}
LINES = {REFERENCE: (MODEL, "solid"), "linear": (QUIET, "dashed"), "constant": (QUIET, "dotted")}


def write_reports(found: Comparison, folder: Path) -> None:
    found.write_csv(folder)
    write_text(folder / "comparison.md", markdown(found))
    write_text(folder / "missing_modalities.md", missing_markdown(found))
    write_picture(folder / "comparison.png", draw_comparison(found))
    if found.missing.seeds.any() and found.missing.present.nunique() > 1:  # some run has succeeded
        write_picture(folder / "missing_modalities.png", draw_missing(found))


def markdown(found: Comparison) -> str:
    """comparison.md: the budget above the table; how to read it, what failed and what is published below."""
    columns = _columns(found)
    lines = [_heading(found), "", *markdown_table(list(columns), zip(*columns.values())), "", _legend(found)]
    lines += [f"\nFailed: {failure}" for failure in found.failures]
    if found.trials:
        tuned = found.table.tuned.dropna()
        lines += [
            "\nTuned, where not the default:\n",
            *(f"- {title_of(name)}: {words}" for name, words in tuned.items()),
        ]
    return "\n".join(lines) + "\n" + published_markdown(found.published, found.clips)


def _heading(found: Comparison) -> str:
    training, seeds = found.training, [str(seed) for seed in found.seeds.seed.dropna().unique()]
    spread = "mean ± standard deviation over seeds" if len(seeds) > 1 else "seed"
    budget = f"""at most {training.epochs} epochs, stopped after {training.early_stopping_patience} without a lower
        validation error, batches of {training.batch_size * training.gradient_accumulation}, Adam"""
    if not found.trials:
        budget += f" with learning rate {training.learning_rate:g}"
        budget += f", weight decay {training.weight_decay:g}" if training.weight_decay else ""
    budget += ", padding masked" if training.padding_mask else ""
    budget += ", bfloat16" if training.bf16 else ""
    tuned = f"every model was tuned: {found.trials} trials each on the validation split, then fresh seeds"
    text = f"""Test split ({found.clips} clips), {spread} {", ".join(seeds)}. One budget for all: {budget};
        the best epoch by validation error is kept and
        {tuned if found.trials else "nothing was tuned for any model"}."""
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
    shared = """All systems share one config's sizes and rates, and have the defaults of their own numbers, not
        `official`""" + (", except for what is listed as tuned" if found.trials else "")
    text = f"""{tests if REFERENCE in found.table.index else ""} {terms if found.terms else ""} {shared}.
        parameters: those that a prediction depends on. s/epoch: seconds of the training steps of one epoch (one thread
        on a CPU). linear: ridge regression on time means, or logistic regression for classes; it has no seed."""
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
    error, subsets = found.shown[0], list(found.missing.present.unique())
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


def published_markdown(rows: DataFrame, test_clips: int) -> str:
    """The rows as a block of their own below the table; empty without any."""
    if rows.empty:
        return ""
    dataset = rows.dataset.iloc[0]
    heading = (
        f"Published for CMU-{dataset.upper()}, in per cent. Encoders and features differ between rows: no ranking."
    )
    lines = ["", heading, ""]
    titles = ["published as", "our model", "encoder", "features", "ACC2", "with zeros", "F1", "ACC7", "MAE"]
    known, cells = rows.fillna({"encoder": "not given", "alignment": "not given"}), []
    for row in known.itertuples():
        ours, by = "" if pd.isna(row.model) else title_of(row.model), "its authors" if row.first_hand else "others"
        scores = *map(number, (row.acc2, row.acc2_with_zero, row.f1, row.acc7)), number(row.mae, ".3f")
        cells.append([row.published_as, ours, row.encoder, row.alignment, *scores, by, row.source])
    lines += markdown_table([*titles, "reported by", "where"], cells)
    lines += ["", f"Sources: {'; '.join(rows.paper.unique())}. A star means that BERT reads the words."]
    if test_clips != (clips := TEST_CLIPS[dataset]):
        lines[-1] += f" The test split here has {test_clips} clips, the papers' {clips}: these are other data."
    return "\n".join(lines) + "\n"


def draw_comparison(found: Comparison) -> Figure:
    """The test error of every model, the best on top: a dot per seed, mean ± standard deviation as a bar."""
    error, runs = found.shown[0], found.errors
    rows = found.table.dropna(subset=f"{error}_mean").sort_values(f"{error}_mean", kind="stable")
    means, rows = rows[f"{error}_mean"], rows[rows.kind != "constant"]
    figure = Figure(figsize=(9.0, 1.7 + 0.32 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for place, (name, row) in enumerate(rows.iterrows()):
        mean, std = means[name], row[f"{error}_std"]
        colour = QUIET if row.kind == "linear" else OWN_COLOURS.get(name, INK)
        if row.seeds > 1:
            axis.plot([mean - std, mean + std], [place, place], color=colour, linewidth=2, zorder=2)
            axis.scatter(runs[name], [place] * len(runs[name]), s=20, color="white", edgecolors=INK, zorder=4)
        inside = "white" if name in GROUPS["ablations"] else colour
        shape = "D" if row.kind == "linear" else "o"
        axis.plot(mean, place, shape, markersize=8, markerfacecolor=inside, markeredgecolor=colour, zorder=3)
    for name, (colour, style) in LINES.items():
        if name in means:
            label = f"{title_of(name)}: {means[name]:.3f}"
            axis.axvline(means[name], color=colour, linestyle=style, linewidth=1.2, zorder=1, label=label)
    axis.set_yticks(range(len(rows)), list(map(title_of, rows.index)), fontsize=9)
    axis.set(xlabel=f"test {title(error)} (white: one seed; bar: mean ± standard deviation)", axisbelow=True)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#EEEEEE")
    beside = f" (DMD: {means[REFERENCE]:.3f})" if REFERENCE in rows.index[1:] else ""
    summaries = (f"Lowest error: {title_of(name)}, {means[name]:.3f} on average{beside}" for name in rows.index)
    figure.suptitle(next(summaries, "No run has succeeded"), fontsize=13)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def draw_missing(found: Comparison) -> Figure:
    """The test error of every model with each subset of the modalities present; the lightest is a constant's."""
    error, subsets = found.shown[0], list(found.missing.present.unique())
    table = found.missing.dropna(subset="error_mean").pivot(index="model", columns="present", values="error_mean")
    table = table.reindex(index=[name for name in found.table.index if name in table.index], columns=subsets)
    worst = found.table.loc["constant", f"{error}_mean"]
    figure = Figure(figsize=(9.5, 2.2 + 0.32 * len(table)), layout="constrained")
    axis = figure.subplots()
    draw_heat(axis, table, worst, font=8)
    axis.set_yticks(range(len(table)), list(map(title_of, table.index)), fontsize=9)
    axis.set_xticks(range(len(subsets)), [present.replace("+", "\n+ ") for present in subsets], fontsize=9)
    axis.set_xlabel(f"test {title(error)}, mean over seeds; a constant: {worst:.2f} (the lightest colour)")
    name = REFERENCE if REFERENCE in table.index else table.index[0]
    every, *others = (subset.split("+") for subset in subsets)
    fewer = ["+".join(subset) for subset in others if len(subset) == len(every) - 1]
    left = table.loc[name, fewer].idxmax()
    (gone,) = set(every) - set(left.split("+"))
    before, after = table.loc[name, [subsets[0], left]]
    figure.suptitle(f"Without {gone} the error of {title_of(name)} is {after:.2f} instead of {before:.2f}", fontsize=13)
    return figure


def draw_heat(axis: Axes, errors: DataFrame, worst: float, font: int) -> None:
    """A number in each cell; dark is a low error, the lightest is `worst`."""
    lowest = min(0.99 * worst, errors.min(axis=None))  # also where no model is better than a constant
    axis.imshow(errors, cmap=WEAKEST, vmin=lowest, vmax=worst, aspect="auto")
    for (i, j), error in np.ndenumerate(errors):
        colour = INK if error > (lowest + worst) / 2 else "white"
        axis.text(j, i, f"{error:.2f}", ha="center", va="center", fontsize=font, color=colour)
    axis.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axis.spines[:].set_visible(False)
