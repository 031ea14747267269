"""The picture of one clip: on the left what happens in it, in time; on the right what the model predicts."""

import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import fill

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import get_font_names
from matplotlib.ticker import MaxNLocator, NullLocator

from dmdlite.data.extract import measures, voice
from dmdlite.data.extract.face import Landmarks, Picture
from dmdlite.experiments.answer_picture import draw_answer, headline, height_of, most_moved
from dmdlite.experiments.own_clip import ClipReading, read_clip
from dmdlite.training.figures import COLOURS, INK, MARKERS, MODEL, QUIET, draw_graph
from dmdlite.training.runs import write_picture

LIMITS = (
    "This shows what a model makes of the clip, not what the person feels. Do not use it for decisions about "
    "people: hiring, school, policing, diagnosis. The EU AI Act (Article 5) forbids inferring emotions at work and in "
    "education, except for medical or safety reasons."
)
FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei", "Arial Unicode MS")
GRAPH = 2.5  # inches, the height of a graph
CELLS = 8  # of the strip of pictures
LANES, LETTER, WIDTH = 3, 0.07, 7.0  # of words; inches, about: a letter's width, and that of a panel in time
MEASURED = sorted({point for name in measures.DISTANCES for point in measures.points_of(name)})
CHANGE = "change, in\neye distances"
CURVES = {  # panel -> its curves, each the mean of some channels of the face
    f"mouth\n{CHANGE}": {"corners up": ("mouth_corner_right", "mouth_corner_left"), "lips open": ("lip_opening",)},
    f"brows, eyes\n{CHANGE}": {
        "brows up": ("brow_right", "brow_left"),
        "eyes open": ("eye_opening_right", "eye_opening_left"),
    },
}
Panel = tuple[float, Callable[[Axes, ClipReading], None]]  # its height in inches, and what draws it


def predict_clip(run: Path, path: Path, transcript: str | None, picture: Path) -> ClipReading:
    """What `read_clip` returns; its picture is written to a PNG file. Raises ValueError as that does."""
    if picture.suffix.lower() != ".png":
        raise ValueError(f"the picture is written as PNG: {picture.name} needs the ending .png")
    reading = read_clip(run, path, transcript)
    picture.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a letter that no font here has becomes a box
        write_picture(picture, draw_clip(reading))
    return reading


def draw_clip(reading: ClipReading) -> Figure:
    """What the clip or the model lacks has no panel: a picture, a face, a voice, words, edges, attention."""
    fonts = [name for name in FONTS if name in get_font_names()]
    with rc_context({"font.family": fonts, "text.parse_math": False}):  # a transcript may hold anything
        return lay_out(reading)


def lay_out(reading: ClipReading) -> Figure:
    panels, graphs, answer = panels_of(reading), reading.edges, height_of(reading)
    left, below, beside = sum(height for height, _ in panels), GRAPH * bool(graphs), GRAPH * len(graphs)
    # The graphs lie side by side below the panels, or one below the other beside them: whichever takes less room.
    wide = max(left + below, answer) < max(left, answer + beside)
    left, right = (left + below, answer) if wide else (left, answer + beside)
    figure = Figure(figsize=(12.5, 1.6 + max(left, right)), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08, w_pad=0.08)
    figure.suptitle(headline(reading), fontsize=14, x=0.012, ha="left")
    figure.supxlabel(footer(reading), fontsize=8.5, x=0.012, ha="left", color=INK)
    in_time, said = figure.subfigures(1, 2, width_ratios=[2.2, 1])
    if wide:
        in_time, place = in_time.subfigures(2, 1, height_ratios=[left - below, below])
    draw_in_time(in_time, panels, reading)
    said, rest = said.subfigures(2, 1, height_ratios=[answer, max(left, right) - answer + 0.01])
    draw_answer(said.subplots(), reading)
    if graphs:
        draw_edges(place if wide else rest, reading, columns=2 if wide else 1)
    return figure


