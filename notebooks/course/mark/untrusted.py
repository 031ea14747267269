"""Reads what students hand in: files and words that may be anything."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

LARGEST = 20_000_000  # bytes of a notebook


def load(path: Path) -> list[dict[str, Any]] | str:
    """The cells of a notebook, each with its source as one text, or why there are none."""
    if path.is_symlink() or not path.is_file():
        return "" if not path.exists() and not path.is_symlink() else "not a plain file"
    if path.stat().st_size > LARGEST:
        return f"larger than {LARGEST // 1_000_000} MB; clear its outputs"
    try:
        return [_cell(cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "not a notebook; save it once more"


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    metadata = cell.get("metadata", {})
    tags = metadata.get("tags", []) if isinstance(metadata, dict) else []
    known = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return {"cell_type": cell["cell_type"], "source": "".join(cell["source"]), "metadata": {"tags": known}}


def plain(text: str, longest: int = 400) -> str:
    """Untrusted words without what a terminal, a table or Markdown would act upon."""
    text = re.sub(r"[^\S\n]+", " ", "".join(c for c in text if c.isprintable() or c.isspace()))
    return text.replace("`", "'").strip()[:longest]
