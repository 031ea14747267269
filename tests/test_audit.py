"""The audit of a comparison: inflations known by hand, what must hold for any log, and the way through `compare`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from pandas import DataFrame
from pandas.testing import assert_frame_equal
from tiny import SIZES

from course.toy_tasks import sentiment_levels
from dmdlite.__main__ import main
from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.features import label_shape, write_folder
from dmdlite.experiments.audit import ALL, SINGLE, audit, audit_markdown, draw_audit, summary
from dmdlite.experiments.compare import compare
from dmdlite.experiments.reports import published_markdown
from dmdlite.experiments.tables import published_rows, published_steps
from dmdlite.models.registry import build
from dmdlite.training import runs
from dmdlite.training.loop import plain_loop, seed_everything
from dmdlite.training.trainer import train

STORED = Path(__file__).parent.parent / "notebooks" / "comparison"
QUICK = TrainingConfig(epochs=3, batch_size=16)
BY_VALIDATION, BY_ERROR, BY_TEST = (
    "best epoch of each score, by validation",
    "best epoch by test error",
    "best epoch of each score, by test",
)
SEED_BY_ERROR, BEST_SEED, ZEROS = "best seed by test error", "best seed of each score", "zero labels in or out"
# Epochs of two seeds: validation MAE and ACC2; test MAE, ACC2, and ACC2 with the clips labelled zero.
LOG = {
    0: [(0.9, 0.70, 0.95, 0.70, 0.71), (0.8, 0.72, 1.00, 0.72, 0.73), (0.85, 0.76, 0.90, 0.68, 0.69)],
    1: [(0.7, 0.80, 0.80, 0.80, 0.79), (0.9, 0.60, 0.70, 0.86, 0.87)],
}

pytestmark = pytest.mark.usefixtures("no_pictures")


def log_of(runs: dict) -> DataFrame:
    """The table of epochs, by (model, seed); the lowest validation error was kept."""
    names, rows = ["valid_mae", "valid_acc2", "test_mae", "test_acc2", "test_acc2_with_zero"], []
    for (model, seed), epochs in runs.items():
        best = min(range(len(epochs)), key=lambda i: epochs[i][0])
        for i, scores in enumerate(epochs):
            row = {"model": model, "seed": seed, "epoch": i + 1, "kept": i == best}
            rows.append(row | dict(zip(names, scores, strict=True)))
    return DataFrame(rows)


def inflation(table: DataFrame, score: str) -> dict[str, float]:
    return table[table.score == score].set_index("habit").inflation.to_dict()


def test_every_habit_by_hand():
    """Honest: epoch 2 of seed 0 and epoch 1 of seed 1, so MAE 0.9 and ACC2 76 on average."""
    table = audit(log_of({("dmd", seed): epochs for seed, epochs in LOG.items()}))
    assert inflation(table, "acc2") == pytest.approx(
        {
            BY_VALIDATION: -2.0,  # 68 instead of 72, and the same
            BY_ERROR: 1.0,  # 68 instead of 72, 86 instead of 80
            BY_TEST: 3.0,  # the same, 86 instead of 80
            SEED_BY_ERROR: 4.0,  # seed 1: 80
            BEST_SEED: 4.0,
            ZEROS: 0.0,  # 76 either way
            SINGLE: 0.0,
            ALL: 11.0,  # 87: seed 1, epoch 2, with zeros
        }
    )
    assert inflation(table, "mae") == pytest.approx(
        {BY_VALIDATION: 0, BY_ERROR: 0.1, BY_TEST: 0.1, SEED_BY_ERROR: 0.1, BEST_SEED: 0.1, SINGLE: 0, ALL: 0.2}
    )
    rows = table.set_index(["habit", "score"])
    assert rows.loc[(ALL, "mae"), ["honest", "reported"]].tolist() == pytest.approx([0.9, 0.7])
    assert rows.loc[(ALL, "acc2"), ["honest", "reported"]].tolist() == pytest.approx([76, 87])
    assert rows.seeds_std[SINGLE].to_dict() == pytest.approx({"mae": np.std([1, 0.8], ddof=1), "acc2": 4 * 2**0.5})
    assert rows.seeds_std[BY_TEST, "acc2"] == pytest.approx(np.std([0, 6], ddof=1))
    assert rows.seeds_std[BEST_SEED].isna().all()


def test_mean_and_spread_over_systems():
    twice = {("dmd", s): epochs for s, epochs in LOG.items()}
    worse = {("misa", s): [(a, b, c, d - 0.1, e - 0.05) for a, b, c, d, e in epochs] for s, epochs in LOG.items()}
    epochs = log_of(twice | worse)
    found = summary(audit(epochs))
    assert found.loc[(ZEROS, "acc2"), ["mean", "std"]].tolist() == pytest.approx([2.5, np.std([0, 5], ddof=1)])
    assert found.loc[(SINGLE, "acc2"), "seeds"] == pytest.approx(4 * 2**0.5)
    text = audit_markdown(epochs, audit(epochs))
    assert f"| {ZEROS} |  | +2.5 ± 3.5 |" in text and f"| {SINGLE} | ± 0.141 | ± 5.7 |" in text
    assert "| DMD | 0.900 → 0.700 | 76.0 → 87.0 |" in text and "| MISA | 0.900 → 0.700 | 66.0 → 82.0 |" in text
    assert "(systems: 2, seeds: 2, epochs: up to 3)" in text and "One seed" not in text


def test_one_seed_has_no_best_seed_and_the_text_says_so():
    epochs = log_of({("dmd", 0): LOG[0]})
    table = audit(epochs)
    assert set(table.habit) == {BY_VALIDATION, BY_ERROR, BY_TEST, ZEROS, ALL}
    text = audit_markdown(epochs, table)
    assert "One seed tells neither what the best of several adds nor how far one run strays" in text
    assert f"| {BY_TEST} | +0.100 | +0.0 |" in text and "±" not in text.partition("| habit")[2]


scores = some.tuples(*[some.integers(0, 20).map(lambda x: x / 20)] * 5)
systems = some.dictionaries(
    some.tuples(some.sampled_from(["dmd", "mult"]), some.integers(0, 2)),
    some.lists(scores, min_size=1, max_size=3),
    min_size=1,
)


@settings(deadline=None, max_examples=12)
@given(systems, some.randoms())
def test_what_holds_for_any_log(log, random):
    """Choosing by test never costs the score that is chosen by, and the order of the runs means nothing."""
    table = audit(log_of(log))
    chosen = table[table.habit.isin([BY_TEST, BEST_SEED, ZEROS, ALL])]
    chosen = pd.concat([chosen, table[(table.score == "mae") & table.habit.isin([BY_ERROR, SEED_BY_ERROR])]])
    assert (chosen.inflation >= -1e-9).all() and np.allclose(table.inflation[table.habit == SINGLE], 0)
    others = table.merge(table[table.habit == ALL], on=["model", "score"])
    assert (others.inflation_y >= others.inflation_x - 1e-9).all()
    order = list(log)
    random.shuffle(order)
    key = ["habit", "model", "score"]
    again = audit(log_of({task: log[task] for task in order}))
    assert_frame_equal(again.sort_values(key, ignore_index=True), table.sort_values(key, ignore_index=True))


@settings(deadline=None, max_examples=5)
@given(scores)
def test_one_epoch_of_one_seed_leaves_nothing_to_choose(found):
    *rest, acc2, with_zero = found
    table = audit(log_of({("dmd", 0): [(*rest, acc2, min(acc2, with_zero))]}))
    assert len(table) and np.allclose(table.inflation, 0)


def test_the_published_distance_by_hand():
    """ACC2 of DMD, PMR, MISA*, MulT and DMD*, aligned CMU-MOSI: 0.4, 0.2, 0.9 and 1.5 apart; and so on."""
    steps = published_steps(["mae", "acc2", "acc7"])
    assert steps == pytest.approx({"acc2": 0.85, "acc7": 0.9}) and not published_steps(["accuracy", "macro_f1"])


def test_published_numbers_of_other_systems_have_a_place():
    rows = published_rows(["dmd", "mult"], "mosi", DMDConfig.official("mosi"))
    text = published_markdown(rows, 686)
    assert "no ranking" in text and "other data" not in text
    assert "| EMOE |  | not given | not given | 84.8 |  | 84.8 | 45.2 | 0.723 | others | InfoGate's readme |" in text
    assert "| GPT-4o |  | not given | not given | 86.7 | 85.7 |  |  | 0.682 | others | notes on TEXT |" in text
    assert "MMSA" not in text  # its reruns are unaligned
    unaligned = published_rows(["mult"], "mosi", DMDConfig.official("mosi", lengths={"audio": 375}))
    assert "| MulT | MulT | not given | unaligned | 81.0 |  | 81.0 | 36.9 | 0.880 |" in published_markdown(
        unaligned, 686
    )


def test_looking_at_the_test_split_chooses_nothing(splits, config, tmp_path):
    """The same weights, epochs and validation scores with and without; the best epoch's are those of metrics.json."""
    found = []
    for log_test in (False, True):
        seed_everything(0)
        model = build("dmd", config)  # it has dropout
        training = QUICK.replace(log_test=log_test)
        found.append((train(model, splits, tmp_path / str(log_test), training, progress=False), model.state_dict()))
    (plain, weights), (logged, same) = found
    assert all(torch.equal(same[name], weights[name]) for name in weights)
    assert all("test_scores" not in record for record in plain.epochs)
    assert [{k: v for k, v in record.items() if k != "test_scores"} for record in logged.epochs] == plain.epochs
    best = logged.epochs[logged.metrics["best_epoch"] - 1]
    assert best["test_scores"] == pytest.approx(logged.metrics["test"]) and logged.metrics == plain.metrics
    seed_everything(0)
    records = plain_loop(build("dmd", config), splits, QUICK.replace(log_test=True))
    assert records[-1]["test_scores"] == pytest.approx(logged.epochs[-1]["test_scores"], rel=1e-3)