def draw_edges(figure: SubFigure, reading: ClipReading, columns: int) -> None:
    graphs = reading.edges
    axes = figure.subplots(-(-len(graphs) // columns), columns, squeeze=False).ravel()
    for axis, (space, strengths) in zip(axes, graphs.items(), strict=True):
        title, largest = f"{space.capitalize()} edges: who teaches whom", max(float(strengths.max()), 1e-9)
        draw_graph(axis, strengths, title, largest=largest, modalities=reading.modalities)


def footer(reading: ClipReading) -> str:
    notes = "; ".join(reading.clip.notes)
    return "\n".join(fill(line, 190) for line in (f"Notes: {notes}.", LIMITS))


def panels_of(reading: ClipReading) -> list[Panel]:
    clip = reading.clip
    panels: list[Panel] = [(1.15, draw_strip)] if reading.frames else []
    panels += [(0.75, draw_words)] if clip.words else []
    panels += [(0.8, draw_effects)] if len(reading.without) else []
    panels += [(0.9, draw_attention)] if reading.attention else []
    if "vision" in clip.features and clip.features["vision"][:, 0].any():
        panels += [(0.95, lambda axis, _, name=name: draw_face(axis, reading, name)) for name in CURVES]
    if "audio" in clip.features:
        panels += [(0.75, draw_pitch)] if channel(reading, "audio", "voiced").any() else []
        panels += [(0.75, draw_energy)]
    return panels


def draw_in_time(figure: SubFigure, panels: list[Panel], reading: ClipReading) -> None:
    """The panels below each other, with one axis of time."""
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=[x for x, _ in panels])[:, 0]
    for axis, (_, draw) in zip(axes, panels, strict=True):
        axis.set_xlim(0, reading.clip.seconds)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7, bottom=axis is axes[-1])
        draw(axis, reading)
        axis.yaxis.set_major_locator(MaxNLocator(3) if axis.get_yticks().size else NullLocator())
        axis.set_ylabel(axis.get_ylabel(), rotation=0, ha="right", va="center", fontsize=8)
    axes[-1].set_xlabel("seconds", fontsize=8)
    figure.align_ylabels()


def draw_strip(axis: Axes, reading: ClipReading) -> None:
    """Pictures at even times, cut around the face, with its landmarks; larger are those that measures use."""
    axis.set_axis_off()
    times = np.array([time for time, _, _ in reading.frames])
    rows, columns = square([x for _, _, x in reading.frames if x is not None], reading.frames[0][1])
    for cell in range(CELLS):
        place = (cell + 0.5) / CELLS
        time, picture, points = reading.frames[int(np.abs(times - place * reading.clip.seconds).argmin())]
        inset = axis.inset_axes((place - 0.49 / CELLS, 0, 0.98 / CELLS, 1))
        inset.imshow(picture[rows, columns])
        if points is not None:
            x, y = points[:, 0] - columns.start, points[:, 1] - rows.start
            inset.scatter(x, y, s=0.45, color="white", alpha=0.5, linewidths=0)
            inset.scatter(x[MEASURED], y[MEASURED], s=4, color=COLOURS["vision"], edgecolors="white", linewidths=0.25)
        inset.set(xlim=(-0.5, columns.stop - columns.start - 0.5), ylim=(rows.stop - rows.start - 0.5, -0.5))
        inset.set_axis_off()
        inset.set_title(f"{time:.1f} s", fontsize=7, color=QUIET, pad=2)


def square(faces: list[Landmarks], picture: Picture) -> tuple[slice, slice]:
    """The rows and the columns of a square around all of these faces; without any, of the middle of the picture."""
    sides = np.array(picture.shape[:2])
    low, high = np.zeros(2), sides[::-1].astype(float)
    if faces:
        low, high = np.min([x[:, :2].min(axis=0) for x in faces], 0), np.max([x[:, :2].max(axis=0) for x in faces], 0)
    side = int(min(1.25 * (high - low).max() if faces else min(sides), *sides))
    start = ((low + high)[::-1] / 2 - side / 2).clip(0, sides - side).astype(int)
    return slice(start[0], start[0] + side), slice(start[1], start[1] + side)


def draw_words(axis: Axes, reading: ClipReading) -> None:
    """Each word where it is said. Of words that lack room those are left out that move the prediction least."""
    words, seconds = reading.clip.words, reading.clip.seconds
    weight = np.zeros(len(words))
    weight[: len(reading.without)] = np.abs(reading.without).max(axis=1, initial=0)
    taken: list[list[tuple[float, float]]] = [[] for _ in range(LANES)]
    for i in np.argsort(-weight, kind="stable"):
        middle, half = (words[i].start + words[i].end) / 2, LETTER * (len(words[i].text) + 1) / WIDTH * seconds / 2
        middle = float(np.clip(middle, half, max(seconds - half, half)))
        free = [n for n, lane in enumerate(taken) if all(abs(middle - x) > half + h for x, h in lane)]
        if free:
            taken[free[0]].append((middle, half))
            axis.text(middle, 0.45 + 0.4 * free[0], words[i].text, ha="center", va="bottom", fontsize=8.5, color=INK)
    lengths = [(word.start, max(word.end - word.start, 0.01)) for word in words]
    axis.broken_barh(lengths, (0, 0.32), facecolor=COLOURS["language"], edgecolor="white", linewidth=1)
    axis.set(ylim=(0, 0.9 + 0.4 * max(n for n, lane in enumerate(taken) if lane)), yticks=[], ylabel="words")
    axis.spines[["left", "bottom"]].set_visible(False)
    shade_unread(axis, reading, "language")


