"""A clip of the toy world as it looks, sounds and reads."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse

from course.figures.style import GROUND, tidy
from dmdlite.config import MODALITIES
from dmdlite.data.toy import ToyWorld
from dmdlite.training.figures import COLOURS, INK

SHOWN_ON_FACE = {
    "AU12_lip_corner_puller": ("smile (AU 12)", "solid", 0.0),
    "AU04_brow_lowerer": ("frown (AU 4)", "dashed", -0.6),
    "AU25_lips_part": ("lips part (AU 25)", "dotted", 0.35),
}
SHOWN_IN_VOICE = {
    "log_pitch": ("pitch", "solid", 0.0),
    "energy": ("energy", "dotted", 0.35),
    "jitter": ("creak", "dashed", -0.6),
}


def draw_clip(
    world: ToyWorld, split: str, clip: int, prediction: float | None = None, *, reveal: bool = True
) -> Figure:
    """One clip: the face at its telling word, the words in time, the moving channels of face and voice.

    The title gives the true sentiment and the prediction, if there is one. With reveal=False the true sentiment and
    each modality's view stay hidden.
    """
    truth = {name: values[clip] for name, values in world.truth[split].items()}
    data = world.splits[split]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    layout = [["face", "words"], ["face", "vision"], ["voice", "audio"]]
    axes = figure.subplot_mosaic(layout, width_ratios=(1, 3.2), height_ratios=(0.55, 1, 1))
    if _draw_words(axes["words"], data.raw_text[clip].split(), truth):
        axes["words"].set_title(f"“{data.raw_text[clip]}”", fontsize=8, color=COLOURS["language"])
    for modality, shown in (("vision", SHOWN_ON_FACE), ("audio", SHOWN_IN_VOICE)):
        _draw_channels(axes[modality], world, split, clip, modality, shown)
        axes[modality].axvspan(*_telling_span(truth), color=GROUND, zorder=0)
        axes[modality].set_xlim(0, truth["duration"])
    axes["vision"].tick_params(labelbottom=False)
    axes["audio"].set_xlabel("seconds", fontsize=9)
    draw_face_at(axes["face"], world, split, clip, truth["vision_event"])
    axes["voice"].axis("off")
    if reveal:
        axes["voice"].text(0.5, 0.6, _summary(truth), ha="center", va="center", fontsize=8, color=INK)
    true = f"true sentiment {data.labels[clip]:+.1f}" if reveal else "What does this person express?"
    title = true if prediction is None else f"{true}, predicted {prediction:+.1f}"
    figure.suptitle(title.replace("-", "−"), fontsize=12)
    return figure


def _draw_channels(axis: Axes, world: ToyWorld, split: str, clip: int, modality: str, shown: dict) -> None:
    length, names = world.splits[split].lengths[modality][clip], world.channels[modality]
    seconds = (np.arange(length) + 0.5) / world.frame_rates[modality]
    for name, (label, style, shade) in shown.items():
        values = world.splits[split].features[modality][clip, :length, names.index(name)]
        axis.plot(seconds, values, label=label, linestyle=style, color=_shaded(COLOURS[modality], shade), linewidth=1.5)
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axis.set_ylabel(modality, fontsize=9)
    tidy(axis, 7)


def _shaded(colour: str, shade: float) -> np.ndarray:
    """A colour mixed with white (up to 1) or with black (down to −1)."""
    return (1 - abs(shade)) * np.array(to_rgb(colour)) + max(shade, 0.0)


def _draw_words(axis: Axes, words: list[str], truth: dict) -> bool:
    """Writes each word at the time it is said; one that would touch its neighbour moves to a second line.

    Returns whether there is a second line.
    """
    telling = truth["telling_word"] - 1  # the first token is [CLS]
    letter = 0.017 * truth["duration"]  # the width of a letter, in seconds of this axis
    taken = 0.0  # until when the first line is
    moved = False
    for place, word in enumerate(words):
        middle = (truth["word_starts"][place + 1] + truth["word_ends"][place + 1]) / 2
        weight, colour = ("bold", COLOURS["language"]) if place == telling else ("normal", INK)
        half = letter * (len(word) + 1) / 2
        first = middle - half >= taken
        taken = middle + half if first else taken
        moved = moved or not first
        style = {"ha": "center", "va": "center", "fontsize": 8, "weight": weight, "color": colour}
        axis.text(middle, 0.65 if first else 0.2, word, **style)
    axis.axvspan(*_telling_span(truth), color=GROUND, zorder=0)
    axis.set(xlim=(0, truth["duration"]), ylim=(0, 1))
    axis.axis("off")
    return moved


def _telling_span(truth: dict) -> tuple[float, float]:
    return float(truth["telling_seconds"]) - 0.25, float(truth["telling_seconds"]) + 0.25


def _summary(truth: dict) -> str:
    views = "\n".join(f"{m}'s view {truth[f'{m}_view']:+.1f}".replace("-", "−") for m in MODALITIES)
    return views + ("\n(sarcastic words)" if truth["sarcastic"] else "")


def draw_face_at(axis: Axes, world: ToyWorld, split: str, clip: int, frame: int | np.integer) -> None:
    """The face of a clip in one frame of its vision stream."""
    values = world.splits[split].features["vision"][clip, frame]
    draw_face(axis, dict(zip(world.channels["vision"], values.tolist(), strict=True)))


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
