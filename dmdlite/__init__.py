"""dmdlite: Decoupled Multimodal Distilling for emotion recognition, small enough to read."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from dmdlite import sources  # noqa: F401, reads the code of the library before it can change
from dmdlite.checking import suggestion

__version__ = "0.1.0"

# The stub lists the public names with their modules, for type checkers, for editors, and for us.
# Each is imported when it is first asked for: PyTorch takes seconds, transformers' Trainer four more.
_STUB = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
_HOMES = {name: module for module, name in re.findall(r"from (\S+) import (\w+)", _STUB)}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dmdlite' has no attribute {name!r}{suggestion(name, _HOMES)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
