"""Run folders on their way between machines that share no storage: one archive each."""

import io
import shutil
import tarfile
import tempfile
from pathlib import Path

from dmdlite.files import alone_in

LAST = "metrics.json"  # a run is finished when this file is there


def pack(run: Path) -> bytes:
    parcel = io.BytesIO()
    with tarfile.open(fileobj=parcel, mode="w") as archive:
        archive.add(run, ".", filter=lambda entry: None if entry.name.startswith("./.") else entry)
    return parcel.getvalue()


def unpack(parcel: bytes, run: Path) -> None:
    """Replaces what is there with a finished run. Until all of it has arrived the folder holds none."""
    with alone_in(run, wait=True), tempfile.TemporaryDirectory(prefix=".", dir=run) as draft:
        with tarfile.open(fileobj=io.BytesIO(parcel)) as archive:
            archive.extractall(draft, filter="data")
        for old in sorted(run.glob("[!.]*"), key=lambda path: path.name != LAST):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in sorted(Path(draft).iterdir(), key=lambda path: path.name == LAST):
            new.replace(run / new.name)
