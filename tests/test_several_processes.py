"""`torchrun` with two processes, as with two GPUs: one run folder, whole and written once."""

import json
import os
import subprocess
import sys

from dmdlite.data.features import write_mmsa
from dmdlite.data.toy import toy_world
from dmdlite.training.runs import read_predictions


def test_two_processes_make_one_run(tmp_path):
    world = toy_world(40)
    write_mmsa(world.splits, tmp_path / "toy.pkl")
    tiny = [f"--set={field}" for field in ("width=8", "heads=2", "layers=1", "minimum_memory_layers=1")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "dmdlite"]
    command += ["train", "--data", "toy.pkl", "--output", "run", "--epochs", "2", "--batch-size", "4", *tiny]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("everything is in run") == 1 and run.stdout.count("epoch   2/2") == 1
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["epochs"] == 2 and len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
    assert set(read_predictions(tmp_path / "run")) == {"train", "valid", "test"}
    assert not (tmp_path / "run" / "checkpoints").exists()
