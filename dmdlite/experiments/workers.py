"""Runs side by side on a CPU: worker processes with one thread each, which die with whoever started them.

The result of a run does not depend on how many there are at once, because each has one thread in any case.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

Task = tuple[str, int]  # the name of a model and a seed


@dataclass(frozen=True)
class Outcome:
    """What came of a task: its value, or in one sentence why there is none."""

    task: Task
    value: Any = None
    failure: str | None = None


def run_tasks(
    work: Callable[[Any, Task], Any], shared: Any, tasks: Sequence[Task], needs: Mapping[Task, Task], jobs: int
) -> Iterator[Outcome]:
    """The outcome of `work(shared, task)` for each task, as they come. A failing task does not stop the others.

    needs: the task that has to have succeeded before another can begin, where there is one.
    jobs: 1 is this process; more are processes of their own, to which `work`, `shared` and the tasks are sent.
    Closing the iterator, or Ctrl-C, ends them at once.
    """
    waiting, failed = list(tasks), set()
    pool = _Workers(work, shared, jobs) if jobs > 1 and len(waiting) > 1 else _Here(work, shared)
    try:
        while waiting or pool.busy:
            for task in [task for task in waiting if needs.get(task) in failed]:
                waiting.remove(task)
                failed.add(task)
                yield Outcome(task, failure=f"its teacher, {needs[task][0]}, could not be trained")
            free = [t for t in waiting if needs.get(t) not in waiting and needs.get(t) not in pool.busy]
            for task in free[: pool.jobs - len(pool.busy)]:
                waiting.remove(task)
                pool.begin(task)
            for outcome in pool.finished() if pool.busy else ():
                if outcome.failure is not None:
                    failed.add(outcome.task)
                yield outcome
    finally:
        pool.end()


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes with one thread meanwhile, if it computes on a CPU."""
    before = torch.get_num_threads()
    if on_cpu():
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def on_cpu() -> bool:
    return torch.accelerator.current_accelerator(check_available=True) is None


def attempt(work: Callable[[Any, Task], Any], shared: Any, task: Task) -> Outcome:
    """A failure in one sentence; of what nobody has foreseen the kind of the error comes first."""
    try:
        return Outcome(task, work(shared, task))
    except Exception as problem:
        text = " ".join(str(problem).split())
        foreseen = isinstance(problem, (ValueError, OSError)) and text
        return Outcome(task, failure=text if foreseen else f"{type(problem).__name__}: {text}")


class _Here:
    """One task after the other, in this process."""

    jobs = 1

    def __init__(self, work: Callable[[Any, Task], Any], shared: Any):
        self.work, self.shared = work, shared
        self.busy: list[Task] = []

    def begin(self, task: Task) -> None:
        self.busy.append(task)

    def finished(self) -> list[Outcome]:
        with one_thread():
            return [attempt(self.work, self.shared, self.busy.pop())]

    def end(self) -> None:
        pass


class _Workers:
    """Processes that are started when needed; one that dies is a failed task, and is replaced."""

    def __init__(self, work: Callable[[Any, Task], Any], shared: Any, jobs: int):
        self.arguments, self.jobs = (work, shared), jobs
        self.context = get_context("spawn")
        self.processes: dict[Connection, Any] = {}
        self.tasks: dict[Connection, Task] = {}

    @property
    def busy(self) -> list[Task]:
        return list(self.tasks.values())

    def begin(self, task: Task) -> None:
        idle = [connection for connection in self.processes if connection not in self.tasks]
        connection = idle[0] if idle else self._start()
        self.tasks[connection] = task
        connection.send(task)

    def _start(self) -> Connection:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs, *self.arguments), daemon=True)
        with _without_ctrl_c():
            process.start()
        theirs.close()
        self.processes[ours] = process
        return ours

    def finished(self) -> list[Outcome]:
        """Waits for at least one."""
        return [self._outcome(connection) for connection in wait(list(self.tasks))]

    def _outcome(self, connection: Connection) -> Outcome:
        task = self.tasks.pop(connection)
        try:
            return connection.recv()
        except (EOFError, ConnectionError):
            process = self.processes.pop(connection)
            process.join()
            return Outcome(task, failure=f"its process died (exit code {process.exitcode})")

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.join()


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A process that is started meanwhile never sees Ctrl-C, which the terminal sends to all: the first one decides."""
    if threading.current_thread() is not threading.main_thread():  # others may not choose what signals do
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(connection: Connection, work: Callable[[Any, Task], Any], shared: Any) -> None:
    """The life of a worker."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    with suppress(EOFError, ConnectionError):  # there is nobody left to answer
        while True:
            connection.send(attempt(work, shared, connection.recv()))


def _end_with_parent() -> None:
    """However it ended. Nothing is lost: every file of a run is whole or absent, and a checkpoint is sealed."""
    parent_process().join()
    os._exit(1)
