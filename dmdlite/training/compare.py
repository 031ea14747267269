"""A fair table of models: each trained with several seeds under one budget, scored on the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmdlite.config import MODALITIES, DMDConfig, TrainingConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.models import NAMES, build
from dmdlite.training.loop import seed_everything
from dmdlite.training.metrics import sentiment_metrics
from dmdlite.training.predictions import read_predictions
from dmdlite.training.runs import write_text
from dmdlite.training.trainer import train

SCORES = ("mae", "corr", "acc2", "f1", "acc7")
Predictions = Float[np.ndarray, "clips modalities"]
Table = dict[str, dict[str, tuple[float, float]]]  # name -> score -> (mean, standard deviation over seeds)


def compare(
    names: Sequence[str],
    splits: Mapping[str, FeatureSplit],
    config: DMDConfig,
    seeds: Sequence[int],
    output_dir: str | Path,
    training: TrainingConfig | None = None,
    *,
    progress: bool = True,
) -> Table:
    """Test scores of each model, mean and standard deviation over the seeds, and of a constant.

    names: anything `dmdlite.models.build` knows, and the fusions of separately trained unimodal models: "late_fusion",
    weighted by least squares on the validation split, and "late_mean", unweighted. Raises ValueError for other names.
    Every run is kept in output_dir/NAME/seed_K and used again if it is there; comparison.md and .csv hold the table.
    """
    if unknown := [name for name in names if name not in (*NAMES, *FUSIONS)]:
        raise ValueError(f"{unknown[0]!r} cannot be compared; known are {', '.join((*NAMES, *FUSIONS))}")
    if not names or not seeds:
        raise ValueError("there is nothing to compare: give at least one name and one seed")
    folder, training = Path(output_dir), training or TrainingConfig()
    trained = list(dict.fromkeys(part for name in names for part in (MODALITIES if name in FUSIONS else (name,))))
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for seed in seeds:
        for name in trained:
            seed_everything(seed)
            model = build(name, config)
            result = train(model, splits, folder / name / f"seed_{seed}", training, seed=seed, progress=progress)
            if name in scores:
                scores[name].append(result.metrics["test"])
        for name in set(names) & set(FUSIONS):
            scores[name].append(fuse(FUSIONS[name], folder, seed))
    table = {name: _summary(rows) for name, rows in scores.items()}
    table["constant"] = _summary([result.metrics["constant"]["test"]])
    write_text(folder / "comparison.md", markdown(table, len(seeds)))
    write_text(folder / "comparison.csv", _csv(table))
    return table


def fuse(fusion: Callable[..., Float[np.ndarray, "clips"]], folder: Path, seed: int) -> dict[str, float]:
    """Test scores of a late fusion of the three unimodal runs with this seed."""
    runs = [read_predictions(folder / modality / f"seed_{seed}") for modality in MODALITIES]
    valid, test = (np.stack([run[split]["prediction"] for run in runs], axis=1) for split in ("valid", "test"))
    return sentiment_metrics(fusion(valid, runs[0]["valid"]["label"], test), runs[0]["test"]["label"])


def least_squares(
    valid: Predictions, labels: Float[np.ndarray, "valid_clips"], test: Float[np.ndarray, "test_clips modalities"]
) -> Float[np.ndarray, "test_clips"]:
    """The linear combination, with an intercept, that fits the validation labels best."""
    weights, *_ = np.linalg.lstsq(np.c_[valid, np.ones(len(valid))], labels)
    return np.c_[test, np.ones(len(test))] @ weights


def plain_mean(
    valid: Predictions, labels: Float[np.ndarray, "valid_clips"], test: Float[np.ndarray, "test_clips modalities"]
) -> Float[np.ndarray, "test_clips"]:
    return test.mean(axis=1)


FUSIONS = {"late_fusion": least_squares, "late_mean": plain_mean}


def _summary(rows: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and sample standard deviation; the latter is 0 for a single run."""
    columns = {score: np.array([row[score] for row in rows]) for score in SCORES}
    return {s: (float(x.mean()), float(x.std(ddof=1)) if len(x) > 1 else 0.0) for s, x in columns.items()}


def markdown(table: Table, seeds: int) -> str:
    """The table as Markdown, one row for each model; the constant, which has no seeds, has no spread."""
    titles = [f"test split, {seeds} seeds", *("Corr" if score == "corr" else score.upper() for score in SCORES)]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name, row in table.items():
        spread = name != "constant" and seeds > 1
        cells = [f"{mean:.3f} ± {deviation:.3f}" if spread else f"{mean:.3f}" for mean, deviation in row.values()]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _csv(table: Table) -> str:
    header = ["model", *(f"{score}_{what}" for score in SCORES for what in ("mean", "std"))]
    rows = [[name, *(repr(number) for pair in row.values() for number in pair)] for name, row in table.items()]
    return "".join(",".join(row) + "\n" for row in [header, *rows])
