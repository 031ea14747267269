"""Every check, tried with the folded solution, with the stub, and with wrong answers that it has to see through."""

import inspect
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

import dmdlite
from dmdlite.teaching import checks

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
CHECKS = {name: check for name, check in inspect.getmembers(checks, inspect.isfunction) if hasattr(check, "exercise")}
ORDER = [(1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2)]


def matrix(six, order):
    edges = torch.zeros(six.shape[1], 3, 3)
    for edge, (i, j) in enumerate(order):
        edges[:, i, j] = six[edge]
    return edges


def named(i, j):
    return f"{dmdlite.MODALITIES[i]} -> {dmdlite.MODALITIES[j]}"


WRONG = {
    "constant_error": [
        lambda train, test: np.abs(test - train.mean()).mean(),
        lambda train, test: np.abs(test - np.median(test)).mean(),
        lambda train, test: np.square(test - np.median(train)).mean(),
        lambda train, test: (np.median(train) - test).mean(),
        lambda train, test: np.abs(test).mean(),
        lambda train, test: np.median(np.abs(test - np.median(train))),
        lambda train, test: 1.0,
    ],
    "strongest_edge": [
        lambda edges: named(*divmod(int(edges.T.argmax()), 3)),
        lambda edges: "language -> audio",
        lambda edges: named(*divmod(int((-edges).argmax()), 3)),
    ],
    "weighted_total": [
        lambda losses, weights: sum(losses.values()),
        lambda losses, weights: sum(losses.values()) / len(losses),
        lambda losses, weights: sum(weights.get(name, 1.0) * loss for name, loss in losses.items()),
        lambda losses, weights: sum(weights[name] for name in weights),
        lambda losses, weights: sum(a * b for a, b in zip(losses.values(), weights.values())),
    ],
    "edge_matrix": [
        lambda six: matrix(six, ORDER).transpose(1, 2),
        lambda six: matrix(six, [(i, j) for i in range(3) for j in range(3) if i != j]),
        lambda six: matrix(six, ORDER)[0],
        lambda six: matrix(six, ORDER) + torch.eye(3),
        lambda six: matrix(six, ORDER[:-1]),
        lambda six: matrix(torch.arange(1.0, 13.0).view(6, 2), ORDER),
    ],
}


def exercises():
    """(name of the check, source of the stub cell, source of the folded solution) of every notebook."""
    for path in NOTEBOOKS:
        book = nbformat.read(path, as_version=4)
        for place, cell in enumerate(book.cells):
            if cell.cell_type == "code" and (called := re.search(r"^checks\.(\w+)\(", cell.source, re.MULTILINE)):
                folded = book.cells[place + 1].source
                solution = re.search(r"<summary>Solution</summary>\s+```python\n(.*?)```", folded, re.DOTALL)
                assert "<summary>Hint</summary>" in folded and solution, f"{path.name}: no hint or solution"
                yield pytest.param(called[1], cell.source, solution[1], id=f"{path.stem[:2]}-{called[1]}")


def run(source: str, capsys) -> str:
    exec(source, {"np": np, "torch": torch, "dmdlite": dmdlite, "checks": checks})
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize(("name", "stub", "solution"), list(exercises()))
def test_exercise(name, stub, solution, capsys):
    assert run(stub, capsys).endswith("not attempted yet")
    call = re.search(rf"^checks\.{name}\(.*\)$", stub, re.MULTILINE)[0]
    assert run(f"{solution}\n{call}", capsys).endswith("correct")


@pytest.mark.parametrize("name", CHECKS)
def test_wrong_answers_are_told_what_is_wrong(name, capsys):
    assert len(WRONG[name]) >= 2
    for answer in WRONG[name]:
        with pytest.raises(AssertionError) as complaint:
            CHECKS[name](answer)
        assert len(str(complaint.value)) > 20 and capsys.readouterr().out == ""


def test_every_check_is_asked_for_in_a_notebook():
    assert {parameters.values[0] for parameters in exercises()} == set(CHECKS)
