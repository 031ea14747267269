"""The command line: what it prints, and one clear line with exit code 2 for whatever is wrong with the input."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tiny import without_pictures

from dmdlite.__main__ import main
from dmdlite.data.features import fingerprint, load_features, open_data, write_folder, write_mmsa
from dmdlite.data.toy import toy_world

SIZES = ("width=8", "heads=2", "layers=1", "minimum_memory_layers=1")
TINY = ["--epochs", "1", *(part for size in SIZES for part in ("--set", size))]


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with data as a pickle and converted, bad data, a finished run and a foreign folder."""
    place = tmp_path_factory.mktemp("command_line")
    splits = toy_world(n=80, seed=0).splits
    write_folder(splits, place / "toy")
    write_mmsa(splits, place / "toy.pkl")
    (place / "truncated.pkl").write_bytes((place / "toy.pkl").read_bytes()[:5000])
    content = pickle.loads((place / "toy.pkl").read_bytes())
    content["train"]["vision"][0, 0, 0] = np.nan
    (place / "nan.pkl").write_bytes(pickle.dumps(content))
    (place / "foreign").mkdir()
    (place / "foreign" / "thesis.txt").write_text("precious")
    assert run(place, "train --data toy --output run", *TINY) == 0
    return place


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch, place):
    """Drawing takes longer than training here; the run in `place` has the real ones."""
    without_pictures(monkeypatch)


def run(place, words, *more):
    """The exit code of a command started in `place`."""
    before = os.getcwd()
    os.chdir(place)
    try:
        return main([*words.split(), *more])
    except SystemExit as end:
        return end.code
    finally:
        os.chdir(before)


def test_train_prints_its_scores_beside_a_constants(place, capsys):
    assert run(place, "train --data toy.pkl --model audio --seed 4", *TINY) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "runs/audio-toy-seed4: starting" and lines[1].startswith("epoch   1/1   loss")
    metrics = json.loads((place / "runs" / "audio-toy-seed4" / "metrics.json").read_text())
    row = next(line.split() for line in lines if line.startswith("test "))
    assert row[1] == f"{metrics['test']['mae']:.3f}" and row[-1] == f"{metrics['test']['acc7']:.3f}"
    assert any(line.startswith("test, constant") for line in lines)
    assert lines[-1] == "everything is in runs/audio-toy-seed4"
    description = json.loads((place / "runs" / "audio-toy-seed4" / "training.json").read_text())
    assert description["training"]["seed"] == 4 and description["config"]["width"] == 8


def test_evaluate_prints_the_stored_scores(place, capsys):
    assert run(place, "evaluate run --data toy.pkl --split valid") == 0
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    stored = json.loads((place / "run" / "metrics.json").read_text())["valid"]
    assert printed == {name: f"{score:.4f}" for name, score in stored.items()}


def test_convert(place, capsys):
    assert run(place, "convert toy.pkl converted") == 0
    converted, expected = (load_features(place / name)["test"].labels for name in ("converted", "toy"))
    np.testing.assert_array_equal(converted, expected)


def test_compare_prints_a_table(place, capsys):
    words = "compare --data toy --models language audio --seeds 3 1 --jobs 1 --output table"
    assert run(place, words, *TINY, "--set", 'loss_weights={"task_final": 0.5}') == 0
    out = capsys.readouterr().out
    assert out.startswith("table: 4 of 4 runs to go\n[1/4] language, seed 3: test error ")
    assert (place / "table" / "comparison.md").read_text() in out
    assert "| audio | " in out and "| constant | " in out
    config = json.loads((place / "table" / "audio" / "seed_1" / "config.json").read_text())
    assert config["loss_weights"]["task_final"] == 0.5


def test_compare_with_failing_runs_prints_the_table_and_ends_with_2(place, capsys):
    words = "compare --data toy --models audio --seeds 2 --jobs 1 --output failing --learning-rate 1e30"
    assert run(place, words, *TINY, "--set", "gradient_clip=0.0") == 2
    out, err = capsys.readouterr()
    assert "| audio | failed | " in out
    assert err == (
        "dmdlite compare: 2 of the runs failed, the others are whole; the first: "
        "audio, seed 0: training diverged in epoch 1; try a lower learning rate\n"
    )


def test_presets(place, capsys):
    """A preset that does not fit the data is completed by it, except for what data cannot say."""
    assert run(place, "train --data toy --preset paper-mosei --output paper --model dmd", *TINY) == 0
    config = json.loads((place / "paper" / "config.json").read_text())
    assert config["fusion_gate"] == "scales" and config["feature_widths"]["audio"] == 6
    description = json.loads((place / "paper" / "training.json").read_text())
    assert description["training"]["gradient_accumulation"] == 10


def test_evaluate_scores_the_runs_own_data(place, capsys):
    assert run(place, "evaluate run --data toy") == 0
    expected = capsys.readouterr().out
    assert run(place, "evaluate run") == 0 and capsys.readouterr().out == expected
    assert run(place, "evaluate run --data ../nowhere") == 2


def test_a_run_whose_data_have_gone_says_so(place, tmp_path, capsys):
    shutil.copytree(place / "run", tmp_path / "run")
    assert run(tmp_path, "evaluate run") == 2
    assert "run was trained on toy, which is not here; give --data PATH" in capsys.readouterr().err


