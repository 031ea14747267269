"""Predictions and answers that students typed into the cells tagged `typed`, gathered for a teacher to read."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from course.mark.untrusted import load, plain

PROMPT = re.compile(r"\*Your (prediction|answer) \(double-click here and type\):\*")
LONGEST = 2000  # characters of one answer
Typed = dict[str, dict[str, str]]  # student -> "03 predict-1" -> what it says there


@cache
def questions(course: Path) -> dict[str, str]:
    """Every question of the course in its order: "03 predict-1" -> its text."""
    found = {}
    for path in sorted(course.glob("[0-9][0-9]_*.ipynb")):
        asked = ""
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if name := _name(path, cell):
                found[name] = asked[asked.rindex("**Predict.**" if "predict" in name else "**Open question.**") :]
            asked = "".join(cell["source"])
    return found


def typed(folder: Path, course: Path) -> dict[str, str]:
    """What one student typed, for each question that has an answer. Nothing in the files is run."""
    found = {}
    for name in sorted(path.name for path in course.glob("[0-9][0-9]_*.ipynb")):
        cells = load(folder / name)
        for cell in cells if isinstance(cells, list) else []:
            question = _name(Path(name), cell)
            text = plain(PROMPT.sub("", cell["source"]), LONGEST)
            if question in questions(course) and text:
                found[question] = text
    return found


def _name(path: Path, cell: dict[str, Any]) -> str | None:
    """The name of the question that a cell answers: "03 predict-1"."""
    tags = cell.get("metadata", {}).get("tags", [])
    if cell["cell_type"] != "markdown" or "typed" not in tags:
        return None
    return next((f"{path.name[:2]} {tag}" for tag in tags if re.fullmatch(r"(predict|open)-\d+", str(tag))), None)


def report(answers: Typed, course: Path) -> str:
    """One section for each question, with what every student typed, as a quotation."""
    parts = ["# What the students typed"]
    for name, question in questions(course).items():
        given = {student: found[name] for student, found in answers.items() if name in found}
        lines = [f"## {name}: {len(given)} of {len(answers)}", question]
        for student, text in given.items():
            lines.append(f"**{plain(student)}**\n\n" + "\n".join(f"    {line}" for line in text.splitlines()))
        parts.append("\n\n".join(lines))
    return "\n\n".join(parts) + "\n"
