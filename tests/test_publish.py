"""The editions to work in that a teacher hands out; test_book.py is about the pages."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
sys.path.insert(0, str(ROOT / "notebooks"))
import hosting
import publish
from formulas import with_mathml


def test_solutions_go_and_hints_stay():
    notebook = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_markdown_cell(
            "<details><summary>Hint</summary>\n\nlook up\n</details>\n\n"
            "<details><summary>Solution</summary>\n\n```python\nanswer = 42\n```\n</details>\n\nNow go on."
        ),
        nbformat.v4.new_code_cell("1 + 1", execution_count=3, outputs=[nbformat.v4.new_output("stream", text="2")]),
    ])  # fmt: skip
    text, code = publish.without_solutions(notebook).cells
    assert "look up" in text.source and "42" not in text.source and text.source.endswith("\n\nNow go on.")
    assert code.outputs == [] and code.execution_count is None and code.source == "1 + 1"


def test_student_copy_has_everything_but_solutions(tmp_path):
    publish.student(tmp_path / "student")
    copies = sorted((tmp_path / "student" / "notebooks").glob("*.ipynb"))
    assert [path.name for path in copies] == [path.name for path in NOTEBOOKS]
    for path, original in zip(copies, NOTEBOOKS, strict=True):
        text, full = path.read_text(encoding="utf-8"), original.read_text(encoding="utf-8")
        assert "<summary>Solution</summary>" in full and "<summary>Solution</summary>" not in text
        assert text.count("<summary>Hint</summary>") == full.count("<summary>Hint</summary>")
        code = [[c["source"] for c in json.loads(book)["cells"] if c["cell_type"] == "code"] for book in (text, full)]
        assert code[0] == code[1]
        for opened in re.findall(
            r'\\"((?:\.\./)?[\w/]+\.npz|finished_\w+|without_\w+|(?:dictionary_|edges/)\w+\.csv|comparison)\\"',
            text,
        ):
            assert (path.parent / opened).exists(), opened
    assert (copies[0].parent / "course" / "checks").exists() and not (copies[0].parent / "course" / "mark").exists()
    docs = {path.name for path in (ROOT / "docs").glob("*.md")} - {"checks.md", "marking.md"}
    assert {path.name for path in (tmp_path / "student" / "docs").glob("*.md")} == docs
    for page in [*copies, copies[0].parent / "README.md", *(tmp_path / "student" / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([\w./-]+\.(?:md|ipynb|png|svg))[)#]", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists() or link in ("checks.md", "marking.md"), f"{page.name}: {link}"
    imports = {line for path in copies for line in re.findall(r"from course[\w.]* import [^\"\\]+", path.read_text())}
    lines = [*sorted(imports), "import course; print(course.__path__[0])"]
    command = [sys.executable, "-c", "\n".join(lines)]
    found = subprocess.run(command, cwd=copies[0].parent, capture_output=True, text=True)
    assert found.stdout.strip() == str(copies[0].parent / "course"), found.stderr


@pytest.fixture(scope="module")
def hosted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosted") / "student"
    publish.student(folder, "ada/dmd-course")
    return folder


def test_a_hosted_notebook_begins_with_links_and_an_installing_cell(hosted, tmp_path):
    publish.student(tmp_path / "plain")
    for path in sorted((hosted / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        code = next(place for place, cell in enumerate(cells) if cell.cell_type == "code")
        own = nbformat.read(tmp_path / "plain" / "notebooks" / path.name, as_version=4).cells
        assert [cell.source for cell in [*cells[1:code], *cells[code + 1 :]]] == [cell.source for cell in own]
        there = f"notebooks/{path.name})"
        assert f"https://colab.research.google.com/github/ada/dmd-course/blob/HEAD/{there}" in cells[0].source
        assert f"https://mybinder.org/v2/gh/ada/dmd-course/HEAD?urlpath=lab/tree/{there}" in cells[0].source
        assert '"https://github.com/ada/dmd-course/archive/HEAD.zip"' in cells[code].source
        assert "plumbing" in cells[code].metadata.tags and cells[code].metadata.jupyter.source_hidden
    assert {part.name for part in (tmp_path / "plain").iterdir()} == {"notebooks", "docs", "data_samples", "tests"}


def test_the_hosted_edition_is_a_repository(hosted):
    for part in ("dmdlite/__init__.py", "pyproject.toml", "LICENSE", "constraints.txt", ".binder/requirements.txt"):
        assert (hosted / part).is_file()
    assert "'.[lab]'" in json.loads((hosted / ".devcontainer" / "devcontainer.json").read_text())["postCreateCommand"]
    readme = (hosted / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((notebooks/[\w.]+)\)", readme)
    assert links == [f"notebooks/{path.name}" for path in NOTEBOOKS] and all((hosted / link).exists() for link in links)
    assert readme.count("https://colab.research.google.com/github/ada/dmd-course/") == len(NOTEBOOKS)
    texts = [path.read_text(encoding="utf-8") for path in (hosted / "notebooks").glob("*.ipynb")]
    assert not list(hosted.rglob("mark")) and not any("<summary>Solution" in text for text in texts)


# A machine like Colab's: no package, no course, and one address on the internet.
COLAB = """
import sys, types, urllib.request
from importlib.machinery import ModuleSpec
from pathlib import Path

