"""What a finished run said of every clip: its scores, a constant's beside them, and the file predictions.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dmdlite.components.tasks import decide
from dmdlite.config import DMDConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.training.loop import predict_logits
from dmdlite.training.metrics import constant_prediction, task_metrics

Splits = Mapping[str, FeatureSplit]
Predictions = dict[str, np.ndarray]  # split -> (clips, *logits), as `predict_logits` returns them


def predict_all(model: nn.Module, splits: Splits, padding_mask: bool) -> Predictions:
    return {name: predict_logits(model, split, padding_mask) for name, split in splits.items()}


def all_scores(predictions: Predictions, splits: Splits, config: DMDConfig) -> dict[str, Any]:
    """The scores of each split, and under "constant" those of always giving the median, or the classes' frequencies."""
    constant = constant_prediction(splits["train"].truth(config.task), config.task, config.outputs)
    always = {name: np.broadcast_to(constant, (len(split), *constant.shape)).copy() for name, split in splits.items()}
    answer = decide(torch.from_numpy(constant[None]), config.task)[0].tolist()
    return {**score(predictions, splits, config), "constant": {"prediction": answer, **score(always, splits, config)}}


def score(predictions: Predictions, splits: Splits, config: DMDConfig) -> dict[str, dict[str, float]]:
    """split -> scores of the task."""
    return {
        name: task_metrics(said, splits[name].truth(config.task), config.task) for name, said in predictions.items()
    }


def predictions_csv(predictions: Predictions, splits: Splits, task: str) -> str:
    """Columns split, id, label, prediction, and of a task with classes the logits; several numbers are label_1, …"""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name, said in predictions.items():
        columns = {"label": splits[name].truth(task), "prediction": decide(torch.from_numpy(said), task).numpy()}
        columns |= {} if task == "regression" else {"logit": said}
        parts = {title: part for stem, values in columns.items() for title, part in _numbered(stem, values).items()}
        if not text.tell():
            writer.writerow(("split", "id", *parts))
        rows = zip(splits[name].ids, *(part.tolist() for part in parts.values()), strict=True)
        writer.writerows((name, *row) for row in rows)
    return text.getvalue()


def _numbered(stem: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {stem: values} if values.ndim == 1 else {f"{stem}_{i}": column for i, column in enumerate(values.T, 1)}


def read_predictions(folder: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """predictions.csv as {split: {"id": strings, "label": numbers, "prediction": numbers}}, in the order of the data.

    Several numbers are one array of several columns; of a task with classes there is "logit", too.
    """
    with open(Path(folder) / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    table = {}
    for split in dict.fromkeys(row["split"] for row in rows):
        own = [row for row in rows if row["split"] == split]
        table[split] = {"id": np.array([row["id"] for row in own])}
        for stem in ("label", "prediction", "logit"):
            titles = [title for title in rows[0] if title.partition("_")[0] == stem]
            columns = [np.array([float(row[title]) for row in own]) for title in titles]
            if columns:
                table[split][stem] = columns[0] if titles == [stem] else np.stack(columns, axis=1)
    return table
