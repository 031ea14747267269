"""The baseline that every model has to beat: a linear model of the time means of the streams. It has no seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pandas import DataFrame
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from dmdlite.config import ModelConfig
from dmdlite.data.features import DataError, FeatureSplit
from dmdlite.models.base import Line
from dmdlite.training.metrics import Splits, labelled_clips, score, task_error

PENALTIES = tuple(10.0**power for power in range(5, -3, -1))  # the validation error selects one
LEAST = 1e-9  # probability


def linear_baseline(
    splits: Splits, config: ModelConfig, modalities: Sequence[str] = ()
) -> tuple[dict[str, dict[str, float]], int] | None:
    """The scores on each split, and the number of coefficients, of a linear model of standardised time means.

    Ridge regression for numbers, logistic regression for classes, one "above level k" for each level and one for each
    of several labels. The validation error selects the penalty, just as it selects the epoch of the other models:
    from the largest on, until it rises. None if no modality has features (language as token ids alone has none) whose
    real time steps are known. modalities: those of the config, if no others are given.
    """
    try:
        means = {name: time_means(split, modalities or config.modalities) for name, split in splits.items()}
    except DataError:
        return None
    scaler, best = _best(means, splits, config)
    coefficients = sum(part.coef_.size + np.size(part.intercept_) for part in best if hasattr(part, "coef_"))
    logits = {name: _predict(best, scaler.transform(x), config) for name, x in means.items()}
    return score(logits, splits, config), coefficients


def fit_line(line: Line, means: Mapping[str, np.ndarray], splits: Splits) -> None:
    """Gives a line the weights of a linear baseline for the time means of "train" and "valid" that it reads."""
    scaler, best = _best(means, splits, line.config)
    rows = [_rows(part, range(line.config.outputs)) for part in best]
    weight, bias = (np.concatenate(x) for x in zip(*rows, strict=True))
    weight = weight / scaler.scale_
    line.predict.weight.data.copy_(torch.from_numpy(weight))
    line.predict.bias.data.copy_(torch.from_numpy(bias - weight @ scaler.mean_))


def _best(means: Mapping[str, np.ndarray], splits: Splits, config: ModelConfig) -> tuple[StandardScaler, list[Any]]:
    """The scale of the inputs, and the models with the penalty that the validation error selects."""
    scaler = StandardScaler().fit(means["train"])
    inputs = {name: scaler.transform(means[name]) for name in ("train", "valid")}
    truth, least, best = splits["valid"].truth(config.task), np.inf, []
    for penalty in PENALTIES:
        parts = _fit(*labelled_clips(inputs["train"], splits["train"].truth(config.task)), penalty, config)
        if (error := task_error(_predict(parts, inputs["valid"], config), truth, config.task)) > least:
            break
        least, best = error, parts
    return scaler, best


def _rows(part: Any, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Weights (outputs, features) and biases of one model: numbers, one side of two, or the logits of classes."""
    if isinstance(part, Ridge):
        return np.atleast_2d(part.coef_), np.atleast_1d(part.intercept_)
    features, found = part.n_features_in_, list(part.classes_)
    if isinstance(part, DummyClassifier):  # a single class
        weight, bias = np.zeros((1, features)), np.full(1, -np.log(LEAST) * (1 if found[0] else -1))
    else:
        weight, bias = part.coef_, part.intercept_
    if isinstance(found[0], bool | np.bool_):
        return weight, bias
    if len(weight) == 1:  # two classes, or one: their difference
        weight, bias = (
            np.concatenate([0 * weight, weight])[-len(found) :],
            np.concatenate([0 * bias, bias])[-len(found) :],
        )
    every, biases = np.zeros((len(classes), features)), np.full(len(classes), np.log(LEAST))
    every[found], biases[found] = weight, bias
    return every, biases


def _fit(inputs: np.ndarray, truth: np.ndarray, penalty: float, config: ModelConfig) -> list[Any]:
    """One model of the numbers or classes; one for each "above level k", or for each of several labels."""
    if config.task == "regression":
        return [Ridge(alpha=penalty).fit(inputs, truth)]
    if config.task == "classification":
        return [_fit_classes(inputs, truth, penalty)]
    sides = truth > 0 if config.task == "multilabel" else truth[:, None] > np.arange(config.outputs - 1)
    return [_fit_classes(inputs, side, penalty) for side in sides.reshape(len(truth), -1).T]


def _predict(parts: list[Any], inputs: np.ndarray, config: ModelConfig) -> Float[np.ndarray, "clip *logits"]:
    """As a model of ours does: numbers, or logits of classes, levels or labels."""
    if config.task == "regression":
        return parts[0].predict(inputs)
    if config.task == "classification":
        return np.log(_probabilities(parts[0], inputs, range(config.outputs)))
    sides = [_probabilities(part, inputs, (False, True)) for part in parts]
    above = np.stack([np.log(side[:, 1] / side[:, 0]) for side in sides], axis=1)
    return above[:, 0] if above.shape[1] == 1 else above


def _fit_classes(inputs: np.ndarray, truth: np.ndarray, penalty: float) -> Any:
    """A single class in the training split is always the answer."""
    several = len(np.unique(truth)) > 1
    return (LogisticRegression(C=1 / penalty, max_iter=2000) if several else DummyClassifier()).fit(inputs, truth)


def _probabilities(model: Any, inputs: np.ndarray, classes: Sequence[Any]) -> Float[np.ndarray, "clip class"]:
    """Next to zero for classes that the training split does not have."""
    found = DataFrame(model.predict_proba(inputs), columns=model.classes_)
    return found.reindex(columns=classes, fill_value=0.0).clip(LEAST, 1 - LEAST).to_numpy()


def time_means(split: FeatureSplit, modalities: Sequence[str]) -> Float[np.ndarray, "clip feature"]:
    """The means over the real time steps of these streams, side by side; zero where a clip lacks the modality.

    Raises DataError if there are none of them, or if the real time steps of one are not known.
    """
    columns = []
    for m in (m for m in modalities if m in split.features):
        clips = zip(split.features[m], split.real(m))  # one by one, for they may be mapped from disk
        columns.append(np.stack([x[real].sum(axis=0, dtype=np.float64) / max(real.sum(), 1) for x, real in clips]))
    if not columns:
        raise DataError(f"{split.source} has no features of {', '.join(modalities)} for a linear model")
    return np.concatenate(columns, axis=1)
