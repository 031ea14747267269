"""Builds the book: the course and docs/ as a site that opens from files, without a server, a host or a network.

Sphinx builds it with MyST-NB and the theme Furo. It reads a copy of the pages in which every link leads to another page
or to a file of the book; a link that leads nowhere stops the build.

python notebooks/publish.py book        builds it
python notebooks/book.py                asks for every external link whether its page is still there
"""

import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from formulas import MATH, to_mathml
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from course.playground.page import page as playground

HERE = Path(__file__).parent
ROOT = HERE.parent
STYLE = HERE / "book.css"
# A page that was opened from a file may not read its neighbours: the search then shows titles without excerpts.
FROM_FILES = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'
# The left column: the theme's parts, and a link of ours.
COLUMN = ("brand", "search", "scroll-start", "navigation", "playground", "scroll-end")
TEMPLATE = """<div class="sidebar-tree"><ul><li class="toctree-l1">
<a class="reference internal" href="{{ pathto('playground.html', 1) }}">The playground</a>
</li></ul></div>
"""
SETTINGS = {
    "project": "dmdlite",
    "html_title": "dmdlite: the course",
    "extensions": ["myst_nb", "book"],  # the second one is this file: see `setup`
    "nb_execution_mode": "off",
    "myst_enable_extensions": ["dollarmath"],
    "myst_heading_anchors": 4,
    "suppress_warnings": ["myst.header"],  # a step from # to ###
    "smartquotes": False,
    "html_theme": "furo",
    "html_sidebars": {"**": [f"sidebar/{part}.html" for part in COLUMN]},
    "html_math_renderer": "mathml",
    "html_copy_source": False,
    "html_show_copyright": False,
    "html_use_index": False,
    "html_show_sphinx": False,
    "templates_path": ["_templates"],
    "html_static_path": ["_static"],
    "html_css_files": [STYLE.name],
    "html_js_files": [(None, {"body": FROM_FILES})],
    "linkcheck_anchors": False,
    "linkcheck_timeout": 20,
    "linkcheck_retries": 3,
    "linkcheck_ignore": [r"https://doi\.org/.*"],  # publishers turn away whatever is no browser
    "pygments_style": "default",
}
PROMPTS = {"claim": "Show the check of these numbers", "plumbing": "Show the preparation"}
# What a kernel would show -> what a page shows.
LIVE = {
    "VBox(": "*This is a widget. It needs a running notebook, for instance in JupyterLab.*",
    "The playground:": '<a href="playground.html">Open the playground</a>',
}
COLOUR = re.compile(r"\x1b\[[\d;]*m")  # of a terminal
LINK = re.compile(r"(?<=\]\()([\w./-]+)(?=[)#])")
CONTENTS = """

<a href="playground.html">The playground</a>: three students learn while you change who teaches whom.

```{{toctree}}
:hidden:
:caption: Notebooks

{notebooks}
```

```{{toctree}}
:hidden:
:caption: The package

{others}
```
"""


def build(folder: Path) -> None:
    """Writes the site to a new folder, index.html first. Raises ValueError with everything that Sphinx warns of."""
    folder.mkdir(parents=True)
    run_sphinx("html", folder)
    text = playground().replace("<main>", '<p><a href="index.html">The course</a></p><main>')
    (folder / "playground.html").write_text(text, encoding="utf-8")


