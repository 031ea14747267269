"""A clip from the camera or from a file, in a notebook."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from dmdlite.data.extract.folder import SOUNDS, VIDEOS

HERE = Path(__file__).parent
MOST = 100_000_000  # bytes of a clip


class ClipCamera(anywidget.AnyWidget):
    """Records a clip, or takes a file, keeps it in a temporary folder of this kernel, and deletes it on request.

    path: the clip, None if there is none. said: the words that are said in it, as typed below the picture.
    """

    _esm = (HERE / "camera.js").read_text(encoding="utf-8")
    _css = (HERE / "camera.css").read_text(encoding="utf-8")
    said = traitlets.Unicode().tag(sync=True)
    held = traitlets.Dict().tag(
        sync=True
    )  # clip: its number, 0 before the first; bytes: its size, 0 once it is deleted
    trouble = traitlets.Unicode().tag(sync=True)  # a sentence, if a clip was refused

    def __init__(self) -> None:
        super().__init__(held={"clip": 0, "bytes": 0})
        self.path: Path | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="dmdlite_clip_"))
        self._finalizer = weakref.finalize(
            self, shutil.rmtree, self._folder, True
        )  # at the latest when the kernel ends
        self._name, self._size, self._pieces = "", 0, bytearray()
        self.on_msg(self._hear)

    def delete(self) -> None:
        """Deletes the clip."""
        for file in self._folder.glob("*"):
            file.unlink()
        self.path, self.said = None, ""
        self.held = self.held | {"bytes": 0}

    def _hear(self, _: Any, message: dict[str, Any], buffers: list[Any]) -> None:
        kind = message.get("kind")
        if kind == "begin":
            self._begin(str(message.get("name", "")), message.get("bytes"))
        elif kind == "piece" and self._name and buffers:
            self._pieces += bytes(buffers[0])
            if len(self._pieces) > self._size:
                self._refuse("more bytes arrived than were announced")
        elif kind == "end" and self._name:
            self._end()
        elif kind == "delete":
            self.delete()

    def _begin(self, name: str, size: Any) -> None:
        self._pieces, self._name, self.trouble = bytearray(), "", ""
        ending = Path(name).suffix.lower()
        if ending not in VIDEOS | SOUNDS:
            return self._refuse(f"files that end in {ending or 'nothing'} are no videos or sounds")
        if not isinstance(size, int) or not 0 < size <= MOST:
            return self._refuse(f"it must have 1 byte to {MOST // 1_000_000} MB")
        self._name, self._size = f"clip{ending}", size

    def _end(self) -> None:
        if len(self._pieces) != self._size:
            return self._refuse(f"{len(self._pieces)} of {self._size} bytes arrived")
        for file in self._folder.glob("*"):
            file.unlink()
        self.path = self._folder / self._name
        self.path.write_bytes(self._pieces)
        self._pieces, self._name = bytearray(), ""
        self.held = {"clip": self.held["clip"] + 1, "bytes": self._size}

    def _refuse(self, why: str) -> None:
        self._pieces, self._name = bytearray(), ""
        self.trouble = f"The clip was not taken: {why}."

    # Shown where there is no browser to show the camera, as on GitHub.
    def __repr__(self) -> str:
        return "The camera: open this notebook in JupyterLab to record a clip or to choose a file."
