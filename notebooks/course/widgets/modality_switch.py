"""Switch streams off, and see how a prediction and the attention on the words change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from html import escape

import ipywidgets
import numpy as np
import torch
from jaxtyping import Float

from course.figures.plain import png
from course.figures.style import minus
from course.figures.switches import draw_switched
from course.widgets import PICTURE
from dmdlite.components.reinforcement import attention_maps
from dmdlite.config import MODALITIES
from dmdlite.data.toy import ToyWorld
from dmdlite.models.dmd import DMD

ASKERS = {"face": "vision", "voice": "audio"}  # who looks at the words
Reading = tuple[float, dict[str, Float[np.ndarray, "word"]]]  # the prediction, and each asker's attention on the words


class ModalitySwitch:
    """Choose a clip and which streams the model gets: its prediction, and where face and voice look among the words.

    A stream that is off is replaced by the average training clip. The slider starts at clip `first`.
    """

    def __init__(self, world: ToyWorld, model: DMD, split: str = "test", first: int = 0):
        self.world, self.model, self.split = world, model, world.splits[split]
        self.truth = world.truth[split]
        self.average = {m: x.mean(axis=0) for m, x in world.splits["train"].features.items()}
        self.read = lru_cache(maxsize=64)(self.read)
        self.slider = ipywidgets.IntSlider(
            first, description="clip", max=len(self.split) - 1, continuous_update=False, layout={"width": "500px"}
        )
        self.switches = {m: ipywidgets.ToggleButton(value=True, description=m, icon="check") for m in MODALITIES}
        self.picture, self.caption = ipywidgets.Image(format="png", layout=PICTURE), ipywidgets.HTML()
        for control in (self.slider, *self.switches.values()):
            control.observe(lambda _: self.show(self.slider.value, self.on), names="value")
        self.show(first, MODALITIES)
        row = ipywidgets.HBox(list(self.switches.values()))
        self.box = ipywidgets.VBox([self.slider, row, self.caption, self.picture])
        self.box.add_class("modality-switch")

    @property
    def on(self) -> tuple[str, ...]:
        """The streams that are switched on."""
        return tuple(m for m, switch in self.switches.items() if switch.value)

    def read(self, clip: int, on: tuple[str, ...]) -> Reading:
        """The prediction for one clip, and the share of each word in the attention of face and voice.

        The shares are of the last layer, averaged over the heads and the real frames of the clip.
        """
        seen = {m: self.split.features[m][clip : clip + 1] if m in on else self.average[m][None] for m in MODALITIES}
        batch = replace(self.split.subset([clip]), features=seen).batch([0])
        with torch.no_grad():
            prediction = self.model(**batch).prediction.item()
        maps, shares = attention_maps(self.model, batch), {}
        for asker, modality in ASKERS.items():
            rows = self.split.lengths[modality][clip] - self.model.config.kernel_sizes[modality] + 1
            words = maps["language", modality][-1, 0, :, : max(rows, 1)].mean(dim=(0, 1))
            shares[asker] = words[1 : self.truth["sentence_length"][clip] + 1].numpy()  # [CLS] comes first
        return prediction, shares

    def view(self, clip: int, on: Collection[str]) -> tuple[bytes, str]:
        """The picture of a clip with some streams on, and a sentence about it."""
        on = tuple(m for m in MODALITIES if m in on)
        (everything, before), (now, after) = self.read(clip, MODALITIES), self.read(clip, on)
        true, words = float(self.split.labels[clip]), self.split.raw_text[clip].split()
        telling = int(self.truth["telling_word"][clip]) - 1
        picture = draw_switched(true, everything, now, words, telling, (before, after), hidden="language" not in on)
        off = [m for m in MODALITIES if m not in on]
        named = "anything" if len(off) == len(MODALITIES) else " and ".join(off)
        change = f"without {named} {now:+.1f}" if off else "nothing is switched off"
        kind = "sarcastic, " if self.truth["sarcastic"][clip] else ""
        said = f"{kind}true {true:+.1f}, from all streams {everything:+.1f}, {change}"
        return png(picture), minus(f"<b>“{escape(' '.join(words))}”</b>: {said}")

    def show(self, clip: int, on: Collection[str]) -> None:
        for modality, switch in self.switches.items():
            switch.icon = "check" if modality in on else "times"
        self.picture.value, self.caption.value = self.view(clip, on)
