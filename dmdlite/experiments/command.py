"""`python -m dmdlite compare`: its options and what it does. Nothing heavy is imported for its --help."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

EXAMPLE = "compare --models dmd rivals --seeds 5 --epochs 20"
SUMMARY = (
    "train models with several seeds under one budget, compare them in a table, and take modalities away from them"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    text = "models and groups of them: all, rivals, ablations, unimodal (default: all)"
    parser.add_argument("--models", nargs="+", default=["all"], metavar="NAME", help=text)
    text = "one number: that many seeds from 0 on; several: these seeds (default: 5)"
    parser.add_argument("--seeds", nargs="+", type=int, default=[5], metavar="N", help=text)
    text = "runs at the same time, each on one CPU core; the results do not depend on it (default: one per core)"
    parser.add_argument("--jobs", type=int, metavar="N", help=text)
    text = "train afresh what other code or settings have left in the folder (default: refuse it)"
    parser.add_argument("--restart", action="store_true", help=text)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="(default: runs/compare-PRESET)")


def seeds_of(numbers: list[int]) -> list[int]:
    """`--seeds 5` means 0, 1, 2, 3, 4; `--seeds 3 7` means these two."""
    return list(range(numbers[0])) if len(numbers) == 1 else numbers


def own_settings(options: argparse.Namespace, split_settings: Callable[..., Any]) -> dict[str, Any]:
    """Removes from `options.set` the fields that only some models have and the loss weights, and returns them."""
    from dmdlite.config import DMDConfig, TrainingConfig

    shared = {f.name for kind in (DMDConfig, TrainingConfig) for f in fields(kind)} - {"loss_weights"}
    _, own = split_settings(options.set, shared)
    options.set = [setting for setting in options.set if setting.partition("=")[0] in shared]
    return own


def run(options: argparse.Namespace, data: Path, config: Any, training: Any, settings: dict[str, Any]) -> None:
    """Prints the table. Raises ValueError at the end if runs have failed."""
    from dmdlite.experiments.compare import compare
    from dmdlite.experiments.published import dataset_of
    from dmdlite.experiments.tables import markdown
    from dmdlite.experiments.workers import on_cpu

    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("compare runs whole trainings side by side (--jobs), not under torchrun; use train for that")
    if any(setting.startswith("seed=") for setting in options.set):
        raise ValueError("the seeds of a comparison are given by --seeds")
    output = options.output or Path("runs") / f"compare-{options.preset}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = options.jobs if options.jobs is not None else cores if on_cpu() else 1
    own = {"settings": settings, "dataset": dataset_of(options.preset), "jobs": jobs, "restart": options.restart}
    found = compare(options.models, data, config, seeds_of(options.seeds), output, training, **own)
    print(f"\n{markdown(found)}\nthe tables, the figures and every run are in {output}")
    if found.failures:
        first = found.failures[0]
        raise ValueError(f"{len(found.failures)} of the runs failed, the others are whole; the first: {first}")
