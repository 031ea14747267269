"""Dictionaries of DHMD: one lookup, activations by sentiment, one atom with its clips, and the table of an ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course.dictionaries import Activations, by_class
from course.figures.clips import draw_face_at
from course.figures.style import minus, row_of_panels, tidy
from dmdlite.config import MODALITIES
from dmdlite.data.toy import ToyWorld
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET

CLASSES = np.arange(-3, 4)


def draw_lookup(
    steps: Float[np.ndarray, "word atom"], shares: Float[np.ndarray, " atom"], words: Sequence[str], title: str
) -> Figure:
    """One lookup: the score of each atom at each word, the highest score of each atom, and its share."""
    figure = Figure(figsize=(7, 1.9 + 0.17 * len(words)), layout="constrained")
    heat, best, share = figure.subplots(3, 1, sharex=True, height_ratios=(0.2 * len(words), 1, 1))
    image = heat.imshow(steps, cmap="Purples", aspect="auto")
    figure.colorbar(image, ax=[heat, best, share], shrink=0.5, anchor=(0, 1), pad=0.01).set_label("score s", fontsize=8)
    heat.set_ylabel("step", fontsize=8)
    heat.set_yticks(range(len(words)), words, fontsize=8)
    heat.tick_params(length=0)
    places = np.arange(steps.shape[1])
    best.bar(places, steps.max(axis=0), color=QUIET)
    best.set_ylabel("score r", fontsize=8)
    share.bar(places, shares, color=MODEL)
    share.set_ylabel("share w", fontsize=8)
    share.set_xlabel("atom of the dictionary", fontsize=9)
    for axis in (best, share):
        tidy(axis, 7)
    figure.suptitle(title, fontsize=11)
    return figure


def draw_activations(panels: Mapping[str, Activations], sentiment: Float[np.ndarray, " clip"], title: str) -> Figure:
    """Mean activation of each atom in each sentiment class: one row for each panel, one column for each modality.

    Atoms have the same order in all three modalities: those that prefer negative clips are on the left. Unused atoms
    are left out.
    """
    figure = Figure(figsize=(7, 0.9 + 1.45 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), len(MODALITIES), squeeze=False, sharey=True)
    for axes, (name, shares) in zip(grid, panels.items(), strict=True):
        order = by_sentiment(shares, sentiment)
        tables = [by_class(shares[m][:, order], sentiment) for m in MODALITIES]
        for axis, m, table in zip(axes, MODALITIES, tables, strict=True):
            image = axis.imshow(table, cmap="Purples", aspect="auto", vmin=0, vmax=np.nanmax(tables), origin="lower")
            axis.set_yticks([0, 3, 6], ["−3", "0", "+3"], fontsize=7)
            axis.set_xticks([])
            axis.set_title(f"{name}, {m}", fontsize=8, color=COLOURS[m])
        axes[1].set_xlabel(f"{len(order)} atoms, in one order for all three", fontsize=8)
        axes[0].set_ylabel("sentiment", fontsize=8)
        bar = figure.colorbar(image, ax=list(axes), pad=0.01)
        bar.set_label("mean share", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=11)
    return figure


def by_sentiment(shares: Activations, sentiment: Float[np.ndarray, " clip"]) -> Int[np.ndarray, " used"]:
    """The used atoms, ordered by the mean sentiment of the clips that activate them in any modality."""
    mass = sum(shares.values())
    mean = sentiment @ mass / np.maximum(mass.sum(axis=0), 1e-9)
    used = np.flatnonzero(mass.mean(axis=0) > 1e-3)
    return used[mean[used].argsort()]


def draw_atom(
    world: ToyWorld, split: str, shares: Activations, atom: int, modality: str, title: str, count: int = 4
) -> Figure:
    """The clips that activate an atom most, with their faces and sentences, and its activation against sentiment."""
    figure = Figure(figsize=(7, 3.7), layout="constrained")
    faces, plot = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    for axis, clip in zip(faces.subplots(1, count), (-shares[modality][:, atom]).argsort()[:count], strict=True):
        _draw_face_of(axis, world, split, int(clip))
    axes = plot.subplots(1, len(MODALITIES), sharey=True)
    for axis, m in zip(axes, MODALITIES, strict=True):
        _draw_over_sentiment(axis, shares[m][:, atom], world.splits[split].labels, m, m == modality)
    axes[0].set_ylabel("activation", fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def _draw_face_of(axis: Axes, world: ToyWorld, split: str, clip: int) -> None:
    data = world.splits[split]
    draw_face_at(axis, world, split, clip, world.truth[split]["vision_event"][clip])
    label = minus(f"{data.labels[clip] + 0.0:+.1f}")
    axis.set_title(f"{label}\n{fill(data.raw_text[clip], 24)}", fontsize=7, color=INK)


def _draw_over_sentiment(
    axis: Axes, activation: Float[np.ndarray, " clip"], labels: Float[np.ndarray, " clip"], modality: str, chosen: bool
) -> None:
    axis.scatter(labels, activation, s=6, color=COLOURS[modality], alpha=0.35, linewidths=0)
    axis.plot(CLASSES, by_class(activation[:, None], labels)[:, 0], color=INK, linewidth=1.2)
    axis.set_title(f"{modality} (chosen)" if chosen else modality, fontsize=8, color=COLOURS[modality])
    axis.set_xlabel("true sentiment", fontsize=8)
    axis.set_xticks([-3, 0, 3], ["−3", "0", "+3"])
    tidy(axis, 7)


def draw_ablation(
    table: Mapping[str, Mapping[str, Float[np.ndarray, " seed"]]],
    title: str,
    marked: str,
    measures: Mapping[str, str],
    units: Sequence[str] = (),
) -> Figure:
    """One row for each setting, one panel for each measure, one dot for each seed, and behind them a bar at their mean.

    marked: the setting from which all others differ in one factor. measures: name in the table -> title of its panel.
    units: what the horizontal axis of each panel measures.
    """
    figure, axes = row_of_panels(len(measures), title, 1.2 + 0.24 * len(table), sharey=True)
    places = -np.arange(len(table))
    for axis, (measure, name) in zip(axes, measures.items(), strict=True):
        for place, (setting, scores) in zip(places, table.items(), strict=True):
            values = scores[measure]
            colour = MODEL if setting == marked else INK
            axis.plot([values.mean()] * 2, [place - 0.4, place + 0.4], color=colour, linewidth=1.5, alpha=0.5, zorder=1)
            style = {"color": colour, "edgecolors": "white", "linewidths": 0.5, "zorder": 2}
            axis.scatter(values, np.full(len(values), place), s=16, **style)
        axis.axvline(table[marked][measure].mean(), color=QUIET, linestyle="dotted", linewidth=1, zorder=0)
        axis.set_title(name, fontsize=8)
        axis.tick_params(labelsize=7, length=0)
        axis.spines[["top", "right", "left"]].set_visible(False)
    for axis, unit in zip(axes, units):
        axis.set_xlabel(unit, fontsize=8)
    axes[0].set_yticks(places, list(table), fontsize=8)
    return figure
