"""What the extractor sees and hears in a clip: points on a face, curves in time, the same clip made worse."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from IPython.display import Image, display
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course.figures.plain import png
from course.figures.style import minus, row_of_panels, tidy
from course.own_clips import Look
from dmdlite.data.extract import measures, voice
from dmdlite.data.extract.face import Landmarks, Picture
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET

POINT, CHOSEN = "#FFFFFF", "#FFCC00"


def show_photos(figure: Figure) -> None:
    """As `show`, in 256 colours: a figure of photographs takes a third of the space in the notebook."""
    from PIL import Image as Picture

    small = io.BytesIO()
    photos = Picture.open(io.BytesIO(png(figure))).convert("RGB")
    photos.quantize(256, method=2, dither=0).save(small, "png", optimize=True)
    display(Image(small.getvalue()))


def draw_points(look: Look, names: Mapping[str, Sequence[str]], title: str) -> Figure:
    """The face with its 468 points, once for each title in `names`; the points of these measures are marked."""
    if look.points is None:
        raise ValueError("there is no face in the picture in the middle of this clip; record it again, nearer")
    figure, axes = row_of_panels(len(names), title, 2.5)
    for axis, (label, chosen) in zip(axes, names.items(), strict=True):
        axis.imshow(look.picture)
        axis.scatter(*look.points[:, :2].T, s=1.2, color=POINT, alpha=0.55, linewidths=0)
        marked = sorted({point for name in chosen for point in measures.points_of(name)})
        axis.scatter(*look.points[marked, :2].T, s=13, color=CHOSEN, edgecolors=INK, linewidths=0.6)
        low, high = look.points[:, :2].min(axis=0), look.points[:, :2].max(axis=0)
        edge = 0.12 * (high - low)
        axis.set(xlim=(low[0] - edge[0], high[0] + edge[0]), ylim=(high[1] + edge[1], low[1] - edge[1]))
        axis.set_title(label, fontsize=9)
        axis.axis("off")
    return figure


def draw_curves(look: Look, title: str, frames: pd.DataFrame | None = None) -> Figure:
    """Words, face and voice of a clip over time. frames: the true warps of a made clip, drawn dashed."""
    figure = Figure(figsize=(7, 5.2), layout="constrained")
    axes = figure.subplots(5, 1, sharex=True, height_ratios=(0.45, 1, 1, 1, 1))
    figure.suptitle(title, fontsize=11)
    _words(axes[0], look)
    corners, lips = (_face(look, names) for names in (CORNERS, ["lip_opening"]))
    for axis, values, warp, label in (
        (axes[1], corners, "mouth_corners", "mouth corners\n(eye distances)"),
        (axes[2], lips, "lip_opening", "lip opening\n(eye distances)"),
    ):
        axis.plot(look.times, values, color=COLOURS["vision"], linewidth=1.5, label="measured")
        if frames is not None:
            _truth(axis, values, look.times, frames, warp)
        axis.set_ylabel(label, fontsize=8)
    if frames is not None:
        axes[1].legend(fontsize=7, frameon=False, loc="lower right", ncols=2)
    heard = (np.arange(len(look.voice)) + 0.5) * voice.HOP / voice.RATE
    for axis, name, unit in ((axes[3], "pitch", "semitones\nabove 55 Hz"), (axes[4], "energy", "dB above\n−60 dB")):
        values = look.voice[:, voice.NAMES.index(name)]
        axis.plot(heard, np.where(values > 0, values, np.nan), color=COLOURS["audio"], linewidth=1.5)
        axis.set_ylabel(f"{name}\n({unit})", fontsize=8)
    axes[4].set_xlabel("seconds", fontsize=8)
    for axis in axes[1:]:
        tidy(axis, 7)
        for word in look.clip.words:
            axis.axvline(word.start, color=QUIET, linewidth=0.4, alpha=0.6, zorder=0)
    figure.align_ylabels(axes)
    return figure


CORNERS = ["mouth_corner_right", "mouth_corner_left"]


def _face(look: Look, names: Sequence[str]) -> Float[np.ndarray, "picture"]:
    """The mean of some measures; NaN where no face is seen."""
    values = look.faces[:, [measures.NAMES.index(name) for name in names]].mean(axis=1)
    return np.where(look.faces[:, 0] > 0, values, np.nan)


def _truth(axis: Axes, values: np.ndarray, times: np.ndarray, frames: pd.DataFrame, warp: str) -> None:
    """The true warp, moved to the measure's mean: a warp of 0 is the photograph, whose mouth is where it is."""
    true = np.interp(times, frames["time"], frames[warp])
    axis.plot(times, true - true.mean() + np.nanmean(values), color=INK, linewidth=1, linestyle="dashed", label="truth")


