"""The margin loss alone, value and gradient, against the published loop over anchors."""

from functools import partial

import torch

from benchmarks.cases import margin_inputs, our_margin, value_and_gradient
from benchmarks.floors import seconds_of
from benchmarks.memory import in_own_process
from benchmarks.pairs import paired
from benchmarks.reference import checkout, published_margin
from benchmarks.report import memory_row, timed_row

CLIPS, TARGET = 64, 50.0


def test_margin_loss(benchmark, report):
    features, labels = margin_inputs(CLIPS)
    assert len(labels.unique()) < CLIPS
    ours, theirs = (partial(value_and_gradient, margin, features, labels) for margin in (our_margin, published_margin))
    if checkout():
        (value, gradient), (their_value, their_gradient) = ours(), theirs()
        torch.testing.assert_close(value, their_value, rtol=1e-6, atol=1e-6)
        scale = their_gradient.abs().max()  # of some 1e-4
        torch.testing.assert_close(gradient / scale, their_gradient / scale, rtol=0, atol=5e-6)
    times = paired(benchmark, ours, partial(seconds_of, theirs, "cpu") if checkout() else None)
    report(timed_row(f"margin loss and gradient, {CLIPS} clips", times, TARGET))


def test_margin_memory(report):
    theirs = in_own_process("published", CLIPS) if checkout() else None
    report(memory_row(f"peak memory of the margin loss, {CLIPS} clips", theirs, in_own_process("ours", CLIPS)))
