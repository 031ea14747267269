"""What a release carries: the wheel, built from the sdist, in an empty folder."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
BUILD = "from setuptools import build_meta as b; import sys; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"
MOST = 12e6  # bytes


def built(kind: str, source: Path, target: Path) -> Path:
    command = [sys.executable, "-c", BUILD, kind, target]
    name = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True).stdout.split("\n")[-2]
    return target / name


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, unpacked as an installation is, with spaces and other letters in its path."""
    folder = tmp_path_factory.mktemp("dist")
    with tarfile.open(built("sdist", ROOT, folder)) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    wheel = built("wheel", source, folder)
    assert wheel.stat().st_size < MOST
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site packages é")
    return folder / "site packages é"


@pytest.fixture(scope="module")
def anywhere(installed, tmp_path_factory):
    """An empty folder, and a command that runs there with the wheel alone."""
    folder = tmp_path_factory.mktemp("my folder")

    def run(*words: str) -> str:
        found = subprocess.run(
            [sys.executable, "-m", "dmdlite", *words], cwd=folder, capture_output=True, text=True, env=environment
        )
        return f"{found.returncode}\n{found.stdout}{found.stderr}"

    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    return folder, run, environment


def test_it_carries_the_library_and_the_course_and_nothing_else(installed):
    packed = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    files = [path for path in (ROOT / "dmdlite").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    ours = {path.relative_to(ROOT).as_posix() for path in files} | {"dmdlite/course.tar.xz"}
    assert {name for name in packed if ".dist-info/" not in name} == ours and "dmdlite/py.typed" in ours


def test_a_course_is_written_and_runs(anywhere, monkeypatch):
    folder, run, environment = anywhere
    assert run("course", "my course").startswith("0\n")
    written = sorted((folder / "my course" / "notebooks").glob("*.ipynb"))
    assert [x.name for x in written] == sorted(x.name for x in (ROOT / "notebooks").glob("*.ipynb"))
    assert not any("<summary>Solution</summary>" in x.read_text(encoding="utf-8") for x in written)
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    first = nbformat.read(written[0], as_version=4)
    first.cells.append(nbformat.v4.new_code_cell("import dmdlite; print(dmdlite.__file__)"))
    NotebookClient(first, timeout=300, kernel_name="python3").execute(cwd=str(written[0].parent))
    assert environment["PYTHONPATH"] in first.cells[-1].outputs[0].text


def test_solutions_are_written_on_demand_and_nothing_is_overwritten(anywhere):
    folder, run, _ = anywhere
    assert run("course", "full", "--solutions").startswith("0\n")
    texts = [x.read_text(encoding="utf-8") for x in (folder / "full" / "notebooks").glob("0[1-8]*.ipynb")]
    assert texts and all("<summary>Solution</summary>" in text for text in texts)
    refused = "dmdlite course: full is not an empty folder; name a new one, and nothing is lost"
    assert run("course", "full") == f"2\n{refused}\n"


def test_an_instructor_gets_pages_slides_and_the_marking(anywhere):
    folder, run, _ = anywhere
    said = run("course", "mine", "--instructor")
    assert said.startswith("0\n") and "hold no figures yet" in said
    assert (folder / "mine" / "notebooks" / "instructor" / "README.md").exists()
    assert len(list((folder / "mine" / "slides").glob("session_*.html"))) == 9
    assert (folder / "mine" / "notebooks" / "course" / "mark").exists()


def test_it_trains_without_a_checkout(anywhere):
    folder, run, _ = anywhere
    trained = run("train", "--epochs", "1", "--set", "width=8", "--output", "run")
    assert trained.startswith("0\n") and (folder / "run" / "model.safetensors").exists(), trained
    assert run("predict", "run", "--split", "test", "--output", "answers.csv").startswith("0\n")