def _words(axis: Axes, look: Look) -> None:
    for place, word in enumerate(look.clip.words):
        middle = (word.start + word.end) / 2
        axis.text(
            middle, 0.8 - 0.6 * (place % 2), word.text, ha="center", va="center", fontsize=8, color=COLOURS["language"]
        )
    axis.set(ylim=(0, 1))
    axis.axis("off")


def draw_followed(table: pd.Series, title: str) -> Figure:
    """One bar for each measure: its correlation with the truth. table: (modality, label) -> r."""
    figure = Figure(figsize=(7, 0.7 + 0.32 * len(table)), layout="constrained")
    axis = figure.subplots()
    labels = [label for _, label in table.index]
    bars = axis.barh(labels, table.to_numpy(), color=[COLOURS[modality] for modality, _ in table.index], height=0.65)
    axis.bar_label(bars, fmt="%.2f", fontsize=8, color=INK, padding=3)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.08), xlabel="correlation with the truth")
    axis.xaxis.label.set_size(8)
    axis.set_title(title, fontsize=11)
    tidy(axis)
    return figure


def draw_worse(
    pictures: Mapping[str, tuple[Picture, Landmarks | None]], lines: Mapping[str, str], title: str
) -> Figure:
    """A picture of each version of a clip with the points found in it, and lines of text below."""
    figure = Figure(figsize=(7, 5.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    for axis, (name, (picture, points)) in zip(figure.subplots(2, 3).ravel(), pictures.items(), strict=True):
        axis.imshow(picture)
        if points is not None:
            axis.scatter(*points[:, :2].T, s=0.6, color=CHOSEN, linewidths=0)
        axis.set(xlim=(0, picture.shape[1]), ylim=(picture.shape[0], 0))
        axis.set_title(name, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_xlabel(minus(lines[name]), fontsize=8)
    return figure


def draw_folds(rows: Mapping[str, Sequence[float]], limit: tuple[str, float], title: str, xlabel: str) -> Figure:
    """A row of dots for each name, one for each fold, with their mean as a line; and a limit for all of them."""
    figure = Figure(figsize=(7, 0.9 + 0.42 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for place, values in enumerate(rows.values()):
        axis.plot(values, [place] * len(values), "o", color=MODEL, alpha=0.55, markersize=5)
        axis.plot([np.mean(values)] * 2, [place - 0.3, place + 0.3], color=INK, linewidth=2)
    axis.axvline(limit[1], color=QUIET, linestyle="dashed", linewidth=1)
    axis.annotate(limit[0], (limit[1], 1), xycoords=("data", "axes fraction"), xytext=(3, -3),
                  textcoords="offset points", fontsize=8, ha="left", va="top", color=INK)  # fmt: skip
    axis.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axis.set(ylim=(len(rows) - 0.5, -0.9), xlim=(0, None))
    axis.set_xlabel(xlabel, fontsize=8)
    axis.set_title(title, fontsize=11)
    tidy(axis)
    return figure


def draw_predictions(table: pd.DataFrame, own: float, title: str, name: str = "your clip") -> Figure:
    """Predictions of clips against their labels; sarcastic ones stand out. own: for the clip with that name."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axis = figure.subplots()
    for sarcastic, style in ((False, {"color": QUIET, "marker": "o"}), (True, {"color": MODEL, "marker": "D"})):
        part = table[table["sarcastic"] == sarcastic]
        label = "sarcastic words" if sarcastic else "sincere words"
        axis.scatter(part["label"], part["prediction"], s=26, alpha=0.75, linewidths=0, label=label, **style)
    axis.plot([-3, 3], [-3, 3], color=INK, linewidth=0.8, linestyle="dashed", zorder=0, label="label = prediction")
    axis.axhline(own, color=COLOURS["vision"], linewidth=1.2, label=name, zorder=0)
    axis.set(xlabel="label", ylabel="prediction", xlim=(-3.2, 3.2))
    axis.set_title(title, fontsize=11)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    tidy(axis)
    return figure
