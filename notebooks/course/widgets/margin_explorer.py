"""Move one sample on the circle and change the margin: which triplets of Eq. (4) are active, and where does it pull?"""

from __future__ import annotations

from dataclasses import dataclass

import ipywidgets
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from course.figures.geometry import Place, Samples, draw_triplets, on_circle, signed
from course.figures.plain import png
from course.widgets import html_table
from dmdlite.components.losses import margin_contrastive_loss
from dmdlite.config import MODALITIES, DMDConfig

LABELS = torch.tensor([2.0, 1.0, -2.0])
DEGREES = {"language": (90, 65, 200), "vision": (20, 100, 165), "audio": (-10, 45, 235)}
ANCHOR = ("language", 0)  # the sample that is moved
MARGINS = (0.0, 0.15, 0.3, 0.5, 1.0, 2.0)
WIDE = {"width": "400px"}
KINDS = {"constant: α": False, "per label distance: α · |y_i − y_k|": True}


@dataclass
class Triplet:
    """One triplet of the anchor, and what Eq. (4) makes of it."""

    positive: Place
    negative: Place
    margin: float
    to_positive: float  # cosines
    to_negative: float
    hinge: float


@dataclass
class Situation:
    """Everything that the picture shows."""

    samples: Samples
    loss: float
    triplets: list[Triplet]  # those whose anchor is the moved sample
    step: Float[Tensor, "2"]  # minus the gradient with respect to the moved sample: where descent moves it

    @property
    def active(self) -> list[Triplet]:
        return [triplet for triplet in self.triplets if triplet.hinge > 0]


class MarginExplorer:
    """Three clips as nine unit vectors; one of them, the language of the first clip, is the student's to move."""

    def __init__(self):
        self.angle = ipywidgets.IntSlider(90, -180, 180, 15, description="angle", layout=WIDE)
        self.margin = ipywidgets.SelectionSlider(options=MARGINS, value=0.3, description="margin α", layout=WIDE)
        self.kind = ipywidgets.Dropdown(options=list(KINDS), description="kind", layout=WIDE)
        # A box would stretch the picture to its own width.
        self.picture = ipywidgets.Image(format="png", layout={"width": "460px", "align_self": "flex-start"})
        self.caption, self.table = ipywidgets.HTML(), ipywidgets.HTML()
        controls = [self.angle, self.margin, self.kind]
        for control in controls:
            control.observe(lambda _: self.show(), names="value")
        self.show()
        self.box = ipywidgets.VBox([*controls, self.caption, self.picture, self.table])
        self.box.add_class("margin-explorer")

    def situation(self, angle: int, margin: float, kind: str) -> Situation:
        """What the package computes with the paper's set S when the moved sample is at `angle` (in degrees)."""
        modality, clip = ANCHOR
        samples = {m: on_circle(DEGREES[m]) for m in MODALITIES}
        samples[modality][clip] = on_circle([angle])[0]
        for x in samples.values():
            x.requires_grad_()
        constant, per_label = (0.0, margin) if KINDS[kind] else (margin, 0.0)
        config = DMDConfig.paper(margin_constant=constant, margin_per_label_distance=per_label)
        loss = margin_contrastive_loss(samples, LABELS, config)
        loss.backward()
        step = -samples[modality].grad[clip]
        samples = {m: x.detach() for m, x in samples.items()}
        return Situation(samples, loss.item(), triplets_of_anchor(samples, constant, per_label), step)

    def figure(self, angle: int, margin: float, kind: str) -> Figure:
        """The circle with the anchor's active triplets and the arrow of its step."""
        now = self.situation(angle, margin, kind)
        pairs = [(triplet.positive, triplet.negative) for triplet in now.active]
        title = f"loss {now.loss:.3f}, active triplets: {len(now.active)} of {len(now.triplets)}"
        return draw_triplets(now.samples, LABELS, ANCHOR, pairs, title, now.step)

    def view(self, angle: int, margin: float, kind: str) -> tuple[bytes, str, str]:
        """A picture, a sentence, and a table of the anchor's triplets."""
        now = self.situation(angle, margin, kind)
        count = f"{len(now.active)} of the moved sample's {len(now.triplets)} triplets are active"
        caption = f"<b>loss {now.loss:.3f}</b>: {count}"
        return png(self.figure(angle, margin, kind)), caption, write_triplets(now.triplets)

    def show(self) -> None:
        state = self.angle.value, self.margin.value, self.kind.value
        self.picture.value, self.caption.value, self.table.value = self.view(*state)


def triplets_of_anchor(samples: Samples, constant: float, per_label: float) -> list[Triplet]:
    """Each positive (the same clip, another modality) with each negative (another clip, the same modality)."""
    modality, clip = ANCHOR
    anchor, triplets = samples[modality][clip], []
    for other in (m for m in MODALITIES if m != modality):
        for k in (k for k in range(len(LABELS)) if k != clip):
            margin = constant + per_label * float((LABELS[clip] - LABELS[k]).abs())
            near, far = float(anchor @ samples[other][clip]), float(anchor @ samples[modality][k])
            triplets.append(Triplet((other, clip), (modality, k), margin, near, far, max(0.0, margin - near + far)))
    return triplets


def write_triplets(triplets: list[Triplet]) -> str:
    """An HTML table with a row for each triplet of the anchor."""
    rows = [("positive", "negative", "margin", "cosine to positive", "to negative", "hinge")]
    for t in triplets:
        names = [f"{modality} of {signed(LABELS[clip].item())}" for modality, clip in (t.positive, t.negative)]
        rows.append((*names, *(f"{value:.2f}" for value in (t.margin, t.to_positive, t.to_negative, t.hinge))))
    return html_table(rows)
