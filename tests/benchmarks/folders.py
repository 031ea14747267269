"""A converted feature folder of MOSEI's size, of random numbers, and what opening and reading it costs."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.cases import Case
from benchmarks.memory import last_line, resident
from dmdlite import DMDConfig, load_features
from dmdlite.data.features import FeatureSplit, write_folder

CLIPS = {"train": 16_326, "valid": 64, "test": 64}  # the training clips of MOSEI
BLOCK, BATCH, BATCHES = 256, 16, 200


def write_random_folder(folder: Path, clips: dict[str, int] = CLIPS, config: DMDConfig | None = None) -> None:
    """Writes random features block by block to scratch files, which the package's writer then reads and checks."""
    config = config or Case("mosei", False, BATCH).config
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        write_folder({name: _random_split(name, count, config, Path(scratch)) for name, count in clips.items()}, folder)


def _random_split(name: str, count: int, config: DMDConfig, scratch: Path) -> FeatureSplit:
    draw = np.random.default_rng(0)
    features = {}
    for modality, width in config.feature_widths.items():
        shape = (count, config.lengths[modality], width)
        features[modality] = np.memmap(scratch / f"{name}_{modality}", np.float32, "w+", shape=shape)
        for start in range(0, count, BLOCK):
            block = features[modality][start : start + BLOCK]
            block[:] = draw.standard_normal(block.shape, dtype=np.float32)
    return FeatureSplit(
        features=features,
        lengths={m: np.full(count, x.shape[1]) for m, x in features.items()},
        labels=draw.uniform(-3, 3, count).astype(np.float32),
        ids=[f"{name}_{i}" for i in range(count)],
        raw_text=[""] * count,
        name=name,
    )


def forget(folder: Path) -> None:
    """Asks Linux to drop the files from its cache, so that they are read from the disk."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cost(folder: Path) -> dict[str, float]:
    """Seconds and bytes of opening the folder and of reading random batches from it, in a fresh process."""
    return json.loads(last_line("folders", str(folder.resolve())))


def _cost_here(folder: Path) -> dict[str, float]:
    start = perf_counter()
    train = load_features(folder)["train"]
    told = {"open_seconds": perf_counter() - start, "open_bytes": resident()}
    draw, seconds = np.random.default_rng(0), []
    for _ in range(BATCHES):
        start = perf_counter()
        train.batch(draw.integers(len(train), size=BATCH))
        seconds.append(perf_counter() - start)
    return told | {
        "batch_seconds": median(seconds),
        "read_bytes": resident(),
        "read_own_bytes": resident("RssAnon"),
    }


if __name__ == "__main__":
    forget(Path(sys.argv[1]))
    print(json.dumps(_cost_here(Path(sys.argv[1]))))
