"""The baseline that every model has to beat: a linear model of the time means of the streams. It has no seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from pandas import DataFrame
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from dmdlite.config import ModelConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.training.metrics import task_error, task_metrics

PENALTIES = tuple(10.0**power for power in range(-2, 6))  # the validation error selects one
LEAST = 1e-9  # probability


def linear_baseline(
    splits: Mapping[str, FeatureSplit], config: ModelConfig, modalities: Sequence[str] = ()
) -> tuple[dict[str, float], int]:
    """The test scores and the number of coefficients of a linear model of standardised time means.

    Ridge regression for numbers, logistic regression for classes, and one "above level k" for each level. The
    validation error selects the penalty, just as it selects the epoch of the other models. Modalities without features
    (language as token ids alone) are left out. modalities: those of the config, if no others are given.
    """
    means = {name: time_means(split, modalities or config.modalities) for name, split in splits.items()}
    scaler = StandardScaler().fit(means["train"])
    inputs = {name: scaler.transform(x) for name, x in means.items()}
    truth = {name: split.truth(config.task) for name, split in splits.items()}
    fitted = [_fit(inputs["train"], truth["train"], penalty, config) for penalty in PENALTIES]
    errors = [task_error(_predict(parts, inputs["valid"], config), truth["valid"], config.task) for parts in fitted]
    best = fitted[int(np.argmin(errors))]
    coefficients = sum(part.coef_.size + np.size(part.intercept_) for part in best if hasattr(part, "coef_"))
    return task_metrics(_predict(best, inputs["test"], config), truth["test"], config.task), coefficients


def _fit(inputs: np.ndarray, truth: np.ndarray, penalty: float, config: ModelConfig) -> list[Any]:
    """One model of the numbers or classes; of levels, one for each "above level k"."""
    if config.task == "regression":
        return [Ridge(alpha=penalty).fit(inputs, truth)]
    if config.task == "classification":
        return [_fit_classes(inputs, truth, penalty)]
    return [_fit_classes(inputs, truth > level, penalty) for level in range(config.outputs - 1)]


def _predict(parts: list[Any], inputs: np.ndarray, config: ModelConfig) -> Float[np.ndarray, "clip *logits"]:
    """As a model of ours does: numbers, or logits of classes or levels."""
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
    """The means over the real time steps of these streams, side by side."""
    columns = []
    for m in (m for m in modalities if m in split.features):
        real = np.arange(split.features[m].shape[1]) < split.lengths[m][:, None]
        sums = np.einsum("ctf,ct->cf", split.features[m], real, dtype=np.float64)
        columns.append(sums / np.maximum(split.lengths[m], 1)[:, None])
    if not columns:
        raise ValueError(f"{split.source} has no features of {', '.join(modalities)} for a linear model")
    return np.concatenate(columns, axis=1)
