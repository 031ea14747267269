"""`python -m dmdlite compare`: its options, and what it does with them. Nothing heavy is imported for its --help."""

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
    text = "runs at the same time, each on one CPU core; the results do not depend on it (default: as many as cores)"
    parser.add_argument("--jobs", type=int, metavar="N", help=text)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="(default: runs/compare-PRESET)")


def seeds_of(numbers: list[int]) -> list[int]:
    """`--seeds 5` are 0, 1, 2, 3, 4; `--seeds 3 7` are these two."""
    return list(range(numbers[0])) if len(numbers) == 1 else numbers


def own_settings(options: argparse.Namespace, split_settings: Callable[..., Any]) -> dict[str, Any]:
    """Takes those --set out of the options that only some models have a field for, and those of the loss weights."""
    from dmdlite.config import DMDConfig, TrainingConfig

    shared = {f.name for kind in (DMDConfig, TrainingConfig) for f in fields(kind)} - {"loss_weights"}
    _, own = split_settings(options.set, shared)
    options.set = [setting for setting in options.set if setting.partition("=")[0] in shared]
    return own


def run(options: argparse.Namespace, data: Path, config: Any, training: Any, settings: dict[str, Any]) -> None:
    """Prints the table. Raises ValueError in the end if runs have failed."""
    from dmdlite.experiments.compare import compare
    from dmdlite.experiments.files import markdown
    from dmdlite.experiments.published import dataset_of
    from dmdlite.experiments.workers import on_cpu

    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("compare shares out whole runs (--jobs) and is not for torchrun; train one by one with it")
    if any(setting.startswith("seed=") for setting in options.set):
        raise ValueError("the seeds of a comparison are given by --seeds")
    output = options.output or Path("runs") / f"compare-{options.preset}"
    jobs = (cores() if on_cpu() else 1) if options.jobs is None else options.jobs
    found = compare(
        options.models,
        data,
        config,
        seeds_of(options.seeds),
        output,
        training,
        settings=settings,
        dataset=dataset_of(options.preset),
        jobs=jobs,
    )
    print(f"\n{markdown(found)}\nthe tables, the figures and every run are in {output}")
    if found.failures:
        first = found.failures[0]
        raise ValueError(f"{len(found.failures)} of the runs failed, the others are whole; the first: {first}")


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
