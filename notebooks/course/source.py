"""Shows code of the package in a notebook, coloured as the notebook's own cells are."""

from __future__ import annotations

from inspect import getsource
from textwrap import dedent
from typing import Any

from IPython.display import Markdown


def source_of(*things: Any) -> Markdown:
    """The source of functions, methods or classes, as the value of a cell's last line."""
    return Markdown("\n\n".join(f"```python\n{dedent(getsource(thing)).strip()}\n```" for thing in things))
