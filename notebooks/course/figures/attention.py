"""Attention maps: small ones with numbers, the words of a sentence against time, and what a map is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course.events import HALF_EVENT
from course.figures.clips import draw_face_at
from course.figures.style import row_of_panels, tidy, write_numbers
from dmdlite.data.toy import ToyWorld
from dmdlite.training.figures import COLOURS, INK, QUIET

Map = Float[np.ndarray, "target source"]
Maps = dict[tuple[str, str], Map]  # (source, target) -> its map
Seconds = dict[str, Float[np.ndarray, "step"]]  # modality -> the middle of each step
FAR, TICKS = 20.0, (1, 3, 10, 30)  # bars that ask for a logarithmic axis, and its ticks
MOST = 4.0  # fair shares that get the darkest colour


def shades(answering: str) -> Colormap:
    """From white to the colour of the modality that answers."""
    return LinearSegmentedColormap.from_list(answering, ["white", COLOURS[answering]])


def draw_questions(
    world: ToyWorld, split: str, clip: int, words: Sequence[str], frames: Sequence[int], weights: Map
) -> Figure:
    """Words ask, frames of the clip's face answer: one line for each entry of the map, wider for larger ones."""
    figure = Figure(figsize=(6.2, 3), layout="constrained")
    axis = figure.subplots()
    above, below = np.linspace(-1.6, 1.6, len(words)), np.linspace(-3.0, 3.0, len(frames))
    for x, word, row in zip(above, words, weights):
        box = {"facecolor": "white", "edgecolor": COLOURS["language"], "boxstyle": "round,pad=0.4"}
        axis.text(x, 2.6, f"“{word}”", ha="center", va="center", color=COLOURS["language"], bbox=box, zorder=3)
        for end, weight in zip(below, row):
            line = np.array([[x, end], [2.5, 0.75]])
            axis.plot(*line, color=COLOURS["vision"], linewidth=0.5 + 9 * weight, alpha=0.6, zorder=1)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
            axis.text(*line @ [0.28, 0.72], f"{weight:.2f}", fontsize=8, ha="center", va="center", bbox=box, zorder=2)
    for step, (x, frame) in enumerate(zip(below, frames), start=1):
        face = axis.inset_axes((x - 0.75, -0.85, 1.5, 1.5), transform=axis.transData)
        draw_face_at(face, world, split, clip, frame)
        axis.text(x, -1.05, f"step {step}", ha="center", va="center", fontsize=8, color=COLOURS["vision"])
    axis.text(-5.0, 2.6, "target\nasks (Q)", ha="center", va="center", fontsize=9)
    axis.text(-5.0, -0.1, "source\nanswers (K, V)", ha="center", va="center", fontsize=9)
    axis.set(xlim=(-6.2, 4.0), ylim=(-1.3, 3.1), aspect="equal")
    axis.axis("off")
    axis.set_title("Each word spreads one unit of attention over the steps of the face", fontsize=11)
    return figure