def middles(reading: ClipReading) -> Float[np.ndarray, "word"]:
    """When the words that the model reads are said."""
    return reading.clip.spans["language"].mean(axis=1)[: reading.split.lengths["language"][0]]


def draw_effects(axis: Axes, reading: ClipReading) -> None:
    number, what = most_moved(reading)
    effects, lengths = -reading.without[:, number], np.diff(reading.clip.spans["language"], axis=1)[:, 0]
    axis.bar(middles(reading), effects, 0.8 * lengths[: len(effects)], color=MODEL)
    axis.axhline(0, color=QUIET, linewidth=0.7)
    axis.set_ylabel(f"what the word\nadds to\n{what}")


def draw_attention(axis: Axes, reading: ClipReading) -> None:
    for m, share in reading.attention.items():
        style = {"marker": MARKERS[m], "markersize": 4, "linewidth": 1, "color": COLOURS[m], "label": f"of {m}"}
        axis.plot(middles(reading), share * len(share), **style)
    axis.axhline(1, color=QUIET, linewidth=0.7, linestyle="dashed")
    axis.set(ylim=(0, None), ylabel="attention\non the word\n(1: even)")
    legend(axis)


def channel(reading: ClipReading, modality: str, name: str) -> Float[np.ndarray, "step"]:
    names = {"vision": measures.NAMES, "audio": voice.NAMES}[modality]
    return reading.clip.features[modality][:, names.index(name)]


def draw_curve(axis: Axes, reading: ClipReading, modality: str, values: Float[np.ndarray, "step"], **style) -> None:
    """A step of the features from its start to its end."""
    axis.plot(reading.clip.spans[modality].ravel(), values.repeat(2), linewidth=1.3, **style)


def draw_face(axis: Axes, reading: ClipReading, panel: str) -> None:
    seen = channel(reading, "vision", "face") > 0
    for (label, names), style in zip(CURVES[panel].items(), ("solid", "dotted"), strict=True):
        values = np.mean([channel(reading, "vision", name) for name in names], axis=0)
        values = np.where(seen, values - np.median(values[seen]), np.nan)
        draw_curve(axis, reading, "vision", values, color=COLOURS["vision"], linestyle=style, label=label)
    axis.fill_between(
        reading.clip.spans["vision"].ravel(), 0, 1, where=~seen.repeat(2), transform=axis.get_xaxis_transform(),
        color="#EEEEEE", linewidth=0, label=None if seen.all() else "no face",
    )  # fmt: skip
    low, high = axis.get_ylim()
    axis.set(ylim=(min(low, -0.05), max(high, 0.05)), ylabel=panel)
    legend(axis)
    shade_unread(axis, reading, "vision")


def draw_pitch(axis: Axes, reading: ClipReading) -> None:
    semitones = channel(reading, "audio", "pitch")
    hertz = np.where(semitones > 0, 55 * 2 ** (semitones / 12), np.nan)
    draw_curve(axis, reading, "audio", hertz, color=COLOURS["audio"])
    low, high = axis.get_ylim()
    axis.set(ylim=(min(low, high - 40), max(high, low + 40)), ylabel="pitch\nHz")
    shade_unread(axis, reading, "audio")


def draw_energy(axis: Axes, reading: ClipReading) -> None:
    draw_curve(axis, reading, "audio", channel(reading, "audio", "energy"), color=COLOURS["audio"])
    axis.set(ylabel="energy\ndB above −60 dB\nof full scale", ylim=(0, None))
    shade_unread(axis, reading, "audio")


def legend(axis: Axes) -> None:
    place = {"loc": "lower left", "bbox_to_anchor": (0, 0.96)}
    axis.legend(**place, ncols=3, frameon=False, fontsize=7, borderpad=0, handlelength=1.8)


def shade_unread(axis: Axes, reading: ClipReading, modality: str) -> None:
    """Marks the end of a clip that is longer than the model can read."""
    spans, read = reading.clip.spans[modality], int(reading.split.lengths[modality][0])
    if read < len(spans):
        axis.axvspan(spans[read, 0], reading.clip.seconds, color="#E8E8E8", alpha=0.8, linewidth=0, zorder=3)
        axis.text(reading.clip.seconds, 0.98, "not read ", transform=axis.get_xaxis_transform(), ha="right", va="top",
                  fontsize=7, color=INK, zorder=4)  # fmt: skip
