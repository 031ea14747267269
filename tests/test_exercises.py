"""Every check, tried with the folded solution, with the stub, and with wrong answers that it has to see through."""

import importlib
import inspect
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import dmdlite

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def checks_of(path: Path):
    """The module with the checks of a notebook; it has the notebook's name."""
    return importlib.import_module(f"course.checks.{path.stem[3:]}")


def names_of(checks) -> set[str]:
    return {name for name, check in inspect.getmembers(checks, inspect.isfunction) if hasattr(check, "exercise")}


def exercises():
    """(notebook, name of the check, source of the stub cell, source of the folded solution) of every notebook."""
    for path in NOTEBOOKS:
        book = nbformat.read(path, as_version=4)
        for place, cell in enumerate(book.cells):
            if cell.cell_type == "code" and (called := re.search(r"^checks\.(\w+)\(", cell.source, re.MULTILINE)):
                folded = book.cells[place + 1].source
                solution = re.search(r"<summary>Solution</summary>\s+```python\n(.*?)```", folded, re.DOTALL)
                assert "<summary>Hint</summary>" in folded and solution, f"{path.name}: no hint or solution"
                yield pytest.param(path, called[1], cell.source, solution[1], id=f"{path.stem[:2]}-{called[1]}")


def run(source: str, checks, capsys) -> str:
    exec(source, {"np": np, "torch": torch, "F": F, "dmdlite": dmdlite, "checks": checks})
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize(("path", "name", "stub", "solution"), list(exercises()))
def test_exercise(path, name, stub, solution, capsys):
    checks = checks_of(path)
    assert run(stub, checks, capsys).endswith("not attempted yet")
    call = re.search(rf"^checks\.{name}\(.*\)$", stub, re.MULTILINE)[0]
    assert run(f"{solution}\n{call}", checks, capsys).endswith("correct")


@pytest.mark.parametrize(("path", "name"), [exercise.values[:2] for exercise in exercises()])
def test_wrong_answers_are_told_what_is_wrong(path, name, capsys):
    wrong = importlib.import_module(f"wrong_answers.{path.stem[3:]}").WRONG
    assert len(wrong[name]) >= 2
    for answer in wrong[name]:
        with pytest.raises(AssertionError) as complaint:
            getattr(checks_of(path), name)(answer)
        assert len(str(complaint.value)) > 20 and capsys.readouterr().out == ""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_check_is_asked_for_and_has_the_number_of_its_notebook(path):
    checks = checks_of(path)
    asked = [exercise.values[1] for exercise in exercises() if exercise.values[0] == path]
    assert sorted(asked) == sorted(names_of(checks)) and len(asked) >= 2
    assert [getattr(checks, name).exercise for name in asked] == [
        f"{int(path.stem[:2])}.{place}" for place in range(1, len(asked) + 1)
    ]
