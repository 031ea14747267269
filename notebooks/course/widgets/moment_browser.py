"""One moment of a clip in all three streams, and the clip's voice."""

from __future__ import annotations

from html import escape

import ipywidgets

from course.figures.plain import png
from course.figures.streams import draw_streams, steps_at
from course.voice import player, synthesise
from course.widgets import PICTURE
from dmdlite.data.toy import ToyWorld


class MomentBrowser:
    """Move through a clip: at each moment the face, the word, and the step of each stream; the voice can be played."""

    def __init__(self, world: ToyWorld, split: str = "test", clip: int = 0):
        self.world, self.split = world, split
        last = len(world.splits[split]) - 1
        wide = {"continuous_update": False, "layout": {"width": "500px"}}
        self.clip = ipywidgets.IntSlider(clip, 0, last, description="clip", **wide)
        self.seconds = ipywidgets.FloatSlider(min=0, step=0.1, description="seconds", readout_format=".1f", **wide)
        self.picture = ipywidgets.Image(format="png", layout=PICTURE)
        self.caption = ipywidgets.HTML()
        self.voice = ipywidgets.HTML()
        self.seconds.observe(lambda change: self.show(self.clip.value, change["new"]), names="value")
        self.clip.observe(lambda change: self._open(change["new"]), names="value")
        self._open(clip)
        self.box = ipywidgets.VBox([self.clip, self.seconds, self.caption, self.picture, self.voice])

    def view(self, clip: int, seconds: float) -> tuple[bytes, str]:
        """The picture of a moment, and a sentence about it."""
        steps = steps_at(self.world, self.split, clip, seconds)
        words = ["[CLS]", *self.world.splits[self.split].raw_text[clip].split()]
        said = "silence" if steps["language"] is None else f"“{words[steps['language']]}”"
        where = ", ".join(f"{modality} step {step}" for modality, step in steps.items() if step is not None)
        caption = f"{seconds:.1f} s: <b>{escape(said)}</b> {where}"
        return png(draw_streams(self.world, self.split, clip, seconds)), caption

    def show(self, clip: int, seconds: float) -> None:
        self.picture.value, self.caption.value = self.view(clip, seconds)

    def _open(self, clip: int) -> None:
        """Another clip, at its telling word, with its own length and its own voice."""
        truth, data = self.world.truth[self.split], self.world.splits[self.split]
        self.voice.value = player(synthesise(data.features["audio"][clip, : data.lengths["audio"][clip]]))
        moment = round(float(truth["telling_seconds"][clip]), 1)
        if moment == self.seconds.value:
            self.show(clip, moment)
        with self.seconds.hold_trait_notifications():  # one change, one drawing
            self.seconds.max = int(10 * truth["duration"][clip]) / 10  # the last tenth that still has a frame
            self.seconds.value = moment
