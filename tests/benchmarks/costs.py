"""What a training step costs: seconds of one core, and memory on top of the weights, for the table in docs/speed.md.

OMP_NUM_THREADS=1 python tests/benchmarks/costs.py     three minutes on a quiet machine, and 7 GB
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parents[1]))  # as a script it sees its own folder only

from benchmarks.cases import Case, Ours, prepare
from benchmarks.memory import growth, last_line
from dmdlite import DMD

ALIGNED = [Case("mosi", True, clips) for clips in (8, 16, 32, 64)]
UNALIGNED = [Case("mosi", False, clips) for clips in (4, 16, 32)]
ROWS = [(case, False) for case in [*ALIGNED, *UNALIGNED, Case("mosei", True, 16)]]
ROWS += [(case, True) for case in (ALIGNED[1], ALIGNED[2], UNALIGNED[1])]


def cost(case: Case, bf16: bool, steps: int = 3) -> tuple[float, float]:
    """The least CPU seconds of a step, and the GiB by which this process grows beyond model and batch."""
    ours, seconds = Ours(DMD(case.config), case.data(), bf16=bf16), []

    def run() -> None:
        for _ in range(steps):
            start = process_time()
            ours.step()
            seconds.append(process_time() - start)

    gibibytes = growth(run) / 2**30
    return min(seconds), gibibytes


if __name__ == "__main__":
    prepare()
    if len(sys.argv) > 1:
        print("{:.2f} s  {:.2f} GiB".format(*cost(*ROWS[int(sys.argv[1])])))
    else:
        for row, (case, bf16) in enumerate(ROWS):
            print(f"{case}{', bfloat16' if bf16 else ''}: {last_line('costs', str(row))}")
