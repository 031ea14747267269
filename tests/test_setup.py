"""The files that set the project up agree with each other, with the code and with what conda does."""

import ast
import json
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"pytorch": "torch"}


IMPORT_NAMES = {
    "PIL": "pillow",
    "ot": "pot",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}  # where a project is not named like its module
OURS = {"benchmarks", "course", "dmdlite", "golden", "my_variant", "wrong_answers"} | {
    path.stem for path in ROOT.glob("*s/*.py")
}
LAZY = ("many", "logs", "clips")  # extras of the library itself, imported by the functions that need them
TOOLS = {  # used without an import: the file that names it, and how
    "jupyterlab": ("Makefile", "/jupyter lab"),
    "myst-nb": ("notebooks/book.py", '"myst_nb"'),
    "furo": ("notebooks/book.py", '"furo"'),
    "notebook": ("tests/test_browser.py", "/notebooks/"),
    "codespell": ("Makefile", "codespell"),
    "nbval": ("Makefile", "--nbval"),
    "pytest-xdist": ("Makefile", "-n $(WORKERS)"),
    "pytest-benchmark": ("Makefile", "--benchmark-quiet"),
    "ruff": ("Makefile", "ruff check"),
    "mypy": ("Makefile", "mypy"),
    "setuptools": ("tests/test_wheel.py", "from setuptools"),
    "beartype": ("tests/conftest.py", "beartype.beartype"),
    "tensorboard": ("dmdlite/training/reporting.py", "torch.utils.tensorboard"),
    "wandb": ("dmdlite/training/reporting.py", "WandbCallback"),
}


def normal(name: str) -> str:
    return CONDA_NAMES.get(name, name).lower().replace("_", "-")


def names(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {normal(name): version for name, version in (line.split("==") for line in lines)}


def declared() -> dict[str, set[str]]:
    """The projects that each room needs beside those of the rooms before it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lazy = [requirement for name in LAZY for requirement in extras.get(name, ())]
    return {
        "dmdlite": names(project["dependencies"] + lazy),
        "notebooks": names(extras["lab"] + extras["book"]),
        "tests": names(extras["test"]) - {"dmdlite"},
    }


def sources(room: str) -> Iterator[str]:
    """The code of a room, and of the cells of its notebooks; not what runs in a checkout of published code."""
    for path in (ROOT / room).rglob("*.py"):
        if path.parent.name != "golden":
            yield path.read_text(encoding="utf-8")
    for path in (ROOT / room).glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield "".join(cell["source"])


def imported(source: str) -> Iterator[str]:
    """Names of modules that the code imports, also inside functions and by pytest.importorskip."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "importorskip":
            yield node.args[0].value


def third_party(room: str) -> set[str]:
    modules = {name.partition(".")[0] for source in sources(room) for name in imported(source)}
    return {normal(IMPORT_NAMES.get(name, name)) for name in modules - OURS - sys.stdlib_module_names}


@pytest.mark.parametrize("room", declared())
def test_every_import_is_declared(room):
    rooms = declared()
    at_hand = set().union(*(rooms[name] for name in list(rooms)[: list(rooms).index(room) + 1]))
    assert third_party(room) <= at_hand


@pytest.mark.parametrize("room", declared())
def test_every_dependency_is_used_in_its_room(room):
    assert declared()[room] - third_party(room) <= set(TOOLS)
    for tool in declared()[room] & set(TOOLS):
        file, word = TOOLS[tool]
        assert word in (ROOT / file).read_text()


def conda_entries() -> tuple[list[str], list[str]]:
    """What conda installs by itself, and the lines that it hands to pip."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (from_pip,) = (entry["pip"] for entry in listed if isinstance(entry, dict))
    return [entry for entry in listed if isinstance(entry, str)], from_pip


def test_conda_and_pip_pin_the_same_versions():
    by_conda, by_pip = conda_entries()
    entries = by_conda + [entry.replace("==", "=") for entry in by_pip]
    pins = dict(entry.split("=") for entry in entries if "=" in entry)
    pins = {normal(name): version for name, version in pins.items() if name != "python"}
    assert set(pins) == set().union(*declared().values())
    assert pins == {name: constraints()[name] for name in pins}


def test_pip_takes_what_conda_hands_to_it(tmp_path):
    """`conda env create` writes the pip section to a file and runs pip on it, beside environment.yml."""
    requirements = tmp_path / "condaenv.requirements.txt"
    requirements.write_text("\n".join(conda_entries()[1]))
    options = ["--no-index", "--no-build-isolation", "--dry-run", "-U", "-r", str(requirements), "--exists-action=b"]
    run = subprocess.run([sys.executable, "-m", "pip", "install", *options], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (promise,) = re.findall(r"^Would install (.*)$", run.stdout, re.MULTILINE)
    assert re.fullmatch(r"dmdlite-[\d.]+", promise)  # all else is there in the pinned versions


def test_constraints_pin_indirect_dependencies_too():
    found, waiting = set(), set().union(*declared().values())
    while waiting:
        name = waiting.pop()
        found.add(name)
        try:
            needed = [line for line in requires(name) or () if "extra ==" not in line]
        except PackageNotFoundError:  # for other systems: colorama on Windows, appnope on macOS
            found.remove(name)
            continue
        waiting |= names(needed) - found
    assert found - {"pip", "setuptools"} <= set(constraints())


def test_torch_is_pinned_exactly():
    assert constraints()["torch"] == "2.13.0"


def test_continuous_integration_runs_the_readme_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "run: make test" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert "make test" in (ROOT / "README.md").read_text()


def test_continuous_integration_begins_with_the_quick_check():
    for file in (".ci/run", ".github/workflows/ci.yml"):
        found = re.findall(r"^(?:      - run: )?(make \w+)$", (ROOT / file).read_text(), re.MULTILINE)
        assert found[:2] == ["make check", "make test"]


def test_import_brings_no_heavy_modules():
    """Timing proper is a benchmark's business; what must not be imported can be told exactly."""
    heavy = (
        "transformers",
        "accelerate",
        "sklearn",
        "matplotlib",
        "pandas",
        "scipy",
        "IPython",
        "ipywidgets",
    )
    code = f"import sys, dmdlite; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_tests_have_no_network():
    with socket.socket() as outside, pytest.raises(OSError, match="offline, and 192.0.2.1 is not this machine"):
        outside.connect(("192.0.2.1", 80))


def test_the_containers_install_what_the_documents_say():
    """Binder and the dev container: the pinned versions, on the Python of environment.yml."""
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    command = container["postCreateCommand"].replace("'", '"')
    assert command in (ROOT / "docs" / "running.md").read_text() and command in (ROOT / "constraints.txt").read_text()
    (python,) = (entry.partition("=")[2] for entry in conda_entries()[0] if entry.startswith("python="))
    assert container["image"].endswith(f"python:{python}")
    assert {"ms-python.python", "ms-toolsai.jupyter"} <= set(container["customizations"]["vscode"]["extensions"])
    assert all((ROOT / file).exists() for file in container["customizations"]["codespaces"]["openFiles"])
    assert (ROOT / ".binder" / "runtime.txt").read_text() == f"python-{python}\n"
    lines = (ROOT / ".binder" / "requirements.txt").read_text().splitlines()
    assert lines[-2:] == ["-c ../constraints.txt", "-e .[lab]"] and (ROOT / ".binder" / "../constraints.txt").exists()
