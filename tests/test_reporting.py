"""What TensorBoard and Weights & Biases are told of a run."""

import struct
import sys

import pytest
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_open_training import SPLITS, TINY, TRAINING, Watch, trained
from wandb.proto.wandb_internal_pb2 import Record

import dmdlite
from dmdlite.training.loop import seed_everything
from dmdlite.training.trainer import train

STEPS = [2, 4, 6]  # 24 clips in batches of 16, after each of three epochs


def dmd(folder, **options):
    seed_everything(0)
    return train(dmdlite.DMD(TINY), SPLITS, folder, TRAINING, progress=False, **options)


def events(folder):
    return EventAccumulator(str(folder / "logs")).Reload()


def curve(found, tag):
    return [(event.step, event.value) for event in found.Scalars(tag)]


def test_tensorboard_shows_the_run(tmp_path, recwarn):
    result = dmd(tmp_path / "run", report_to="tensorboard")
    assert not [warning for warning in recwarn if "scalar" in str(warning.message)]
    found, epochs = events(tmp_path / "run"), result.epochs
    shown = {
        "train/learning_rate": [x["learning_rate"] for x in epochs],
        "train/losses/total": [x["losses"]["total"] for x in epochs],
        "train/losses/margin": [x["losses"]["margin"] for x in epochs],
        "eval/mae": [x["valid_scores"]["mae"] for x in epochs],
        "train/edges/homogeneous/language_to_audio": [x["edges"]["homogeneous"][0][2] for x in epochs],
    }
    for tag, values in shown.items():
        steps, seen = zip(*curve(found, tag))
        assert list(steps) == STEPS and seen == pytest.approx(values), tag
    assert sum(tag.startswith("train/edges/") for tag in found.Tags()["scalars"]) == 12
    assert curve(found, "test/mae") == [(STEPS[-1], pytest.approx(result.metrics["test"]["mae"]))]
    assert set(found.Tags()["images"]) == {"losses", "predictions", "edges"}
    plain = dmd(tmp_path / "plain")
    for name in ("training.json", "log.jsonl", "metrics.json", "model.safetensors"):  # it is the same run
        assert (tmp_path / "run" / name).read_bytes() == (plain.folder / name).read_bytes()


def test_steps_continue_after_a_stop_and_with_more_epochs(tmp_path):
    with pytest.raises(KeyError):
        trained(tmp_path, callbacks=[Watch(2, KeyError())], report_to="tensorboard")
    trained(tmp_path, report_to="tensorboard")
    result = trained(tmp_path, report_to="tensorboard", epochs=4)
    found = events(tmp_path)
    assert curve(found, "eval/error") == [(2 * x["epoch"], pytest.approx(x["valid_error"])) for x in result.epochs]
    assert [step for step, _ in curve(found, "test/mae")] == [6, 8]
    trained(tmp_path, restart=True, epochs=1)
    assert not (tmp_path / "logs").exists()


def test_each_run_of_a_comparison_has_its_own_log(tmp_path):
    options = dict(training=TRAINING.replace(epochs=1), progress=False, report_to="tensorboard")
    found = dmdlite.compare(["audio", "vision"], SPLITS, TINY, [0, 1], tmp_path, **options)
    assert not found.failures
    logs = {path.parent.parent for path in tmp_path.rglob("events.out.tfevents*")}
    assert logs == {tmp_path / name / f"seed_{seed}" for name in ("audio", "vision") for seed in (0, 1)}
    assert all(curve(events(run), "test/mae") for run in logs)


def records(log):
    """Those of a log in LevelDB's format: 7 bytes, then blocks of 32 KB; each part of a record has a head of 7."""
    at, record, block = 7, b"", 2**15
    while at + 7 <= len(log):
        if block - at % block < 7:
            at += block - at % block
            continue
        length, kind = struct.unpack("<HB", log[at + 4 : at + 7])
        record += log[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def history(folder):
    """Every value that was logged to a run of Weights & Biases, by name, over all sessions; and the runs' names."""
    names, values = set(), {}
    for file in sorted((folder / "logs" / "wandb").glob("offline-run-*/run-*.wandb")):
        for record in map(Record.FromString, records(file.read_bytes())):
            if record.HasField("run"):
                names.add(record.run.run_id)
            for item in record.history.item:
                values.setdefault(item.key or "/".join(item.nested_key), []).append(item.value_json)
    return names, values


def test_wandb_shows_the_run_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with pytest.raises(KeyError):
        trained(tmp_path, callbacks=[Watch(2, KeyError())], report_to="wandb")
    result = trained(tmp_path, report_to="wandb")
    wandb.teardown()  # its own process has written everything then
    names, values = history(tmp_path)
    assert len(names) == 1  # the second session belongs to the same run
    sent = dict.fromkeys(values["eval/error"])  # the second epoch twice
    assert [float(x) for x in sent] == pytest.approx([x["valid_error"] for x in result.epochs])
    assert [float(x) for x in values["test/mae"]] == pytest.approx([result.metrics["test"]["mae"]])
    assert {"losses/path", "predictions/path", "train/losses/total"} <= set(values)


def test_a_mistake_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="report_to cannot be 'tensorbord'; did you mean 'tensorboard'?"):
        trained(tmp_path / "run", report_to="tensorbord")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match=r'needs the package wandb: pip install "dmdlite\[logs\]"'):
        trained(tmp_path / "run", report_to="wandb")
    assert not (tmp_path / "run").exists()
