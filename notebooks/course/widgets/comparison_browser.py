"""Browse a stored comparison: choose a score, the models and their order, and see every seed beside DMD's."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets
import numpy as np
from scipy.stats import ttest_1samp

from course.comparison_table import LOWER_IS_BETTER, REFERENCE, SCORES, Compared
from course.figures.plain import png
from course.figures.rivals import draw_seeds
from course.widgets import PICTURE

GROUPS = {
    "all models": lambda row: row.kind == "model",
    "rivals of DMD": lambda row: row.is_multimodal and not row.is_ablation,
    "DMD and its ablations": lambda row: row.name == REFERENCE or row.is_ablation,
    "one modality each": lambda row: not row.is_multimodal and row.kind == "model",
}
ORDERS = ("best first", "steadiest first", "fewest parameters first")


class ComparisonBrowser:
    """A dot for each seed; below it mean ± standard deviation and the paired difference to DMD, seed by seed."""

    def __init__(self, rows: Mapping[str, Compared]):
        self.rows = dict(rows)
        self.score = ipywidgets.Dropdown(options=[(title, name) for name, title in SCORES.items()], description="score")
        self.group = ipywidgets.Dropdown(options=list(GROUPS), description="models")
        self.order = ipywidgets.Dropdown(options=list(ORDERS), description="order")
        self.picture, self.table = ipywidgets.Image(format="png", layout=PICTURE), ipywidgets.HTML()
        controls = [self.score, self.group, self.order]
        for control in controls:
            control.observe(lambda _: self.show(), names="value")
        self.show()
        self.box = ipywidgets.VBox([ipywidgets.HBox(controls), self.picture, self.table])
        self.box.add_class("comparison-browser")

    def chosen(self, score: str, group: str, order: str) -> list[Compared]:
        """The rows of a group in an order; DMD is always among them, for the others are held against it."""
        rows = [row for row in self.rows.values() if GROUPS[group](row) or row.name == REFERENCE]
        sign = 1 if score in LOWER_IS_BETTER else -1
        keys = {
            "best first": lambda row: sign * row.mean(score),
            "steadiest first": lambda row: row.std(score) or 0.0,
            "fewest parameters first": lambda row: row.parameters or 0,
        }
        return sorted(rows, key=keys[order])

    def view(self, score: str, group: str, order: str) -> tuple[bytes, str]:
        """The picture and the table below it."""
        rows = self.chosen(score, group, order)
        best = min(rows, key=lambda row: row.mean(score) if score in LOWER_IS_BETTER else -row.mean(score))
        values = {row.title: list(row.scores[score].values()) for row in rows}
        title = f"{order}: {rows[0].title}; the best mean {SCORES[score]}: {best.title}, {best.mean(score):.3f}"
        constant = {"a constant": self.rows["constant"].mean(score)} if "constant" in self.rows else {}
        picture = draw_seeds(values, title, f"test {SCORES[score]}, one dot for each seed", constant)
        return png(picture), self.html(rows, score)

    def html(self, rows: list[Compared], score: str) -> str:
        """One row for each model: its scores, its paired difference to DMD, and on how many seeds it is better."""
        cell, lines = "<td style='padding: 1px 16px 1px 0'>{}</td>", []
        titles = ("model", SCORES[score], "less DMD's, same seed", "better than DMD on", "p", "parameters")
        for row in rows:
            parameters = "" if row.parameters is None else f"{row.parameters:,}"
            own = (row.title, spread(row.mean(score), row.std(score)), *self.against(row, score), parameters)
            lines.append("".join(map(cell.format, own)))
        head = "".join(cell.format(f"<b>{title}</b>") for title in titles)
        return "<table>" + "".join(f"<tr>{line}</tr>" for line in [head, *lines]) + "</table>"

    def against(self, row: Compared, score: str) -> tuple[str, str, str]:
        """The mean paired difference, the count of seeds, and the p of the paired t-test, which is not corrected."""
        differences = np.array(list(row.differences(self.rows[REFERENCE], score).values()))
        if row.name == REFERENCE or not len(differences):
            return "", "", ""
        better = int((differences < 0).sum() if score in LOWER_IS_BETTER else (differences > 0).sum())
        several = len(differences) > 1 and differences.std() > 0
        p = f"{ttest_1samp(differences, 0).pvalue:.3f}" if several else ""
        std = float(differences.std(ddof=1)) if len(differences) > 1 else None
        return spread(float(differences.mean()), std, "+"), f"{better} of {len(differences)} seeds", p

    def show(self) -> None:
        self.picture.value, self.table.value = self.view(self.score.value, self.group.value, self.order.value)


def spread(mean: float, std: float | None, sign: str = "") -> str:
    text = f"{mean:{sign}.3f}" if std is None else f"{mean:{sign}.3f} ± {std:.3f}"
    return text.replace("-", "−")
