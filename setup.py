"""Adds the course to a wheel, as one archive; all else is in pyproject.toml."""

import io
import json
import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PARTS = ("notebooks", "docs", "data_samples", "tests/golden/dmd_aligned.npz")
LEFT_OUT = {"__pycache__", ".ipynb_checkpoints", "runs"}


class BuildWithCourse(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            write_archive(Path(self.build_lib) / "dmdlite" / "course.tar.xz")


def write_archive(path: Path) -> None:
    """The outputs of notebooks, half of all bytes, come back when they run."""
    with tarfile.open(path, "w:xz", preset=9) as archive:
        for file in files():
            content = without_outputs(file) if file.suffix == ".ipynb" else file.read_bytes()
            entry = tarfile.TarInfo(file.relative_to(ROOT).as_posix())
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def files() -> list[Path]:
    found = [path for part in PARTS for path in (ROOT / part, *(ROOT / part).rglob("*"))]
    kept = (path for path in found if path.is_file() and path.parent != ROOT / "docs" / "pictures")  # half a megabyte
    return sorted(path for path in kept if not LEFT_OUT & set(path.relative_to(ROOT).parts))


def without_outputs(path: Path) -> bytes:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(notebook, ensure_ascii=False, indent=1).encode()


setup(cmdclass={"build_py": BuildWithCourse})
