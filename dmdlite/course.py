"""The course to work in: copied from a checkout, or from the archive that an installed package carries (setup.py)."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

ARCHIVE = Path(__file__).with_name("course.tar.xz")


def write_course(folder: Path, edition: str = "student") -> None:
    """Writes an edition of `notebooks/publish.py` into a new or empty folder. Raises ValueError for any other."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not an empty folder; name a new one, and nothing is lost")
    if missing := [name for name in ("nbformat", "anywidget") if find_spec(name) is None]:
        raise ValueError(f"the course needs {', '.join(missing)}: pip install 'dmdlite[lab]'")
    with _sources() as root:
        subprocess.run([sys.executable, "publish.py", edition, folder.absolute()], cwd=root / "notebooks", check=True)


@contextmanager
def _sources() -> Iterator[Path]:
    """The folder above notebooks/ and data_samples/."""
    if not ARCHIVE.exists():
        yield Path(__file__).parents[1]
        return
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)
