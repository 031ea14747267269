"""Finds exercises, printed solutions and answers in notebooks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

CALL = re.compile(r"^checks\.(?!summary\b)(\w+)\((.*)\)\s*$", re.MULTILINE)
SOLUTION = re.compile(r"<summary>Solution</summary>\s+```python\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Exercise:
    """One exercise of a notebook of the course."""

    check: str  # the name of its check
    answer: str  # the name that its check is called with
    stub: str  # the source of its cell
    solution: str  # the printed one
    before: tuple[str, ...]  # the sources of all code cells before it


def exercises(path: Path) -> Iterator[Exercise]:
    """The exercises of a notebook, solutions included, in their order."""
    cells, before = nbformat.read(path, as_version=4).cells, []
    for place, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        if called := CALL.search(cell.source):
            printed = SOLUTION.search(cells[place + 1].source)
            if not printed:
                raise ValueError(f"{path.name}: the cell after checks.{called[1]} shows no solution")
            yield Exercise(called[1], called[2], cell.source, printed[1], tuple(before))
        before.append(cell.source)


def definitions(source: str) -> list[ast.stmt]:
    """The statements of a cell that define something at no cost: imports, functions, classes, values without a call."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    return [statement for statement in tree.body if _defines(statement)]


def _defines(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        return isinstance(statement.value, ast.Lambda) or not any(
            isinstance(node, ast.Call) for node in ast.walk(statement.value)
        )
    return isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def namespace(cells: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """What an answer finds around it: everything that the cells define at no cost. Runs their code.

    Imports of names that no definition uses are left out; they would take seconds.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    statements = [statement for source in cells for statement in definitions(source)]
    used = {node.id for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Name)}
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom) and not used & set(_bound(statement)):
            continue
        try:
            exec(compile(ast.Module([statement], []), "<notebook>", "exec"), names)
        except (Exception, SystemExit):
            continue  # it needs what only a whole run makes; an answer that needs it says so itself
    return names


def _bound(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """The names that an import gives."""
    return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
