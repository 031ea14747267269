"""Files and folders that are whole or absent: each is written under a draft name and then renamed."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    os.replace(draft, path)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A draft folder, renamed to `path` at the end of the block; if the block fails, the draft is removed.

    `path` must be absent or an empty folder (OSError otherwise). Everybody may read what the block has written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield draft
        for entry in (draft, *draft.rglob("*")):
            entry.chmod(0o755 if entry.is_dir() else 0o644)  # private until now, by tempfile and by safetensors
        if path.exists():
            path.rmdir()
        os.rename(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
