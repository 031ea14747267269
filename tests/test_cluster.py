"""Runs on a Dask cluster on loopback: a scheduler and three workers, as processes that are killed in earnest."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest

from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.features import feature_shapes, write_folder
from dmdlite.data.toy import toy_world
from dmdlite.experiments.compare import compare
from dmdlite.experiments.executors import cluster

SIZES = dict(width=8, heads=2, layers=1, minimum_memory_layers=1)
QUICK = TrainingConfig(epochs=2, batch_size=16)
LONG = TrainingConfig(epochs=40, batch_size=16)
SAME = ("metrics.json", "log.jsonl", "predictions.csv", "model.safetensors", "missing_modalities.json")
DASK = {"DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def splits():
    return toy_world(n=80, seed=0).splits


@pytest.fixture(scope="module")
def config(splits):
    return DMDConfig.toy(**SIZES, **feature_shapes(splits))


@contextmanager
def program(*words, cwd):
    """`python -m distributed.cli.WORDS`, until the block ends."""
    command = [sys.executable, "-m", f"distributed.cli.{words[0]}", "--host", "127.0.0.1", *words[1:]]
    command += ["--no-dashboard"]
    with open(cwd / f"{words[0]}-{time.time_ns()}.log", "w") as log:
        process = subprocess.Popen(command, cwd=cwd, env=os.environ | DASK, stdout=log, stderr=log)
    process.log = log.name
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def scheduler(folder):
    with program("dask_scheduler", "--port", "0", cwd=folder) as process:
        found = None
        while not found:
            assert process.poll() is None
            time.sleep(0.1)
            found = re.search(r"Scheduler at: +(tcp://127\.0\.0\.1:\d+)", open(process.log).read())
        process.address = found[1]
        yield process


def worker(address, folder):
    """One process with one thread; no nanny starts it again."""
    return program("dask_worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder), cwd=folder)


def same_runs(first, second):
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.name in SAME)
    assert len(files) >= len(SAME)
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


def test_a_cluster(splits, config, tmp_path):
    names, options = ["audio", "pkdot"], dict(seeds=[0, 1], training=QUICK, progress=True)
    here = compare(names, splits, config, output_dir=tmp_path / "here", **options)
    with scheduler(tmp_path) as head, worker(head.address, tmp_path), worker(head.address, tmp_path):
        with cluster(head.address) as executor:
            found = compare(names, splits, config, output_dir=tmp_path / "there", executor=executor, **options)
    assert not found.failures
    same_runs(tmp_path / "here", tmp_path / "there")
