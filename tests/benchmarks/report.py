"""The table that a run of the benchmarks ends with, and the same as JSON, Markdown and a picture."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch

from benchmarks.figures import draw_ratios
from benchmarks.pairs import Times

MIB = 2**20
COLUMNS = ("case", "published", "ours", "ratio", "target", "floor")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line: both sides in `unit`, and a target, which is shown and never asserted.

    target_of: "speedup", how many times faster ours should be; "fraction", how much of theirs ours may need;
    "limit", how much ours may be, whatever theirs is.
    """

    case: str
    unit: str = "ms"
    published: float | None = None
    ours: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    target: float | None = None
    target_of: str = "speedup"
    floor: float | None = None
    rounds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target was reached, if there is one to compare with."""
        value = self.ours if self.target_of == "limit" else self.ratio
        if value is None or self.target is None:
            return None
        return value >= self.target if self.target_of == "speedup" else value <= self.target

    @property
    def cells(self) -> tuple[str, ...]:
        """One text for each of COLUMNS."""
        amounts = [_amount(x, self.unit) for x in (self.published, self.ours)]
        spread = f" ({self.spread[0]:.3g}–{self.spread[1]:.3g})" if self.spread else ""
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}{spread}"
        return (self.case, *amounts, ratio, self._target(), _amount(self.floor, "ms"))

    def _target(self) -> str:
        if self.target is None:
            return ""
        sign = "≥" if self.target_of == "speedup" else "≤"
        value = _amount(self.target, self.unit) if self.target_of == "limit" else f"{self.target:g}"
        return f"{sign} {value}" + {True: " ✓", False: " ✗", None: ""}[self.met]


def timed_row(case: str, times: Times, target: float | None = None, floor: float | None = None) -> Row:
    """A row of times; `floor` in seconds."""
    ratios = times.ratios if times.published else []
    ratio = {"ratio": median(ratios), "spread": times.spread} if ratios else {}
    floor = None if floor is None else 1e3 * floor
    return Row(case=case, **times.milliseconds, **ratio, target=target, floor=floor, rounds=asdict(times))


def memory_row(case: str, published: int | None, ours: int, target: float | None = None) -> Row:
    """A row of bytes; the ratio is the part of theirs that ours needs."""
    theirs = None if published is None else published / MIB
    ratio = None if published is None else ours / published
    sizes = dict(unit="MiB", published=theirs, ours=ours / MIB)
    return Row(case=case, **sizes, ratio=ratio, target=target, target_of="fraction")


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def text_table(rows: Sequence[Row]) -> str:
    """The table as it is printed."""
    lines = [COLUMNS, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = ["  ".join((line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:]))) for line in lines]
    return "\n".join((aligned[0], "-" * len(aligned[0]), *aligned[1:]))


def markdown_table(rows: Sequence[Row], machine: dict[str, Any]) -> str:
    """The table for a README."""
    lines = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 1)), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{in_words(machine)}\n"


def machine_description() -> dict[str, Any]:
    """What the numbers depend on beside the code."""
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return {
        "cpu": _cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "blas": blas[1] if blas else None,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu_model() -> str:
    listed = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", listed.read_text()) if listed.exists() else None
    return named[1].strip() if named else platform.processor() or platform.machine()


def in_words(machine: dict[str, Any]) -> str:
    """One line for below a table."""
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    cpu = f"{machine['cpu']} ({machine['cpu_capability']}), {machine['threads']} of {machine['cores']} cores"
    software = f"PyTorch {machine['torch']} with {machine['blas']}"
    return f"{cpu}, {machine['memory_gib']:.0f} GiB{gpu}, {software}, {machine['date'][:10]}"


def save(rows: Sequence[Row], throughput: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Writes benchmarks.json and .md, and .png if there is a ratio to draw; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = machine_description()
    content = {"machine": machine, "rows": [asdict(row) for row in rows], "throughput": list(throughput)}
    texts = {"json": json.dumps(content, indent=2), "md": markdown_table(rows, machine)}
    paths = []
    for suffix, text in texts.items():
        paths.append(folder / f"benchmarks.{suffix}")
        paths[-1].write_text(text, encoding="utf-8")
    picture = folder / "benchmarks.png"
    picture.unlink(missing_ok=True)
    if any(row.ratio for row in rows):
        draw_ratios(rows, in_words(machine)).savefig(picture, dpi=130)
        paths.append(picture)
    return paths
