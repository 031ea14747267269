"""The three streams of a clip as the model gets them: time × channel, padding included; one moment in all of them."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course.figures.clips import draw_face_at
from dmdlite.config import MODALITIES
from dmdlite.data.toy import ToyWorld
from dmdlite.training.figures import COLOURS, INK, QUIET

COLOUR_MAP, LARGEST = "PuOr_r", 3.0  # zero is white


def steps_at(world: ToyWorld, split: str, clip: int, seconds: float) -> dict[str, int | None]:
    """The step of each stream at a moment: the word being said, the frame of face and voice; None outside of them."""
    truth, data = world.truth[split], world.splits[split]
    said = (truth["word_starts"][clip] <= seconds) & (seconds < truth["word_ends"][clip])
    steps = {"language": int(said.argmax()) if said.any() else None}
    for modality, rate in world.frame_rates.items():
        step = int(seconds * rate)
        steps[modality] = step if 0 <= step < data.lengths[modality][clip] else None
    return steps


def draw_streams(world: ToyWorld, split: str, clip: int, seconds: float | None = None) -> Figure:
    """One clip as three heat maps, each over its own steps, with a frame around the step of one moment in each.

    seconds: that moment; by default the middle of the telling word. On the left the face and the word of the moment.
    """
    seconds = float(world.truth[split]["telling_seconds"][clip]) if seconds is None else seconds
    steps = steps_at(world, split, clip, seconds)
    figure = Figure(figsize=(7, 5))
    layout = [["face", "language"], ["word", "vision"], ["scale", "audio"]]
    place = {"left": 0.02, "right": 0.985, "top": 0.87, "bottom": 0.09, "hspace": 0.68, "wspace": 0.42}
    axes = figure.subplot_mosaic(layout, width_ratios=(1, 3.6), height_ratios=(1.25, 1.1, 0.8), gridspec_kw=place)
    for modality in MODALITIES:
        image = _draw_stream(axes[modality], world, split, clip, modality, steps[modality])
    _draw_moment(axes["face"], axes["word"], world, split, clip, steps)
    axes["scale"].axis("off")
    narrow = {"location": "top", "fraction": 0.2, "shrink": 0.8, "aspect": 10}
    bar = figure.colorbar(image, ax=axes["scale"], ticks=(-LARGEST, 0, LARGEST), **narrow)
    bar.set_label("value", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axes["audio"].set_xlabel("step", fontsize=8)
    figure.suptitle(f"One moment, three step numbers: {seconds:.2f} seconds into the clip", fontsize=11)
    return figure


def _draw_stream(axis: Axes, world: ToyWorld, split: str, clip: int, modality: str, step: int | None):
    data = world.splits[split]
    values, length = data.features[modality][clip], int(data.lengths[modality][clip])
    steps, width = values.shape
    limits = {"vmin": -LARGEST, "vmax": LARGEST}
    image = axis.imshow(values.T, cmap=COLOUR_MAP, aspect="auto", interpolation="nearest", **limits)
    padding = {"facecolor": "#EEEEEE", "edgecolor": "#C8C8C8", "hatch": "////", "linewidth": 0}
    axis.add_patch(Rectangle((length - 0.5, -0.5), steps - length, width, **padding))
    if step is not None:
        frame = {"fill": False, "edgecolor": INK, "linewidth": 1.6, "clip_on": False}
        axis.add_patch(Rectangle((step - 0.5, -0.5), 1, width, **frame))
    where = "silence" if step is None else f"step {step}"
    title = f"{modality}: {where}; {length} of {steps} steps are real"
    axis.set_title(title, fontsize=9, loc="left", color=COLOURS[modality])
    if modality == "language":
        words = ["[CLS]", *data.raw_text[clip].split(), "[SEP]"]
        axis.set_xticks(range(length), words, rotation=30, ha="right", rotation_mode="anchor", fontsize=7)
        axis.set_yticks([])
        axis.set_ylabel(f"word vector\n({width} numbers)", fontsize=7)
    else:
        names = [name.replace("_", " ") for name in world.channels[modality]]
        axis.set_yticks(range(width), names, fontsize=6)
    axis.tick_params(axis="x", labelsize=7, length=2)
    axis.tick_params(axis="y", length=0)
    return image


def _draw_moment(face: Axes, word: Axes, world: ToyWorld, split: str, clip: int, steps: dict[str, int | None]) -> None:
    data = world.splits[split]
    face.axis("off")
    if steps["vision"] is not None:
        draw_face_at(face, world, split, clip, steps["vision"])
    said = "" if steps["language"] is None else data.raw_text[clip].split()[steps["language"] - 1]
    text, colour = (f"“{said}”", COLOURS["language"]) if said else ("(silence)", QUIET)
    word.text(0.5, 1.25, text, ha="center", va="top", fontsize=11, color=colour)
    word.axis("off")