SITE, ARCHIVE = {site!r}, {archive!r}
sys.meta_path = [finder for finder in sys.meta_path if "ditable" not in repr(finder)]
sys.path = [place for place in sys.path if place == SITE or not Path(place, "dmdlite").exists()]

def urlopen(address):
    assert address == "https://github.com/ada/dmd-course/archive/HEAD.zip"
    return open(ARCHIVE, "rb")

urllib.request.urlopen = urlopen
colab = sys.modules["google.colab"] = types.ModuleType("google.colab")
colab.__spec__ = ModuleSpec("google.colab", None)
colab.output = types.SimpleNamespace(enable_custom_widget_manager=lambda: print("widgets are on"))
"""


@pytest.fixture
def colab(hosted, tmp_path, monkeypatch):
    """A folder with notebook 00 alone, and the archive of the repository behind its address at GitHub."""
    shutil.copytree(hosted, tmp_path / "archive" / "dmd-course-0123abc")
    archive = shutil.make_archive(str(tmp_path / "HEAD"), "zip", tmp_path / "archive")
    for folder in ("content", "site", "start"):
        (tmp_path / folder).mkdir()
    machine = COLAB.format(site=str(tmp_path / "site"), archive=archive)
    (tmp_path / "start" / "sitecustomize.py").write_text(machine, encoding="utf-8")
    shutil.copy(hosted / "notebooks" / NOTEBOOKS[0].name, tmp_path / "content")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path / "start"), str(tmp_path / "site"))))
    for option, value in (("TARGET", str(tmp_path / "site")), ("NO_DEPS", "1"), ("NO_INDEX", "1")):
        monkeypatch.setenv(f"PIP_{option}", value)  # what the package needs is there already
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip reads it the other way round
    return tmp_path


def test_a_notebook_that_came_alone_fetches_and_installs_the_course(colab):
    path = colab / "content" / NOTEBOOKS[0].name
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("import course\nprint(dmdlite.__file__)\nprint(course.__file__)"))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(path.parent))
    package, course = map(Path, notebook.cells[-1].outputs[0].text.split())
    assert package == colab / "site" / "dmdlite" / "__init__.py"
    home = colab / "content" / "the_course" / "dmd-course-0123abc" / "notebooks"
    assert course == home / "course" / "__init__.py" and (home.parent / "data_samples").exists()
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert "widgets are on" in first.outputs[-1].text

    (colab / "HEAD.zip").unlink()  # another notebook in the same place fetches nothing again
    again = subprocess.run([sys.executable, "-c", first.source], cwd=path.parent, capture_output=True, text=True)
    assert again.stdout == "widgets are on\n", again.stderr


def test_the_installing_cell_does_nothing_where_the_course_is(hosted):
    code = f"{hosting.FIRST.format(repository='ada/dmd-course')}\nimport sys; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=hosted / "notebooks", capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("False\n", "")


@pytest.mark.parametrize("name", ["ada", "a/b/c", "https://github.com/ada/dmd", "ada/", "-a/b", "a b/c", "a/b'c"])
def test_a_wrong_name_of_a_repository_is_told_in_a_sentence(name, tmp_path):
    command = [sys.executable, ROOT / "notebooks" / "publish.py", "student", tmp_path / "new", f"--repository={name}"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 1 and not (tmp_path / "new").exists()
    told = f"REPOSITORY is owner/name on GitHub, such as ada/dmd-course; it cannot be {name!r}\n"
    assert (found.stdout, found.stderr) == ("", told)


def test_formulas_are_drawn_by_the_browser_itself():
    text = "Eq. (1): $x_i$ and $$\\sum_j w_{ij}$$ but `$HOME` stays, and ```$y$``` too."
    page = with_mathml(text)
    assert page.count("<math") == 2 and 'display="block"' in page and "`$HOME`" in page and "```$y$```" in page
    assert "\\sum" not in page
    numbered = with_mathml("$$x \\tag{7}$$")
    assert "<mn>7</mn>" in numbered and "tag" not in numbered and '<mspace width="2em"' in numbered