def run_sphinx(builder: str, folder: Path) -> None:
    """Builder "linkcheck" instead asks the host of every external link whether its page is still there."""
    with tempfile.TemporaryDirectory() as place:
        source, trees, warnings = Path(place, "source"), Path(place, "trees"), io.StringIO()
        write_source(source)
        own = dict(confdir=None, status=None, warning=warnings, freshenv=True, confoverrides=SETTINGS)
        with patch_docutils(), docutils_namespace():  # another build may follow in this process
            Sphinx(source, outdir=folder, doctreedir=trees, buildername=builder, **own).build(force_all=True)
    if problems := COLOUR.sub("", warnings.getvalue()).strip():
        raise ValueError(f"Sphinx warns of this:\n{problems}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Draws formulas as MathML, which browsers show without a script."""
    app.add_html_math_renderer("mathml", (formula("inline"), None), (formula("block"), None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def formula(display: str) -> Callable[[Any, Any], None]:
    def visit(page: Any, node: Any) -> None:
        page.body.append(to_mathml(node.astext(), display))
        node.clear()  # its text is not printed again

    return visit


def pages() -> dict[str, Path]:
    """Every page, by its name in the book, in the order of reading."""
    found = {"index": HERE / "README.md"}
    found |= {path.stem: path for path in sorted(HERE.glob("*.ipynb"))}
    found |= {path.stem: path for path in sorted(HERE.glob("*.md")) if path.name != "README.md"}
    found |= {"project": ROOT / "README.md"}
    found |= {f"docs/{path.stem}": path for path in sorted((ROOT / "docs").glob("*.md"))}
    return found | {"data_samples": ROOT / "data_samples" / "README.md"}


def write_source(folder: Path) -> None:
    """Writes what Sphinx reads: the pages under their new names, and the files that they show or link to."""
    (folder / "_static").mkdir(parents=True)
    shutil.copyfile(STYLE, folder / "_static" / STYLE.name)
    (folder / "_templates" / "sidebar").mkdir(parents=True)
    (folder / "_templates" / "sidebar" / "playground.html").write_text(TEMPLATE, encoding="utf-8")
    for name, path in pages().items():
        target = folder / f"{name}{path.suffix}"
        target.parent.mkdir(exist_ok=True)
        if path.suffix == ".ipynb":
            nbformat.write(as_page(nbformat.read(path, as_version=4), path, folder), target)
        else:
            target.write_text(relinked(path.read_text(encoding="utf-8"), path, folder), encoding="utf-8")
    names = list(pages())[1:]
    split = names.index("project")
    listed = {"notebooks": "\n".join(names[:split]), "others": "\n".join(names[split:])}
    with open(folder / "index.md", "a", encoding="utf-8") as index:
        index.write(CONTENTS.format(**listed))


def as_page(notebook: nbformat.NotebookNode, path: Path, folder: Path) -> nbformat.NotebookNode:
    """Changes a notebook in place: folds what JupyterLab folds, describes pictures, leaves out cells to type into."""
    notebook.cells = [cell for cell in notebook.cells if "typed" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        tags, metadata = cell.metadata.get("tags", []), {}
        if cell.cell_type == "markdown":
            cell.source = relinked(cell.source, path, folder)
        if prompts := [PROMPTS[tag] for tag in tags if tag in PROMPTS]:
            cell.metadata.tags = [*tags, "hide-input"]
            metadata = {"code_prompt_show": prompts[0], "code_prompt_hide": prompts[0].replace("Show", "Hide")}
        if alternative := cell.metadata.get("alt"):
            metadata["image"] = {"alt": alternative}
        cell.metadata["mystnb"] = metadata
        for data in (output.data for output in cell.get("outputs", []) if "data" in output):
            for start, note in LIVE.items():
                if data.get("text/plain", "").startswith(start):
                    data["text/markdown"] = note
    return notebook


def relinked(markdown: str, path: Path, folder: Path) -> str:
    """The page's text with links for the book, and formulas in a form that survives in tables and in HTML."""
    own_name = next(name for name, page in pages().items() if page == path)
    names = {page.resolve(): f"{name}{page.suffix}" for name, page in pages().items()}

    def replace(link: re.Match) -> str:
        target = (path.parent / link[1]).resolve()
        if target not in names:  # a picture or another file, which comes along
            if not target.is_file():
                return link[1]  # Sphinx will complain
            names[target] = target.relative_to(ROOT).as_posix()
            (folder / names[target]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, folder / names[target])
        return Path(os.path.relpath(names[target], Path(own_name).parent)).as_posix()

    return "\n".join(in_one_line(line) for line in LINK.sub(replace, markdown).split("\n"))


def in_one_line(line: str) -> str:
    """Formulas of a table have no bars, which would end a cell, and those in HTML are MathML already."""

    def replace(found: re.Match) -> str:
        if found["code"] or found["block"]:
            return found[0]
        if line.startswith("<"):
            return to_mathml(found["inline"], "inline")
        return found[0].replace(r"\|", r"\Vert ").replace("|", r"\vert ")

    return MATH.sub(replace, line) if line.startswith(("|", "<")) else line


if __name__ == "__main__":
    try:
        with tempfile.TemporaryDirectory() as nowhere:
            run_sphinx("linkcheck", Path(nowhere))
    except ValueError as problem:
        sys.exit(str(problem))
