"""Notebook 12: the stored table as it is read, its figures, and the comparison browser without a browser."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from course.comparison_table import SCORES, missing_errors, models_of
from course.figures.plain import png
from course.figures.rivals import FAMILY, INHERITED, draw_family, draw_missing, draw_seeds
from course.widgets.comparison_browser import GROUPS, ORDERS, ComparisonBrowser
from dmdlite.config import MODALITIES
from dmdlite.experiments.tables import Comparison, missing_table, model_table, seeds_table, title_of

MAE = {"dmd": (0.5, 0.6, 0.7), "mult": (0.6, 0.7, 0.9), "language": (0.8, 0.8, 0.8), "dmd_bare": (0.45, 0.54, 0.66)}
SUBSETS = ("language+vision+audio", "vision+audio", "language")


@pytest.fixture
def found(tmp_path):
    """A comparison as the command writes it: three seeds, and a constant, which has none; one run has failed."""
    runs, subsets = [], []
    for name, errors in MAE.items():
        for seed, e in enumerate(errors):
            others = dict.fromkeys(("corr", "acc2", "f1", "acc7"), 1 - e)
            runs.append({"model": name, "kind": "model", "seed": seed, "error": e, "mae": e} | others)
            subsets += [{"model": name, "present": present, "error": e, "mae": e} for present in SUBSETS]
    constant = {"error": 1.3, "mae": 1.3, "acc2": 0.5, "f1": 0.4, "acc7": 0.2}
    runs.append({"model": "constant", "kind": "constant"} | constant)
    runs.append({"model": "broken", "kind": "model", "seed": 0, "failure": "out of memory"})
    costs = pd.DataFrame({"parameters": {name: 100 * (place + 1) for place, name in enumerate(MAE)}})
    seeds = seeds_table(runs, list(SCORES))
    table = model_table(seeds, list(SCORES), costs, pd.DataFrame())
    Comparison(seeds, table, missing_table(subsets, list(SCORES), list(MAE), MODALITIES)).write_csv(tmp_path)
    return Comparison.read(tmp_path)


def test_the_table_is_read(found):
    mae, table = found.scores("mae"), found.table
    assert list(mae.index.unique("model")) == [*MAE, "constant"]  # what failed altogether has no scores
    assert mae["mult"].to_dict() == {0: 0.6, 1: 0.7, 2: 0.9} and table.parameters["mult"] == 200
    assert mae["constant"].tolist() == [1.3] and np.isnan(table.corr_mean["constant"])
    assert table.mae_mean["mult"] == pytest.approx(2.2 / 3) and np.isnan(table.mae_std["constant"])
    assert table.mae_std["mult"] == pytest.approx(np.std(MAE["mult"], ddof=1))
    assert [title_of(name) for name in ("dmd", "mult", "dmd_bare")] == ["DMD", "MulT", "DMD bare"]
    models = models_of(found)
    assert list(models.index[models.multimodal]) == ["dmd", "mult", "dmd_bare"]
    assert list(models.index[models.ablation]) == ["dmd_bare"]


def test_differences_are_paired_by_seed(found):
    mae = found.scores("mae")
    difference = mae["mult"] - mae["dmd"]
    assert list(difference.index) == [0, 1, 2] and difference.tolist() == pytest.approx([0.1, 0.1, 0.2])
    other = pd.Series({2: 1.0, 7: 1.0})
    assert (other - mae["dmd"]).dropna().to_dict() == pytest.approx({2: 0.3})
    assert (mae["constant"] - mae["dmd"]).dropna().empty


def test_missing_modalities_are_read(found):
    table = missing_errors(found)
    assert list(table.index) == [title_of(name) for name in MAE]
    assert table.loc["MulT"].dropna().to_dict() == pytest.approx(dict.fromkeys(SUBSETS, 2.2 / 3))


def test_the_stored_table_belongs_to_the_notebook():
    from pathlib import Path

    stored = Path(__file__).parent.parent / "notebooks" / "comparison"
    found = Comparison.read(stored)
    missing = missing_errors(found)["language+vision+audio"]
    assert {"dmd", "mult", "misa", "early_fusion", "late_fusion", "constant"} <= set(found.table.index)
    for name, row in models_of(found).iterrows():
        assert missing[title_of(name)] == pytest.approx(row.mae_mean)


def labels(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def test_a_dot_for_each_seed():
    figure = draw_seeds({"DMD": [0.5, 0.7], "other": [0.9]}, "title", "x", {"a constant": 1.3})
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [[0.5, 0.7], [0.9]] and labels(figure) == ["DMD", "other"]
    bar = figure.axes[0].lines[0]
    np.testing.assert_allclose(bar.get_xdata(), 0.6 + np.array([-1, 1]) * np.std([0.5, 0.7], ddof=1))
    assert "a constant" in [text.get_text() for text in figure.axes[0].texts]


def test_what_is_missing_is_written_and_shaded():
    errors = pd.DataFrame({"language": {"DMD": 0.5, "MulT": 0.7}, "audio": {"DMD": 1.3, "MulT": 1.2}})
    figure = draw_missing(errors, "t", 1.3)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.50", "1.30", "0.70", "1.20"]
    assert figure.axes[0].images[0].norm.vmin == 0.5 and figure.axes[0].images[0].norm.vmax == 1.3


def test_nobody_inherits_from_the_future():
    years = {name: int(year) for name, (*_, year) in FAMILY.items()}
    assert all(years[parent] < years[child] for parent, child in INHERITED)
    assert {name for pair in INHERITED for name in pair} == set(FAMILY)
    assert png(draw_family()).startswith(b"\x89PNG")


def test_every_view_of_the_browser(found):
    browser = ComparisonBrowser(found)
    seen = {browser.view("mae", group, order)[1] for group in GROUPS for order in ORDERS}
    assert len(seen) > len(GROUPS)
    for score in ("mae", "corr", "acc2", "f1", "acc7"):
        assert browser.view(score, "all models", "best first")[0].startswith(b"\x89PNG")


def test_the_orders_of_the_browser(found):
    browser = ComparisonBrowser(found)
    names = lambda *state: list(browser.chosen(*state).index)
    assert names("mae", "all models", "best first") == ["dmd_bare", "dmd", "mult", "language"]
    assert names("corr", "all models", "best first") == ["dmd_bare", "dmd", "mult", "language"]
    assert names("mae", "all models", "steadiest first")[0] == "language"
    assert names("mae", "all models", "fewest parameters first") == list(MAE)
    assert names("mae", "one modality each", "best first") == ["dmd", "language"]
    assert names("mae", "rivals of DMD", "best first") == ["dmd", "mult"]


def test_the_browser_tests_in_pairs(found):
    browser = ComparisonBrowser(found)
    difference, better, p = browser.against("mult", "mae")
    assert difference == "+0.133 ± 0.058" and better == "0 of 3 seeds"
    assert p == f"{ttest_rel(MAE['mult'], MAE['dmd']).pvalue:.3f}"
    assert browser.against("dmd_bare", "corr")[1] == "3 of 3 seeds"  # higher is better
    assert browser.against("dmd", "mae") == ("", "", "")


def test_the_controls_change_what_is_shown(found):
    browser = ComparisonBrowser(found)
    before = browser.picture.value, browser.table.value
    browser.score.value = "acc2"
    assert browser.picture.value != before[0] and "ACC2" in browser.table.value
    browser.group.value = "one modality each"
    assert "language" in browser.table.value and "MulT" not in browser.table.value
