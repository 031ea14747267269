"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes a draft next to `path` and renames it, so that an interruption leaves the old file or none."""
    draft = Path(f"{path}.unfinished")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: str | Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def write_json(path: str | Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A draft folder to fill, which takes the place of `path` (new or an empty folder) when the block ends well."""
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield draft
        draft.chmod(0o755)
        if path.exists():
            path.rmdir()
        os.rename(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
