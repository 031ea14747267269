"""Builds the editions of the course that a teacher hands out.

python notebooks/publish.py student          build/student: without solutions and without outputs, to work in
python notebooks/publish.py full             build/full: the same with solutions
python notebooks/publish.py instructor       build/instructor: full, with a page for each notebook, and slides
python notebooks/publish.py book             build/book: the course as a site that opens offline, index.html first
python notebooks/publish.py student --repository OWNER/NAME   the first one, to push to GitHub and to open in Colab
python notebooks/publish.py student FOLDER   an edition in another place, as `python -m dmdlite course FOLDER` does
"""

import argparse
import re
import shutil
import sys
from pathlib import Path

import nbformat
from hosting import check_name, host

HERE = Path(__file__).parent
BUILD = HERE.parent / "build"
SOLUTION = re.compile(r"\n*<details><summary>Solution</summary>.*?</details>\n?", re.DOTALL)
FOR_TEACHERS = ("checks.md", "marking.md")  # in docs
OPENED = "tests/golden/dmd_aligned.npz"  # by notebook 08
# A folder with one of these is opened or imported by a notebook.
NEEDED = ("model.safetensors", "comparison.csv", "runs.csv", "__init__.py")


def student(folder: Path, repository: str | None = None) -> None:
    """Writes the notebooks without solutions, outputs and counts, beside all that they open and import.

    For a repository on GitHub, given as owner/name, they also open in Colab and Binder: see hosting.py.
    """
    full(folder)
    shutil.rmtree(folder / "notebooks" / "course" / "mark", ignore_errors=True)  # for teachers
    for name in FOR_TEACHERS:
        (folder / "docs" / name).unlink()
    readme = folder / "notebooks" / "README.md"
    overview = readme.read_text(encoding="utf-8")
    readme.write_text(overview[: overview.index("\n## Practical matters")], encoding="utf-8")  # a teacher's
    for path in (folder / "notebooks").glob("*.ipynb"):
        nbformat.write(without_solutions(nbformat.read(path, as_version=4)), path)
    if repository:
        host(folder, repository)


def full(folder: Path) -> None:
    """Writes the notebooks beside all that they open and import."""
    (folder / "notebooks").mkdir(parents=True)
    for part in HERE.iterdir():
        if any((part / needed).exists() for needed in NEEDED):
            shutil.copytree(part, folder / "notebooks" / part.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif part.suffix in (".csv", ".ipynb", ".md"):
            shutil.copyfile(part, folder / "notebooks" / part.name)
    for part in ("docs", "data_samples"):
        shutil.copytree(HERE.parent / part, folder / part)
    (folder / OPENED).parent.mkdir(parents=True)
    shutil.copyfile(HERE.parent / OPENED, folder / OPENED)


def instructor(folder: Path) -> None:
    """Writes the full edition, with what an instructor needs beside it."""
    from instructor_edition import instructor

    instructor(folder)


def without_solutions(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Removes solutions, outputs and counts in place; hints stay."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = SOLUTION.sub("\n", cell.source).rstrip()
    return notebook


def book(folder: Path) -> None:
    """Writes the course as a site, see book.py. It needs `pip install 'dmdlite[book]'`; the other editions do not."""
    from book import build

    build(folder)


def main() -> None:
    editions = {"student": student, "full": full, "instructor": instructor, "book": book}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("edition", choices=editions)
    parser.add_argument("folder", nargs="?", type=Path, help="a new one; otherwise build/EDITION is written again")
    parser.add_argument("--repository", metavar="OWNER/NAME", help="of the student's edition, see hosting.py")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")  # a console that lacks a letter shows "?"
    if options.repository and options.edition != "student":
        parser.error("only the student's edition is written for a repository")
    target = options.folder or BUILD / options.edition
    try:
        given = {"repository": check_name(options.repository)} if options.repository else {}
        if not options.folder:
            shutil.rmtree(target, ignore_errors=True)
        editions[options.edition](target, **given)
    except ValueError as problem:
        sys.exit(str(problem))
    print(f"wrote {target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target}")


if __name__ == "__main__":
    main()