def draw_weights(
    maps: dict[str, Map], title: str, answering: str, rows: Sequence[str], columns: Sequence[str], right: Sequence[int]
) -> Figure:
    """Small maps side by side, with their numbers; dark is 1. `right`: the column to frame, for each row."""
    figure, axes = row_of_panels(len(maps), title, 1.0 + 0.36 * len(rows), sharey=True)
    for axis, (name, weights) in zip(axes, maps.items()):
        axis.imshow(weights, cmap=shades(answering), vmin=0, vmax=1, aspect="auto")
        write_numbers(axis, weights, fontsize=7)
        for t, s in enumerate(right):
            axis.add_patch(Rectangle((s - 0.5, t - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.8, zorder=3))
        axis.set_title(name, fontsize=9)
        axis.set_xticks(range(len(columns)), columns, fontsize=8)
        axis.set_yticks(range(len(rows)), rows, fontsize=8)
    return figure


def draw_sentence_maps(world: ToyWorld, split: str, clip: int, shares: Maps, seconds: Seconds, title: str) -> Figure:
    """The words of a sentence against time, in four maps of one clip.

    shares: (source, target) -> the map in fair shares. Where language answers, the map lies on its side, so that words
    are rows in all four. Bold: the telling word; dashed: the event; black bars: when each word is said.
    """
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots(2, 2, sharey=True)
    for column, m in enumerate(seconds):
        for axis, pair in zip(axes[:, column], ((m, "language"), ("language", m))):
            words_ask = pair[0] == m
            shown = shares[pair] if words_ask else shares[pair].T
            image = _words_against_time(axis, world, split, clip, shown, seconds[m], pair[0])
            asks = f"words ask, {m} answers" if words_ask else f"{m} asks, words answer"
            axis.set_title(asks, fontsize=9, color=COLOURS[pair[0]])
            bar = figure.colorbar(image, ax=axis, ticks=range(int(MOST) + 1), fraction=0.05, extend="max")
            bar.ax.tick_params(labelsize=7)
        axes[1, column].set_xlabel("seconds", fontsize=9)
    figure.suptitle(title, fontsize=11)
    legend = (
        f"Colour: attention in fair shares; 1 is an even spread, the darkest is {MOST:.0f} or more.\n"
        "Dashed: the event. Black bars: when each word is said. Bold: the telling word."
    )
    figure.supxlabel(legend, fontsize=8, color=QUIET)
    return figure


def _words_against_time(
    axis: Axes, world: ToyWorld, split: str, clip: int, shown: Map, seconds: np.ndarray, answering: str
) -> QuadMesh:
    truth = {name: values[clip] for name, values in world.truth[split].items()}
    words = world.splits[split].raw_text[clip].split()
    half = (seconds[1] - seconds[0]) / 2
    edges = np.append(seconds - half, seconds[-1] + half)
    style = {"cmap": shades(answering), "vmin": 0, "vmax": MOST}
    image = axis.pcolormesh(edges, np.arange(len(words) + 1) - 0.5, shown[1 : len(words) + 1], **style)
    for place in range(len(words)):
        said = truth["word_starts"][place + 1], truth["word_ends"][place + 1]
        axis.plot(said, (place, place), color=INK, linewidth=2, solid_capstyle="butt")
    mark_event(axis, truth)
    axis.set(xlim=(edges[0], min(float(truth["duration"]), edges[-1])), ylim=(len(words) - 0.5, -0.5))
    axis.set_yticks(range(len(words)), words, fontsize=8)
    axis.yaxis.get_major_ticks()[int(truth["telling_word"]) - 1].label1.set_fontweight("bold")
    axis.tick_params(axis="x", labelsize=7)
    return image


def draw_word(
    world: ToyWorld, split: str, clip: int, word: int, strips: dict[str, np.ndarray], seconds: Seconds, title: str
) -> Figure:
    """The attention between one word and the moments of face and voice, and the face where it is largest.

    strips: modality -> attention in fair shares at its real steps; `word` counts steps of the language, [CLS] is 0.
    """
    truth = {name: values[clip] for name, values in world.truth[split].items()}
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplot_mosaic([["face", "vision"], ["face", "audio"]], width_ratios=(1, 3.2))
    for m, shares in strips.items():
        width = seconds[m][1] - seconds[m][0]
        axes[m].bar(seconds[m][: len(shares)], shares, width, color=COLOURS[m], alpha=0.8)
        axes[m].axhline(1, color=QUIET, linestyle="dotted", linewidth=1)
        mark_event(axes[m], truth)
        said = truth["word_starts"][word], truth["word_ends"][word]
        axes[m].plot(said, (0, 0), color=INK, linewidth=5, solid_capstyle="butt", clip_on=False, zorder=3)
        axes[m].set(xlim=(0, truth["duration"]), ylim=(0, max(MOST, 1.05 * shares.max())))
        axes[m].set_ylabel(f"{m}\n(fair shares)", fontsize=8)
        tidy(axes[m], 7)
    axes["vision"].tick_params(labelbottom=False)
    axes["audio"].set_xlabel("seconds (black: when the word is said; dashed: the event; dotted: even)", fontsize=8)
    moment = seconds["vision"][int(strips["vision"].argmax())]
    draw_face_at(axes["face"], world, split, clip, int(moment * world.frame_rates["vision"]))
    axes["face"].set_title(f"the face at {moment:.1f} s", fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def mark_event(axis: Axes, truth: dict) -> None:
    """Dashed lines around the half second of the event."""
    for end in (-HALF_EVENT, HALF_EVENT):
        axis.axvline(truth["telling_seconds"] + end, color=INK, linestyle="dashed", linewidth=1)


def draw_pairs(
    panels: dict[str, tuple[dict[str, float], dict[str, float]]], names: tuple[str, str], title: str
) -> Figure:
    """Panels of bars in pairs: a value in the colour of the first word of its name, and below it its control in grey.

    All panels have the same names. The dashed line marks 1, the level of chance. A panel with a value above 20 gets a
    logarithmic axis.
    """
    rows = len(next(iter(panels.values()))[0])
    figure, axes = row_of_panels(len(panels), title, 1.2 + 0.36 * rows, sharey=True)
    for axis, (what, (values, controls)) in zip(axes, panels.items()):
        places, box = np.arange(len(values)), {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        for shift, numbers, colours in ((-0.2, values, COLOURS), (0.2, controls, {})):
            lengths, shades = zip(*((numbers[name], colours.get(name.split()[0], QUIET)) for name in values))
            bars = axis.barh(places + shift, lengths, 0.36, color=shades)
            axis.bar_label(bars, fmt="%.1f", fontsize=8, padding=2, bbox=box)
        axis.axvline(1, color=INK, linestyle="dashed", linewidth=1, zorder=0)
        axis.set_yticks(places, list(values), fontsize=8)
        axis.margins(x=0.2)
        if max(values.values()) > FAR:
            axis.set(xscale="log", xlim=(0.5, 3 * max(values.values())))
            axis.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
            axis.minorticks_off()
        (axis.set_title if len(panels) > 1 else axis.set_xlabel)(what, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(axis="x", labelsize=7)
    axes[0].invert_yaxis()
    figure.supxlabel(f"coloured: {names[0]}; grey: {names[1]}", fontsize=8, color=QUIET)
    return figure


def draw_dependence(
    points: dict[str, tuple[Float[np.ndarray, "clip"], Float[np.ndarray, "clip"]]], title: str, ylabel: str
) -> Figure:
    """A panel for each modality: what its event expresses, and how much attention the event gets; a dot is a clip."""
    figure, axes = row_of_panels(len(points), title, 2.8, sharey=True)
    for axis, (m, (expressed, attention)) in zip(axes, points.items()):
        axis.scatter(expressed, attention, s=12, color=COLOURS[m], alpha=0.6, linewidths=0)
        axis.axhline(1, color=INK, linestyle="dashed", linewidth=1)
        axis.set_xlabel(f"what {m} expresses (negative … positive)", fontsize=9)
        tidy(axis, 7)
    figure.axes[0].set_ylabel(ylabel, fontsize=9)
    return figure
