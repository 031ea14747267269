"""Tuning on the command line and before a comparison; several processes, one of which is killed, share the trials."""

import json
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from tiny import SIZES

from dmdlite.__main__ import main
from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.features import feature_shapes, write_folder
from dmdlite.data.toy import toy_world
from dmdlite.experiments import study as studies
from dmdlite.experiments.compare import compare
from dmdlite.experiments.tables import Comparison

TINY = [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("tuned")
    write_folder(toy_world(n=60, seed=0).splits, place / "data")
    return place


pytestmark = pytest.mark.usefixtures("only_what_counts")


@pytest.fixture
def no_test_split(monkeypatch):
    """A trial is given two splits."""
    original = studies.train_system

    def spy(name, recipes, splits, *rest, **options):
        assert sorted(splits) == ["train", "valid"]
        return original(name, recipes, splits, *rest, **options)

    monkeypatch.setattr(studies, "train_system", spy)


def test_the_printed_command_trains_the_best_trial_again(place, capsys, monkeypatch, no_test_split):
    monkeypatch.chdir(place)
    words = ["tune", "--model", "dmd", "--data", "data", "--trials", "2", "--epochs", "1", *TINY, "--output", "found"]
    words += ["--set", 'loss_weights={"orthogonality": 0.5}']  # is not tuned, and stays
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    best = json.loads((place / "found" / "best.json").read_text())
    assert printed[0] == "found: 2 of 2 trials to go" and printed[1].startswith("[1] trial 0 finished: validation")
    assert f"validation error {best['error']:.4f}, with the defaults {best['defaults']:.4f}" in printed
    assert not best["settings"].keys() & {"width", "loss_weights.orthogonality"} and "learning_rate" in best["own"]
    (command,) = [line for line in printed if line.startswith("  python -m dmdlite train")]
    assert main([*shlex.split(command)[3:], "--seed", "1000", "--output", "again"]) == 0
    metrics, run = (json.loads((place / "again" / f"{x}.json").read_text()) for x in ("metrics", "training"))
    assert metrics["valid"]["mae"] == best["error"] and "test" in metrics
    assert run["config"]["loss_weights"]["orthogonality"] == 0.5
    assert command.count("loss_weights") == 1
    assert main(words) == 0 and capsys.readouterr().out.splitlines()[-1] == "everything is in found"


def test_processes_share_the_trials_and_one_that_is_killed_loses_none(place, capsys):
    """The one that is in the middle of a trial is killed, and the other resumes it; a third has nothing to do."""
    words = ["tune", "--model", "audio", "--data", place / "data", "--trials", 3, "--epochs", 6]
    words += ["--output", place / "shared", *TINY]
    command = [sys.executable, "-m", "dmdlite", *map(str, words), "--batch-size", "8"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    while not (sealed := list(place.glob("shared/trials/*/audio/checkpoints/*/complete.json"))):
        assert all(process.poll() is None for process in both)
        time.sleep(0.01)
    who = int((sealed[0].parents[3] / ".owner").read_text().split()[1])  # "process 17 on host"
    victim, other = sorted(both, key=lambda process: process.pid != who)
    assert victim.pid == who
    victim.kill()
    shown, _ = other.communicate(timeout=300)
    assert other.returncode == 0, shown
    rows = pd.read_csv(place / "shared" / "trials.csv")
    assert rows.number.tolist() == [0, 1, 2] and set(rows.state) <= {"finished", "stopped early"}
    assert not (place / "shared" / "trials").exists()
    assert main(command[3:]) == 0
    again = capsys.readouterr().out
    assert (
        again.startswith(f"{place / 'shared'}: 0 of 3 trials to go")
        and shown.splitlines()[-4:] == again.splitlines()[-4:]
    )


def test_a_comparison_tunes_every_model_and_says_so(place, capsys, monkeypatch, no_test_split):
    monkeypatch.chdir(place)
    words = ["compare", "--models", "audio", "pkdot", "--seeds", "1", "--data", "data", "--epochs", "1", *TINY]
    words += ["--tune", "2", "--jobs", "1", "--output", "table"]
    assert main([*words, "--only", "audio:0"]) == 0  # a task of an array tunes what it needs
    assert sorted(x.name for x in (place / "table" / "tuning").iterdir()) == ["audio"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "table/tuning: 1 of 2 models to tune" in shown and "2 trials each on the validation split" in shown
    text, found = (place / "table" / "comparison.md").read_text(), Comparison.read(place / "table")
    assert "Adam; the best epoch" in text and "nothing was tuned" not in text and "as tuned" in text
    for name, title in (("audio", "audio"), ("pkdot", "PKDOT"), ("pkdot_teacher_of_pkdot", "")):
        best = json.loads((place / "table" / "tuning" / (title or "pkdot").lower() / "best.json").read_text())
        run = json.loads((place / "table" / name / "seed_0" / "training.json").read_text())
        chosen = best["own"] | best["settings"]
        assert run["training"]["learning_rate"] == chosen["learning_rate"] and run["training"]["seed"] == 0
        assert run["config"]["output_dropout"] == chosen["output_dropout"]
        if title:
            assert f"- {title}: {found.table.tuned[name]}" in text
            assert found.table.tuned[name] == studies.in_words(best["settings"])
    journals = {path: path.read_bytes() for path in place.glob("table/tuning/*/journal.log")}
    assert main([*words, "--collect"]) == 0 and main(words) == 0
    assert journals == {path: path.read_bytes() for path in place.glob("table/tuning/*/journal.log")}
    assert (place / "table" / "comparison.md").read_text() == text


@pytest.mark.parametrize(
    "more, sentence",
    [
        (["--seeds", "3", "1000"], "tuned with seed 1000, which must not be one of the comparison's seeds"),
        (["--tune", "3"], "tuning.trials is 2 there and 3 here"),
        (["--tune", "-1"], "trials must be at least 1, got -1"),
        (["--epochs", "2"], "tuning.epochs is 1 there and 2 here"),
    ],
)
def test_what_would_mix_or_cheat_is_refused(place, capsys, monkeypatch, more, sentence):
    """What was tuned in a budget is not compared in another one."""
    monkeypatch.chdir(place)
    words = ["compare", "--models", "audio", "--seeds", "1", "--data", "data", "--epochs", "1", *TINY, "--tune", "2"]
    assert main([*words, "--jobs", "1", "--output", "table", *more]) == 2
    assert sentence in (shown := capsys.readouterr().err) and shown.count("\n") == 1


def test_a_part_may_have_a_rate_of_its_own(place, monkeypatch):
    monkeypatch.chdir(place)
    words = ["compare", "--models", "audio", "--seeds", "1", "--data", "data", "--epochs", "1", *TINY, "--jobs", "1"]
    own = ["--tune", "1", "--set", 'learning_rates={"regress": 0.001}', "--output", "rates"]
    assert main([*words, *own]) == 0
    run = json.loads((place / "rates" / "audio" / "seed_0" / "training.json").read_text())
    assert run["training"]["learning_rates"] == {"regress": 0.001}


def test_the_numbers_do_not_depend_on_who_else_is_tuned(place):
    """Or on where: here, or in two places of another executor."""
    splits = toy_world(n=60, seed=0).splits
    config = DMDConfig.toy(**SIZES, **feature_shapes(splits))
    options = dict(training=TrainingConfig(epochs=1), tune=2, progress=False)
    one = compare(["vision"], splits, config, [0], place / "one", **options)
    with ThreadPoolExecutor(2) as executor:
        two = compare(["audio", "vision"], splits, config, [0], place / "two", executor=executor, **options)
    assert one.table.tuned["vision"] == two.table.tuned["vision"] != "the defaults"
    assert one.errors["vision"].equals(two.errors["vision"])
