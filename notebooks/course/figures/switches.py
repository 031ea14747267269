"""Streams switched off: one clip's prediction and attention, and the error over many clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course.figures.style import minus, row_of_panels, tidy, write_numbers
from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET

Shares = Mapping[str, Float[np.ndarray, "word"]]  # who looks -> the share of each word


def draw_switched(
    true: float,
    everything: float,
    now: float,
    words: Sequence[str],
    telling: int,
    attention: tuple[Shares, Shares],
    *,
    hidden: bool = False,
) -> Figure:
    """One clip: the truth and two predictions on the axis of sentiment; below, which word each modality looks at.

    everything, now: the prediction from all streams, and from those that are on. attention: likewise the shares of the
    words. telling: the place of the word that carries the feeling. hidden: the words themselves are switched off.
    """
    before, after = attention
    figure = Figure(figsize=(7, 1.6 + 0.75 * len(before)), layout="constrained")
    axes = figure.subplots(1 + len(before), 1, height_ratios=[0.75] + [0.7] * len(before))
    _draw_sentiments(axes[0], {"true": true, "all streams": everything, "now": now})
    for axis, who in zip(axes[1:], before, strict=True):
        shares = np.stack([before[who], after[who]])
        image = axis.imshow(shares, cmap="Purples", vmin=0, vmax=0.4, aspect="auto")
        write_numbers(axis, shares, dark=0.25, fontsize=7)
        axis.set_yticks([0, 1], ["all streams", "now"], fontsize=8)
        axis.set_xticks([])
        axis.set_title(f"where the {who} looks among the words", fontsize=9, loc="left")
        axis.tick_params(length=0)
    axes[-1].set_xticks(range(len(words)), words, fontsize=8, rotation=30, ha="right", rotation_mode="anchor")
    for place, label in enumerate(axes[-1].get_xticklabels()):
        label.set(color=QUIET if hidden else INK, weight="bold" if place == telling else "normal")
    figure.colorbar(image, ax=list(axes[1:]), label="share of attention", ticks=[0, 0.2, 0.4])
    return figure


def _draw_sentiments(axis: Axes, values: Mapping[str, float]) -> None:
    """Three marks on one line; the arrow shows how far the switches moved the prediction."""
    styles = {
        "true": {"marker": "D", "color": INK, "s": 50},
        "all streams": {"marker": "o", "color": MODEL, "s": 60},
        "now": {"marker": "o", "facecolors": "none", "edgecolors": MODEL, "s": 150, "linewidths": 2},
    }
    for name, value in values.items():
        axis.scatter([value], [0], label=minus(f"{name} {value:+.1f}"), zorder=3, clip_on=False, **styles[name])
    if abs(values["now"] - values["all streams"]) > 0.3:
        arrow = {"arrowstyle": "-|>", "color": MODEL, "linewidth": 1.5, "shrinkA": 5, "shrinkB": 8}
        axis.annotate("", (values["now"], 0), (values["all streams"], 0), arrowprops=arrow)
    axis.set(xlim=(-3.6, 3.6), ylim=(-0.6, 0.6), yticks=[], xticks=range(-3, 4))
    axis.set_title("sentiment", fontsize=9, loc="left")
    axis.tick_params(labelsize=8, pad=10)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set(position=("data", 0), color=QUIET, zorder=0)
    axis.legend(loc="lower right", ncols=3, fontsize=8, frameon=False, bbox_to_anchor=(1.0, 0.95), borderpad=0)


def draw_groups(panels: Mapping[str, Mapping[str, Sequence[float]]], title: str) -> Figure:
    """Bars in groups: panel (its title) -> group of clips -> one value for each modality."""
    figure, axes = row_of_panels(len(panels), title, 3.0)
    for axis, (what, groups) in zip(axes, panels.items(), strict=True):
        for place, modality in enumerate(MODALITIES):
            values = [group[place] for group in groups.values()]
            centres = np.arange(len(groups)) + 0.27 * (place - 1)
            bars = axis.bar(centres, values, width=0.25, color=COLOURS[modality], label=modality)
            axis.bar_label(bars, [minus(f"{value:.2f}") for value in values], fontsize=7, padding=2)
        axis.axhline(0, color=INK, linewidth=0.8)
        axis.set_xticks(range(len(groups)), list(groups), fontsize=9)
        axis.set_title(what, fontsize=9)
        axis.margins(y=0.12)
        tidy(axis)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure
