"""`train` is open: optimizers, schedules and callbacks of one's own, each part of what makes a run this run."""

import json
import math
import re
import sys
from pathlib import Path

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, MultiStepLR, ReduceLROnPlateau
from transformers import TrainerCallback

import dmdlite
from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.toy import toy_world
from dmdlite.models.unimodal import Unimodal
from dmdlite.training import checkpoints, runs
from dmdlite.training.loop import make_optimizer, make_schedule, plain_loop, seed_everything
from dmdlite.training.trainer import train

SPLITS = toy_world(40).splits
TINY = DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)
TRAINING = TrainingConfig(epochs=3, batch_size=16)


pytestmark = pytest.mark.usefixtures("no_pictures")


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


DECAY = 0.1


def two_groups(model):
    """AdamW, without weight decay for vectors, which are biases and norms."""
    vectors = [x for x in model.parameters() if x.ndim < 2]
    matrices = {"params": [x for x in model.parameters() if x.ndim > 1], "weight_decay": DECAY}
    return torch.optim.AdamW([matrices, {"params": vectors, "weight_decay": 0.0, "lr": 5e-3}], lr=1e-3)


def cosine(optimizer):
    return CosineAnnealingLR(optimizer, 10)


OWN = TRAINING.replace(optimizer=two_groups, scheduler=cosine, batch_size=8)


def stopped_and_resumed(folder, training):
    """A run that ends in its second epoch, as one that is killed does, and is then taken up."""
    with pytest.raises(KeyError):
        trained(folder, training, callbacks=[Watch(2, KeyError())])
    return trained(folder, training)


@pytest.mark.parametrize(
    "training",
    [OWN, TRAINING.replace(optimizer="adamw", weight_decay=0.1, scheduler="cosine", warmup_epochs=1)],
    ids=["own", "named"],
)
def test_resuming_and_plain_loop_end_as_an_unbroken_run(tmp_path, training):
    unbroken = trained(tmp_path / "unbroken", training)
    assert stopped_and_resumed(tmp_path / "run", training).epochs == unbroken.epochs
    for name in ("model.safetensors", "metrics.json", "log.jsonl", "predictions.csv", "training.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes(), name
    plain = plain_loop(audio(), SPLITS, training)
    assert [x["learning_rate"] for x in plain] == [x["learning_rate"] for x in unbroken.epochs]
    assert [x["valid_error"] for x in plain] == pytest.approx([x["valid_error"] for x in unbroken.epochs], rel=1e-5)
    assert trained(tmp_path / "adam").epochs[-1]["valid_error"] != unbroken.epochs[-1]["valid_error"]


def test_what_was_given_is_recorded_and_makes_the_run(tmp_path, monkeypatch):
    trained(tmp_path, OWN)
    there = json.loads((tmp_path / "training.json").read_text())
    assert there["training"]["optimizer"] == f"{__name__}.two_groups" in there["own_code"]
    assert there["optimizer"]["class"] == "torch.optim.adamw.AdamW" and there["optimizer"]["groups"]["1"]["lr"] == 5e-3
    assert there["schedule"]["class"].endswith("CosineAnnealingLR") and there["schedule"]["T_max"] == 10

    def refusal(training):
        with pytest.raises(ValueError, match="restart=True") as refused:
            trained(tmp_path, training)
        return str(refused.value)

    assert "training.optimizer is" in refusal(OWN.replace(optimizer="adamw"))
    assert "training.scheduler is" in refusal(OWN.replace(scheduler=lambda optimizer: cosine(optimizer)))
    monkeypatch.setattr(sys.modules[__name__], "DECAY", 0.2)  # as an edit of the file would
    assert "optimizer.groups.0.weight_decay is 0.1 there and 0.2 here" in refusal(OWN)


def test_another_value_in_a_closure_is_another_run(tmp_path):
    def rates(power):
        return TRAINING.replace(scheduler=lambda optimizer: LambdaLR(optimizer, lambda epoch: (epoch + 1.0) ** power))

    trained(tmp_path, rates(-1))
    assert trained(tmp_path, rates(-1)).metrics["epochs"] == 3
    with pytest.raises(ValueError, match="your own code has changed since"):
        trained(tmp_path, rates(-2))


def on_plateau(optimizer):
    return ReduceLROnPlateau(optimizer, patience=0, factor=0.1, threshold=100, threshold_mode="abs")  # never content


@pytest.mark.parametrize("make", [lambda optimizer: MultiStepLR(optimizer, [1]), on_plateau])
def test_own_schedulers_of_every_kind_resume(tmp_path, make):
    training = TRAINING.replace(scheduler=make, learning_rate=0.3)
    unbroken = trained(tmp_path / "unbroken", training)
    assert unbroken.epochs[-1]["learning_rate"] == pytest.approx(0.03)
    assert stopped_and_resumed(tmp_path / "run", training).epochs == unbroken.epochs


@pytest.mark.parametrize(
    ("scheduler", "shares"),
    [
        ("plateau", [1, 1, 1, 1]),
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 3 / 4, 1 / 2, 1 / 4]),
        ("cosine", [(1 + math.cos(math.pi * i / 4)) / 2 for i in range(4)]),
    ],
)
def test_rates_of_the_named_schedulers(scheduler, shares):
    training = TRAINING.replace(epochs=6, warmup_epochs=2, scheduler=scheduler, learning_rate=0.3)
    optimizer = make_optimizer(audio(), training)
    schedule, rates = make_schedule(optimizer, training), []
    for epoch in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()  # as Trainer does after each batch: nothing happens
        schedule.step(1.0 - epoch / 10)
    assert rates == pytest.approx([0.1, 0.2] + [0.3 * share for share in shares])


PROBLEMS = {
    "which is in the name of no trainable parameter": dict(learning_rates={"dictionary": 1e-3}),
    "must return a torch.optim.Optimizer, but returned a builtins.list": dict(optimizer=lambda model: []),
    "must take its parameters from the model it is given": dict(optimizer=lambda _: two_groups(audio())),
    "must return a scheduler of torch.optim": dict(scheduler=lambda optimizer: None),
    "optimizer cannot be 'adma'; did you mean 'adam'": dict(optimizer="adma"),
    "a function of your own": dict(optimizer=torch.optim.Adam([torch.zeros(1)])),
}


@pytest.mark.parametrize("words", PROBLEMS)
def test_a_mistake_is_one_sentence_and_touches_nothing(tmp_path, words):
    with pytest.raises(ValueError, match=words) as problem:
        trained(tmp_path / "run", **PROBLEMS[words])
    assert "\n" not in str(problem.value) and not (tmp_path / "run").exists()


def test_a_comparison_takes_rates_that_only_some_models_have(tmp_path):
    training = TRAINING.replace(epochs=1, optimizer="adamw", learning_rates={"units": 1e-4})
    compare = lambda how, **more: dmdlite.compare(["dmd", "audio"], SPLITS, TINY, [0], tmp_path, how, **more)
    assert not compare(training, progress=False).failures
    groups = {
        name: runs.read_description(tmp_path / name / "seed_0")["optimizer"]["groups"] for name in ("dmd", "audio")
    }
    assert groups["dmd"]["1"]["lr"] == 1e-4 and "1" not in groups["audio"]
    with pytest.raises(ValueError, match="'unit_s', which is in the name of no"):
        compare(training.replace(learning_rates={"unit_s": 1e-4}))
    with pytest.raises(ValueError, match="jobs must be 1 for 'optimizer'"):
        compare(training.replace(optimizer=lambda model: two_groups(model)), jobs=2)


def test_the_document_runs(tmp_path, monkeypatch):
    text = (Path(__file__).parent.parent / "docs" / "training.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    known = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, known)
    groups = [runs.read_description(Path("runs", name))["optimizer"]["groups"] for name in ("cosine", "own")]
    assert groups[0]["1"]["lr"] == 1e-4 / 2  # in the first epoch of the warm-up
    assert groups[1]["0"]["weight_decay"] == 0.1
