"""Builds the editions of the course that a teacher hands out.

python notebooks/publish.py student          build/student: without solutions and without outputs, to work in
python notebooks/publish.py full             build/full: the same with solutions
python notebooks/publish.py instructor       build/instructor: full, with a page for each notebook, and slides
python notebooks/publish.py book             build/book: the course as pages that open offline, index.html first
python notebooks/publish.py student FOLDER   an edition in another place, as `python -m dmdlite course FOLDER` does
"""

import re
import shutil
import sys
from pathlib import Path

import nbformat
from latex2mathml.converter import convert as to_mathml
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from course.playground.page import page as playground

HERE = Path(__file__).parent
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))
BUILD = HERE.parent / "build"
SOLUTION = re.compile(r"\n*<details><summary>Solution</summary>.*?</details>\n?", re.DOTALL)
CODE = r"```.*?```|`[^`\n]*`"  # left unchanged
MATH = re.compile(rf"(?P<code>{CODE})|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)
TAG = re.compile(r"\\tag\{(.+?)\}")  # the number of an equation; MathML has no element for it
LINK = re.compile(r"(\]\((?:\d\d_\w+|use_and_misuse))\.(?:ipynb|md)(?=[)#])")
FROM_OUTSIDE = re.compile(r'<script[^>]*src="https?:[^>]*>\s*</script>|<link[^>]*href="https?:[^>]*>')
STYLE = """
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 sans-serif; color: #222 }
table { border-collapse: collapse } td, th { border: 1px solid #ccc; padding: .3rem .6rem; text-align: left }
td:nth-last-child(-n+3) { white-space: nowrap }
pre { background: #f5f5f5; padding: .6rem; overflow-x: auto } a { color: #2a5d8f } .anchor-link { display: none }
"""
PAGE = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>'
PAGES = {"index": ("dmdlite: the course", "README.md"), "use_and_misuse": ("Use and misuse", "use_and_misuse.md")}
PLAYGROUND = "\n\n[The playground](playground.html): three students learn while you change who teaches whom.\n"
OPENED = "tests/golden/dmd_aligned.npz"  # by notebook 08
# A folder with one of these is opened or imported by a notebook.
NEEDED = ("model.safetensors", "comparison.csv", "runs.csv", "__init__.py")


def student(folder: Path) -> None:
    """Writes the notebooks without solutions, outputs and counts, beside all that they open and import."""
    full(folder)
    shutil.rmtree(folder / "notebooks" / "course" / "mark", ignore_errors=True)  # for teachers
    for path in (folder / "notebooks").glob("*.ipynb"):
        nbformat.write(without_solutions(nbformat.read(path, as_version=4)), path)


def full(folder: Path) -> None:
    """Writes the notebooks beside all that they open and import."""
    (folder / "notebooks").mkdir(parents=True)
    for part in HERE.iterdir():
        if any((part / needed).exists() for needed in NEEDED):
            shutil.copytree(part, folder / "notebooks" / part.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif part.suffix in (".csv", ".ipynb", ".md"):
            shutil.copyfile(part, folder / "notebooks" / part.name)
    shutil.copytree(HERE.parent / "data_samples", folder / "data_samples")
    (folder / OPENED).parent.mkdir(parents=True)
    shutil.copyfile(HERE.parent / OPENED, folder / OPENED)


def instructor(folder: Path) -> None:
    """Writes the full edition, with what an instructor needs beside it."""
    import instructor_edition

    instructor_edition.instructor(folder)


def without_solutions(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Removes solutions, outputs and counts in place; hints stay."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = SOLUTION.sub("\n", cell.source).rstrip()
    return notebook


def book(folder: Path) -> None:
    """Writes one page per notebook, outputs included; formulas become MathML, which browsers draw without a script."""
    folder.mkdir(parents=True)
    exporter = HTMLExporter(template_name="lab", mathjax_url="", require_js_url="", mermaid_js_url="", jquery_url="")
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = LINK.sub(r"\1.html", with_mathml(cell.source)).replace("(README.md)", "(index.html)")
        page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": path.stem}})
        (folder / f"{path.stem}.html").write_text(FROM_OUTSIDE.sub("", page), encoding="utf-8")
    (folder / "playground.html").write_text(playground(), encoding="utf-8")
    for page, (title, source) in PAGES.items():
        text = LINK.sub(r"\1.html", (HERE / source).read_text(encoding="utf-8"))
        text += PLAYGROUND if page == "index" else ""
        start = PAGE.format(title=title, style=STYLE)
        (folder / f"{page}.html").write_text(f"{start}<body>{markdown2html_mistune(text)}</body></html>", "utf-8")


def with_mathml(markdown: str) -> str:
    """Turns $…$ and $$…$$ into MathML, except inside code."""

    def replace(found: re.Match) -> str:
        if found["code"]:
            return found["code"]
        display = "block" if found["block"] else "inline"
        formula = TAG.sub(r"\\qquad (\1)", (found["block"] or found["inline"]).strip())
        return to_mathml(formula, display=display)

    return MATH.sub(replace, markdown)


if __name__ == "__main__":
    editions = {"student": student, "full": full, "instructor": instructor, "book": book}
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in editions:
        sys.exit(__doc__)
    sys.stdout.reconfigure(errors="replace")  # a console that lacks a letter shows "?"
    target = Path(sys.argv[2]) if len(sys.argv) == 3 else BUILD / sys.argv[1]
    if len(sys.argv) == 2:
        shutil.rmtree(target, ignore_errors=True)
    editions[sys.argv[1]](target)
    print(f"wrote {target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target}")
