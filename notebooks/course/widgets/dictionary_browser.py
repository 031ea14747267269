"""Leaf through the dictionaries of a DHMD: an atom, and the clips that activate it."""

from __future__ import annotations

from html import escape

import ipywidgets
import numpy as np
from jaxtyping import Int

from course.dictionaries import USED, activations
from course.figures.dictionaries import draw_atom
from course.figures.plain import png
from course.figures.style import minus
from course.widgets import PICTURE
from dmdlite.config import MODALITIES, SPACES
from dmdlite.data.toy import ToyWorld
from dmdlite.models.dhmd import DHMD


class DictionaryBrowser:
    """Choose a space, a modality and an atom: which clips activate it most, and how its activation follows sentiment.

    Atoms are offered in the order of the chosen modality's mean activation, the most used first. atom: the one that is
    shown at the start, if not the most used.
    """

    def __init__(self, world: ToyWorld, model: DHMD, split: str = "test", atom: int | None = None):
        self.world, self.split = world, split
        self.shares = activations(model, world.splits[split])
        self.space = ipywidgets.ToggleButtons(options=SPACES, description="space")
        self.modality = ipywidgets.ToggleButtons(options=MODALITIES, description="modality")
        wide = {"width": "420px"}
        self.atom = ipywidgets.SelectionSlider(options=[-1], description="atom", continuous_update=False, layout=wide)
        self.picture, self.caption = ipywidgets.Image(format="png", layout=PICTURE), ipywidgets.HTML()
        for control in (self.space, self.modality):
            control.observe(lambda _: self._open(), names="value")
        self.atom.observe(lambda _: self._show(), names="value")
        self._open()
        self.atom.value = self.atom.value if atom is None else atom
        self.box = ipywidgets.VBox([self.space, self.modality, self.atom, self.caption, self.picture])
        self.box.add_class("dictionary-browser")

    def used(self, space: str, modality: str) -> Int[np.ndarray, " used"]:
        """The atoms that some clip of this modality activates, the most used first."""
        mean = self.shares[space][modality].mean(axis=0)
        return np.flatnonzero(mean > USED)[np.argsort(-mean[mean > USED], kind="stable")]

    def view(self, space: str, modality: str, atom: int) -> tuple[bytes, str]:
        """The picture of an atom, and a sentence about it."""
        shares, labels = self.shares[space], self.world.splits[self.split].labels
        own = shares[modality][:, atom]
        figure = draw_atom(
            self.world, self.split, shares, atom, modality, f"Atom {atom}, {space}: the clips that activate it most"
        )
        users = [m for m in MODALITIES if shares[m][:, atom].mean() > USED]
        mean = float(labels @ own / own.sum()) if own.sum() > 0 else 0.0
        told = minus(f"{(own > USED).mean():.0%} of the clips, at a mean sentiment of {mean:+.1f}")
        top = escape(self.world.splits[self.split].raw_text[int(own.argmax())])
        sentence = f"<b>Atom {atom}</b> is activated by {modality} in {told}, most by “{top}”; "
        return png(figure), sentence + f"used by {', '.join(users) or 'no modality'}"

    def _open(self) -> None:
        """Offers the atoms of another space or modality; the chosen one stays if it is among them."""
        atoms = [int(atom) for atom in self.used(self.space.value, self.modality.value)]
        kept = self.atom.value if self.atom.value in atoms else atoms[0]
        self.opening = True  # the new options would show their first atom before the kept one
        self.atom.options = atoms
        self.atom.value = kept
        self.opening = False
        self._show()

    def _show(self) -> None:
        if not self.opening:
            shown = self.space.value, self.modality.value, self.atom.value
            self.picture.value, self.caption.value = self.view(*shown)
