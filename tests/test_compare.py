"""The comparison: its numbers against those of the runs, and what stops it, breaks it or should not be told apart."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from pandas import DataFrame
from pandas.testing import assert_frame_equal
from scipy import stats
from tiny import SIZES

from course.toy_tasks import reviewed_topics, sentiment_levels, valence_and_arousal
from dmdlite.__main__ import main, seeds_of
from dmdlite.config import MODALITIES, TrainingConfig
from dmdlite.data.features import feature_shapes, label_shape, write_folder
from dmdlite.data.toy import toy_world
from dmdlite.experiments import plan
from dmdlite.experiments.compare import compare
from dmdlite.experiments.missing import subset_name, subsets_of
from dmdlite.experiments.reports import draw_comparison, draw_missing, markdown, missing_markdown
from dmdlite.experiments.tables import Comparison, model_table, published_rows
from dmdlite.models.dmd import DMD
from dmdlite.models.registry import build
from dmdlite.training import identity, runs

QUICK = TrainingConfig(epochs=2, batch_size=16)
SAME = ("metrics.json", "log.jsonl", "predictions.csv", "model.safetensors", "missing_modalities.json")
SCORES = ("mae", "corr", "acc2", "f1", "acc7")

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def whole(splits, config, tmp_path_factory):
    """A comparison, not to be changed, and its folder."""
    folder = tmp_path_factory.mktemp("compare") / "whole"
    names = ["dmd", "language", "audio"]
    return compare(names, splits, config, [0, 2], folder, QUICK, progress=False), folder


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stored(folder, name, seed):
    return runs.load_result(folder / name / f"seed_{seed}").metrics


def test_the_tables_hold_the_scores_of_the_runs(whole):
    found, folder = whole
    rows = {row["model"]: row for row in table(folder / "comparison.csv")}
    assert list(rows) == ["dmd", "language", "audio", "linear", "linear_language", "linear_audio", "constant"]
    assert [row["kind"] for row in rows.values()] == ["model"] * 3 + ["linear"] * 3 + ["constant"]
    for name in ("dmd", "language", "audio"):
        for score in SCORES:
            values = [stored(folder, name, seed)["test"][score] for seed in (0, 2)]
            assert float(rows[name][f"{score}_mean"]) == pytest.approx(np.mean(values))
            assert float(rows[name][f"{score}_std"]) == pytest.approx(np.std(values, ddof=1))
        assert (rows[name]["seeds"], rows[name]["failed"]) == ("2", "0")
    assert float(rows["constant"]["mae_mean"]) == stored(folder, "dmd", 0)["constant"]["test"]["mae"]
    assert rows["constant"]["mae_std"] == rows["linear"]["mae_std"] == rows["linear"]["p"] == ""
    mean, deviation = found.table.loc["audio", ["mae_mean", "mae_std"]]
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    assert f"| audio | {mean:.3f} ± {deviation:.3f} | " in text and "| DMD | " in text
    assert "Test split (20 clips), mean ± standard deviation over seeds 0, 2. One budget for all: at most 2 " in text
    assert "ublished" not in text


def test_one_line_for_each_run(whole):
    _, folder = whole
    rows = table(folder / "comparison_seeds.csv")
    assert [(row["model"], row["seed"]) for row in rows[:4]] == [
        ("dmd", "0"),
        ("dmd", "2"),
        ("language", "0"),
        ("language", "2"),
    ]
    for row in rows[:6]:
        metrics = stored(folder, row["model"], row["seed"])
        assert {name: float(row[name]) for name in metrics["test"]} == metrics["test"]
        assert int(row["best_epoch"]) == metrics["best_epoch"] and float(row["error"]) == metrics["test"]["mae"]


def test_every_model_is_tested_against_dmd_with_the_same_seeds(whole):
    _, folder = whole
    rows = {row["model"]: row for row in table(folder / "comparison.csv")}
    errors = {name: [stored(folder, name, seed)["test"]["mae"] for seed in (0, 2)] for name in ("dmd", "audio")}
    differences = np.subtract(errors["audio"], errors["dmd"])
    assert float(rows["audio"]["difference_mean"]) == pytest.approx(differences.mean())
    assert float(rows["audio"]["difference_std"]) == pytest.approx(differences.std(ddof=1))
    assert float(rows["audio"]["p"]) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert rows["audio"]["difference_n"] == "2" and rows["dmd"]["p"] == ""
    raw = sorted(float(rows[name]["p"]) for name in ("language", "audio"))
    corrected = sorted(float(rows[name]["p_holm"]) for name in ("language", "audio"))
    assert corrected == pytest.approx([min(1, 2 * raw[0]), max(raw[1], min(1, 2 * raw[0]))])


def test_missing_modalities_of_every_model(whole):
    _, folder = whole
    rows = table(folder / "missing_modalities.csv")
    everything = [subset_name(subset) for subset in subsets_of(MODALITIES)]
    assert len(everything) == 7
    assert [(row["model"], row["present"]) for row in rows] == [
        (name, present) for name in ("dmd", "language", "audio") for present in everything
    ]
    means = {(row["model"], row["present"]): float(row["mae_mean"]) for row in rows}
    assert means["dmd", everything[0]] == pytest.approx(
        np.mean([stored(folder, "dmd", s)["test"]["mae"] for s in (0, 2)])
    )
    with_audio = {means["audio", present] for present in everything if "audio" in present}
    without = {means["audio", present] for present in everything if "audio" not in present}
    assert len(with_audio) == len(without) == 1 and with_audio != without
    text = (folder / "missing_modalities.md").read_text(encoding="utf-8")
    assert "| model | language + vision + audio | language + vision |" in text and "| constant | " in text


def test_figures_show_the_rows_of_the_table(whole):
    found, folder = whole
    for name in ("comparison.png", "missing_modalities.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    (axis,) = draw_comparison(found).axes
    means = [axis.get_yticklabels()[place].get_text() for place in range(6)]
    names = [{"DMD": "dmd"}.get(text, text.replace(" ", "_")) for text in means]
    errors = found.table.mae_mean[names].tolist()
    assert errors == sorted(errors) and len(errors) == 6
    assert sum(len(dots.get_offsets()) for dots in axis.collections) == 6  # three models, two seeds
    (axis,) = draw_missing(found).axes
    numbers = [text.get_text() for text in axis.texts]
    assert len(numbers) == 21 and numbers[0] == f"{found.table.mae_mean['dmd']:.2f}"


def test_parameters_and_time(whole, config):
    found, folder = whole
    parameters, in_training = found.table.parameters, found.table.parameters_in_training
    every = sum(x.numel() for x in build("dmd", config).parameters())
    assert in_training["dmd"] == every > parameters["dmd"]
    audio = sum(x.numel() for x in build("audio", config).parameters())
    assert parameters["audio"] == in_training["audio"] == audio
    seconds = found.table.seconds_per_epoch[["dmd", "language", "audio"]]
    assert json.loads((folder / "timing.json").read_text()) == seconds.to_dict()
    assert all(seconds > 0)


def test_the_same_call_only_does_what_is_left(whole, splits, config, tmp_path, monkeypatch):
    first = compare(["audio"], splits, config, [0], tmp_path, QUICK, progress=False)
    run = tmp_path / "audio" / "seed_0" / "metrics.json"
    before = run.stat().st_mtime_ns
    monkeypatch.setattr(plan, "score_subsets", lambda *_: pytest.fail("it was scored already"))
    again = compare(["audio"], splits, config, [0], tmp_path, QUICK, progress=False)
    assert again.table.equals(first.table) and again.seeds.equals(first.seeds)
    monkeypatch.undo()
    more = compare(["audio", "vision"], splits, config, [0, 2], tmp_path, QUICK, progress=False)
    assert list(more.errors["vision"].index) == [0, 2] and run.stat().st_mtime_ns == before
    assert more.errors["audio"].equals(whole[0].errors["audio"])


def test_scores_that_belong_to_another_run_are_made_again(splits, config, tmp_path):
    found = compare(["audio"], splits, config, [0], tmp_path, QUICK, progress=False)
    file = tmp_path / "audio" / "seed_0" / "missing_modalities.json"
    text = file.read_text()
    changed = json.loads(text)
    changed["language+vision+audio"]["mae"] += 1
    for content in (json.dumps(changed), "half", "[]"):
        file.write_text(content)
        again = compare(["audio"], splits, config, [0], tmp_path, QUICK, progress=False)
        assert again.missing.equals(found.missing) and file.read_text() == text


def test_a_failing_run_does_not_lose_the_others(splits, config, tmp_path, monkeypatch, capsys):
    original = plan.train

    def failing(model, splits, folder, training, **options):
        if model.reads == ("audio",) and training.seed == 1:
            raise ValueError("training diverged in epoch 1;\n try a lower learning rate")
        return original(model, splits, folder, training, **options)

    with monkeypatch.context() as patch:
        patch.setattr(plan, "train", failing)
        found = compare(["audio", "vision"], splits, config, [0, 1], tmp_path, QUICK)
    sentence = "audio, seed 1: training diverged in epoch 1; try a lower learning rate"
    assert found.failures == [sentence] and list(found.errors["audio"].index) == [0]
    assert "audio, seed 1: failed: training diverged" in capsys.readouterr().out
    text = (tmp_path / "comparison.md").read_text()
    assert "| audio (1 of 2 seeds) | " in text and f"Failed: {sentence}" in text
    assert table(tmp_path / "comparison.csv")[0]["failed"] == "1"
    assert [row["failure"] for row in table(tmp_path / "comparison_seeds.csv")[:2]] == ["", sentence.partition(": ")[2]]
    again = compare(["audio", "vision"], splits, config, [0, 1], tmp_path, QUICK, progress=False)
    assert not again.failures and list(again.errors["audio"].index) == [0, 1]


def test_a_loss_that_always_fails_leaves_the_other_models_standing(splits, config, tmp_path):
    def broken(out, labels):
        raise RuntimeError("this loss never works")

    variants = {"mine": lambda config: DMD(config, losses={"broken": broken})}
    found = compare(["audio"], splits, config, [0], tmp_path, QUICK, variants=variants, progress=False)
    assert found.failures == ["mine, seed 0: RuntimeError: this loss never works"]
    assert found.table.loc["audio", ["mae_mean", "seconds_per_epoch"]].gt(0).all()
    assert found.table.loc["mine", ["mae_mean", "parameters", "seconds_per_epoch"]].isna().all()
    assert "| mine | failed | failed |" in (tmp_path / "comparison.md").read_text()


def test_where_every_run_fails_the_tables_say_so(splits, config, tmp_path):
    hopeless = QUICK.replace(learning_rate=1e30, gradient_clip=0.0)
    found = compare(["dmd", "audio"], splits, config, [0], tmp_path, hopeless, progress=False)
    assert len(found.failures) == 2 and "diverged in epoch 1" in found.failures[0]
    text = (tmp_path / "comparison.md").read_text()
    assert "| audio | failed | failed |" in text and "| linear | 0." in text
    assert "| audio | failed | failed |" in (tmp_path / "missing_modalities.md").read_text()


def test_with_tokens_alone_no_linear_baseline_is_left_where_every_run_fails(splits, config, tmp_path):
    splits = {name: replace(split, features={}, lengths={}) for name, split in splits.items()}
    bert = dict(model_type="bert", vocab_size=200, hidden_size=8, num_attention_heads=2, num_hidden_layers=1)
    config = config.replace(language_model=bert, **feature_shapes(splits))
    hopeless = QUICK.replace(learning_rate=1e30, gradient_clip=0.0)
    found = compare(["language"], splits, config, [0], tmp_path, hopeless, progress=False)
    assert list(found.table.index) == ["language", "constant"] and len(found.failures) == 1
    assert draw_comparison(found).get_suptitle() == "No run has succeeded"
    assert (tmp_path / "comparison.png").exists() and not (tmp_path / "missing_modalities.png").exists()


def hears_ctrl_c() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_stopped_killed_and_with_two_jobs_the_results_are_the_same(splits, config, tmp_path):
    """With two workers: stopped by Ctrl-C, resumed, killed, and resumed again; no process is left behind.

    The measure is one process that nothing happens to.
    """
    write_folder(splits, tmp_path / "data")
    sizes = [f"--set={name}={value}" for name, value in SIZES.items()]
    command = [
        "compare",
        "--data",
        tmp_path / "data",
        "--models",
        "dmd",
        "audio",
        "--seeds",
        1,
        "--epochs",
        8,
        "--jobs",
        2,
    ]
    command = [*map(str, command), "--batch-size", "8", "--output", str(tmp_path / "broken"), *sizes]
    seals = lambda: set(tmp_path.glob("broken/*/*/checkpoints/*/complete.json"))
    for stop, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        before = seals()
        program = [sys.executable, "-m", "dmdlite", *command]
        victim = subprocess.Popen(
            program, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=hears_ctrl_c
        )
        while victim.poll() is None and not seals() - before:
            time.sleep(0.01)
        assert victim.poll() is None, "it was over before it could be stopped"
        children = psutil.Process(victim.pid).children(recursive=True)
        if stop == signal.SIGINT:
            os.killpg(victim.pid, stop)  # as a terminal does
        else:
            victim.kill()
        _, shown = victim.communicate()
        assert victim.returncode == code and len(children) >= 2
        assert not psutil.wait_procs(children, timeout=20)[1], "workers have outlived the first process"
        assert "Traceback" not in shown and ("The same command goes on" in shown) == (stop == signal.SIGINT)
        assert seals(), "no run was broken off in its middle"
    assert main(command) == 0
    training = TrainingConfig(epochs=8, batch_size=8)
    compare(["dmd", "audio"], splits, config, [0], tmp_path / "unbroken", training, progress=False)
    files = [f"{name}/seed_0/{file}" for name in ("dmd", "audio") for file in SAME]
    for file in (*files, "comparison_seeds.csv", "missing_modalities.csv", "missing_modalities.md"):
        assert (tmp_path / "broken" / file).read_bytes() == (tmp_path / "unbroken" / file).read_bytes(), file


@pytest.mark.parametrize(
    "changes, sentence",
    [
        (dict(names=["bart"]), "'bart' cannot be compared; known are the models dmd"),
        (dict(names=[]), "give at least one name and one seed"),
        (dict(seeds=[]), "give at least one name and one seed"),
        (dict(seeds=[1, 1]), "each seed counts once, got 1 1"),
        (dict(seeds=[-1]), "seed must be at least 0, got -1"),
        (dict(jobs=0), "jobs must be at least 1, got 0"),
        (dict(settings={"dictionary": 3}), "none of the models audio has a field 'dictionary'"),
        (dict(settings={"loss_weights": {"gossip": 1.0}}), "has a term 'gossip' in its loss"),
        (dict(settings={"loss_weights": 3}), "loss_weights must be a dict"),
    ],
)
def test_bad_input_is_one_sentence_and_touches_nothing(splits, config, tmp_path, changes, sentence):
    usual = dict(names=["audio"], data=splits, config=config, seeds=[0], output_dir=tmp_path / "out", training=QUICK)
    with pytest.raises(ValueError) as problem:
        compare(**usual | changes)
    assert sentence in str(problem.value) and "\n" not in str(problem.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", ["budget", "config", "settings", "data", "a run", "foreign"])
def test_a_folder_that_holds_something_else_is_left_alone(whole, splits, config, tmp_path, what):
    folder, training, data, settings = whole[1], QUICK, splits, {}
    words = {
        "budget": "training.epochs is 2 there and 1 here",
        "config": "config.shared.width",
        "data": "on other data",
    }
    words |= {"settings": "loss_weights", "a run": "already holds another run", "foreign": "holds no run of dmdlite"}
    if what == "budget":
        training = training.replace(epochs=1)
    elif what == "config":
        config = config.replace(width=16)
    elif what == "settings":
        settings = {"loss_weights": {"task_final": 0.5}}
    elif what == "data":
        data = toy_world(n=80, seed=1).splits
    elif what == "a run":
        folder = whole[1] / "audio" / "seed_0"
    else:
        folder = tmp_path / "foreign"
        folder.mkdir()
        (folder / "thesis.txt").write_text("precious")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(ValueError, match="choose another output folder") as problem:
        compare(["audio"], data, config, [0], folder, training, settings=settings)
    assert words[what] in str(problem.value)
    assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_settings_reach_the_models_that_have_them(splits, config, tmp_path):
    weights = {"loss_weights": {"margin": 0.7}}
    compare(["audio", "dmd"], splits, config, [0], tmp_path, QUICK, settings=weights, progress=False)
    saved = json.loads((tmp_path / "dmd" / "seed_0" / "config.json").read_text())
    assert saved["loss_weights"] == config.loss_weights | {"margin": 0.7}


def test_published_numbers_stand_below_the_table(whole, config):
    found, _ = whole
    published = published_rows(list(found.table.index), "mosi", config)
    text = markdown(replace(found, published=published))
    assert "Published for CMU-MOSI, in per cent. Encoders and features differ between rows: no ranking." in text
    row = "| DMD | DMD | GloVe | unaligned | 83.5 |  | 83.5 | 41.9 |  | its authors | Table 1 |"
    assert row in text and "the papers' 686: these are other data" in text  # the toy's lengths differ
    assert model_table(found.seeds, found.shown, DataFrame(), published).published_acc7["dmd"] == "41.9"


TASKS = {
    "two numbers": (valence_and_arousal, "regression", "| model | MAE | Corr | CCC | MAE − DMD's | p (Holm) |"),
    "classes": (reviewed_topics, "classification", "| model | cross-entropy | accuracy | macro F1 | cross-entropy − "),
    "levels": (
        lambda world: sentiment_levels(world.splits, 3),
        "ordinal",
        "| model | cross-entropy | accuracy | macro F1 | MAE |",
    ),
}


@pytest.mark.parametrize("task", TASKS)
def test_other_tasks_have_their_own_scores(config, tmp_path, task):
    make, kind, head = TASKS[task]
    splits = make(toy_world(n=80, seed=0))
    config = config.replace(**label_shape(splits, kind))
    found = compare(["dmd", "language"], splits, config, [0], tmp_path, QUICK, dataset="mosi", progress=False)
    text = (tmp_path / "comparison.md").read_text()
    assert head in text and "Published" not in text
    measure = "mae" if kind == "regression" else "cross_entropy"
    assert found.errors["language"].to_dict() == {0: stored(tmp_path, "language", 0)["test"][measure]}
    assert found.table[f"{measure}_mean"]["linear"] < found.table[f"{measure}_mean"]["constant"]
    assert table(tmp_path / "missing_modalities.csv")[0]["error_mean"] == str(found.errors["dmd"][0])


def test_one_number_of_seeds_is_how_many():
    assert seeds_of([5]) == [0, 1, 2, 3, 4] and seeds_of([3, 7]) == [3, 7]
    assert seeds_of([1]) == [0] and seeds_of([0]) == []


def test_baselines_of_single_modalities_are_there_for_the_models_that_read_them(whole):
    assert "linear_audio" in whole[0].table.index and "linear_vision" not in whole[0].table.index


def test_what_is_written_is_read_again_to_the_last_bit(whole):
    found, folder = whole
    again = Comparison.read(folder)
    for name in ("seeds", "table", "missing"):
        assert_frame_equal(getattr(again, name), getattr(found, name), check_dtype=False, check_exact=True)
    assert again.shown == found.shown == list(SCORES) and again.errors["audio"].equals(found.errors["audio"])


def test_the_stored_table_is_made_from_the_stored_runs():
    folder = Path(__file__).parent.parent / "notebooks" / "comparison"
    stored = Comparison.read(folder)
    costs = stored.table[["parameters", "parameters_in_training", "seconds_per_epoch"]]
    table = model_table(stored.seeds, stored.shown, costs, DataFrame())
    assert table.to_csv(lineterminator="\n") == (folder / "comparison.csv").read_text(encoding="utf-8")
    found = replace(stored, training=TrainingConfig(epochs=16), clips=250)
    assert markdown(found) == (folder / "comparison.md").read_text(encoding="utf-8")
    assert missing_markdown(found) == (folder / "missing_modalities.md").read_text(encoding="utf-8")


TERM = """
def term(out, labels):
    return {factor} * out.prediction.square().mean()

