"""A prediction, what each modality says, and how far the clips were missed that were held out of training."""

from math import ceil
from textwrap import shorten

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from dmdlite.experiments.own_clip import ClipReading
from dmdlite.training.figures import COLOURS, LABEL_RANGES, MARKERS, MODEL

SHARE = 0.8  # of the held-out clips have an error that the bar around a prediction covers
MOST = 8  # rows of classes or numbers
LONGEST_TITLE = 100  # letters of the transcript
FORMS = {"mosi": "+.1f", "sims": "+.2f", "other": ".3g"}


def headline(reading: ClipReading) -> str:
    text = shorten(reading.clip.text, LONGEST_TITLE, placeholder=" …")
    return f"“{text}”\n{verdict(reading)}" if text else verdict(reading)


def verdict(reading: ClipReading) -> str:
    """The prediction, and how often or how nearly the run is right about clips held out of its training."""
    row, heldout, numbers = reading.table.iloc[0], reading.heldout, reading.numbers["final"]
    task, count = reading.config.task, len(reading.heldout)
    if task == "regression":
        first = f"{reading.model} predicts {', '.join(written(x, reading) for x in numbers)}"
        if np.isinf(sure := margins(reading)).any():
            return f"{first}; {count} held-out clips are too few to tell how far off that may be"
        within = ", ".join(f"±{written(x, reading).lstrip('+')}" for x in sure)
        return f"{first}; for {SHARE:.0%} of {count} held-out clips the truth was within {within}"
    if task == "multilabel":
        named = ", ".join(name for name, x in zip(names_of(reading), numbers) if x > 0.5) or "none of them"
        right = np.mean([heldout[f"label {x}"] == heldout[f"prediction {x}"] for x in names_of(reading)])
        return f"{reading.model} predicts {named}; of the labels of {count} held-out clips {right:.0%} were right"
    same, which = heldout[heldout["prediction"].astype(str) == str(row["prediction"])], "this answer"
    if not len(same):
        same, which = heldout, "any answer, as none had this one,"
    chance, right = numbers[decided_class(reading)], (same["label"] == same["prediction"]).mean()
    first = f"{reading.model} predicts {row['prediction']} ({chance:.0%})"
    return f"{first}; of {len(same)} held-out clips with {which} {right:.0%} were right"


def decided_class(reading: ClipReading) -> int:
    return names_of(reading).index(str(reading.table.iloc[0]["prediction"]))


def written(x: float, reading: ClipReading) -> str:
    form = FORMS[reading.config.label_scale] if reading.config.task == "regression" else ".0%"
    return format(float(x) + 0.0, form).replace("-", "−")


def names_of(reading: ClipReading) -> list[str]:
    """Of the classes, or of several numbers."""
    if reading.config.task == "regression":
        return [f"number {i}" for i in range(1, reading.config.outputs + 1)]
    return [str(name) for name in reading.config.class_names or range(reading.config.outputs)]


def margins(reading: ClipReading) -> Float[np.ndarray, "number"]:
    """How far held-out predictions were off, at most, in a share SHARE of the clips; infinite if they are too few.

    It is the quantile of conformal prediction (Vovk and others, 2005), which counts the new clip as one more.
    """
    errors = np.sort(np.abs(heldout_numbers(reading, "label") - heldout_numbers(reading, "prediction")), axis=0)
    errors = errors[~np.isnan(errors).any(axis=1)]
    rank = ceil((len(errors) + 1) * SHARE)
    return errors[rank - 1] if rank <= len(errors) else np.full(errors.shape[1], np.inf)


def most_moved(reading: ClipReading) -> tuple[int, str]:
    """Which number the words are shown to move, and its name: the predicted class, or what they move most."""
    if reading.config.task in ("classification", "ordinal"):
        number = decided_class(reading)
    else:
        number = int(np.abs(reading.without).max(axis=0, initial=0).argmax())
    single = reading.config.task == "regression" and reading.config.outputs == 1
    name = names_of(reading)[number]
    named = name if reading.config.task == "regression" else f"P({name})"
    return number, "the prediction" if single else named


