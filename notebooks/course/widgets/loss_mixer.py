"""Mix the weights of Eq. (11): what each term is worth, and how strongly it pulls at each part of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import ipywidgets
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from course.figures.plain import png
from course.widgets import PICTURE
from dmdlite.components.losses import reconstruction_loss
from dmdlite.config import loss_weights
from dmdlite.models.dmd import DMD
from dmdlite.training.figures import INK, MODEL, QUIET

# Row of the picture -> how the names of its loss terms begin; and the switch that turns it off.
ROWS = {
    "task, 8 heads": "task_",
    "reconstruction": "reconstruction",
    "cycle": "cycle",
    "margin": "margin",
    "orthogonality": "orthogonality",
    "homogeneous graph": "gd_homogeneous",
    "heterogeneous graph": "gd_heterogeneous",
}
DECOUPLING = tuple(ROWS)[1:5]
SWITCHES = {
    "task": tuple(ROWS)[:1],
    "reconstruction, cycle": DECOUPLING[:2],
    "margin, orthogonality": DECOUPLING[2:],
    "graphs": tuple(ROWS)[5:],
}
NORMS = ("mean_square", "frobenius")
WIDE = {"width": "360px"}
VALUE = "loss"  # the first column; the others are the parts of `parts_of`
Shares = dict[str, dict[str, float]]  # column -> row -> share; the shares of a column add up to 1


def parts_of(model: DMD) -> dict[str, torch.nn.Module]:
    """What the decoupling losses can move, by the name of a column."""
    split = model.decouple
    modules = split.common_encoder, split.private_encoders, split.decoders, model.temporal
    return dict(zip(("common encoder", "private encoders", "decoders", "convolutions"), modules, strict=True))


@dataclass(frozen=True)
class Mix:
    """The state of the controls; the defaults are the published weights."""

    model: str
    lambda_1: float = 0.1
    gamma: float = 0.1
    lambda_2: float = 0.05
    norm: str = "mean_square"  # DMDConfig.reconstruction_norm
    off: frozenset[str] = frozenset()  # switches that are turned off


class Terms:
    """Every loss term of one batch: its value, and the inner products of all gradients at each part of the model.

    A weighted sum of losses has the weighted sum of their gradients. So these products, taken once, give the pull of
    any mix: its squared norm is wᵀ G w.
    """

    def __init__(self, model: DMD, batch: dict[str, Tensor]):
        out = model(**batch)
        parts = out.decoupled
        losses = {name: loss for name, loss in out.losses.items() if name not in ("reconstruction", "cycle")}
        for norm in NORMS:
            losses[f"reconstruction {norm}"] = reconstruction_loss(parts.projected, parts.reconstruction, norm)
            losses[f"cycle {norm}"] = reconstruction_loss(parts.private, parts.private_again, norm)
        self.names = list(losses)
        self.values = torch.stack([loss.detach() for loss in losses.values()]).double()
        self.products: dict[str, Float[Tensor, "term term"]] = {}
        for part, module in parts_of(model).items():
            gradients = torch.stack([_gradient(loss, module) for loss in losses.values()]).double()
            self.products[part] = gradients @ gradients.T

    def weights(self, mix: Mix) -> Float[Tensor, " term"]:
        """The weight of each term in Eq. (11)."""
        given = loss_weights(mix.lambda_1, mix.lambda_2, mix.gamma, every_head=True, only_logits=False)
        given = {
            name: 0.0 if any(_row(name) in SWITCHES[switch] for switch in mix.off) else x for name, x in given.items()
        }
        given |= {f"{name} {mix.norm}": given[name] for name in ("reconstruction", "cycle")}
        return torch.tensor([given.get(name, 0.0) for name in self.names], dtype=torch.float64)


class LossMixer:
    """Sliders for λ1, γ and λ2; bars for each term's share of the loss, and of the gradient at each part.

    models: name -> model, in evaluation mode. Two or three models; each costs one forward and a few backward passes.
    """

    def __init__(self, models: Mapping[str, DMD], batch: dict[str, Tensor]):
        self.terms = {name: Terms(model, batch) for name, model in models.items()}
        slider, menu = ipywidgets.SelectionSlider, ipywidgets.Dropdown
        self.model = menu(options=list(models), description="model")
        self.norm = menu(options=list(zip(("mean", "sum"), NORMS, strict=True)), description="squares")
        self.lambda_1 = slider(options=(0.0, 0.01, 0.1, 1.0, 10.0), value=0.1, description="λ1", layout=WIDE)
        self.gamma = slider(options=(0.0, 0.1, 1.0, 10.0, 100.0), value=0.1, description="γ", layout=WIDE)
        self.lambda_2 = slider(options=(0.0, 0.05, 0.5, 5.0), value=0.05, description="λ2", layout=WIDE)
        self.switches = {name: ipywidgets.Checkbox(value=True, description=name, indent=False) for name in SWITCHES}
        self.picture, self.caption = ipywidgets.Image(format="png", layout=PICTURE), ipywidgets.HTML()
        controls = [self.model, self.norm, self.lambda_1, self.gamma, self.lambda_2]
        for control in [*controls, *self.switches.values()]:
            control.observe(lambda change: self.show(self.mix), names="value")
        self.show(self.mix)
        menus, switches = (ipywidgets.HBox(line) for line in (controls[:2], list(self.switches.values())))
        self.box = ipywidgets.VBox([menus, *controls[2:], switches, self.caption, self.picture])

    @property
    def mix(self) -> Mix:
        off = frozenset(name for name, switch in self.switches.items() if not switch.value)
        sliders = self.lambda_1.value, self.gamma.value, self.lambda_2.value
        return Mix(self.model.value, *sliders, norm=self.norm.value, off=off)

    def totals(self, mix: Mix) -> dict[str, float]:
        """The total loss, and the norm of its gradient at each part."""
        terms, weights = self.terms[mix.model], self.terms[mix.model].weights(mix)
        pulls = {
            part: float((weights @ products @ weights).clamp_min(0).sqrt()) for part, products in terms.products.items()
        }
        return {VALUE: float(weights @ terms.values)} | pulls

    def shares(self, mix: Mix) -> Shares:
        """Each row's share of the total loss, and of the total gradient along its own direction, at each part.

        A row that pulls against the total has a negative share. Where nothing pulls, every share is 0.
        """
        terms, weights = self.terms[mix.model], self.terms[mix.model].weights(mix)
        worth = {VALUE: weights * terms.values}
        worth |= {part: weights * (products @ weights) for part, products in terms.products.items()}
        return {
            column: {
                row: float(
                    sum(x for name, x in zip(terms.names, each, strict=True) if _row(name) == row) / (each.sum() or 1)
                )
                for row in ROWS
            }
            for column, each in worth.items()
        }

    def draw(self, mix: Mix, title: str = "") -> Figure:
        return draw_shares(self.shares(mix), self.totals(mix), title)

    def view(self, mix: Mix) -> tuple[bytes, str]:
        """The picture of a mix, and a sentence about it."""
        picture, shares = png(self.draw(mix)), self.shares(mix)
        if not any(self.totals(mix).values()):
            return picture, "Everything is switched off: there is no loss, so nothing is learned."
        loss, pull = (sum(shares[column][row] for row in DECOUPLING) for column in (VALUE, "common encoder"))
        sentence = (
            f"The four decoupling terms are <b>{escape(_percent(loss))}</b> of the loss"
            f" and <b>{escape(_percent(pull))}</b> of the pull on the common encoder."
        )
        return picture, sentence

    def show(self, mix: Mix) -> None:
        self.picture.value, self.caption.value = self.view(mix)


def draw_shares(shares: Shares, totals: Mapping[str, float], title: str = "") -> Figure:
    """One column for each part, one bar for each row; a bar to the left pulls against the total."""
    figure = Figure(figsize=(7, 3.1))
    axis = figure.add_axes((0.185, 0.03, 0.81, 0.72 if title else 0.8))
    figure.suptitle(title, fontsize=11)
    step = 1.75
    for column, (name, rows) in enumerate(shares.items()):
        start = column * step
        values = list(rows.values())
        colours = [MODEL if row in DECOUPLING else QUIET for row in rows]
        axis.barh(range(len(values)), np.clip(values, -0.2, 1.1), left=start, color=colours, height=0.6)
        axis.plot([start, start], [-0.5, len(values) - 0.5], color=INK, linewidth=0.8)
        for place, value in enumerate(values):
            axis.text(start + np.clip(value, 0, 1.1) + 0.06, place, _percent(value), va="center", fontsize=7, color=INK)
        size = f"{totals[name]:.3g}" if totals[name] < 1000 else f"{totals[name]:,.0f}"
        heading = f"total loss\n{size}" if name == VALUE else f"pull on\n{name}\nlength {size}"
        axis.text(start, -0.75, heading, fontsize=7.5, va="bottom", color=INK)
    axis.set(xlim=(-0.15, len(shares) * step - 0.1), ylim=(len(ROWS) - 0.4, -0.6), xticks=[])
    axis.set_yticks(range(len(ROWS)), list(ROWS), fontsize=8)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


def _gradient(loss: Tensor, module: torch.nn.Module) -> Float[Tensor, " parameter"]:
    """The gradient of one loss at one part as a vector; zero where the loss does not reach."""
    parameters = list(module.parameters())
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found])


def _row(name: str) -> str:
    return next(row for row, start in ROWS.items() if name.startswith(start))


def _percent(share: float) -> str:
    """With a decimal where it is small; what is below 0.05 % and not zero is "<0.1 %"."""
    if 0 < abs(share) < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if 0 < abs(share) < 0.0995 else f"{100 * share:.0f} %"
