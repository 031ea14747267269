"""Feature spaces: t-SNE maps of many clips (paper: Figs. 3 and 4), and tables of what can be read from a space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from course.figures.style import row_of_panels, write_numbers
from dmdlite.config import MODALITIES, SENTIMENT_RANGE
from dmdlite.training.figures import COLOURS, INK, MARKERS, MODEL, QUIET

Features = Float[np.ndarray, "clip modality width"]
KINDS = {"negative": "#3B4CC0", "neutral": "#DDDDDD", "positive": "#B40426"}  # of sentiments, rounded
BORDERS = (SENTIMENT_RANGE[0] - 1.0, -0.5, 0.5, SENTIMENT_RANGE[1] + 1.0)
SENTIMENT = {"cmap": ListedColormap(list(KINDS.values())), "norm": BoundaryNorm(BORDERS, len(KINDS))}


def tsne(points: Float[np.ndarray, "point width"], perplexity: int = 30, seed: int = 0) -> np.ndarray:
    """A map of the points, (point, 2), that preserves neighbourhoods. Distances between groups mean nothing.

    perplexity: roughly how many neighbours each point tries to keep. The numbers differ from machine to machine.
    """
    with threadpool_limits(1):  # on a busy machine its threads wait for each other, up to twenty times as long
        return TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(points)


def draw_spaces(
    panels: Mapping[str, Features],
    title: str,
    sentiment: Float[np.ndarray, "clip"] | None = None,
    *,
    views: Float[np.ndarray, "clip modality 1"] | None = None,
    marked: int | None = None,
    perplexity: int = 30,
    columns: int = 2,
) -> Figure:
    """One t-SNE map for each panel: every clip three times, with its modality's marker.

    sentiment: of each clip; it gives the points one of three colours. Without it the modality gives the colour.
    views: what each stream shows of the sentiment, drawn without t-SNE in a last panel.
    marked: a clip whose three points get a ring.
    """
    count = len(panels) + (views is not None)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.5 * columns if columns < 3 else 7, 0.9 + (2.3 if columns < 3 else 1.9) * rows))
    figure.set_layout_engine("constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (name, features) in zip(axes, panels.items(), strict=False):
        places = tsne(features.reshape(-1, features.shape[-1]), perplexity).reshape(len(features), len(MODALITIES), 2)
        _scatter(axis, places, sentiment, marked)
        axis.set(xticks=[], yticks=[])
        axis.set_title(name, fontsize=9)
    if views is not None:
        _draw_views(axes[count - 1], views, sentiment)
    for axis in axes[count:]:
        axis.remove()
    _explain(figure, sentiment is not None)
    figure.suptitle(title, fontsize=11)
    return figure


def draw_maps(
    panels: Mapping[str, Float[np.ndarray, "point 2"]], groups: Int[np.ndarray, " point"], title: str
) -> Figure:
    """The same points in several maps, side by side, each with equal scales; a group has one colour and a number."""
    figure, axes = row_of_panels(len(panels), title, 2.7)
    for axis, (name, places) in zip(axes, panels.items(), strict=True):
        for number, (group, colour) in enumerate(zip(np.unique(groups), (INK, MODEL, QUIET), strict=False), start=1):
            axis.scatter(*places[groups == group].T, s=8, color=colour)
            disc = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": colour, "linewidth": 0.8}
            axis.text(*places[groups == group].mean(axis=0), str(number), ha="center", va="center", size=7, bbox=disc)
        axis.set(xticks=[], yticks=[])
        axis.set_aspect("equal", adjustable="datalim")
        axis.set_title(name, fontsize=9)
    return figure


def draw_draws(values: Mapping[str, Float[np.ndarray, " draw"]], title: str, what: str) -> Figure:
    """The distribution of a score, or of a difference (with a line at 0), over repeated draws; an outline each."""
    figure = Figure(figsize=(6, 2.8), layout="constrained")
    axis = figure.subplots()
    bins = np.histogram_bin_edges(np.concatenate(list(values.values())), bins=30)
    styles = zip((QUIET, COLOURS["language"], MODEL), ("solid", "dashed", "solid"), strict=True)
    for (name, scores), (colour, style) in zip(values.items(), styles, strict=False):
        axis.hist(scores, bins, histtype="step", label=name, color=colour, linestyle=style, linewidth=1.8)
    if min(map(np.min, values.values())) < 0 < max(map(np.max, values.values())):
        axis.axvline(0, color=INK, linewidth=0.8)
    axis.set(xlabel=what, ylabel="draws")
    axis.legend(fontsize=8, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(title, fontsize=11)
    return figure


def draw_scores(
    values: Float[np.ndarray, "row group modality"], rows: Sequence[str], groups: Sequence[str], title: str
) -> Figure:
    """A table of scores with their numbers, in groups of three columns; dark near 1, white below 0."""
    figure, axes = row_of_panels(len(groups), title, 1.3 + 0.32 * len(rows), sharey=True)
    for axis, group, name in zip(axes, values.swapaxes(0, 1), groups, strict=True):
        axis.imshow(group, cmap="Purples", aspect="auto", vmin=0, vmax=1)
        write_numbers(axis, group, dark=0.6)
        axis.set_xticks(range(len(MODALITIES)), MODALITIES, fontsize=7)
        axis.set_yticks(range(len(rows)), rows, fontsize=8)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_title(name, fontsize=9)
    return figure


def _scatter(axis: Axes, places: Features, sentiment: np.ndarray | None, marked: int | None = None) -> None:
    size = 26 if len(places) < 60 else 9
    for column, modality in enumerate(MODALITIES):
        x, y = places[:, column].T
        coloured = {"c": sentiment, "linewidths": 0.3, "edgecolors": INK, **SENTIMENT}
        colour = {"color": COLOURS[modality], "linewidths": 0} if sentiment is None else coloured
        axis.scatter(x, y, s=size, marker=MARKERS[modality], **colour)
        if marked is not None:
            axis.scatter(x[marked], y[marked], s=110, facecolors="none", edgecolors=INK, linewidths=1.6)


def _draw_views(axis: Axes, views: Features, sentiment: np.ndarray) -> None:
    """Each modality on its own row, from what it shows as negative on the left to positive on the right."""
    scatter = np.random.default_rng(0).uniform(-0.25, 0.25, views.shape[:2])
    heights = -np.arange(len(MODALITIES)) + scatter
    _scatter(axis, np.stack([views[..., 0], heights], axis=-1), sentiment)
    axis.set(yticks=[], xticks=[-3, 0, 3])
    axis.tick_params(labelsize=7)
    axis.set_title("truth: what each stream shows", fontsize=9)


def _explain(figure: Figure, by_sentiment: bool) -> None:
    handles = [
        Line2D([], [], linestyle="", marker=MARKERS[m], color="white" if by_sentiment else COLOURS[m], label=m)
        for m in MODALITIES
    ]
    for handle in handles:
        handle.set(markeredgecolor=INK, markeredgewidth=0.5)
    for kind, colour in KINDS.items() if by_sentiment else ():
        handles.append(Line2D([], [], linestyle="", marker="D", color=colour, markersize=5, label=kind))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
