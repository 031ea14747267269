"""Step through the clips of the toy world."""

from __future__ import annotations

from html import escape

import ipywidgets

from course.figures.clips import draw_clip
from course.figures.plain import png
from course.widgets import PICTURE
from dmdlite.data.toy import ToyWorld
from dmdlite.models.dmd import DMD
from dmdlite.training.loop import predict_logits


class ClipBrowser:
    """Step through clips of one split: the picture of each, its true sentiment and the model's."""

    def __init__(self, world: ToyWorld, model: DMD, split: str = "test"):
        self.world, self.split = world, split
        self.predictions = predict_logits(model, world.splits[split])
        self.slider = ipywidgets.IntSlider(
            description="clip", max=len(world.splits[split]) - 1, continuous_update=False, layout={"width": "500px"}
        )
        self.picture, self.caption = ipywidgets.Image(format="png", layout=PICTURE), ipywidgets.HTML()
        self.slider.observe(lambda change: self.show(change["new"]), names="value")
        self.show(0)
        self.box = ipywidgets.VBox([self.slider, self.caption, self.picture])

    def view(self, clip: int) -> tuple[bytes, str]:
        """The picture of a clip and a sentence about it."""
        label, prediction = self.world.splits[self.split].labels[clip], self.predictions[clip]
        words = escape(self.world.splits[self.split].raw_text[clip])
        caption = f"<b>“{words}”</b>: off by {abs(label - prediction):.1f}"
        return png(draw_clip(self.world, self.split, clip, float(prediction))), caption

    def show(self, clip: int) -> None:
        self.picture.value, self.caption.value = self.view(clip)
