"""A run is known by what it depends on: code, own code, first weights, optimizer; and goes on to more epochs."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import dmdlite
from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.toy import toy_world
from dmdlite.models.dmd import DMD
from dmdlite.models.unimodal import Unimodal
from dmdlite.training import checkpoints, identity, loop, runs
from dmdlite.training.loop import seed_everything
from dmdlite.training.trainer import train

SPLITS = toy_world(40).splits
TINY = DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)
TRAINING = TrainingConfig(epochs=2, batch_size=16)
FILES = ("metrics.json", "log.jsonl", "predictions.csv", "model.safetensors")
SCALE = 1000


pytestmark = pytest.mark.usefixtures("no_pictures")


def audio(seed=0, config=TINY):
    seed_everything(seed)
    return Unimodal(config, "audio")


def test_what_counts_as_a_change_of_own_code():
    def made(scale=2, power=1, wrap=lambda f: f):
        def inner(x):
            return scale * x**power

        return identity.own_code(wrap(inner))

    assert made() == made() and list(made()) == [
        f"{__name__}.{test_what_counts_as_a_change_of_own_code.__name__}.<locals>.made.<locals>.inner"
    ]
    assert made() != made(scale=3) != made(power=2)
    assert made(wrap=lambda f: functools.partial(f, 1)) == made(wrap=lambda f: functools.partial(f, 1))


def test_a_constant_and_a_function_of_the_module_count(monkeypatch):
    before = identity.own_code(scaled)
    assert set(before) == {f"{__name__}.scaled", f"{__name__}.helper"}
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 1)
    assert identity.own_code(scaled)[f"{__name__}.scaled"] != before[f"{__name__}.scaled"]
    monkeypatch.undo()
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda x: x)
    assert identity.own_code(scaled) != before
    monkeypatch.undo()
    assert identity.own_code(scaled) == before


def helper(x):
    return x.abs().mean()


def scaled(out, labels):
    return SCALE * helper(out.prediction)


class Part(nn.Module):
    offset = 1.0

    def __init__(self, factor=2.0):
        super().__init__()
        self.inner, self.factor = nn.Linear(2, 2), factor

    def forward(self, x):
        return self.factor * self.inner(x) + self.offset


def test_parts_count_by_their_class_and_their_values(monkeypatch):
    before = identity.own_code(nn.Sequential(Part()))
    assert set(before) == {f"{__name__}.Part", f"{__name__}.Part.__init__", f"{__name__}.Part.forward"}
    assert identity.own_code(nn.Sequential(Part().eval())) == before
    assert identity.own_code(nn.Sequential(Part(3.0))) != before
    monkeypatch.setattr(Part, "offset", 0.0)
    assert identity.own_code(nn.Sequential(Part())) != before


def test_what_is_not_ones_own_does_not_count():
    model = DMD(TINY, losses={"l1": nn.L1Loss()})
    assert identity.own_code(model) == {}
    assert not any(map(identity.is_own, ("torch.nn", "dmdlite.models.dmd", "json", "numpy", None)))
    assert identity.is_own("__main__") and identity.is_own(__name__)


def test_own_code_is_the_same_in_another_process():
    code = "import test_identity as t; print(t.identity.own_code(t.scaled, t.Part()))"
    seen = set()
    for seed in "12":
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": f"{Path(__file__).parent}:{Path.cwd()}"}
        seen.add(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout)
    assert len(seen) == 1 and "test_identity.Part" in seen.pop()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, no_pictures):
    return train(audio(), SPLITS, tmp_path_factory.mktemp("identity") / "run", TRAINING, progress=False)


def adamw(model, training):
    return torch.optim.AdamW(model.parameters(), lr=training.learning_rate)


@pytest.mark.parametrize("what", ["code", "weights", "optimizer", "rates", "epochs"])
def test_a_run_of_something_else_is_refused_and_not_touched(finished, tmp_path, monkeypatch, what):
    folder = shutil.copytree(finished.folder, tmp_path / "copy")
    if what == "code":
        other = identity.code_digests() | {"components/losses.py": "changed"}
        monkeypatch.setattr(identity, "code_digests", lambda: other)
    elif what == "optimizer":
        monkeypatch.setattr(loop, "make_optimizer", adamw)
    elif what == "rates":
        original = loop.make_schedule
        monkeypatch.setattr(
            loop, "make_schedule", lambda optimizer, _: original(optimizer, TrainingConfig.official(plateau_patience=1))
        )
    words = {"code": "the code has changed since: components/losses.py", "weights": "initial weights differ"}
    words |= {"optimizer": "optimizer.class is 'torch.optim.adam.Adam' there and 'torch.optim.adamw.AdamW' here"}
    words |= {"rates": "schedule.patience is 5 there and 1 here", "epochs": "training.epochs is 2 there and 1 here"}
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    epochs = 1 if what == "epochs" else 3  # wanting more is no excuse
    with pytest.raises(ValueError, match="restart=True") as refusal:
        train(audio(what == "weights"), SPLITS, folder, TRAINING, progress=False, epochs=epochs)
    assert words[what] in str(refusal.value) and "\n" not in str(refusal.value)
    assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_edited_term_never_shows_old_numbers(tmp_path, monkeypatch):
    def made():
        seed_everything(0)
        return DMD(TINY, losses={"scaled": scaled})

    options = dict(progress=False, epochs=1)
    first = train(made(), SPLITS, tmp_path, TRAINING, **options)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 1)
    with pytest.raises(ValueError, match=f"your own code has changed since: {__name__}.scaled"):
        train(made(), SPLITS, tmp_path, TRAINING, **options)
    second = train(made(), SPLITS, tmp_path, TRAINING, restart=True, **options)
    assert second.epochs[0]["losses"]["scaled"] < first.epochs[0]["losses"]["scaled"] / 100
    again = train(made(), SPLITS, tmp_path, TRAINING, **options)
    assert again.epochs == second.epochs


def test_an_edited_library_is_refused_on_the_command_line(tmp_path):
    """A copy of the package: a comment changes nothing, a factor in the margin loss does; --restart runs it afresh."""
    package = shutil.copytree(
        Path(dmdlite.__file__).parent, tmp_path / "dmdlite", ignore=shutil.ignore_patterns("__pycache__")
    )
    losses = package / "components" / "losses.py"

    def command(*more):
        sizes = [
            word for name in ("width=8", "heads=2", "layers=1", "minimum_memory_layers=1") for word in ("--set", name)
        ]
        words = [
            "train",
            "--data",
            Path("data_samples/toy").resolve(),
            "--output",
            "run",
            "--epochs",
            "1",
            *sizes,
            *more,
        ]
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
        program = [sys.executable, "-m", "dmdlite", *map(str, words)]
        return subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True)

    def margin():
        return json.loads((tmp_path / "run" / "log.jsonl").read_text())["losses"]["margin"]

    assert command().returncode == 0
    before, first = margin(), (tmp_path / "run" / "metrics.json").read_bytes()
    losses.write_text("# a remark\n" + losses.read_text())
    assert "nothing to train" in command().stdout
    text = losses.read_text()
    definition = "def margin_contrastive_loss("
    losses.write_text(
        text.replace(definition, "def _former(")
        + "\n\ndef margin_contrastive_loss(*a):\n    return 1000 * _former(*a)\n"
    )
    refused = command()
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "the code has changed since: components/losses.py" in refused.stderr and "--restart" in refused.stderr
    assert (tmp_path / "run" / "metrics.json").read_bytes() == first
    assert command("--restart").returncode == 0 and margin() > 10 * before


def test_an_interrupted_run_is_not_finished_by_other_code(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runs, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(audio(), SPLITS, tmp_path, TRAINING, progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(identity, "code_digests", lambda: {"components/losses.py": "changed"})
        with pytest.raises(ValueError, match="the code has changed since"):
            train(audio(), SPLITS, tmp_path, TRAINING, progress=False)
    assert checkpoints.newest(tmp_path / "checkpoints") is not None


@pytest.mark.parametrize("best_is_last", [True, False])
def test_more_epochs_go_on_with_a_finished_run(tmp_path, capsys, best_is_last):
    """It ends byte by byte like a run of that many epochs."""
    training = TRAINING.replace(epochs=5, batch_size=8, learning_rate=2e-3 if best_is_last else 0.05)
    whole = train(audio(), SPLITS, tmp_path / "whole", training, progress=False)
    for epochs in (2, 4, 5):
        model = audio()
        result = train(model, SPLITS, tmp_path / "longer", training, epochs=epochs)
    assert "resuming after epoch 2" in (said := capsys.readouterr().out) and "resuming after epoch 4" in said
    assert result.epochs == whole.epochs
    for name in (*FILES, "training.json"):
        assert (tmp_path / "longer" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not (tmp_path / "longer" / "checkpoints").exists()
    assert "nothing to train" not in said


def test_more_epochs_without_the_last_checkpoint_start_afresh(finished, tmp_path, capsys):
    folder = shutil.copytree(finished.folder, tmp_path / "copy")
    shutil.rmtree(folder / checkpoints.LAST)
    assert len(train(audio(), SPLITS, folder, TRAINING, epochs=3).epochs) == 3
    assert "no whole checkpoint; starting afresh" in capsys.readouterr().out


def test_a_run_that_stopped_early_has_no_more_epochs(tmp_path, capsys):
    training = TRAINING.replace(epochs=30, learning_rate=0.1, early_stopping_patience=1)
    first = train(audio(), SPLITS, tmp_path, training, progress=False)
    assert len(first.epochs) < 30
    again = train(audio(), SPLITS, tmp_path, training, epochs=60)
    assert f"stopped early after epoch {len(first.epochs)}: nothing to train" in capsys.readouterr().out
    assert again.metrics == first.metrics


class Tied(nn.Module):
    """Two layers that share a weight, and one module under two names."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.again = self.first

    def forward(self, out, labels):
        return self.second(self.again(self.first.weight)).square().mean()


def test_shared_weights_are_saved_resumed_and_loaded(tmp_path, monkeypatch):
    def made(seed=0):
        seed_everything(seed)
        return DMD(TINY, losses={"tied": Tied()})

    unbroken = train(made(), SPLITS, tmp_path / "unbroken", TRAINING, progress=False)
    train(made(), SPLITS, tmp_path / "run", TRAINING, epochs=1, progress=False)
    model = made()
    result = train(model, SPLITS, tmp_path / "run", TRAINING, progress=False)
    assert result.metrics == unbroken.metrics and result.epochs == unbroken.epochs
    term = model.own_losses["tied"]
    assert term.first.weight is term.second.weight
    other = made(1)
    other.load_saved(tmp_path / "run")
    for name, weights in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], weights), name
