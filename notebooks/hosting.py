"""Prepares the student's edition for a repository on GitHub, where Colab, Binder and Codespaces open it.

`make student REPOSITORY=owner/name` writes what to push there: every notebook begins with links and installs the
course where it is missing. The edition then carries the package, too.
"""

import re
import shutil
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
COLAB = "https://colab.research.google.com/github/{repository}/blob/HEAD/notebooks/{notebook}"
BINDER = "https://mybinder.org/v2/gh/{repository}/HEAD?urlpath=lab/tree/notebooks/{notebook}"
LINKS = f"[Open in Colab]({COLAB}) · [Open in Binder]({BINDER})"
PACKAGE = ("dmdlite", "pyproject.toml", "constraints.txt", "LICENSE", ".gitattributes", ".gitignore")
CONTAINERS = (".binder", ".devcontainer")
README = """# {title}

The notebooks of the course, to work in. Each link opens a notebook in the browser, and nothing has to be installed:
[Colab]({colab}) needs a Google account, [Binder]({binder}) none.

| | notebook | | |
|---|---|---|---|
{rows}

On your own machine, with Python 3.11 or newer:

```sh
pip install -e ".[lab]"
jupyter lab notebooks/00_start_here.ipynb
```
"""
FIRST = """# Fetches and installs the course where it is missing, as on Colab (some minutes); does nothing elsewhere.
def open_course(archive="https://github.com/{repository}/archive/HEAD.zip"):
    import importlib, io, os, subprocess, sys, urllib.request, zipfile
    from importlib.util import find_spec
    from pathlib import Path

    if not Path("course").is_dir():  # the notebook came alone
        folder, unfinished = Path("the_course"), Path("the_course_unfinished")
        if not folder.is_dir():
            with urllib.request.urlopen(archive) as answer:
                zipfile.ZipFile(io.BytesIO(answer.read())).extractall(unfinished)
            unfinished.rename(folder)
        os.chdir(next(folder.glob("*/notebooks")))
        sys.path.insert(0, os.getcwd())
    sources = {{"dmdlite": "..", "anywidget": "anywidget"}}
    missing = [source for name, source in sources.items() if find_spec(name) is None]
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)
        importlib.invalidate_caches()
    if "google.colab" in sys.modules:  # otherwise Colab shows no widget of the course
        from google.colab import output

        output.enable_custom_widget_manager()


open_course()"""


def check_name(repository: str) -> str:
    """The name itself. Raises ValueError if GitHub has no such names."""
    if not NAME.fullmatch(repository):
        raise ValueError(f"REPOSITORY is owner/name on GitHub, such as ada/dmd-course; it cannot be {repository!r}")
    return repository


def host(folder: Path, repository: str) -> None:
    """Adds links, the first cell, the package and what Binder and Codespaces read to a student's edition."""
    rows = []
    for path in sorted((folder / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        open_anywhere(notebook, path.name, repository)
        nbformat.write(notebook, path)
        number, title = notebook.cells[1].source.splitlines()[0].removeprefix("# ").split(" · ", 1)
        links = LINKS.format(repository=repository, notebook=path.name).replace(" · ", " | ").replace("Open in ", "")
        rows.append(f"| {number} | [{title}](notebooks/{path.name}) | {links} |")
    for part in (*PACKAGE, *CONTAINERS):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copyfile
        ignored = {"ignore": shutil.ignore_patterns("__pycache__", "*.tar.xz")} if copy is shutil.copytree else {}
        copy(ROOT / part, folder / part, **ignored)
    container = folder / ".devcontainer" / "devcontainer.json"
    container.write_text(container.read_text(encoding="utf-8").replace("[lab,book,test]", "[lab]"), encoding="utf-8")
    sites = {"colab": "https://colab.research.google.com", "binder": "https://mybinder.org"}
    text = README.format(title=repository.partition("/")[2], rows="\n".join(rows), **sites)
    (folder / "README.md").write_text(text, encoding="utf-8")


def open_anywhere(notebook: nbformat.NotebookNode, name: str, repository: str) -> None:
    """Adds links at the top, and before the first code cell the one that installs the course. In place."""
    links = nbformat.v4.new_markdown_cell(LINKS.format(repository=repository, notebook=name), id="open-anywhere")
    first = nbformat.v4.new_code_cell(FIRST.format(repository=repository), id="install-where-missing")
    first.metadata = {"tags": ["plumbing"], "jupyter": {"source_hidden": True}}
    place = next(place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    notebook.cells = [links, *notebook.cells[:place], first, *notebook.cells[place:]]
