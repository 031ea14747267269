"""What a rule of edge learning costs: a training step with it, against our own step with published edges."""

from functools import partial

import pytest

from benchmarks.cases import Case, Ours
from benchmarks.floors import seconds_of
from benchmarks.pairs import paired
from benchmarks.report import timed_row
from course.edge_audit.rules import RULES

CASE, TARGET = Case("mosi", True, 16), 1 / 1.5


@pytest.mark.parametrize("rule", ["errors", "look ahead", "alignment"])
def test_training_step_with_a_rule(rule, benchmark, report):
    ours, published = (Ours(RULES[name](CASE.config), CASE.data()) for name in (rule, "published prior"))
    times = paired(benchmark, ours.step, partial(seconds_of, published.step, "cpu"))
    report(timed_row(f"training step, {CASE}, edges by {rule}, beside published edges", times, TARGET))
