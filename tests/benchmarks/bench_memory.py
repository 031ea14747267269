"""Peak memory of a few training steps, each side in a fresh process."""

import pytest

from benchmarks.cases import Case
from benchmarks.memory import in_own_process
from benchmarks.reference import checkout
from benchmarks.report import memory_row

TARGET = 0.5


@pytest.mark.parametrize("case", [Case("mosi", False, 4), Case("mosi", True, 16)], ids=str)
def test_peak_memory(case, report):
    theirs = in_own_process("published", case) if checkout() else None
    report(memory_row(f"peak memory, {case}", theirs, in_own_process("ours", case), TARGET))
