"""Training steps on a GPU: one step, clips per second over batch sizes, and peak memory."""

import pytest
import torch

from benchmarks.cases import Case
from benchmarks.floors import flop_floor
from benchmarks.memory import gpu_growth, training_steps
from benchmarks.pairs import paired, sides
from benchmarks.reference import checkout
from benchmarks.report import Row, memory_row, timed_row
from benchmarks.throughput import BATCHES, throughput

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
CASE, UNALIGNED = Case("mosi", True, 16), Case("mosi", False, 4)
STEP_TARGET, THROUGHPUT_TARGET, MEMORY_TARGET = 10.0, 20.0, 0.5
FASTEST = {"compiled": True, "bf16": True}


@pytest.mark.parametrize("options", [FASTEST, {}], ids=["CUDA graphs, bf16", "eager"])
def test_training_step(options, benchmark, report, request):
    ours, theirs = sides(CASE, "cuda", **options)
    times = paired(benchmark, ours.step, theirs and theirs.step, "cuda")
    eager, _ = sides(CASE, "cuda", bf16=ours.bf16)
    floor = flop_floor(eager.step, "cuda", torch.bfloat16 if ours.bf16 else torch.float32)
    name = f"GPU training step ({request.node.callspec.id}), {CASE}"
    report(timed_row(name, times, STEP_TARGET if options else None, floor))


def test_throughput(report, report_throughput):
    records = throughput("mosi", BATCHES, "cuda", published=checkout() is not None, **FASTEST)
    report_throughput(records)
    best = {
        side: max((record[f"{side} clips/s"] or 0 for record in records), default=0) or None
        for side in ("published", "ours")
    }
    ratio = best["ours"] / best["published"] if all(best.values()) else None
    case = "GPU training, each at its best batch size"
    report(Row(case=case, unit="clips/s", **best, ratio=ratio, target=THROUGHPUT_TARGET))


def test_peak_memory(report):
    theirs = gpu_growth(training_steps("published", UNALIGNED, "cuda")) if checkout() else None
    ours = gpu_growth(training_steps("ours", UNALIGNED, "cuda"))
    report(memory_row(f"GPU peak memory, {UNALIGNED}", theirs, ours, MEMORY_TARGET))
