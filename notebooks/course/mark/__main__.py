"""python -m course.mark SUBMISSIONS --output marks.csv: marks a class, one folder of notebooks for each student."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from course.mark import reports, sandbox
from course.mark.marking import COURSE, course, mark
from course.mark.typed import typed


def students(folder: Path) -> list[Path]:
    """The folders in it, by name; links are left out, because they could lead anywhere."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m course.mark", description=__doc__)
    parser.add_argument("submissions", type=Path, help="a folder with one folder of notebooks for each student")
    parser.add_argument("--output", type=Path, default=Path("marks.csv"), help="the table (marks.csv)")
    parser.add_argument("--seed", type=int, help="of the hidden examples; drawn if not given, and printed")
    parser.add_argument("--seconds", type=float, default=10.0, help="for one call of an answer (10)")
    return parser


def main(arguments: list[str] | None = None) -> None:
    options = make_parser().parse_args(arguments)
    if problem := sandbox.missing():
        sys.exit(f"{problem}; answers of students run only in a sandbox. docs/marking.md says what to do.")
    found = students(options.submissions) if options.submissions.is_dir() else []
    if not found:
        sys.exit(f"{options.submissions} has no folders: put each student's notebooks into a folder with their name.")
    seed = secrets.randbelow(10**9) + 1000 if options.seed is None else options.seed
    print(f"hidden examples: --seed {seed}")
    try:
        course()
    except ValueError as problem:
        sys.exit(f"{problem}: mark with the full edition of the course, not with the students'.")
    marks = {}
    for folder in found:
        marks[folder.name] = list(mark(folder, seed, options.seconds))
        points = sum(one.points for one in marks[folder.name])
        print(f"{folder.name}: {points} of {len(marks[folder.name])} points", flush=True)
    answers = {folder.name: typed(folder, COURSE) for folder in found}
    for path in reports.write(marks, answers, options.output):
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
