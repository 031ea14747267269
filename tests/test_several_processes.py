"""`torchrun` with two processes, as with two GPUs: they train like one with the doubled batch, and leave one run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from two_processes import BATCH_SIZES, CONFIGS, Trainee, batch, gradients, model, seen

from dmdlite.__main__ import main
from dmdlite.data.features import write_mmsa
from dmdlite.data.toy import toy_world
from dmdlite.training.runs import load_result

TINY = [f"--set={field}" for field in ("width=8", "heads=2", "layers=1", "minimum_memory_layers=1")]
RATES = ("language", "embedding", "language_attention", "audio_attention", "memory_attention", "output")
WITHOUT_DROPOUT = [*TINY, *(f"--set={rate}_dropout=0.0" for rate in RATES)]


def torchrun(folder, *program):
    """Two processes in this folder; returns what they print. A warning is a failure."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *program]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and "warning" not in run.stderr.lower(), run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes has found, see two_processes.py."""
    folder = tmp_path_factory.mktemp("found")
    torchrun(folder, Path(__file__).with_name("two_processes.py"), ".")
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def agree(ours, whole):
    """To rounding, and a gradient that ought to be zero is all rounding: hence the part of the largest one."""
    assert set(ours) == set(whole)
    rounding = 1e-6 * max(x.abs().max().item() for x in whole.values())
    return all(torch.allclose(ours[name], x, rtol=1e-5, atol=rounding) for name, x in whole.items())


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_are_those_of_one_process_with_the_whole_batch(found, name):
    loss, whole = gradients(Trainee(model(CONFIGS[name])), batch())
    own_losses, averaged = zip(*(process["gathered"][name] for process in found))
    torch.testing.assert_close(sum(own_losses) / 2, loss)
    assert all(agree(ours, whole) for ours in averaged)
    for process in found:
        assert not agree(process["not gathered"][name][1], whole), "this test could not fail"


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_processes_share_out_the_clips_and_draw_their_own_dropout(found, batch_size, tmp_path):
    (first, drawn_first), (second, drawn_second) = (process["seen"][batch_size] for process in found)
    whole, drawn = seen(2 * batch_size, tmp_path)
    assert len(first) == len(second) == len(whole)
    for ours, theirs, together in zip(first, second, whole):
        assert len(ours) == len(theirs) == batch_size  # a remainder is filled up with clips of this epoch
        if len(together) == 2 * batch_size:
            assert torch.equal(torch.cat([ours, theirs]), together)
    assert torch.equal(drawn_first, drawn) and not torch.equal(drawn_second, drawn)


def test_training_is_that_of_one_process_with_the_doubled_batch(tmp_path, monkeypatch):
    """Without dropout. Three batches make two steps: gradients of two batches are added up, then one is left."""
    monkeypatch.chdir(tmp_path)
    write_mmsa(toy_world(80).splits, "toy.pkl")
    train = ["train", "--data", "toy.pkl", "--epochs", "2", *WITHOUT_DROPOUT, "--set=gradient_accumulation=2"]
    torchrun(".", "-m", "dmdlite", *train, "--output", "two", "--batch-size", "8")
    assert main([*train, "--output", "one", "--batch-size", "16"]) == 0
    two, one = load_result("two"), load_result("one")
    for ours, whole in zip(two.epochs, one.epochs, strict=True):
        assert ours["losses"] == pytest.approx(whole["losses"], rel=1e-4)
        assert ours["valid_error"] == pytest.approx(whole["valid_error"], rel=1e-4)
        np.testing.assert_allclose(ours["edges"]["homogeneous"], whole["edges"]["homogeneous"], rtol=1e-4)
    ours, whole = load_file("two/model.safetensors"), load_file("one/model.safetensors")
    for name, weights in whole.items():  # Adam steps as far for a gradient that is all rounding as for any other
        torch.testing.assert_close(ours[name], weights, rtol=0, atol=1e-3)


def test_two_processes_make_one_run(tmp_path):
    """24 clips in batches of 9 leave a remainder."""
    write_mmsa(toy_world(40).splits, tmp_path / "toy.pkl")
    train = ["train", "--data", "toy.pkl", "--output", "run", "--epochs", "2", "--batch-size", "9", "--bf16", *TINY]
    shown = torchrun(tmp_path, "-m", "dmdlite", *train)
    assert shown.count("everything is in run") == 1 and shown.count("epoch   2/2") == 1
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["epochs"] == 2 and len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
    assert set(pd.read_csv(tmp_path / "run" / "predictions.csv")["split"]) == {"train", "valid", "test"}
    assert not (tmp_path / "run" / "checkpoints").exists()
