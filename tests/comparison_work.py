"""What the tasks of test_executors do; in a file of its own, because other processes have to import it."""

import os
import signal
import time
from pathlib import Path

import torch


def work(base, task):
    name, number = task
    if name == "bad":
        raise ValueError(f"no good\nwith {number}")
    if name == "odd":
        raise KeyError("surprise")
    if name == "dies":
        os._exit(7)
    if name == "dies once" and not Path(number).exists():
        Path(number).touch()
        os._exit(7)
    if name == "unsendable":
        return lambda: None
    return base + number if isinstance(number, int) else number


def place(_):
    """The process, its threads, the GPU that it sees, and whether it hears Ctrl-C."""
    time.sleep(0.2)  # so that the other process gets a task, too
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    deaf = blocked and signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    return os.getpid(), torch.get_num_threads(), os.environ.get("CUDA_VISIBLE_DEVICES"), deaf


def turn(folder, number):
    """Whether another task runs in this process meanwhile."""
    marks = Path(folder)
    busy = any(marks.iterdir())
    mark = marks / str(number)
    mark.touch()
    time.sleep(0.05)
    mark.unlink()
    return busy
