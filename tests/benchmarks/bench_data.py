"""A mapped folder of MOSEI's size. Writes 12 GB below TMPDIR for a while, so only with DMD_BENCH_DATA=1, on Linux."""

import os
import tempfile
from pathlib import Path
from statistics import median

import pytest

from benchmarks.cases import Case, Ours
from benchmarks.floors import seconds_of
from benchmarks.folders import BATCH, BATCHES, cost, write_random_folder
from benchmarks.report import MIB, Row
from dmdlite import DMD

pytestmark = pytest.mark.skipif(os.environ.get("DMD_BENCH_DATA") != "1", reason="asked for by DMD_BENCH_DATA=1")
CASE = Case("mosei", False, BATCH)
OPEN_LIMIT, MEMORY_LIMIT = 1e3, 1024.0  # milliseconds, MiB


def test_mapped_folder(report):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "mosei"
        write_random_folder(folder)
        costs = cost(folder)
    ours = Ours(DMD(CASE.config), CASE.data())
    ours.step()
    step = median(seconds_of(ours.step, "cpu") for _ in range(3))
    limits = {
        "open a folder of MOSEI's size": ("ms", 1e3 * costs["open_seconds"], OPEN_LIMIT),
        "resident after opening it": ("MiB", costs["open_bytes"] / MIB, MEMORY_LIMIT),
        f"a random batch of {BATCH} from disk (limit: its training step)": (
            "ms",
            1e3 * costs["batch_seconds"],
            1e3 * step,
        ),
        f"resident after {BATCHES} batches, mapped pages aside": ("MiB", costs["read_own_bytes"] / MIB, MEMORY_LIMIT),
        f"resident after {BATCHES} batches, mapped pages included": ("MiB", costs["read_bytes"] / MIB, None),
    }
    for case, (unit, value, limit) in limits.items():
        report(Row(case=case, unit=unit, ours=value, target=limit, target_of="limit"))