def test_without_any_file_the_toy_world_is_drawn(tmp_path, monkeypatch):
    stored, path = open_data(None)
    assert path.name == "toy"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "dmdlite.data.features.__file__", str(tmp_path / "site-packages" / "dmdlite" / "data" / "features.py")
    )
    drawn, path = open_data(None)
    assert path is None and fingerprint(drawn) == fingerprint(stored)
    assert np.array_equal(drawn["test"].features["audio"], stored["test"].features["audio"])


MISTAKES = {
    "": "the following arguments are required: COMMAND",
    "fly": "invalid choice: 'fly'",
    "train --speed 3": "unknown option --speed",
    "train --epochs many": "invalid int value: 'many'",
    "train --data nowhere.pkl": "nowhere.pkl does not exist",
    "train --data truncated.pkl": "truncated.pkl",
    "train --data nan.pkl": "'vision'",
    "train --data foreign": "foreign",
    "train --data toy --preset mossi": "'mossi'",
    "train --data toy --model bart": "'bart'",
    "train --data toy --set widht=3": "has a field 'widht'",
    "train --data toy --set width": "FIELD=VALUE",
    "train --data toy --set width=2.5": "width must be a whole number, got 2.5",
    'train --data toy --set kernel_sizes={"audio":"a"}': "kernel_sizes['audio'] must be a whole number, got 'a'",
    "train --data toy --set width=7": "multiple of heads",
    "train --data toy --set fusion_gate=shut": "'shut'",
    "train --data toy --set seed=one": "seed must be a whole number, got 'one'",
    "train --data toy --set gradient_clip=-1": "gradient_clip must not be negative",
    "train --data toy --epochs 0": "epochs must be at least 1",
    "train --data toy --learning-rate 0": "learning_rate must be positive",
    "train --data toy --output foreign": "holds no run of dmdlite",
    "train --data toy --output foreign/thesis.txt": "is a file",
    "train --data toy --output run": "already holds another run",
    "train --data toy --modalities language smell": "--modalities",
    "train --data toy --split-by-id 0.7,0.1": "has the splits train, valid, test already",
    "train --data toy --split-by-id a,b,c": "invalid shares value",
    "train --data toy --invalid keep": "'keep'",
    "train --data toy --task guess": "'guess'",
    "train --data toy --set warmup_epochs=-1": "warmup_epochs must be at least 0",
    'train --data toy --set learning_rates={"bert":0}': "learning_rates['bert'] must be positive",
    'train --data toy --set learning_rates={"bert":"fast"}': "learning_rates['bert'] must be a number",
    "train --data toy --from rum": "there is no file rum; did you mean 'run'?",
    "train --data toy --from toy.pkl": "toy.pkl is not a readable checkpoint",
    "train --data toy --from run --model audio": "run holds a model of the kind DMD, not Unimodal",
    "evaluate": "required: RUN",
    "predict": "required: RUN",
    "predict run --data nowhere.pkl": "nowhere.pkl does not exist",
    "predict run --data toy --split tset": "'tset'",
    "evaluate nowhere --data toy": "nowhere holds no finished run",
    "evaluate run --data toy --split tset": "'tset'",
    "compare --data toy --models bart": "'bart' cannot be compared",
    "compare --data toy --seeds 0": "give at least one name and one seed",
    "compare --data toy --seeds 3 3": "each seed counts once",
    "compare --data toy --seeds one": "invalid int value: 'one'",
    "compare --data toy --set seed=3": "the seeds of a comparison are given by --seeds",
    "compare --data toy --jobs 0": "jobs must be at least 1",
    "compare --data toy --models audio --set widht=3": "none of the models audio has a field 'widht'",
    "compare --data toy --models audio --set width": "FIELD=VALUE",
    "compare --data toy --models audio --set width=2.5": "width must be a whole number, got 2.5",
    "compare --data toy --models audio --output run": "already holds another run",
    "compare --data toy --models audio --output foreign": "holds no run of dmdlite",
    "convert nowhere.pkl out": "nowhere.pkl does not exist",
    "convert toy.pkl foreign": "foreign",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(words, place, capsys):
    assert run(place, words) == 2
    out, err = capsys.readouterr()
    assert err.startswith("dmdlite") and err.count("\n") == 1 and MISTAKES[words] in err
    assert "Traceback" not in err and not out
    assert [file.name for file in (place / "foreign").iterdir()] == ["thesis.txt"]


def test_ctrl_c_says_how_to_go_on(place, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dmdlite.training.systems.train", interrupted)
    assert run(place, "train --data toy --output stopped", *TINY) == 130
    assert "The same command goes on from the last finished epoch." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "train", "evaluate", "predict", "compare", "convert"])
def test_help_has_an_example_and_the_defaults(command, place, capsys):
    assert run(place, f"{command} --help") == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: dmdlite") and "None" not in out
    assert not command or f"python -m dmdlite {command} " in out


def test_help_imports_neither_torch_nor_transformers():
    code = "import sys; from dmdlite.__main__ import make_parser; make_parser(); print('torch' in sys.modules)"
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert lines == "False\n"


def test_mistakes_in_a_process_of_their_own(place):
    done = subprocess.run(
        [sys.executable, "-m", "dmdlite", "train", "--data", "nowhere.pkl"], capture_output=True, text=True, cwd=place
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("dmdlite train: ")
