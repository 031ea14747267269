"""Browse a stored comparison: choose a score, the models and their order, and see every seed beside DMD's."""

from __future__ import annotations

import ipywidgets
from pandas import DataFrame

from course.comparison_table import LOWER_IS_BETTER, SCORES, models_of
from course.figures.plain import png
from course.figures.rivals import draw_seeds
from course.widgets import PICTURE
from dmdlite.experiments.reports import plus_minus
from dmdlite.experiments.tables import REFERENCE, Comparison, paired_test, title_of

GROUPS = {
    "all models": lambda models: models.kind == "model",
    "rivals of DMD": lambda models: models.multimodal & ~models.ablation,
    "DMD and its ablations": lambda models: models.ablation,
    "one modality each": lambda models: ~models.multimodal,
}
ORDERS = ("best first", "steadiest first", "fewest parameters first")


class ComparisonBrowser:
    """A dot for each seed; below it mean ± standard deviation and the paired difference to DMD, seed by seed."""

    def __init__(self, found: Comparison):
        self.found, self.models = found, models_of(found)
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

    def chosen(self, score: str, group: str, order: str) -> DataFrame:
        """The rows of a group in an order. DMD is always among them, because the others are compared with it."""
        rows = self.models[GROUPS[group](self.models) | (self.models.index == REFERENCE)]
        columns = {"best first": f"{score}_mean", "steadiest first": f"{score}_std"}
        upwards = order != "best first" or score in LOWER_IS_BETTER
        return rows.sort_values(columns.get(order, "parameters"), ascending=upwards, kind="stable", na_position="first")

    def view(self, score: str, group: str, order: str) -> tuple[bytes, str]:
        """The picture and the table below it."""
        rows, runs = self.chosen(score, group, order), self.found.scores(score)
        means = rows[f"{score}_mean"]
        best = means.idxmin() if score in LOWER_IS_BETTER else means.idxmax()
        best = f"{title_of(best)}, {means[best]:.3f}"
        title = f"{order}: {title_of(rows.index[0])}; the best mean {SCORES[score]}: {best}"
        constant = {"a constant": runs["constant"].mean()} if "constant" in self.found.table.index else {}
        values = {title_of(name): runs[name].tolist() for name in rows.index}
        picture = draw_seeds(values, title, f"test {SCORES[score]}, one dot for each seed", constant)
        return png(picture), self.html(rows, score)

    def html(self, rows: DataFrame, score: str) -> str:
        """One row for each model: its scores, its paired difference to DMD, and on how many seeds it is better."""
        cell, lines = "<td style='padding: 1px 16px 1px 0'>{}</td>", []
        titles = ("model", SCORES[score], "difference to DMD, same seed", "better than DMD on", "p", "parameters")
        for name, row in rows.iterrows():
            own = plus_minus(row[f"{score}_mean"], row[f"{score}_std"]).replace("-", "−")
            cells = (title_of(name), own, *self.against(name, score), f"{row.parameters:,}")
            lines.append("".join(map(cell.format, cells)))
        head = "".join(cell.format(f"<b>{title}</b>") for title in titles)
        return "<table>" + "".join(f"<tr>{line}</tr>" for line in [head, *lines]) + "</table>"

    def against(self, name: str, score: str) -> tuple[str, str, str]:
        """The mean paired difference, the count of seeds, and the p of the paired t-test, which is not corrected."""
        runs = self.found.scores(score)
        test = paired_test(runs[name].to_dict(), runs[REFERENCE].to_dict())
        if name == REFERENCE or test is None:
            return "", "", ""
        differences = runs[name] - runs[REFERENCE]
        better = int((differences < 0).sum() if score in LOWER_IS_BETTER else (differences > 0).sum())
        p = "" if test.p is None else f"{test.p:.3f}"
        return plus_minus(test.mean, test.std, "+").replace("-", "−"), f"{better} of {test.n} seeds", p

    def show(self) -> None:
        self.picture.value, self.table.value = self.view(self.score.value, self.group.value, self.order.value)
