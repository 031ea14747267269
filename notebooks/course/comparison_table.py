"""The stored comparison, as `python -m dmdlite compare` writes it, read for looking at."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dmdlite.experiments.names import title_of

SCORES = {"mae": "MAE", "corr": "Corr", "acc2": "ACC2", "f1": "F1", "acc7": "ACC7"}
LOWER_IS_BETTER = ("mae",)
REFERENCE = "dmd"
ABLATION = "dmd_"  # how the names of DMD's ablations begin


@dataclass(frozen=True)
class Compared:
    """One row: a model's test scores by seed, or a baseline's, which has no seed (None)."""

    name: str
    kind: str  # model, linear or constant
    scores: dict[str, dict[int | None, float]] = field(default_factory=dict)  # score -> seed -> value
    parameters: int | None = None
    p_holm: float | None = None  # of the error against DMD's, as the command has computed it

    @property
    def title(self) -> str:
        return title_of(self.name)

    @property
    def is_multimodal(self) -> bool:
        return self.kind == "model" and self.name not in ("language", "vision", "audio")

    @property
    def is_ablation(self) -> bool:
        return self.name.startswith(ABLATION)

    def mean(self, score: str) -> float:
        return float(np.mean(list(self.scores[score].values())))

    def std(self, score: str) -> float | None:
        values = list(self.scores[score].values())
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    def differences(self, other: Compared, score: str) -> dict[int, float]:
        """This model's score less the other's, by seed, for the seeds that both have."""
        ours, theirs = self.scores[score], other.scores[score]
        return {seed: ours[seed] - theirs[seed] for seed in ours if seed in theirs and seed is not None}


def read_comparison(folder: str | Path) -> dict[str, Compared]:
    """comparison.csv and comparison_seeds.csv of a folder, by name, in the order of the table."""
    rows = {}
    for record in _records(Path(folder) / "comparison.csv"):
        parameters, p = record.get("parameters"), record.get("p_holm")
        found = {"parameters": int(parameters) if parameters else None, "p_holm": float(p) if p else None}
        rows[record["model"]] = Compared(record["model"], record["kind"], {s: {} for s in SCORES}, **found)
    for record in _records(Path(folder) / "comparison_seeds.csv"):
        if not record.get("failure"):
            seed = int(record["seed"]) if record["seed"] else None
            for score in SCORES:
                rows[record["model"]].scores[score][seed] = float(record[score] or "nan")
    return {name: row for name, row in rows.items() if row.scores["mae"]}


def read_missing(folder: str | Path, score: str = "mae") -> dict[str, dict[str, float]]:
    """missing_modalities.csv: model -> present modalities ("language+audio") -> mean test score."""
    table: dict[str, dict[str, float]] = {}
    for record in _records(Path(folder) / "missing_modalities.csv"):
        if record[f"{score}_mean"]:
            table.setdefault(record["model"], {})[record["present"]] = float(record[f"{score}_mean"])
    return table


def _records(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
