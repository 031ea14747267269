"""Training steps and evaluations on the CPU."""

import pytest
import torch

from benchmarks.cases import Case
from benchmarks.floors import flop_floor
from benchmarks.pairs import evaluation, paired, sides
from benchmarks.report import timed_row

TARGETS = {Case("mosi", True, 16): 2.5, Case("mosei", True, 16): 2.0, Case("mosi", False, 4): 5.0}  # of a step
OF_EVALUATION = 2.0


@pytest.mark.parametrize("case", TARGETS, ids=str)
def test_training_step(case, benchmark, report):
    ours, theirs = sides(case)
    times = paired(benchmark, ours.step, theirs and theirs.step)
    report(timed_row(f"training step, {case}", times, TARGETS[case], flop_floor(ours.step, "cpu")))


@pytest.mark.parametrize("case", TARGETS, ids=str)
def test_evaluation(case, benchmark, report):
    ours, theirs = sides(case)
    times = paired(benchmark, ours.evaluate, evaluation(ours, theirs))
    if theirs:
        torch.testing.assert_close(ours.evaluate(), theirs.evaluate()[:, 0], rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        floor = flop_floor(lambda: ours.model(**{**ours.batch, "labels": None}), "cpu")
    report(timed_row(f"evaluation, {case}", times, OF_EVALUATION, floor))
