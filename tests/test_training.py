"""The two loops agree, a run folder is whole, and a run that was killed ends as if it had not been."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SIZES, without_pictures

from dmdlite.__main__ import main
from dmdlite.config import TrainingConfig
from dmdlite.data.features import write_folder
from dmdlite.data.toy import toy_world
from dmdlite.models.registry import build
from dmdlite.training import checkpoints, runs
from dmdlite.training.loop import epochs_without_progress, plain_loop, predict_logits, seed_everything
from dmdlite.training.trainer import train

KEYS = {"mae", "corr", "acc2", "f1", "acc7", "acc2_with_zero", "f1_with_zero"}
QUICK = TrainingConfig(epochs=2, batch_size=16)


def make(config, name="dmd", seed=0):
    seed_everything(seed)
    return build(name, config)


def copy_of(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


@pytest.fixture(scope="session")
def finished(splits, config, tmp_path_factory):
    """A finished run, not to be changed; `copy_of` it otherwise."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return train(make(config), splits, folder, QUICK, progress=False)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch, finished):
    """Drawing takes longer than training here; `finished` has the real ones."""
    without_pictures(monkeypatch)


def losses_of_batches(model):
    """A list that fills with the loss of every training batch."""
    losses = []
    model.register_forward_hook(lambda module, _, out: losses.append(out.loss.item()) if module.training else None)
    return losses


