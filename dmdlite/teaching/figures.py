"""What the notebooks draw: the map of the model, and a clip of the toy world as it looks, sounds and reads."""

from __future__ import annotations

import io
from collections.abc import Collection

import numpy as np
from IPython.display import Image, display
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse, FancyBboxPatch

from dmdlite.config import MODALITIES
from dmdlite.data.toy import ToyWorld
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET

# Stage -> (column, row, label). Rows count from the top; the map reads from left to right, as Fig. 2 of the paper does.
STAGES = {
    "streams": (0, 1.0, "three streams\n(L, V, A)"),
    "convolutions": (1, 1.0, "temporal\nconvolutions"),
    "decoupling": (2, 1.0, "decoupling\ncommon | private"),
    "margin": (3, -0.35, "margin loss on\ncommon features"),
    "homogeneous graph": (3, 0.5, "homogeneous\ngraph (GD-Unit)"),
    "attention": (3, 1.5, "cross-modal\nattention"),
    "heterogeneous graph": (3, 2.35, "heterogeneous\ngraph (GD-Unit)"),
    "fusion": (4, 1.0, "adaptive fusion\n→ sentiment"),
}
ARROWS = [
    *(("streams", "convolutions"), ("convolutions", "decoupling"), ("decoupling", "homogeneous graph")),
    *(("decoupling", "margin"), ("decoupling", "attention"), ("attention", "heterogeneous graph")),
    *(("decoupling", "fusion"), ("attention", "fusion")),
]
BOX_WIDTH, BOX_HEIGHT, COLUMN, ROW = 1.75, 0.62, 2.25, 0.95


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a picture."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def show(figure: Figure) -> None:
    """Shows a figure below a notebook cell."""
    display(Image(png(figure)))


def model_map(lit: Collection[str] = ()) -> Figure:
    """The stages of DMD from left to right; those in `lit` are today's."""
    if unknown := set(lit) - set(STAGES):
        raise ValueError(f"unknown stage {sorted(unknown)[0]!r}; a stage is one of {', '.join(STAGES)}")
    figure = Figure(figsize=(7, 2.7), layout="constrained")
    axis = figure.subplots()
    for start, end in ARROWS:
        _arrow(axis, _centre(start), _centre(end))
    for stage, (_, _, label) in STAGES.items():
        _box(axis, _centre(stage), label, stage in lit)
    axis.set(xlim=(-1.0, 4 * COLUMN + 1.0), ylim=(-2.75, 0.8), aspect="equal")
    axis.axis("off")
    place = "the whole model" if set(lit) == set(STAGES) else ", ".join(lit)
    axis.set_title(f"You are here: {place}" if lit else "The whole of DMD", fontsize=11, loc="left")
    return figure


def _centre(stage: str) -> tuple[float, float]:
    column, row, _ = STAGES[stage]
    return column * COLUMN, -row * ROW


def _box(axis: Axes, centre: tuple[float, float], label: str, lit: bool) -> None:
    x, y = centre
    corner = (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2)
    face, edge = ("#FBE3EC", MODEL) if lit else ("white", QUIET)
    style = {"boxstyle": "round,pad=0.02,rounding_size=0.1", "facecolor": face, "edgecolor": edge}
    axis.add_patch(FancyBboxPatch(corner, BOX_WIDTH, BOX_HEIGHT, linewidth=2 if lit else 1, zorder=2, **style))
    axis.text(x, y, label, ha="center", va="center", fontsize=7, color=INK, zorder=3)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    vertical = start[0] == end[0]
    tail = (start[0], start[1] - BOX_HEIGHT / 2) if vertical else (start[0] + BOX_WIDTH / 2, start[1])
    head = (end[0], end[1] + BOX_HEIGHT / 2) if vertical else (end[0] - BOX_WIDTH / 2, end[1])
    axis.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1}, zorder=1)


def draw_clip(
    world: ToyWorld, split: str, clip: int, prediction: float | None = None, *, reveal: bool = True
) -> Figure:
    """One clip: the face at its telling word, the words in time, the moving channels of face and voice.

    The title tells the true sentiment and, if given, the predicted one; with reveal=False neither it nor what each
    modality expresses is told.
    """
    truth = {name: values[clip] for name, values in world.truth[split].items()}
    data = world.splits[split]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    layout = [["face", "words"], ["face", "vision"], ["voice", "audio"]]
    axes = figure.subplot_mosaic(layout, width_ratios=(1, 3.2), height_ratios=(0.55, 1, 1))
    _draw_words(axes["words"], data.raw_text[clip].split(), truth)
    for modality, shown in (("vision", SHOWN_ON_FACE), ("audio", SHOWN_IN_VOICE)):
        _draw_channels(axes[modality], world, split, clip, modality, shown)
        axes[modality].axvspan(*_telling_span(truth), color="#F3F3F3", zorder=0)
        axes[modality].set_xlim(0, truth["duration"])
    axes["vision"].tick_params(labelbottom=False)
    axes["audio"].set_xlabel("seconds", fontsize=9)
    frame = data.features["vision"][clip, truth["vision_event"]]
    draw_face(axes["face"], dict(zip(world.channels["vision"], frame.tolist(), strict=True)))
    axes["voice"].axis("off")
    if reveal:
        axes["voice"].text(0.5, 0.6, _summary(truth), ha="center", va="center", fontsize=8, color=INK)
    true = f"true sentiment {data.labels[clip]:+.1f}" if reveal else "what does this person feel?"
    figure.suptitle(true if prediction is None else f"{true}, predicted {prediction:+.1f}", fontsize=12)
    return figure


