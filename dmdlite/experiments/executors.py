"""Where runs happen: in this process, in processes of this machine, or wherever any other Executor takes them.

A task is what one place does from beginning to end: a run, or a teacher's and then its students'.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing import parent_process, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from queue import SimpleQueue
from typing import Any, NamedTuple

import torch

Place = str | int  # the name of a GPU, or the number of a process
TRIES = 2  # how often a task is begun whose process dies; a run resumes from its last checkpoint
PATIENCE = 10  # seconds, until a scheduler has to answer
TURN = threading.RLock()  # PyTorch's random numbers belong to the process: its threads run one task at a time


class Outcome(NamedTuple):
    """The value of a task, or why there is none, in one sentence."""

    task: Any
    value: Any = None
    failure: str | None = None


def run_all(work: Callable[[Any], Any], tasks: Sequence[Any], executor: Executor | None = None) -> Iterator[Outcome]:
    """Yields the outcome of `work(task)` for each task as it ends. A failing task does not stop the others.

    executor: to which `work` and the tasks are sent; None does them here, one after the other. Closing the iterator
    cancels what has not begun. Raises ConnectionError if the executor drops its tasks: its scheduler has gone.
    """
    if executor is None:
        yield from (attempt(work, task) for task in tasks)
        return
    waiting = {executor.submit(attempt, work, task): task for task in tasks}
    try:
        for future in as_completed(list(waiting)):
            task = waiting.pop(future)
            try:
                outcome = future.result()
            except CancelledError:
                gone = "the executor has dropped its tasks (has its scheduler stopped?)"
                raise ConnectionError(f"{gone}; finished runs are kept, and the same call does the others") from None
            except Exception as problem:  # the task or its value could not be sent, or its place is lost
                outcome = Outcome(task, failure=sentence(problem))
            yield outcome
    finally:
        for future in waiting:
            future.cancel()


def attempt(work: Callable[[Any], Any], task: Any) -> Outcome:
    """One task, alone in its process."""
    try:
        with TURN, one_thread():
            return Outcome(task, work(task))
    except Exception as problem:
        return Outcome(task, failure=sentence(problem))


def sentence(problem: BaseException) -> str:
    """The message in one line; unexpected errors are prefixed with their type."""
    text = " ".join(str(problem).split())
    expected = isinstance(problem, (ValueError, OSError, BrokenExecutor)) and text
    return text if expected else f"{type(problem).__name__}: {text}"


@contextmanager
def one_thread() -> Iterator[None]:
    """Limits PyTorch to one thread, if it computes on a CPU: no result depends on the number of cores."""
    before = torch.get_num_threads()
    if not gpus():
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def gpus() -> list[str]:
    """The GPUs that this process may use, by their names in CUDA_VISIBLE_DEVICES."""
    count = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (named.split(",") if named else [str(number) for number in range(count)])[:count]


def most_jobs() -> int:
    """As many as there are GPUs, or else CPU cores."""
    return len(gpus()) or cores()


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_jobs(jobs: int) -> None:
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if (found := gpus()) and jobs > len(found):
        raise ValueError(f"jobs must be at most {len(found)}, one for each GPU, got {jobs}")


def executor_for(jobs: int) -> AbstractContextManager[Executor | None]:
    """This process for one job, processes of this machine for more."""
    return Processes(jobs) if jobs > 1 else nullcontext()


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The workers of a Dask scheduler. Raises ValueError if Dask is not installed, or no scheduler answers there."""
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("a cluster needs Dask: pip install 'dmdlite[many]', here and on every worker") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # one sentence of ours follows instead
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError):
        remedy = "`dask scheduler` starts one and prints where"
        raise ValueError(f"no Dask scheduler answers at {address}; {remedy}") from None
    with client:
        yield client.get_executor(pure=False)


class Processes(ThreadPoolExecutor):
    """Processes of this machine, each with one CPU thread, or with a GPU of its own if there are GPUs.

    A process that dies takes no other task with it, and its task is begun once more in a new one. A process ignores
    Ctrl-C and dies with its parent, however that ends. An exception that leaves the `with` block ends all of them.
    places: for work that needs no GPU, range(jobs).
    """

    def __init__(self, jobs: int, places: Sequence[Place] = ()):
        super().__init__(jobs)
        self.ended, self.lock = False, threading.Lock()
        self.workers: dict[Place, Worker] = {}
        self.idle: SimpleQueue[Place] = SimpleQueue()
        for place in (places or gpus() or range(jobs))[:jobs]:
            self.idle.put(place)
        resource_tracker.ensure_running()  # it unblocks the signals of the thread that starts it

    def submit(self, work: Callable, /, *arguments: Any) -> Future:
        return super().submit(self._try, work, *arguments)

    def _try(self, work: Callable, *arguments: Any) -> Any:
        place = self.idle.get()
        try:
            for _ in range(TRIES):
                try:
                    return self._begin(place, work, *arguments).result()
                except BrokenExecutor:
                    with self.lock:
                        worker = self.workers.pop(place)
                    worker.end()
            raise BrokenExecutor(f"its process died, and so did the next (exit code {worker.process.exitcode})")
        finally:
            self.idle.put(place)

    def _begin(self, place: Place, work: Callable, *arguments: Any) -> Future:
        with self.lock:
            if self.ended:
                raise CancelledError
            if place not in self.workers:
                self.workers[place] = Worker(place)
            return self.workers[place].submit(work, *arguments)

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.shutdown()
        self.end()

    def end(self) -> None:
        """Nothing is lost: each file of a run is whole or absent, and a checkpoint is sealed."""
        with self.lock:
            self.ended = True
            for worker in self.workers.values():
                worker.end()
        self.shutdown(cancel_futures=True)


class Worker(ProcessPoolExecutor):
    """One process, which ends at once."""

    def __init__(self, place: Place):
        context = SpawnContext()
        context.Process = self._make
        super().__init__(1, mp_context=context, initializer=_set_up, initargs=(place,))

    def _make(self, **options: Any) -> SpawnProcess:
        self.process = SpawnProcess(**options)
        return self.process

    def submit(self, work: Callable, /, *arguments: Any) -> Future:
        with without_ctrl_c():
            return super().submit(work, *arguments)

    def end(self) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.shutdown(cancel_futures=True)


@contextmanager
def without_ctrl_c() -> Iterator[None]:
    """A terminal sends Ctrl-C to all processes; one that is started in this block by this thread never hears of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _set_up(place: Place) -> None:
    """The first thing that a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if isinstance(place, str):
        os.environ["CUDA_VISIBLE_DEVICES"] = place  # CUDA reads it when it starts
    threading.Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()
