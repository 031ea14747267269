"""What the paper says, what the published code says, and what the model then computes."""

from __future__ import annotations

from html import escape

import ipywidgets
import torch

from course.widgets import html_table
from dmdlite.config import DMDConfig
from dmdlite.models.dmd import DMD


class PaperOrCode:
    """Choose one difference between paper and published code: what each says, and what the model then computes."""

    def __init__(self, batch: dict[str, torch.Tensor], code: DMDConfig, paper: DMDConfig):
        self.batch, self.code, self.paper = batch, code, paper
        torch.manual_seed(0)
        self.start = DMD(code).state_dict()
        self.differences = [name for name in code.to_dict() if getattr(code, name) != getattr(paper, name)]
        self.menu = ipywidgets.Dropdown(options=self.differences, description="field")
        self.table = ipywidgets.HTML()
        self.menu.observe(lambda change: self.show(change["new"]), names="value")
        self.show(self.differences[0])
        self.box = ipywidgets.VBox([self.menu, self.table])

    def outcome(self, name: str, source: DMDConfig) -> dict[str, float]:
        """Total loss, first prediction and number of parameters of a fresh model with one field taken from `source`.

        All models start from the same weights, as far as their shapes agree.
        """
        torch.manual_seed(0)
        model = DMD(self.code.replace(**{name: getattr(source, name)})).eval()
        own = model.state_dict()
        same = {
            key: x for key, x in self.start.items() if key in own and own[key].shape == x.shape and "prior" not in key
        }
        model.load_state_dict(own | same)
        with torch.no_grad():
            out = model(**self.batch)
        parameters = sum(p.numel() for p in model.parameters())
        return {"total loss": out.loss.item(), "first prediction": out.prediction[0].item(), "parameters": parameters}

    def view(self, name: str) -> str:
        """An HTML table of the two sides."""
        sides = [("published code", self.code), ("paper", self.paper)]
        outcomes = [self.outcome(name, source) for _, source in sides]
        rows = [("", *(title for title, _ in sides))]
        rows.append(
            (f"<code>{name}</code>", *(f"<code>{escape(_short(getattr(source, name)))}</code>" for _, source in sides))
        )
        for what in outcomes[0]:
            form = "{:,d}" if what == "parameters" else "{:.3f}"
            rows.append((what, *(form.format(outcome[what]) for outcome in outcomes)))
        return html_table(rows)

    def show(self, name: str) -> None:
        self.table.value = self.view(name)


def _short(value: object) -> str:
    """A field's value; of a dict only what is not zero, and numbers with three digits."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_short(entry)}" for key, entry in value.items() if entry != 0) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_short, value)) + "]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
