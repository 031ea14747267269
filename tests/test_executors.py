"""Where runs happen: in this process, in processes of this machine, in threads, and on a Dask cluster."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psutil
import pytest
from comparison_work import place, turn, work

from dmdlite.experiments import executors
from dmdlite.experiments.executors import Processes, executor_for, run_all


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


@pytest.mark.parametrize("named, seen", [(None, {"0", "1"}), ("5,3", {"5", "3"})])
def test_each_process_sees_one_gpu(named, seen, monkeypatch):
    """The GPUs are counted as if there were two; the processes' environment is real."""
    monkeypatch.setattr(executors.torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(executors.torch.accelerator, "is_available", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert executors.most_jobs() == 2
    with pytest.raises(ValueError, match="jobs must be at most 2, one for each GPU, got 3"):
        executors.check_jobs(3)
    with Processes(2) as executor:
        found = [outcome.value for outcome in run_all(place, range(4), executor)]
    assert {gpu for _, _, gpu, _ in found} == seen
    assert len({(pid, gpu) for pid, _, gpu, _ in found}) == 2


def test_threads_of_one_process_take_turns(tmp_path):
    with ThreadPoolExecutor(3) as executor:
        found = [outcome.value for outcome in run_all(partial(turn, tmp_path), range(6), executor)]
    assert found == [False] * 6
