"""Where runs happen: in this process, in processes and threads of this machine, in tasks of an array; and locks."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psutil
import pytest
from comparison_work import BUDGET, SIZES, compare_in, place, turn, work

import dmdlite
from dmdlite.__main__ import main
from dmdlite.data.features import feature_shapes, write_folder
from dmdlite.experiments import executors
from dmdlite.experiments.executors import Processes, executor_for, run_all
from dmdlite.experiments.parcels import pack, unpack
from dmdlite.files import alone_in

WORLD = dmdlite.toy_world(n=80, seed=0).splits
BATCHES = -(-len(WORLD["train"]) // BUDGET.batch_size)  # of an epoch


pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def place_of_work(tmp_path, monkeypatch):
    write_folder(WORLD, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(words):
    """A comparison of two models and two seeds, by default."""
    usual = "compare --data data --models audio vision --seeds 2 --epochs 1 --jobs 1 --output out"
    return main([*usual.split(), *(f"--set={name}={x}" for name, x in SIZES.items()), *words.split()])


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_task_fails_alone(jobs):
    tasks = [("bad", 1), ("odd", 0), ("good", 1), ("good", 2)]
    with executor_for(jobs) as executor:
        found = {outcome.task: outcome for outcome in run_all(partial(work, 10), tasks, executor)}
    assert set(found) == set(tasks)
    assert found["good", 1].value == 11 and found["good", 2].value == 12
    assert found["bad", 1].failure == "no good with 1"
    assert found["odd", 0].failure == "KeyError: 'surprise'"


def test_a_process_that_dies_is_replaced_and_its_task_tried_once_more(tmp_path):
    tasks = [("dies", 0), ("dies once", str(tmp_path / "mark")), ("unsendable", 0), *(("good", n) for n in range(3))]
    with Processes(2) as executor:
        found = {outcome.task: outcome for outcome in run_all(partial(work, 0), tasks, executor)}
    assert [found[task].value for task in tasks[3:]] == [0, 1, 2]
    assert found[tasks[0]].failure == "its process died, and so did the next (exit code 7)"
    assert found[tasks[1]].value == tasks[1][1] and "pickle" in found[tasks[2]].failure.lower()


def test_each_process_has_one_thread_and_none_hears_ctrl_c_or_outlives_the_block():
    with Processes(2) as executor:
        found = [outcome.value for outcome in run_all(place, range(4), executor)]
    pids, threads, _, deaf = zip(*found)
    assert len(set(pids)) == 2 and os.getpid() not in pids
    assert set(threads) == {1} and all(deaf)
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_an_exception_ends_the_processes_at_once(tmp_path):
    children = lambda: set(psutil.Process().children(recursive=True))
    before = children()
    with pytest.raises(KeyboardInterrupt), Processes(2) as executor:
        for _ in run_all(place, range(100), executor):
            raise KeyboardInterrupt
    assert len(children() - before) == 0


def test_each_process_sees_one_gpu(monkeypatch):
    """The GPUs are counted as if there were two; the processes' environment is real."""
    monkeypatch.setattr(executors.torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(executors.torch.accelerator, "is_available", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert executors.gpus() == ["0", "1"] and executors.most_jobs() == 2
    with pytest.raises(ValueError, match="jobs must be at most 2, one for each GPU, got 3"):
        executors.check_jobs(3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")  # as Slurm gives them out
    with Processes(2) as executor:
        found = [outcome.value for outcome in run_all(place, range(4), executor)]
    assert {gpu for _, _, gpu, _ in found} == {"5", "3"}
    assert len({(pid, gpu) for pid, _, gpu, _ in found}) == 2


def test_threads_of_one_process_take_turns(tmp_path):
    with ThreadPoolExecutor(3) as executor:
        found = [outcome.value for outcome in run_all(partial(turn, tmp_path), range(6), executor)]
    assert found == [False] * 6


def test_two_comparisons_on_one_folder_train_each_run_once(place_of_work, monkeypatch):
    """The pupil notes each batch that it learns from, and twelve more where its time is measured for the table."""
    monkeypatch.setenv("NOTES", str(place_of_work / "notes"))
    (place_of_work / "notes").mkdir()
    with Processes(2) as executor:
        found = [outcome for outcome in run_all(partial(compare_in, place_of_work), range(2), executor)]
    assert [outcome.value for outcome in found] == [[], []]
    noted = sum(len(file.read_text()) for file in (place_of_work / "notes").iterdir())
    assert noted - BATCHES * BUDGET.epochs in (12, 24)
    assert (place_of_work / "out" / "comparison.md").exists() and not list(place_of_work.rglob("out/**/.*"))


def test_two_trains_in_one_folder(tmp_path):
    config = dmdlite.DMDConfig.toy(**SIZES, **feature_shapes(WORLD))
    train = lambda **options: dmdlite.train(
        dmdlite.Unimodal(config, "audio"), WORLD, tmp_path / "run", BUDGET.replace(epochs=1), progress=False, **options
    )
    with alone_in(tmp_path / "run"):
        with pytest.raises(ValueError, match=rf"run is in use by process {os.getpid()} on \S+; wait for it, or choose"):
            train()
        assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock", ".owner"}
    with ThreadPoolExecutor(1) as executor:
        with alone_in(tmp_path / "run"):
            second = executor.submit(alone_in(tmp_path / "run", wait=True).__enter__)
            with pytest.raises(TimeoutError):
                second.result(timeout=1)
        assert second.result(timeout=60)  # it says that it has waited
    shutil.rmtree(tmp_path / "run")
    assert train().metrics["epochs"] == 1 and not list(tmp_path.rglob(".*"))


def test_only_and_collect_make_the_table_of_an_array(place_of_work, capsys):
    assert command("--collect") == 2
    assert "out holds no finished run of this comparison yet" in capsys.readouterr().err
    assert not (place_of_work / "out").exists()
    for only in ("vision:1", "audio:0 vision:0"):
        assert command(f"--only {only}") == 0
    out = capsys.readouterr().out
    assert out.startswith("out: 1 of 1 runs to go\n[1/1] vision, seed 1: test error ") and "|" not in out
    assert not (place_of_work / "out" / "comparison.md").exists()
    assert command("--collect") == 0
    out = capsys.readouterr().out
    assert "to go" not in out and "| audio (1 of 2 seeds) | " in out and "audio, seed 1: not there yet" in out
    collected = (place_of_work / "out" / "comparison_seeds.csv").read_bytes()
    assert command("") == 0 and "1 of 4 runs to go" in capsys.readouterr().out
    assert collected != (whole := (place_of_work / "out" / "comparison_seeds.csv").read_bytes())
    assert command("--collect") == 0 and (place_of_work / "out" / "comparison_seeds.csv").read_bytes() == whole


@pytest.mark.parametrize(
    "words, sentence",
    {
        "--only audio:2": "audio:2 is not part of this comparison, of the models audio, vision and the seeds 0, 1",
        "--only dmd:0": "dmd:0 is not part of this comparison",
        "--only audio": "'audio' is not MODEL:SEED, such as dmd:3",
        "--only audio:0 --collect": "not allowed with argument",
        "--cluster tcp://127.0.0.1:9": "not allowed with argument",  # --jobs
    }.items(),
)
def test_what_an_array_may_get_wrong(place_of_work, words, sentence, capsys):
    try:
        code = command(words)
    except SystemExit as end:
        code = end.code
    err = capsys.readouterr().err
    assert code == 2 and sentence in err and err.count("\n") == 1
    assert not (place_of_work / "out").exists()


def test_a_parcel_replaces_what_is_there_and_leaves_its_folder_nowhere_else(tmp_path):
    for name, content in (("there", "new"), ("here", "old")):
        (tmp_path / name / "last_epoch").mkdir(parents=True)
        (tmp_path / name / "metrics.json").write_text(content)
        (tmp_path / name / f"{content}.txt").touch()
    unpack(pack(tmp_path / "there"), tmp_path / "here")
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["last_epoch", "metrics.json", "new.txt"]
    assert (tmp_path / "here" / "metrics.json").read_text() == "new"