def test_through_compare(splits, config, tmp_path):
    """The honest scores are those of the table; the files hold what the log does; fewer requests need no new runs."""
    names, options = ["language", "audio"], dict(training=QUICK, progress=False)
    found = compare(names, splits, config, [0, 2], tmp_path, audit=True, **options)
    assert set(found.audit.model) == set(names) and (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")
    honest = found.audit[found.audit.habit == ALL].set_index(["model", "score"]).honest
    for name in names:
        assert honest[name, "mae"] == pytest.approx(found.table.mae_mean[name])
        assert honest[name, "acc7"] == pytest.approx(100 * found.table.acc7_mean[name])
    epochs = pd.read_csv(tmp_path / "audit_epochs.csv")
    assert len(epochs) == 2 * 2 * 3 and epochs.groupby(["model", "seed"]).kept.sum().eq(1).all()
    log = runs.load_result(tmp_path / "audio" / "seed_2").epochs
    own = epochs[(epochs.model == "audio") & (epochs.seed == 2)]
    assert own.test_acc2_with_zero.tolist() == [record["test_scores"]["acc2_with_zero"] for record in log]
    assert_frame_equal(pd.read_csv(tmp_path / "audit.csv"), audit(epochs), atol=1e-6, check_dtype=False)
    before = (tmp_path / "audio" / "seed_2" / "metrics.json").stat().st_mtime_ns
    assert compare(["audio"], splits, config, [2], tmp_path, **options).audit.empty
    assert len(compare(["audio"], splits, config, [2], tmp_path, audit=True, **options).audit)
    assert (tmp_path / "audio" / "seed_2" / "metrics.json").stat().st_mtime_ns == before


def test_runs_that_logged_no_test_scores(splits, config, tmp_path, capsys):
    """One sentence with the remedy, which works."""
    write_folder(splits, tmp_path / "data")
    command = ["compare", "--data", str(tmp_path / "data"), "--models", "audio", "--seeds", "1", "--epochs", "1"]
    command += ["--jobs", "1", "--output", str(tmp_path / "out"), *(f"--set={k}={v}" for k, v in SIZES.items())]
    assert main(command) == 0 and "What each habit adds" not in capsys.readouterr().out
    assert main([*command, "--audit"]) == 2
    shown = capsys.readouterr()
    assert "which has not logged the test scores of every epoch" in shown.err and "--restart" in shown.err
    assert shown.err.count("\n") == 1 and not shown.out
    assert main([*command, "--audit", "--restart"]) == 0
    out = capsys.readouterr().out
    assert "What each habit adds" in out and "One seed tells neither" in out


def test_ordered_classes_have_the_habits_that_exist(splits, config, tmp_path):
    levels = sentiment_levels(splits, 3)
    found = compare(
        ["audio"],
        levels,
        config.replace(**label_shape(levels, "ordinal")),
        [0, 1],
        tmp_path,
        QUICK,
        progress=False,
        audit=True,
    )
    assert ZEROS not in set(found.audit.habit) and {BY_TEST, BEST_SEED, SINGLE, ALL} < set(found.audit.habit)
    text = (tmp_path / "audit.md").read_text(encoding="utf-8")
    assert "| habit | cross-entropy | accuracy | macro F1 | MAE |" in text and "For scale" not in text
    assert [axis.get_xlabel() for axis in draw_audit(found.audit).axes] == [
        "accuracy: points gained",
        "macro F1: points gained",
    ]


def test_the_stored_audit_is_made_from_the_stored_epochs():
    epochs = pd.read_csv(STORED / "audit_epochs.csv")
    table = audit(epochs)
    stored = pd.read_csv(STORED / "audit.csv")
    assert_frame_equal(stored, table, atol=1e-6, rtol=0, check_dtype=False)
    assert audit_markdown(epochs, stored) == (STORED / "audit.md").read_text(encoding="utf-8")
    assert (STORED / "audit_epochs.csv").stat().st_size < 200_000
