"""Runs side by side on a CPU, in processes of one thread each, so that no result depends on how many run at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, NamedTuple

import torch

Task = tuple[str, int]  # the name of a model and a seed
Work = Callable[[Any, Task], Any]


class Outcome(NamedTuple):
    """The value of a task, or why there is none, in one sentence."""

    task: Task
    value: Any = None
    failure: str | None = None


def run_tasks(
    work: Work, shared: Any, tasks: Sequence[Task], needs: Mapping[Task, Task], jobs: int
) -> Iterator[Outcome]:
    """Yields the outcome of `work(shared, task)` for each task as it ends. A failing task does not stop the others.

    needs: the task that must have succeeded before another one starts, where there is one.
    jobs: 1 runs the tasks in this process; more run in processes of their own, to which `work` and `shared` are sent.
    Closing the iterator, or Ctrl-C, ends them at once.
    """
    waiting, failed, jobs = list(tasks), set(), min(jobs, len(tasks))
    running: dict[Future, tuple[Task, Executor]] = {}
    idle: list[Executor] = []
    try:
        while waiting or running:
            for task in [task for task in waiting if needs.get(task) in failed]:
                waiting.remove(task)
                failed.add(task)
                yield Outcome(task, failure=f"its teacher, {needs[task][0]}, could not be trained")
            unfinished = {*waiting, *(task for task, _ in running.values())}
            ready = [task for task in waiting if needs.get(task) not in unfinished]
            for task in ready[: jobs - len(running)]:
                waiting.remove(task)
                executor = idle.pop() if idle else Worker() if jobs > 1 else Here()
                running[executor.submit(attempt, work, shared, task)] = task, executor
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, executor = running.pop(future)
                outcome = _outcome(future, task, executor)
                if outcome.failure is not None:
                    failed.add(task)
                if not isinstance(future.exception(), BrokenExecutor):
                    idle.append(executor)
                yield outcome
    finally:
        for executor in (*idle, *(executor for _, executor in running.values())):
            executor.shutdown()


def attempt(work: Work, shared: Any, task: Task) -> Outcome:
    try:
        with one_thread():
            return Outcome(task, work(shared, task))
    except Exception as problem:
        return Outcome(task, failure=_sentence(problem))


def _outcome(future: Future, task: Task, executor: Executor) -> Outcome:
    """What `attempt` has returned, unless its process died, or the task or its value could not be sent."""
    problem = future.exception()
    if isinstance(problem, BrokenExecutor):
        executor.shutdown()
        return Outcome(task, failure=f"its process died (exit code {executor.process.exitcode})")
    return future.result() if problem is None else Outcome(task, failure=_sentence(problem))


def _sentence(problem: BaseException) -> str:
    """The message in one line; unexpected errors are prefixed with their type."""
    text = " ".join(str(problem).split())
    expected = isinstance(problem, (ValueError, OSError)) and text
    return text if expected else f"{type(problem).__name__}: {text}"


@contextmanager
def one_thread() -> Iterator[None]:
    """Limits PyTorch to one thread, if it computes on a CPU."""
    before = torch.get_num_threads()
    if on_cpu():
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_cpu() -> bool:
    return torch.accelerator.current_accelerator(check_available=True) is None


class Here(Executor):
    """Runs a task in this process, as soon as it is submitted."""

    def submit(self, work: Callable, /, *arguments: Any) -> Future:
        future: Future = Future()
        future.set_result(work(*arguments))
        return future


class Worker(ProcessPoolExecutor):
    """One process, which ignores Ctrl-C, dies with its parent, and ends at once on `shutdown`."""

    def __init__(self):
        context = SpawnContext()
        context.Process = self._make
        super().__init__(1, mp_context=context, initializer=_die_with_parent)

    def _make(self, **options: Any) -> SpawnProcess:
        self.process = SpawnProcess(**options)
        return self.process

    def submit(self, work: Callable, /, *arguments: Any) -> Future:
        # A terminal sends Ctrl-C to all processes. One that starts while it is ignored never hears of it.
        in_main = threading.current_thread() is threading.main_thread()  # no other thread may change signals
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
        try:
            return super().submit(work, *arguments)
        finally:
            if in_main:
                signal.signal(signal.SIGINT, before)

    def shutdown(self, *_: Any, **__: Any) -> None:
        self.process.kill()
        super().shutdown(cancel_futures=True)


def _die_with_parent() -> None:
    """However the parent ends. Nothing is lost: each file of a run is whole or absent, and a checkpoint is sealed."""
    threading.Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()
