"""The memory that a run needs at its peak, told by a process of its own: it would hide in what others left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.cases import Case, Ours, margin_inputs, our_margin, prepare, value_and_gradient
from benchmarks.reference import Published, checkout, published_margin
from dmdlite import DMD

STEPS = 3
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(key: str = "VmRSS") -> int:
    """Bytes that Linux tells of this process: VmRSS now, VmHWM at its highest, RssAnon without mapped files."""
    return int(STATUS.read_text().split(f"{key}:")[1].split()[0]) * 1024


def highest() -> int:
    """The high-water mark in bytes; getrusage's, where there is no /proc, starts at that of the parent process."""
    if STATUS.exists():
        return resident("VmHWM")
    from resource import RUSAGE_SELF, getrusage

    return getrusage(RUSAGE_SELF).ru_maxrss


def growth(run: Callable[[], Any]) -> int:
    """Bytes by which the high-water mark passes what is held before the run."""
    if RESET.exists():
        RESET.write_text("5")  # from here on, whatever importing and building took
    before = highest()
    run()
    return highest() - before


def gpu_growth(run: Callable[[], Any]) -> int:
    """The same for tensors on the GPU."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def training_steps(side: str, case: Case, device: str = "cpu") -> Callable[[], Any]:
    """What takes a few training steps of one side."""
    if side == "published":
        theirs = Published(case, case.data(device))
        return lambda: theirs.steps(STEPS)
    ours = Ours(DMD(case.config), case.data(device))
    return lambda: [ours.step() for _ in range(STEPS)]


def margin_run(side: str, clips: int) -> Callable[[], Any]:
    """What takes the margin loss and its gradient; a small one comes first, which loads PyTorch's kernels."""
    margin = published_margin if side == "published" else our_margin
    value_and_gradient(margin, *margin_inputs(4))
    inputs = margin_inputs(clips)
    return lambda: value_and_gradient(margin, *inputs)


def in_own_process(side: str, what: Case | int) -> int:
    """Peak bytes of one side, "published" or "ours": of training steps on a case, or of the margin loss of some clips.

    Raises RuntimeError with what the process said if it failed.
    """
    return json.loads(last_line("memory", side, json.dumps(what if isinstance(what, int) else asdict(what))))


def last_line(module: str, *arguments: str) -> str:
    """Runs a module of the benchmarks in a fresh process and returns the last line that it prints."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    reference = {"DMD_REFERENCE": str(checkout())} if checkout() else {}
    here = {"cwd": Path(__file__).parent.parent, "env": os.environ | reference}
    run = subprocess.run(command, capture_output=True, text=True, **here)
    if run.returncode:
        raise RuntimeError(run.stderr)
    return run.stdout.splitlines()[-1]


if __name__ == "__main__":
    prepare()
    side, what = sys.argv[1], json.loads(sys.argv[2])
    print(growth(margin_run(side, what) if isinstance(what, int) else training_steps(side, Case(**what))))