def mine(config):
    return DMD(config, losses={{"term": term}})
"""


def variant_with(factor):
    """What a notebook holds after its cell has been edited and run."""
    names = {"DMD": DMD, "__name__": "cells"}
    exec(TERM.format(factor=factor), names)
    return {"mine": names["mine"]}


def test_an_edited_term_never_shows_old_numbers(splits, config, tmp_path):
    """The variant is refused while its old runs are there, and run afresh if that is asked for; DMD is left alone."""
    options = dict(data=splits, config=config, seeds=[0], training=QUICK, progress=False)
    old = compare(["dmd"], output_dir=tmp_path / "one", variants=variant_with(0.0), **options)
    same = compare(["dmd"], output_dir=tmp_path / "one", variants=variant_with(0.0), **options)
    assert same.seeds.equals(old.seeds)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(
        ValueError, match=r"mine/seed_0 already holds another run \(your own code has changed"
    ) as problem:
        compare(["dmd"], output_dir=tmp_path / "one", variants=variant_with(9.0), **options)
    assert "restart=True" in str(problem.value) and "\n" not in str(problem.value)
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    untouched = (tmp_path / "one" / "dmd" / "seed_0" / "metrics.json").stat().st_mtime_ns
    new = compare(["dmd"], output_dir=tmp_path / "one", variants=variant_with(9.0), restart=True, **options)
    assert (tmp_path / "one" / "dmd" / "seed_0" / "metrics.json").stat().st_mtime_ns == untouched
    apart = compare(["dmd"], output_dir=tmp_path / "two", variants=variant_with(9.0), **options)
    assert new.seeds.equals(apart.seeds) and new.missing.equals(apart.missing)
    assert new.errors["mine"][0] != old.errors["mine"][0] and new.errors["dmd"].equals(old.errors["dmd"])


def test_an_edited_loss_of_the_library_never_shows_old_numbers(splits, tmp_path, monkeypatch, capsys):
    write_folder(splits, tmp_path / "data")
    command = ["compare", "--data", str(tmp_path / "data"), "--models", "audio", "--seeds", "1", "--epochs", "1"]
    command += ["--jobs", "1", "--output", str(tmp_path / "out"), *(f"--set={k}={v}" for k, v in SIZES.items())]
    assert main(command) == 0
    digests = identity.code_digests() | {"components/losses.py": "edited"}
    monkeypatch.setattr(identity, "code_digests", lambda: digests)
    run = tmp_path / "out" / "audio" / "seed_0"
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    capsys.readouterr()
    assert main(command) == 2
    shown = capsys.readouterr()
    assert "the code has changed since: components/losses.py" in shown.err and "--restart" in shown.err
    assert shown.err.count("\n") == 1 and not shown.out
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert main([*command, "--restart"]) == 0
    assert runs.read_description(run)["code"]["components/losses.py"] == "edited"
    assert main(command) == 0


def test_more_epochs_go_on_with_a_finished_comparison(splits, config, tmp_path):
    """The result is as if more had been asked for at once; a student starts afresh if its teacher has learned more."""
    names, options = ["audio", "pkdot"], dict(seeds=[0, 1], progress=False)
    compare(names, splits, config, output_dir=tmp_path / "grown", training=QUICK.replace(epochs=1), **options)
    grown = compare(names, splits, config, output_dir=tmp_path / "grown", training=QUICK.replace(epochs=3), **options)
    whole = compare(names, splits, config, output_dir=tmp_path / "whole", training=QUICK.replace(epochs=3), **options)
    assert not grown.failures and set(grown.seeds.epochs.dropna()) == {3}
    assert grown.seeds.equals(whole.seeds) and grown.missing.equals(whole.missing)
