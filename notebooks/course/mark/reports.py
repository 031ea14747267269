"""Writes the marks, what each student was told, and what the class got wrong most."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from course.checks.marking import CORRECT, OPEN
from course.mark.marking import COURSE, MISSING, Mark
from course.mark.typed import Typed, questions
from course.mark.typed import report as typed_answers

Marks = dict[str, list[Mark]]  # student -> every exercise of the course


def write(marks: Marks, typed: Typed, output: Path) -> list[Path]:
    """Writes four files: the table, and beside it three texts."""
    texts = {"told": _told(marks), "class": _most(marks), "typed": typed_answers(typed, COURSE)}
    _table(marks, typed, output)
    paths = [output.with_name(f"{output.stem}_{name}.md") for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return [output, *paths]


def cell(text: str) -> str:
    """A spreadsheet takes what begins so for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _table(marks: Marks, typed: Typed, path: Path) -> None:
    numbers = [mark.number for mark in next(iter(marks.values()))]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["student", "points", "of", "typed", "questions", *numbers])
        for student, found in marks.items():
            points = [mark.points for mark in found]
            written = [len(typed[student]), len(questions(COURSE))]
            table.writerow([cell(student), sum(points), len(points), *written, *points])


def _told(marks: Marks) -> str:
    """For each student what is not right, and why."""
    parts = ["# What each student was told"]
    for student, found in marks.items():
        missing = [mark.number for mark in found if mark.outcome == MISSING and not mark.told]
        still = [mark.number for mark in found if mark.outcome == OPEN]
        lines = [f"## {student}", f"{sum(mark.points for mark in found)} of {len(found)} points."]
        lines += [f"Not attempted: {', '.join(still)}."] if still else []
        lines += [f"Not handed in: {', '.join(missing)}."] if missing else []
        for mark in found:
            if mark.outcome not in (CORRECT, OPEN) and mark.told:
                text = "\n".join(f"    {line}" for line in mark.told.splitlines())
                lines.append(f"**{mark.number}**, {mark.outcome}:\n\n{text}")
        parts.append("\n\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _most(marks: Marks) -> str:
    """The exercises with the fewest right answers first, each with what was told most often."""
    rows = []
    for at, number in enumerate(mark.number for mark in next(iter(marks.values()))):
        found = [student[at] for student in marks.values()]
        tried = [mark for mark in found if mark.outcome not in (OPEN, MISSING)]
        right = sum(mark.points for mark in tried)
        most = Counter(mark.told.replace("\n", ": ") for mark in tried if mark.told).most_common(1)
        text = f"{most[0][0].replace('|', '/')} ({most[0][1]} times)" if most else ""
        rows.append((right / len(tried) if tried else 1.0, number, len(tried), right, text))
    rows.sort(key=lambda row: row[0])
    lines = ["# What the class got wrong most", "", f"{len(marks)} students; of those who tried an exercise:", ""]
    lines += ["| exercise | tried | right | told most often |", "|---|---|---|---|"]
    lines += [f"| {number} | {tried} | {right} | {text} |" for _, number, tried, right, text in rows]
    return "\n".join(lines) + "\n"