def draw_bars(values: dict[str, float], title: str, ylabel: str, baseline: tuple[str, float] | None = None) -> Figure:
    """One bar for each name, in its modality's colour if it has one; `baseline` is a dashed line with a name."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axis = figure.subplots()
    colours = [COLOURS.get(name.split()[0], MODEL) for name in values]
    bars = axis.bar(list(values), list(values.values()), color=colours, width=0.6)
    axis.bar_label(bars, fmt="%.2f", fontsize=9, color="white", label_type="center")
    if baseline is not None:
        axis.axhline(baseline[1], color=QUIET, linestyle="dashed", linewidth=1)
        label = {"xycoords": ("axes fraction", "data"), "xytext": (0, 2), "textcoords": "offset points"}
        axis.annotate(baseline[0], (1, baseline[1]), **label, fontsize=8, ha="right", va="bottom")
    axis.set_ylabel(ylabel)
    axis.set_title(title, fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def draw_table(values: np.ndarray, rows: list[str], columns: list[str], title: str, what: str) -> Figure:
    """A heat map of numbers from 0 up on a logarithmic scale, dark where large; an empty field is exactly zero."""
    figure = Figure(figsize=(7, 0.9 + 0.27 * len(rows)), layout="constrained")
    axis = figure.subplots()
    scale = LogNorm(vmin=1e-5, vmax=10, clip=True)
    image = axis.imshow(np.where(values > 0, values, np.nan), cmap="Purples", aspect="auto", norm=scale)
    figure.colorbar(image, label=what)
    axis.set_xticks(range(len(columns)), columns, rotation=35, ha="right", fontsize=8)
    axis.set_yticks(range(len(rows)), rows, fontsize=8)
    axis.set_title(title, fontsize=11)
    return figure


SHOWN_ON_FACE = {
    "AU12_lip_corner_puller": ("smile (AU 12)", "solid"),
    "AU04_brow_lowerer": ("frown (AU 4)", "dashed"),
    "AU25_lips_part": ("lips part (AU 25)", "dotted"),
}
SHOWN_IN_VOICE = {"log_pitch": ("pitch", "solid"), "energy": ("energy", "dashed"), "jitter": ("creak", "dotted")}


def _draw_channels(axis: Axes, world: ToyWorld, split: str, clip: int, modality: str, shown: dict) -> None:
    length, names = world.splits[split].lengths[modality][clip], world.channels[modality]
    seconds = (np.arange(length) + 0.5) / world.frame_rates[modality]
    for name, (label, style) in shown.items():
        values = world.splits[split].features[modality][clip, :length, names.index(name)]
        axis.plot(seconds, values, label=label, linestyle=style, color=COLOURS[modality], linewidth=1.4)
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axis.set_ylabel(modality, fontsize=9)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_words(axis: Axes, words: list[str], truth: dict) -> None:
    """Each word over the time at which it is said; long sentences alternate between two heights."""
    telling = truth["telling_word"] - 1  # the first token is [CLS]
    for place, word in enumerate(words):
        middle = (truth["word_starts"][place + 1] + truth["word_ends"][place + 1]) / 2
        weight, colour = ("bold", COLOURS["language"]) if place == telling else ("normal", INK)
        axis.text(
            middle, 0.75 - 0.5 * (place % 2), word, ha="center", va="center", fontsize=8, weight=weight, color=colour
        )
    axis.axvspan(*_telling_span(truth), color="#F3F3F3", zorder=0)
    axis.set(xlim=(0, truth["duration"]), ylim=(0, 1))
    axis.axis("off")


def _telling_span(truth: dict) -> tuple[float, float]:
    return float(truth["telling_seconds"]) - 0.25, float(truth["telling_seconds"]) + 0.25


def _summary(truth: dict) -> str:
    views = "\n".join(f"{m} says {truth[f'{m}_view']:+.1f}" for m in MODALITIES)
    return views + ("\n(sarcastic words)" if truth["sarcastic"] else "")


def draw_face(axis: Axes, units: dict[str, float]) -> None:
    """A face from its action units: lip corners (AU 12 up, AU 15 down), brows (AU 4), cheeks (AU 6), lips (AU 25)."""
    mouth = np.clip(units["AU12_lip_corner_puller"] - 1.4 * units["AU15_lip_corner_depressor"], -2.5, 2.5) / 2.5
    brow = np.clip(units["AU04_brow_lowerer"], 0, 2.5) / 2.5
    axis.add_patch(Circle((0, 0), 1, facecolor="#FFF6E5", edgecolor=INK, linewidth=1.2))
    for side in (-1, 1):
        axis.add_patch(Ellipse((0.36 * side, 0.2), 0.16, 0.2, facecolor=INK))
        axis.plot([0.2 * side, 0.55 * side], [0.53 - 0.17 * brow, 0.5 + 0.06 * brow], color=INK, linewidth=2)
        if (cheek := np.clip(units["AU06_cheek_raiser"], 0, 2) / 2) > 0.15:
            axis.add_patch(Ellipse((0.58 * side, -0.12), 0.3, 0.2, facecolor=COLOURS["audio"], alpha=0.5 * cheek))
    x = np.linspace(-0.42, 0.42, 40)
    curve = -0.45 + mouth * (1.5 * x**2 - 0.13)
    opening = 0.12 * np.clip(units["AU25_lips_part"], 0, 1) * (1 - (x / 0.42) ** 2)
    axis.fill_between(x, curve - opening, curve + opening, color=COLOURS["audio"], alpha=0.5, linewidth=0)
    axis.plot(x, curve, color=INK, linewidth=2)
    axis.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal")
    axis.axis("off")