@pytest.mark.parametrize(
    "changes",
    [
        dict(gradient_clip=0.6),
        dict(gradient_clip=0.01, gradient_accumulation=2, weight_decay=0.1, plateau_patience=1, plateau_factor=0.1),
        dict(padding_mask=True, gradient_clip=0.0, seed=3),
    ],
    ids=["plain", "accumulated", "masked"],
)
def test_plain_loop_and_trainer_agree(splits, config, tmp_path, changes):
    """48 clips in batches of 10: the last batch is short, and with accumulation the last step too. Dropout is on."""
    training = TrainingConfig(epochs=2, batch_size=10).replace(**changes)
    plain, trained = make(config), make(config)
    plain_losses, trained_losses = losses_of_batches(plain), losses_of_batches(trained)
    plain_epochs = plain_loop(plain, splits, training)
    trained_epochs = train(trained, splits, tmp_path / "run", training, progress=False).epochs
    assert len(plain_losses) == 10
    np.testing.assert_allclose(trained_losses, plain_losses, rtol=1e-5)
    for ours, theirs in zip(plain_epochs, trained_epochs, strict=True):
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-5)
        assert ours["learning_rate"] == theirs["learning_rate"]
        assert ours["valid_error"] == pytest.approx(theirs["valid_error"], rel=1e-5)
        np.testing.assert_allclose(ours["edges"]["homogeneous"], theirs["edges"]["homogeneous"], rtol=1e-5)
    for ours, theirs in zip(plain.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_compiled_training_is_the_same():
    """In a process of its own: the check of shapes, which the tests switch on, is nothing for a compiler."""
    program = [sys.executable, "-W", "ignore", Path(__file__).with_name("compiled_training.py")]
    run = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr


def test_early_stopping_and_the_plateau_follow_the_validation_error(splits, config, tmp_path):
    training = TrainingConfig(epochs=30, learning_rate=0.05, plateau_patience=1, early_stopping_patience=4)
    model = make(config.without_dropout(), "audio")
    result = train(model, splits, tmp_path / "run", training, progress=False)
    assert len(result.epochs) < 30
    assert epochs_without_progress(result.epochs) == 4
    assert result.metrics["best_epoch"] == len(result.epochs) - 4
    assert result.epochs[-1]["learning_rate"] < 0.05
    best = min(record["valid_error"] for record in result.epochs)
    assert np.abs(predict_logits(model, splits["valid"]) - splits["valid"].labels).mean() == pytest.approx(
        best, rel=1e-6
    )


def test_epochs_without_progress_counts_from_the_first_of_equal_ones():
    assert epochs_without_progress([{"valid_error": mae} for mae in (2.0, 1.0, 1.0, 3.0)]) == 2


def test_run_folder_is_whole(finished, splits, config):
    names = {file.name for file in finished.folder.iterdir()}
    assert names >= {"config.json", "model.safetensors", "training.json", "metrics.json"}
    assert names >= {"predictions.csv", "log.jsonl"}
    assert not [name for name in names if name.startswith(".")] and "checkpoints" not in names
    for picture in ("losses.png", "predictions.png", "edges.png"):
        assert (finished.folder / picture).read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((finished.folder / "metrics.json").read_text())
    assert all(metrics[split].keys() >= KEYS for split in ("train", "valid", "test"))
    assert metrics["constant"]["prediction"] == pytest.approx(np.median(splits["train"].labels))
    assert metrics["constant"]["test"].keys() >= KEYS and metrics["epochs"] == 2
    log = [json.loads(line) for line in (finished.folder / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in log] == [1, 2]
    assert log[0]["losses"].keys() >= {"total", *config.loss_weights}
    assert np.shape(log[0]["edges"]["heterogeneous"]) == (3, 3)
    description = json.loads((finished.folder / "training.json").read_text())
    assert description["model"] == "dmdlite.models.dmd.DMD" and description["training"]["epochs"] == 2


def test_predictions_file(finished, splits):
    with open(finished.folder / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(map(len, splits.values()))
    test = [row for row in rows if row["split"] == "test"]
    assert [row["id"] for row in test] == splits["test"].ids
    error = np.mean([abs(float(row["label"]) - float(row["prediction"])) for row in test])
    assert error == pytest.approx(finished.metrics["test"]["mae"], rel=1e-9)


def test_predict_gives_a_table(finished, splits):
    table = runs.predict(finished.folder, splits["test"])
    assert list(table)[:7] == ["id", "text", "label", "prediction", "language", "vision", "audio"]
    assert list(table)[7:9] == ["homogeneous language->vision", "homogeneous language->audio"]
    assert list(table.id) == splits["test"].ids and list(table.text) == splits["test"].raw_text
    error = (table.label - table.prediction).abs().mean()
    assert error == pytest.approx(finished.metrics["test"]["mae"], rel=1e-6)
    assert runs.predict(runs.load_model(finished.folder), splits["test"]).equals(table)
    assert runs.predict(finished, splits["test"]).equals(table)


def test_evaluate_gives_the_same_numbers_in_a_fresh_process(finished, splits, tmp_path):
    write_folder(splits, tmp_path / "data")
    code = (
        "import json, sys\n"
        "from dmdlite.data.features import load_features\n"
        "from dmdlite.training.runs import evaluate\n"
        "print(json.dumps(evaluate(sys.argv[1], load_features(sys.argv[2]))))"
    )
    command = [sys.executable, "-c", code, str(finished.folder), str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert json.loads(done.stdout) == {split: finished.metrics[split] for split in splits}


def test_a_finished_run_is_not_trained_again(finished, splits, config, capsys):
    before = {file: file.stat().st_mtime_ns for file in finished.folder.iterdir()}
    model = make(config)
    again = train(model, splits, finished.folder, QUICK)
    assert "finished" in capsys.readouterr().out
    assert again.metrics == finished.metrics and again.epochs == finished.epochs
    assert before == {file: file.stat().st_mtime_ns for file in finished.folder.iterdir()}
    assert runs.evaluate(finished.folder, splits, model)["test"] == finished.metrics["test"]


def test_a_run_can_be_started_over(finished, splits, config, tmp_path, capsys):
    again = train(make(config), splits, copy_of(finished.folder, tmp_path), QUICK, restart=True)
    assert "starting afresh" in capsys.readouterr().out
    assert again.metrics == finished.metrics


@pytest.mark.parametrize("what", ["training", "config", "model", "data", "foreign"])
def test_other_folders_are_refused_and_not_touched(finished, splits, config, tmp_path, what):
    folder = copy_of(finished.folder, tmp_path)
    if what == "foreign":
        (folder / "training.json").unlink()
    words = {"training": "learning_rate is 0.002 there and 0.1 here", "config": "config.width", "model": "Unimodal"}
    words |= {"data": "on other data", "foreign": "holds no run of dmdlite"}
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    model = make(config.replace(width=4) if what == "config" else config, "audio" if what == "model" else "dmd")
    data = toy_world(n=80, seed=1).splits if what == "data" else splits
    with pytest.raises(ValueError, match="choose another output folder") as refusal:
        train(model, data, folder, QUICK, learning_rate=0.1 if what == "training" else 2e-3)
    assert words[what] in str(refusal.value)
    assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "damage", ["missing", "truncated", "another shape", "no training.json", "no metrics.json", "empty", "no dict"]
)
def test_evaluate_says_what_is_wrong_with_a_run(finished, splits, config, tmp_path, damage):
    folder = copy_of(finished.folder, tmp_path)
    weights = folder / "model.safetensors"
    if damage == "missing":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "another shape":
        make(config.replace(width=4)).save_pretrained(tmp_path / "other")
        shutil.copy(tmp_path / "other" / "model.safetensors", weights)
    elif damage in ("empty", "no dict"):
        (folder / "training.json").write_text("{}" if damage == "empty" else "[]")
    else:
        (folder / damage.removeprefix("no ")).unlink()
    words = {"truncated": "not a readable", "another shape": "shape"}
    words |= dict.fromkeys(("empty", "no dict"), "does not describe a run; it needs model")
    with pytest.raises(ValueError, match=words.get(damage, "missing")) as problem:
        runs.evaluate(folder, splits)
    assert "\n" not in str(problem.value)


def test_a_run_folder_cannot_make_us_import_other_code(finished, splits, tmp_path):
    folder = copy_of(finished.folder, tmp_path)
    description = json.loads((folder / "training.json").read_text())
    (folder / "training.json").write_text(json.dumps(description | {"model": "subprocess.Popen"}))
    with pytest.raises(ValueError, match="pass the model itself"):
        runs.evaluate(folder, splits)


def test_a_file_with_tokens_alone_serves_models_that_do_not_read_features(splits, config, tmp_path):
    tokens_only = {
        name: replace(split, features={m: x for m, x in split.features.items() if m != "language"})
        for name, split in splits.items()
    }
    result = train(make(config, "vision"), tokens_only, tmp_path / "vision", QUICK, progress=False)
    assert result.metrics == train(make(config, "vision"), splits, tmp_path / "same", QUICK, progress=False).metrics
    with pytest.raises(ValueError, match="has no language features"):
        train(make(config), tokens_only, tmp_path / "dmd", QUICK, progress=False)
    small = {"model_type": "bert", "vocab_size": 9, "hidden_size": 4, "num_attention_heads": 1, "num_hidden_layers": 1}
    with pytest.raises(ValueError, match="key 'text_bert': token id .*, but the language model knows 9 tokens"):
        train(make(config.replace(language_model=small)), tokens_only, tmp_path / "bert", QUICK, progress=False)


def test_divergence_is_one_sentence(splits, config, tmp_path):
    with pytest.raises(ValueError, match="diverged in epoch 1"):
        train(make(config), splits, tmp_path / "run", QUICK, learning_rate=1e30, gradient_clip=0.0, progress=False)


def test_unknown_training_fields(splits, config, tmp_path):
    with pytest.raises(ValueError, match="no field 'epoch'"):
        train(make(config), splits, tmp_path / "run", epoch=3)
    assert not (tmp_path / "run").exists()


class Stop(Exception):
    """Ends a run in this process, at the place of a kill."""


def stop_after(monkeypatch, epochs, where="seal"):
    """Makes the writing of a checkpoint fail: before its seal ("seal") or after it ("keep_only")."""
    done, original = [], getattr(checkpoints, where)

    def failing(*arguments):
        done.append(arguments)
        if len(done) > epochs:
            raise Stop
        original(*arguments)

    monkeypatch.setattr(f"dmdlite.training.checkpoints.{where}", failing)


def test_a_half_written_checkpoint_is_never_loaded(splits, config, tmp_path, monkeypatch, capsys):
    training = TrainingConfig(epochs=3, batch_size=16)
    unbroken = train(make(config), splits, tmp_path / "unbroken", training, progress=False)
    with monkeypatch.context() as patch:
        stop_after(patch, epochs=2)
        with pytest.raises(Stop):
            train(make(config), splits, tmp_path / "run", training, progress=False)
    folder = tmp_path / "run" / "checkpoints"
    written = sorted(folder.glob("checkpoint-*"), key=checkpoints.step_of)
    assert [checkpoints.is_whole(checkpoint) for checkpoint in written][-2:] == [True, False]
    (written[-1] / "model.safetensors").write_bytes(b"half")
    result = train(make(config), splits, tmp_path / "run", training)
    assert "resuming after epoch 2" in capsys.readouterr().out
    assert result.metrics == unbroken.metrics and result.epochs == unbroken.epochs
    assert not folder.exists()


def test_without_a_whole_checkpoint_a_run_starts_afresh(splits, config, finished, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, epochs=0)
        with pytest.raises(Stop):
            train(make(config), splits, tmp_path / "run", QUICK, progress=False)
    assert train(make(config), splits, tmp_path / "run", QUICK).metrics == finished.metrics
    assert "starting afresh" in capsys.readouterr().out


@pytest.mark.parametrize("damaged", ["model.safetensors", "optimizer.pt", "trainer_state.json"])
def test_a_checkpoint_that_was_changed_after_its_seal_is_not_whole(damaged, tmp_path):
    for name in ("model.safetensors", "optimizer.pt", "trainer_state.json"):
        (tmp_path / name).write_bytes(b"content")
    checkpoints.seal(tmp_path)
    assert checkpoints.is_whole(tmp_path)
    (tmp_path / ".DS_Store").write_bytes(b"somebody looked into the folder")
    assert checkpoints.is_whole(tmp_path)
    (tmp_path / damaged).write_bytes(b"")
    assert not checkpoints.is_whole(tmp_path)
    (tmp_path / damaged).unlink()
    assert not checkpoints.is_whole(tmp_path)


def test_a_run_stopped_after_its_last_epoch_is_only_finished(splits, config, tmp_path, monkeypatch, capsys):
    """Also when it ended early: one epoch more would make another run of it."""
    training = TrainingConfig(epochs=30, learning_rate=0.05, early_stopping_patience=1)
    unbroken = train(make(config, "audio"), splits, tmp_path / "unbroken", training, progress=False)
    assert len(unbroken.epochs) < 30
    with monkeypatch.context() as patch:
        patch.setattr("dmdlite.training.runs.finish", lambda *_: (_ for _ in ()).throw(Stop))
        with pytest.raises(Stop):
            train(make(config, "audio"), splits, tmp_path / "run", training, progress=False)
    result = train(make(config, "audio"), splits, tmp_path / "run", training)
    assert f"resuming after epoch {len(unbroken.epochs)}" in capsys.readouterr().out
    assert result.metrics == unbroken.metrics and result.epochs == unbroken.epochs


def test_a_run_killed_in_the_middle_ends_as_if_it_had_not_been(splits, config, tmp_path, capsys):
    """Killed by the system in a process of its own; then the same command goes on. An unbroken run is the measure."""
    write_folder(splits, tmp_path / "data")
    settings = [part for name, value in SIZES.items() for part in ("--set", f"{name}={value}")]
    command = ["train", "--data", tmp_path / "data", "--epochs", 5, "--batch-size", 8, *settings]
    command = [*map(str, command), "--output", str(tmp_path / "killed")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    victim = subprocess.Popen([sys.executable, "-m", "dmdlite", *command], env=environment)
    while victim.poll() is None and not any(tmp_path.glob("killed/checkpoints/checkpoint-*/complete.json")):
        time.sleep(0.01)
    assert victim.poll() is None, "the run was over before it could be killed"
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (tmp_path / "killed" / "metrics.json").exists()
    assert main(command) == 0
    assert "resuming after epoch" in capsys.readouterr().out
    train(make(config), splits, tmp_path / "unbroken", TrainingConfig(epochs=5, batch_size=8), progress=False)
    for name in ("metrics.json", "log.jsonl", "predictions.csv", "model.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes(), name
