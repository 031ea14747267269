"""The files that set the project up say the same thing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"pytorch": "torch"}


def normal(name: str) -> str:
    return CONDA_NAMES.get(name, name).lower().replace("_", "-")


def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {normal(name): version for name, version in (line.split("==") for line in lines)}


def direct_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in listed}


def test_conda_and_pip_pin_the_same_versions():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (from_pip,) = (entry["pip"] for entry in listed if isinstance(entry, dict))
    entries = [entry for entry in listed if isinstance(entry, str)] + [entry.replace("==", "=") for entry in from_pip]
    pins = dict(entry.split("=") for entry in entries if "=" in entry)
    pins = {normal(name): version for name, version in pins.items() if name != "python"}
    assert set(pins) == direct_dependencies()
    assert pins == {name: constraints()[name] for name in pins}


def test_torch_is_pinned_exactly():
    assert constraints()["torch"] == "2.13.0"


def test_continuous_integration_runs_the_readme_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "run: make test" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert "make test" in (ROOT / "README.md").read_text()


def test_import_brings_no_heavy_modules():
    """Timing proper is a benchmark's business; what must not be imported can be told exactly."""
    heavy = (
        "transformers",
        "accelerate",
        "sklearn",
        "matplotlib",
        "seaborn",
        "pandas",
        "scipy",
        "IPython",
        "ipywidgets",
    )
    code = f"import sys, dmdlite; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
