"""`train` is open: optimizers, schedules and callbacks of one's own, each part of what makes a run this run."""

import json

import pytest
from matplotlib.figure import Figure
from transformers import TrainerCallback

from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.toy import toy_world
from dmdlite.models.unimodal import Unimodal
from dmdlite.training import checkpoints, runs
from dmdlite.training.loop import seed_everything
from dmdlite.training.trainer import train

SPLITS = toy_world(40).splits
TINY = DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)
TRAINING = TrainingConfig(epochs=3, batch_size=16)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    for name in ("draw_losses", "draw_answers", "draw_edges"):
        monkeypatch.setattr(runs, name, lambda *_: Figure(figsize=(1, 1)))


def audio(seed=0):
    seed_everything(seed)
    return Unimodal(TINY, "audio")


def trained(folder, training=TRAINING, **options):
    return train(audio(), SPLITS, folder, training, progress=False, **options)


class Watch(TrainerCallback):
    """Notes the error of each epoch; stops, or raises, after some."""

    def __init__(self, most=99, problem=None):
        self.errors, self.most, self.problem = [], most, problem

    def on_evaluate(self, args, state, control, metrics, **_):
        self.errors.append(metrics["eval_error"])
        if len(self.errors) == self.most and self.problem:
            raise self.problem
        control.should_training_stop |= len(self.errors) == self.most


def test_a_callback_sees_the_error_of_each_epoch(tmp_path):
    watch = Watch()
    result = trained(tmp_path, callbacks=[watch])
    assert watch.errors == [record["valid_error"] for record in result.epochs] and len(watch.errors) == 3
    assert result.epochs == trained(tmp_path).epochs  # the same run with and without


def test_a_callback_sees_what_the_selecting_score_lacks(tmp_path):
    watch = Watch()
    result = trained(tmp_path, callbacks=[watch], select_by="corr")
    assert watch.errors == [1 - record["valid_scores"]["corr"] for record in result.epochs]


def test_a_callback_stops_a_run(tmp_path):
    result = trained(tmp_path, callbacks=[Watch(2)])
    assert result.metrics["epochs"] == 2
    assert trained(tmp_path).metrics == result.metrics  # as after an early stop, there is no more to train


def test_a_callback_that_raises_leaves_a_run_to_resume(tmp_path):
    unbroken = trained(tmp_path / "unbroken")
    with pytest.raises(KeyError):
        trained(tmp_path / "run", callbacks=[Watch(2, KeyError())])
    assert checkpoints.newest(tmp_path / "run" / "checkpoints") is not None
    assert trained(tmp_path / "run").epochs == unbroken.epochs


class Frozen(Watch):
    changes_training = True

    def on_step_begin(self, args, state, control, model, **_):
        model.requires_grad_(False)


def test_a_callback_that_changes_training_makes_another_run(tmp_path):
    trained(tmp_path, callbacks=[Watch()])
    with pytest.raises(ValueError, match="own code has changed since: .*Frozen"):
        trained(tmp_path, callbacks=[Frozen()])
    assert not any("Watch" in name for name in json.loads((tmp_path / "training.json").read_text())["own_code"])
