"""Does each notebook run in the time that its first screen promises, with half of it to spare?

`python -m pytest tests/benchmarks/bench_notebooks.py --confcutdir=tests/benchmarks -o python_files='bench_*.py'`
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9]*.ipynb"))
SPARE = 1.5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_run_all(path: Path) -> None:
    """From the start of the kernel to the last cell, as Run All does."""
    notebook = nbformat.read(path, as_version=4)
    promised = int(re.search(r"runs in (\d+) s on a CPU", notebook.cells[1].source)[1])
    started = time.perf_counter()
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(path.parent))
    taken = time.perf_counter() - started
    print(f"{path.stem}: {taken:.0f} s, promised {promised} s")
    assert taken < SPARE * promised
