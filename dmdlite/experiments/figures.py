"""The two figures of a comparison: the error of every model, and what is left without a modality."""

from matplotlib.figure import Figure
from pandas import DataFrame

from dmdlite.experiments.missing import SUBSETS, subset_name
from dmdlite.experiments.tables import REFERENCE, Comparison, title_of
from dmdlite.models.registry import GROUPS
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET
from dmdlite.training.metrics import title

ABLATION, WEAKEST = "#66779A", "cividis"  # both told apart without colour, too: by an open marker, by the numbers
OWN_COLOURS = {REFERENCE: MODEL, **COLOURS, **dict.fromkeys(GROUPS["ablations"], ABLATION)}
LINES = {REFERENCE: (MODEL, "solid"), "linear": (QUIET, "dashed"), "constant": (QUIET, "dotted")}


def draw_comparison(found: Comparison) -> Figure:
    """The test error of every model, the best on top: a dot per seed, mean ± standard deviation as a bar."""
    error, runs = found.shown[0], found.errors
    rows = found.table.dropna(subset=f"{error}_mean").sort_values(f"{error}_mean", kind="stable")
    lines = [(name, rows.loc[name, f"{error}_mean"], *LINES[name]) for name in LINES if name in rows.index]
    rows = rows[rows.kind != "constant"]
    figure = Figure(figsize=(9.0, 1.7 + 0.32 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for place, (name, row) in enumerate(rows.iterrows()):
        mean, std = row[f"{error}_mean"], row[f"{error}_std"]
        colour = QUIET if row.kind == "linear" else OWN_COLOURS.get(name, INK)
        if row.seeds > 1:
            axis.plot([mean - std, mean + std], [place, place], color=colour, linewidth=2, zorder=2)
            axis.scatter(runs[name], [place] * len(runs[name]), s=10, color=INK, alpha=0.7, linewidths=0, zorder=4)
        inside = "white" if name in GROUPS["ablations"] else colour
        shape = "D" if row.kind == "linear" else "o"
        axis.plot(mean, place, shape, markersize=8, markerfacecolor=inside, markeredgecolor=colour, zorder=3)
    for name, mean, colour, style in lines:
        label = f"{title_of(name)}: {mean:.3f}"
        axis.axvline(mean, color=colour, linestyle=style, linewidth=1.2, zorder=1, label=label)
    axis.set_yticks(range(len(rows)), list(map(title_of, rows.index)), fontsize=9)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel(f"test {title(error)} (a dot is one seed; bar: mean ± standard deviation)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#EEEEEE", zorder=0)
    axis.set_axisbelow(True)
    means, best = rows[f"{error}_mean"], rows.index[0]
    beside = f" (DMD: {means[REFERENCE]:.3f})" if REFERENCE in rows.index[1:] else ""
    figure.suptitle(f"Lowest error: {title_of(best)}, {means[best]:.3f} on average{beside}", fontsize=13)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def draw_missing(found: Comparison) -> Figure:
    """The test error of every model with each subset of the modalities present; the lightest is a constant's."""
    error, subsets = found.shown[0], list(map(subset_name, SUBSETS))
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
    every, *pairs = [subset_name(subset) for subset in SUBSETS if len(subset) > 1]
    pair = table.loc[name, pairs].idxmax()
    (gone,) = set(every.split("+")) - set(pair.split("+"))
    before, after = table.loc[name, [every, pair]]
    figure.suptitle(f"Without {gone} the error of {title_of(name)} is {after:.2f} instead of {before:.2f}", fontsize=13)
    return figure


def draw_heat(axis, errors: DataFrame, worst: float, font: int) -> None:
    """A number in each cell; dark is a low error, the lightest is `worst`."""
    lowest = min(0.99 * worst, errors.min(axis=None))  # also where no model is better than a constant
    axis.imshow(errors, cmap=WEAKEST, vmin=lowest, vmax=worst, aspect="auto")
    for i, numbers in enumerate(errors.to_numpy()):
        for j, number in enumerate(numbers):
            colour = INK if number > (lowest + worst) / 2 else "white"
            axis.text(j, i, f"{number:.2f}", ha="center", va="center", fontsize=font, color=colour)
    axis.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axis.spines[:].set_visible(False)
