"""Read the attention of a trained model, one word at a time."""

from __future__ import annotations

from html import escape

import ipywidgets
import numpy as np
from jaxtyping import Float

from course.events import countable, event_steps, fair_shares, real_steps, step_seconds
from course.figures.attention import draw_word
from course.figures.plain import png
from dmdlite.components.reinforcement import attention_maps
from dmdlite.data.toy import ToyWorld
from dmdlite.models.dmd import DMD

WORD, FRAMES = "the word", "face and voice"  # who asks
Head = tuple[int, int] | None  # layer and head, or the mean of all


class AttentionReader:
    """Choose a clip and a word: where in face and voice it looks, or which of their moments look at it."""

    def __init__(self, world: ToyWorld, model: DMD, split: str = "test", clip: int = 0):
        self.world, self.split = world, split
        self.seconds = {m: step_seconds(model, world, m).numpy() for m in world.frame_rates}
        self.real = {m: steps.numpy() for m, steps in real_steps(model, world, split).items()}
        self.event = {m: steps.numpy() for m, steps in event_steps(model, world, split).items()}
        self.shares = self._all_shares(model)
        last = len(world.splits[split]) - 1
        self.slider = ipywidgets.IntSlider(clip, 0, last, description="clip", continuous_update=False)
        self.words = ipywidgets.ToggleButtons(description="word", style={"button_width": "auto"})
        self.asks = ipywidgets.ToggleButtons(
            options=[WORD, FRAMES], description="who asks", style={"button_width": "auto"}
        )
        layers, heads = model.config.layers, model.config.heads
        single = [(f"layer {i + 1}, head {h + 1}", (i, h)) for i in range(layers) for h in range(heads)]
        self.heads = ipywidgets.Dropdown(options=[("mean of all", None), *single], description="head")
        self.picture = ipywidgets.Image(format="png", layout={"align_self": "flex-start"})
        self.caption = ipywidgets.HTML()
        self.slider.observe(lambda change: self.open(change["new"]), names="value")
        for control in (self.words, self.asks, self.heads):
            control.observe(self.show, names="value")
        self.open(clip)
        how = ipywidgets.HBox([self.asks, self.heads], layout={"align_items": "flex-end"})
        self.box = ipywidgets.VBox([self.slider, self.words, how, self.caption, self.picture])
        self.box.add_class("attention-reader")

    def _all_shares(self, model: DMD) -> dict[tuple[str, str], np.ndarray]:
        """(source, target) -> the map of every clip in fair shares, (layer, clip, head, target, source)."""
        batch = self.world.splits[self.split].batch(slice(None))
        maps = attention_maps(model, {name: x for name, x in batch.items() if name != "labels"})
        real, causal = real_steps(model, self.world, self.split), model.config.causal_attention
        pairs = [pair for pair in maps if "language" in pair]
        return {p: fair_shares(maps[p], countable(maps, p, real, causal)[:, None]).numpy() for p in pairs}

    def strip(self, clip: int, word: int, asks: str, head: Head, modality: str) -> Float[np.ndarray, "step"]:
        """Attention between step `word` of the language and each real step of a modality, in fair shares."""
        pair = (modality, "language") if asks == WORD else ("language", modality)
        maps = self.shares[pair][:, clip]  # (layer, head, target, source)
        chosen = maps.mean((0, 1)) if head is None else maps[head]
        return (chosen[word] if asks == WORD else chosen[:, word])[self.real[modality][clip]]

    def view(self, clip: int, word: int, asks: str = WORD, head: Head = None) -> tuple[bytes, str]:
        """The picture of one word's attention, and the sentence with its numbers. The first word is step 1."""
        spoken = self.spoken(clip)[word - 1]
        strips = {m: self.strip(clip, word, asks, head, m) for m in self.seconds}
        moments = {m: self.seconds[m][shares.argmax()] for m, shares in strips.items()}
        looks = "looks most at" if asks == WORD else "is most looked at by"
        title = f"“{spoken}” {looks} {moments['vision']:.1f} s of the face, {moments['audio']:.1f} s of the voice"
        figure = draw_word(self.world, self.split, clip, word, strips, self.seconds, title)
        sentence = " ".join(
            f"<b><u>{escape(other)}</u></b>" if place == word else escape(other)
            for place, other in enumerate(self.spoken(clip), start=1)
        )
        means = {m: shares[self.event[m][clip][self.real[m][clip]]].mean() for m, shares in strips.items()}
        during = ", ".join(f"{m} {mean:.1f}" for m, mean in means.items())
        return png(figure), f"{sentence}<br>attention during the event, in fair shares: {during}"

    def spoken(self, clip: int) -> list[str]:
        return self.world.splits[self.split].raw_text[clip].split()

    def open(self, clip: int) -> None:
        """The words of another clip; its telling word is chosen."""
        said = self.spoken(clip)
        # Buttons are told apart by their labels, so the second "a" of a sentence needs its own.
        earlier = [said[:place].count(word) for place, word in enumerate(said)]
        labels = [f"{word} ({count + 1})" if count else word for word, count in zip(said, earlier)]
        self.words.unobserve(self.show, names="value")
        self.words.options = [(label, step) for step, label in enumerate(labels, start=1)]
        self.words.value = int(self.world.truth[self.split]["telling_word"][clip])
        self.words.observe(self.show, names="value")
        self.show()

    def show(self, _change: object = None) -> None:
        state = self.slider.value, self.words.value, self.asks.value, self.heads.value
        self.picture.value, self.caption.value = self.view(*state)
