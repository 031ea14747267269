"""Stretch and shift a model's predictions, and see which scores notice."""

from __future__ import annotations

import ipywidgets
import numpy as np
from jaxtyping import Float

from course.figures.plain import png
from course.figures.scores import draw_scores, wrong_side
from course.figures.style import minus
from course.widgets import html_table
from dmdlite.training.metrics import sentiment_metrics

SHOWN = {"mae": "MAE", "corr": "Corr", "acc2": "ACC2", "f1": "F1", "acc7": "ACC7"}


class ScoreExplorer:
    """Two sliders: every prediction is multiplied by `scale`, then `shift` is added. The scores are computed again."""

    def __init__(self, predictions: Float[np.ndarray, "clips"], labels: Float[np.ndarray, "clips"], colour: str):
        self.predictions, self.labels, self.colour = predictions, labels, colour
        scales = [-1.0, 0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0]
        wide = {"continuous_update": False, "layout": {"width": "500px"}}
        self.scale = ipywidgets.SelectionSlider(description="multiply by", options=scales, value=1.0, **wide)
        self.shift = ipywidgets.FloatSlider(description="then add", min=-2, max=2, step=0.25, **wide)
        self.picture, self.table = ipywidgets.Image(format="png"), ipywidgets.HTML()
        for slider in (self.scale, self.shift):
            slider.observe(lambda _: self.show(self.scale.value, self.shift.value), names="value")
        self.show(1.0, 0.0)
        self.box = ipywidgets.VBox([self.scale, self.shift, ipywidgets.HBox([self.picture, self.table])])

    def moved(self, scale: float, shift: float) -> Float[np.ndarray, "clips"]:
        return scale * self.predictions + shift

    def scores(self, scale: float, shift: float) -> dict[str, float]:
        """The five scores of the moved predictions, by their names in `sentiment_metrics`."""
        every = sentiment_metrics(self.moved(scale, shift), self.labels)
        return {name: every[name] for name in SHOWN}

    def view(self, scale: float, shift: float) -> tuple[bytes, str]:
        """The picture of the moved predictions, and an HTML table of their scores beside those of the model."""
        moved, before, after = self.moved(scale, shift), self.scores(1.0, 0.0), self.scores(scale, shift)
        wrong = int(wrong_side(moved, self.labels).sum())
        formula = minus(f"{scale:g} · prediction {'-' if shift < 0 else '+'} {abs(shift):g}")
        rows = [(formula, "the model", "moved", "")]
        for name, label in SHOWN.items():
            changed = "changed" if round(after[name] - before[name], 3) else ""
            rows.append((label, f"{before[name]:.3f}", f"<b>{after[name]:.3f}</b>", changed))
        return png(draw_scores(moved, self.labels, f"{formula}: {wrong} wrong signs", self.colour)), html_table(rows)

    def show(self, scale: float, shift: float) -> None:
        self.picture.value, self.table.value = self.view(scale, shift)