def height_of(reading: ClipReading) -> float:
    """Of the panel, in inches."""
    heads, single = reading.numbers, len(reading.numbers["final"]) == 1
    return 1.1 + 0.4 * len(heads) if single else 1.6 + 0.4 * min(len(heads["final"]), MOST)


def draw_answer(axis: Axes, reading: ClipReading) -> None:
    """A row for each modality, and one for all; or for several numbers or classes a row for each of them."""
    heads = reading.numbers
    if len(heads["final"]) == 1:
        draw_number(axis, reading)
    else:
        draw_rows(axis, reading)
    axis.set_title("What each modality says" if len(heads) > 1 else "What the model says", fontsize=10)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0, labelsize=9)
    axis.tick_params(axis="x", labelsize=8)


def draw_number(axis: Axes, reading: ClipReading) -> None:
    heads, (sure,) = reading.numbers, margins(reading)
    rows = {m: heads[m].item() for m in (*reading.modalities, "final") if m in heads}
    for y, (m, x) in enumerate(rows.items()):
        there = m == "final" or m in reading.clip.features
        colour, marker = (MODEL, "D") if m == "final" else (COLOURS[m], MARKERS[m])
        if m == "final" and np.isfinite(sure):
            axis.plot([x - sure, x + sure], [y, y], color=MODEL, alpha=0.3, linewidth=9, solid_capstyle="butt")
        axis.plot(x, y, marker, color=colour if there else "white", markeredgecolor=colour, markersize=9)
        text = written(x, reading) if there else f"{written(x, reading)}, not in the clip"
        axis.annotate(text, (x, y), (0, 8), textcoords="offset points", ha="center", fontsize=9, color=colour)
    truth = heldout_numbers(reading, "label")
    low, high = LABEL_RANGES.get(reading.config.label_scale, (np.nanmin(truth), np.nanmax(truth)))
    reach = [*rows.values(), *([rows["final"] - sure, rows["final"] + sure] if np.isfinite(sure) else [])]
    low, high = min(low, *reach), max(high, *reach)
    gap = 0.06 * (high - low)
    together = "all" if len(rows) > 1 else "prediction"
    axis.set_yticks(range(len(rows)), [together if m == "final" else m for m in rows])
    axis.set(xlim=(low - gap, high + gap), ylim=(len(rows) - 0.4, -0.75))
    what = "number" if reading.config.label_scale == "other" else "sentiment"
    spread = f"; bar: {SHARE:.0%} of held-out errors" if np.isfinite(sure) else ""
    axis.set_xlabel(f"predicted {what}{spread}", fontsize=8)
    axis.axvline(0, color="#DDDDDD", linewidth=1, zorder=0)


def heldout_numbers(reading: ClipReading, name: str) -> Float[np.ndarray, "clip number"]:
    """Labels or predictions of a regression; several numbers are columns label_1, label_2, …"""
    return reading.heldout.filter(regex=rf"^{name}(_\d+)?$").to_numpy(float)


def draw_rows(axis: Axes, reading: ClipReading) -> None:
    heads, names, numbers = reading.numbers, names_of(reading), reading.config.task == "regression"
    order = np.sort(np.argsort(-heads["final"], kind="stable")[:MOST]) if not numbers else np.arange(len(names))[:MOST]
    rows = np.arange(len(order))
    if numbers:
        axis.errorbar(heads["final"][order], rows, xerr=margins(reading)[order], fmt="D", color=MODEL, label="all",
                      elinewidth=7, ecolor="#E5C8DA")  # fmt: skip
        axis.set_xlabel("predicted number", fontsize=8)
    else:
        axis.barh(rows, heads["final"][order], 0.6, color=MODEL, alpha=0.3, label="all")
        axis.set(xlim=(0, 1.02), xlabel="probability")
    for m in (m for m in reading.modalities if m in heads):
        there = m in reading.clip.features
        style = {"color": COLOURS[m] if there else "white", "markeredgecolor": COLOURS[m], "markersize": 6}
        axis.plot(heads[m][order], rows, MARKERS[m], label=m if there else f"{m}: not in the clip", **style)
    axis.set_yticks(rows, [names[i] for i in order])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    if len(heads) > 1:
        axis.figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
