"""Runs with all cores and without the tests' run-time checks: `make bench` keeps pytest from the conftests above."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROWS = pytest.StashKey[list]()
THROUGHPUT = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[ROWS], config.stash[THROUGHPUT] = [], []
    config.addinivalue_line("filterwarnings", "ignore::UserWarning:trains")  # the published code's


@pytest.fixture(scope="session", autouse=True)
def prepared():
    """Threads, seed and memory as in every process that measures; and a published code that can be imported."""
    from benchmarks.cases import prepare
    from benchmarks.reference import Missing, checkout, published

    prepare()
    try:
        return checkout() and published()
    except Missing as problem:
        pytest.exit(str(problem), returncode=2)


@pytest.fixture
def report(pytestconfig):
    """Takes a row of the table."""
    return pytestconfig.stash[ROWS].append


@pytest.fixture
def report_throughput(pytestconfig):
    """Takes the records of the GPU's table over batch sizes."""
    return pytestconfig.stash[THROUGHPUT].extend


def pytest_terminal_summary(terminalreporter, config):
    rows, records = config.stash.get(ROWS, []), config.stash.get(THROUGHPUT, [])
    if not rows:
        return
    from benchmarks.report import in_words, machine_description, save, text_table
    from benchmarks.throughput import throughput_table

    terminalreporter.write_sep("=", "benchmarks")
    terminalreporter.write_line(in_words(machine_description()))
    terminalreporter.write_line(text_table(rows))
    if records:
        terminalreporter.write_line(throughput_table(records))
    folder = Path(os.environ.get("DMD_BENCH_OUTPUT", "runs/benchmarks"))
    for path in save(rows, records, folder):
        terminalreporter.write_line(f"written: {path}")
