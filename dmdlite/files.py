"""Files and folders that are whole or absent: each is written under a draft name and then renamed."""

import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


def write_bytes(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")  # others may be writing the same file
    draft.write_bytes(content)
    os.replace(draft, path)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A draft folder, renamed to `path` at the end of the block; if the block fails, the draft is removed.

    `path` must be absent or an empty folder (OSError otherwise). All users may read what the block has written.
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


@contextmanager
def alone_in(folder: Path, wait: bool = False) -> Iterator[bool]:
    """Makes the folder, and keeps every other process that asks for it out of the block. Yields whether it has waited.

    wait: until the other one leaves; otherwise ValueError says who it is. The lock ends with its process, however that
    dies. Shared storage must support flock between machines: NFS 4 does, unless it is mounted with `local_lock`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, owner, waited = FileLock(folder / ".lock"), folder / ".owner", False  # Windows cannot read a locked file
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if not wait:
            who = owner.read_text(encoding="utf-8") if owner.exists() else "another process"
            raise ValueError(f"{folder} is in use by {who}; wait for it, or choose another output folder") from None
        lock.acquire()
        waited = True
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield waited
    finally:
        for file in (owner, Path(lock.lock_file)):
            with suppress(OSError):  # Windows keeps open files
                file.unlink()
        lock.release()
