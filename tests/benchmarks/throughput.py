"""Clips per second of a training step over batch sizes, with the least time that bytes and operations take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from benchmarks.cases import Batch, Case, Ours
from benchmarks.floors import bytes_floor, flop_floor, seconds_of
from benchmarks.reference import Published
from dmdlite import DMD

BATCHES = (16, 32, 64, 128, 256, 512, 1024)
BUDGET = 2.0  # seconds spent on one side of one batch size, warm-up aside
PATIENCE = 20.0  # seconds of one step after which larger batches of that side are left out
COLUMNS = ("batch", "published clips/s", "ours clips/s", "ratio", "ours ms", "bytes floor ms", "FLOP floor ms")


@dataclass
class Side:
    """One of the two codes: what makes its step for a batch, and whether it still gets larger ones."""

    make: Callable[[Case, Batch], Callable[[], float]]
    patient: bool = True

    def seconds(self, case: Case, device: str) -> float | None:
        """The median seconds of a step; None out of memory or of patience."""
        if not self.patient:
            return None
        try:
            seconds = _median_seconds(self.make(case, case.data(device)), device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            seconds = None
        self.patient = seconds is not None and seconds < PATIENCE
        return seconds


def throughput(
    dataset: str, batches: Iterable[int], device: str, *, published: bool, bf16: bool = True, compiled: bool = True
) -> list[dict[str, Any]]:
    """One record for each batch size of a preset's aligned training step."""
    ours = Side(lambda case, batch: Ours(DMD(case.config), batch, bf16=bf16, compiled=compiled).step)
    theirs = Side(lambda case, batch: Published(case, batch).step, patient=published)
    records = []
    for size in batches:
        case = Case(dataset, True, size)
        times = {"published": theirs.seconds(case, device), "ours": ours.seconds(case, device)}
        records.append(_record(size, times, *_floors(case, device, bf16)))
    return records


def _median_seconds(step: Callable[[], Any], device: str) -> float:
    warm_up = [seconds_of(step, device) for _ in range(3)]
    if warm_up[-1] > BUDGET:
        return warm_up[-1]
    return median(seconds_of(step, device) for _ in range(max(3, min(50, int(BUDGET / warm_up[-1])))))


def _floors(case: Case, device: str, bf16: bool) -> tuple[float | None, float | None]:
    try:
        eager = Ours(DMD(case.config), case.data(device), bf16=bf16)
        dtype = torch.bfloat16 if bf16 else torch.float32
        return bytes_floor(eager.model, eager.step, device), flop_floor(eager.step, device, dtype)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None, None


def _record(size: int, times: dict[str, float | None], bytes_least: float | None, flops_least: float | None) -> dict:
    rates = {side: size / seconds if seconds else None for side, seconds in times.items()}
    ratio = rates["ours"] / rates["published"] if all(rates.values()) else None
    floors = (bytes_least, flops_least)
    told = (size, *rates.values(), ratio, *(1e3 * x if x else None for x in (times["ours"], *floors)))
    return dict(zip(COLUMNS, told, strict=True))


def throughput_table(records: list[dict[str, Any]]) -> str:
    """The records as they are printed."""
    lines = [COLUMNS, *(["" if x is None else f"{x:.4g}" for x in record.values()] for record in records)]
    return "\n".join("  ".join(cell.rjust(len(name)) for cell, name in zip(line, COLUMNS)) for line in lines)
