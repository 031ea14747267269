"""What a model predicts for each clip: a table, its scores, a constant's beside them, and the file predictions.csv."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from dmdlite.components.losses import decide
from dmdlite.config import ModelConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.training.loop import predict_logits
from dmdlite.training.metrics import constant_prediction, task_metrics

Splits = Mapping[str, FeatureSplit]
Predictions = dict[str, np.ndarray]  # split -> (clips, *logits), as `predict_logits` returns them


def predict_all(model: nn.Module, splits: Splits, padding_mask: bool) -> Predictions:
    return {name: predict_logits(model, split, padding_mask) for name, split in splits.items()}


def all_scores(predictions: Predictions, splits: Splits, config: ModelConfig) -> dict[str, Any]:
    """The scores of each split, and under "constant" those of always giving the median, or the classes' frequencies."""
    constant = constant_prediction(splits["train"].truth(config.task), config.task, config.outputs)
    always = {name: np.broadcast_to(constant, (len(split), *constant.shape)).copy() for name, split in splits.items()}
    answer = decide(torch.from_numpy(constant[None]), config.task)[0].tolist()
    return {**score(predictions, splits, config), "constant": {"prediction": answer, **score(always, splits, config)}}


def score(predictions: Predictions, splits: Splits, config: ModelConfig) -> dict[str, dict[str, float]]:
    """split -> scores of the task."""
    return {name: task_metrics(x, splits[name].truth(config.task), config.task) for name, x in predictions.items()}


def prediction_table(prediction: np.ndarray, split: FeatureSplit, task: str) -> pd.DataFrame:
    """One row a clip: id, text, label if there is one, prediction, and of a task with classes the logits.

    Several numbers are columns of their own: label_1, label_2, …
    """
    table = pd.DataFrame({"id": split.ids, "text": split.raw_text})
    columns = {"label": split.labels if task == "regression" else split.classes}
    columns["prediction"] = decide(torch.from_numpy(prediction), task).numpy()
    columns["logit"] = None if task == "regression" else prediction
    for stem, values in columns.items():
        if values is not None:
            values = values.astype(float if values.dtype.kind == "f" else int)
            names = [stem] if values.ndim == 1 else [f"{stem}_{i}" for i in range(1, values.shape[1] + 1)]
            table[names] = values.reshape(len(table), -1)
    return table


def predictions_csv(predictions: Predictions, splits: Splits, task: str) -> str:
    """The tables of all splits below each other, without the text."""
    tables = {name: prediction_table(prediction, splits[name], task) for name, prediction in predictions.items()}
    whole = pd.concat(tables, names=["split"]).reset_index(level="split").drop(columns="text")
    return whole.to_csv(index=False, lineterminator="\n")
