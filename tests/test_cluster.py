"""Runs on a Dask cluster on loopback: a scheduler and three workers, some of which are killed in mid-run."""

import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from comparison_work import BUDGET, compare_pupils

from dmdlite.__main__ import main
from dmdlite.data.features import write_folder
from dmdlite.data.toy import toy_world
from dmdlite.experiments import executors
from dmdlite.experiments.executors import cluster

SAME = ("metrics.json", "log.jsonl", "predictions.csv", "model.safetensors", "missing_modalities.json")
HERE = Path(__file__).parent
WORLD = toy_world(n=80, seed=0).splits
BATCHES = -(-len(WORLD["train"]) // BUDGET.batch_size)  # of an epoch


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_folder(WORLD, folder)
    return folder


pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """Where the pupils of all processes leave their notes and find their orders."""
    folder = tmp_path_factory.mktemp("notes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTES", str(folder))
        yield folder


@pytest.fixture(scope="module")
def expected(data, notes, tmp_path_factory):
    """The same comparison in this process."""
    folder = tmp_path_factory.mktemp("expected")
    assert not compare_pupils(folder, data, seeds=[0, 1]).failures
    return folder


@contextmanager
def program(name, *words, cwd):
    """`python -m distributed.cli.NAME` until the block ends, and the file that it writes to."""
    command = [sys.executable, "-m", f"distributed.cli.{name}", *words, "--host", "127.0.0.1", "--no-dashboard"]
    paths = os.pathsep.join([str(HERE.parent), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    file = cwd / f"{name}.log"
    with file.open("w") as log:
        process = subprocess.Popen(command, cwd=cwd, env=os.environ | {"PYTHONPATH": paths}, stdout=log, stderr=log)
    try:
        yield process, file
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def head(notes, tmp_path_factory):
    """A scheduler with three workers of one thread, which no nanny starts again."""
    with ExitStack() as stack:
        start = lambda *words: stack.enter_context(program(*words, cwd=tmp_path_factory.mktemp("dask")))
        process, log = start("dask_scheduler", "--port", "0")
        while not (found := re.search(r"Scheduler at: +(\S+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        workers = [start("dask_worker", found[1], "--nthreads", "1", "--no-nanny")[0] for _ in range(3)]
        yield SimpleNamespace(address=found[1], pid=process.pid, workers=workers)


def assert_same_runs(folder, expected, seeds):
    for file in [f"{name}/seed_{seed}/{file}" for name in ("audio", "pupil") for seed in seeds for file in SAME]:
        assert (folder / file).read_bytes() == (expected / file).read_bytes(), file
    assert not list(folder.glob(".*")) and not list(folder.rglob(".lock"))


def test_a_killed_worker_costs_what_it_has_learned_since_its_last_checkpoint(head, data, notes, expected, tmp_path):
    (notes / "kill").write_text(f"{2 * BATCHES + 1} 0")  # in the third epoch
    with cluster(head.address) as executor:
        assert not compare_pupils(tmp_path, data, seeds=[0, 1], executor=executor).failures
    assert [worker.poll() for worker in head.workers].count(None) == 2
    learned = {x.pid: len((notes / str(x.pid)).read_text()) for x in head.workers if (notes / str(x.pid)).exists()}
    (killed,) = (worker.pid for worker in head.workers if worker.poll() is not None)
    assert learned.pop(killed) == 2 * BATCHES + 1
    assert sum(learned.values()) == BATCHES * (BUDGET.epochs + BUDGET.epochs - 2)  # a whole run, and two epochs
    assert_same_runs(tmp_path, expected, [0, 1])


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs a path that each process sees otherwise")
def test_without_shared_storage_the_folders_travel(head, data, expected, tmp_path, monkeypatch):
    """The teacher travels to the worker, too, if it was finished before."""
    monkeypatch.chdir(tmp_path)
    here = Path("/proc/self/cwd/out")
    compare_pupils(here, data, names=["audio"], variants={})
    (here / "pupil" / "seed_0").mkdir(parents=True)
    with cluster(head.address) as executor:
        assert not compare_pupils(here, data, executor=executor).failures
        write_folder(WORLD, tmp_path / "data")
        found = compare_pupils(tmp_path / "blind", "/proc/self/cwd/data", executor=executor)
    assert_same_runs(tmp_path / "out", expected, [0])
    (sentence,) = found.failures
    assert re.fullmatch(r"pupil, seed 0: its teacher, audio, could not be trained", sentence)


def test_the_command_line_sends_runs_to_a_cluster(head, data, tmp_path, capsys):
    words = f"compare --data {data} --models audio --seeds 2 --only audio:1 --cluster {head.address} --epochs 1"
    assert main([*words.split(), "--output", str(tmp_path / "out"), "--set", "width=8"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"1 of 1 runs to go\n\[1/1\] audio, seed 1: test error [\d.]+, [\d.]+ min\n$", out) and not err
    assert [path.name for path in tmp_path.glob("out/audio/*")] == ["seed_1"]


def test_a_killed_scheduler_loses_nothing(head, data, notes, expected, tmp_path):
    (notes / "kill").write_text(f"{BATCHES + 1} {head.pid}")
    with pytest.raises(ConnectionError, match="finished runs are kept, and the same call does the others") as problem:
        with cluster(head.address) as executor:
            compare_pupils(tmp_path, data, executor=executor)
    assert "\n" not in str(problem.value)
    before = (tmp_path / "audio" / "seed_0" / "metrics.json").stat().st_mtime_ns
    assert not compare_pupils(tmp_path, data).failures
    assert (tmp_path / "audio" / "seed_0" / "metrics.json").stat().st_mtime_ns == before
    assert_same_runs(tmp_path, expected, [0])


def test_an_address_where_nobody_answers(monkeypatch, capsys):
    monkeypatch.setattr(executors, "PATIENCE", 0.5)
    assert main(["compare", "--cluster", "tcp://127.0.0.1:9"]) == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err


def test_without_dask_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"pip install 'dmdlite\[many\]'"), cluster("tcp://127.0.0.1:9"):
        pass
