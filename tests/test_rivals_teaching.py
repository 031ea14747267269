"""Notebook 12: the stored table as it is read, its figures, and the comparison browser without a browser."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from course.comparison_table import Compared, read_comparison, read_missing
from course.figures.plain import png
from course.figures.rivals import FAMILY, INHERITED, draw_family, draw_missing, draw_seeds
from course.widgets.comparison_browser import GROUPS, ORDERS, ComparisonBrowser

MAE = {"dmd": (0.5, 0.6, 0.7), "mult": (0.6, 0.7, 0.9), "language": (0.8, 0.8, 0.8), "dmd_bare": (0.45, 0.54, 0.66)}
SUBSETS = ("language+vision+audio", "vision+audio", "language")


@pytest.fixture
def folder(tmp_path):
    """A comparison as the command writes it: three seeds, and a constant, which has none; one run has failed."""
    models, seeds = ["model,kind,parameters,p_holm"], ["model,kind,seed,failure,error,mae,corr,acc2,f1,acc7"]
    for place, (name, errors) in enumerate(MAE.items()):
        models.append(f"{name},model,{100 * (place + 1)},{'' if name == 'dmd' else 0.04}")
        seeds += [f"{name},model,{n},,{e},{e},{1 - e},{1 - e},{1 - e},{1 - e}" for n, e in enumerate(errors)]
    models += ["constant,constant,,", "broken,model,,"]
    seeds += ["constant,constant,,,1.3,1.3,,0.5,0.4,0.2", "broken,model,0,out of memory,,,,,,"]
    missing = ["model,present,seeds,mae_mean", *(f"{n},{s},3,{MAE[n][0]}" for n in MAE for s in SUBSETS)]
    for name, lines in (("comparison", models), ("comparison_seeds", seeds), ("missing_modalities", missing)):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_the_table_is_read(folder):
    rows = read_comparison(folder)
    assert list(rows) == [*MAE, "constant"]  # what failed altogether has no row
    assert rows["mult"].scores["mae"] == {0: 0.6, 1: 0.7, 2: 0.9} and rows["mult"].parameters == 200
    assert rows["constant"].scores["mae"] == {None: 1.3} and math.isnan(rows["constant"].mean("corr"))
    assert rows["mult"].mean("mae") == pytest.approx(2.2 / 3) and rows["constant"].std("mae") is None
    assert rows["mult"].std("mae") == pytest.approx(np.std(MAE["mult"], ddof=1))
    assert [rows[name].title for name in ("dmd", "mult", "dmd_bare")] == ["DMD", "MulT", "DMD bare"]
    assert [name for name, row in rows.items() if row.is_multimodal] == ["dmd", "mult", "dmd_bare"]
    assert [name for name, row in rows.items() if row.is_ablation] == ["dmd_bare"]


def test_differences_are_paired_by_seed(folder):
    rows = read_comparison(folder)
    found = rows["mult"].differences(rows["dmd"], "mae")
    assert list(found) == [0, 1, 2] and list(found.values()) == pytest.approx([0.1, 0.1, 0.2])
    other = Compared("other", "model", {"mae": {2: 1.0, 7: 1.0}})
    assert other.differences(rows["dmd"], "mae") == pytest.approx({2: 0.3})
    assert rows["constant"].differences(rows["dmd"], "mae") == {}


def test_missing_modalities_are_read(folder):
    table = read_missing(folder)
    assert list(table) == list(MAE) and table["mult"] == dict.fromkeys(SUBSETS, 0.6)


def test_the_stored_table_belongs_to_the_notebook():
    from pathlib import Path

    stored = Path(__file__).parent.parent / "notebooks" / "comparison"
    rows, missing = read_comparison(stored), read_missing(stored)
    assert {"dmd", "mult", "misa", "early_fusion", "late_fusion", "constant"} <= set(rows)
    for name, row in rows.items():
        if row.kind == "model":
            assert missing[name]["language+vision+audio"] == pytest.approx(row.mean("mae"))


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
    figure = draw_missing({"DMD": {"language": 0.5, "audio": 1.3}, "MulT": {"language": 0.7, "audio": 1.2}}, "t", 1.3)
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.50", "1.30", "0.70", "1.20"]
    assert figure.axes[0].images[0].norm.vmin == 0.5 and figure.axes[0].images[0].norm.vmax == 1.3


def test_nobody_inherits_from_the_future():
    years = {name: int(year) for name, (*_, year) in FAMILY.items()}
    assert all(years[parent] < years[child] for parent, child in INHERITED)
    assert {name for pair in INHERITED for name in pair} == set(FAMILY)
    assert png(draw_family()).startswith(b"\x89PNG")


def test_every_view_of_the_browser(folder):
    browser = ComparisonBrowser(read_comparison(folder))
    seen = {browser.view("mae", group, order)[1] for group in GROUPS for order in ORDERS}
    assert len(seen) > len(GROUPS)
    for score in ("mae", "corr", "acc2", "f1", "acc7"):
        assert browser.view(score, "all models", "best first")[0].startswith(b"\x89PNG")


def test_the_orders_of_the_browser(folder):
    browser = ComparisonBrowser(read_comparison(folder))
    names = lambda *state: [row.name for row in browser.chosen(*state)]
    assert names("mae", "all models", "best first") == ["dmd_bare", "dmd", "mult", "language"]
    assert names("corr", "all models", "best first") == ["dmd_bare", "dmd", "mult", "language"]
    assert names("mae", "all models", "steadiest first")[0] == "language"
    assert names("mae", "all models", "fewest parameters first") == list(MAE)
    assert names("mae", "one modality each", "best first") == ["dmd", "language"]
    assert names("mae", "rivals of DMD", "best first") == ["dmd", "mult"]


def test_the_browser_tests_in_pairs(folder):
    browser = ComparisonBrowser(read_comparison(folder))
    difference, better, p = browser.against(browser.rows["mult"], "mae")
    assert difference == "+0.133 ± 0.058" and better == "0 of 3 seeds"
    assert p == f"{ttest_rel(MAE['mult'], MAE['dmd']).pvalue:.3f}"
    assert browser.against(browser.rows["dmd_bare"], "corr")[1] == "3 of 3 seeds"  # higher is better
    assert browser.against(browser.rows["dmd"], "mae") == ("", "", "")


def test_the_controls_change_what_is_shown(folder):
    browser = ComparisonBrowser(read_comparison(folder))
    before = browser.picture.value, browser.table.value
    browser.score.value = "acc2"
    assert browser.picture.value != before[0] and "ACC2" in browser.table.value
    browser.group.value = "one modality each"
    assert "language" in browser.table.value and "MulT" not in browser.table.value
