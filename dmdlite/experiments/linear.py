"""The baseline that every model has to beat: a linear model of the time means of the streams. It has no seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.training.metrics import task_error, task_metrics

PENALTIES = tuple(10.0**power for power in range(-2, 6))  # the validation error selects one
LEAST = 1e-9  # probability
CHUNK = 1024  # clips in memory at once


def linear_baseline(
    splits: Mapping[str, FeatureSplit], config: ModelConfig, modalities: Sequence[str] = MODALITIES
) -> tuple[dict[str, float], int]:
    """The test scores and the number of coefficients of a linear model of standardised time means.

    Ridge regression for numbers, logistic regression for classes, and one "above level k" for each level. The
    validation error selects the penalty, just as it selects the epoch of the other models. Modalities without features
    (language as token ids alone) are left out.
    """
    means = {name: time_means(split, modalities) for name, split in splits.items()}
    scaler = StandardScaler().fit(means["train"])
    inputs = {name: scaler.transform(x) for name, x in means.items()}
    truth = {name: split.truth(config.task) for name, split in splits.items()}
    fitted = [Linear(inputs["train"], truth["train"], penalty, config) for penalty in PENALTIES]
    errors = [task_error(model.predict(inputs["valid"]), truth["valid"], config.task) for model in fitted]
    best = fitted[int(np.argmin(errors))]
    return task_metrics(best.predict(inputs["test"]), truth["test"], config.task), best.coefficients


class Linear:
    """Predicts like a model: numbers, or logits of classes or levels."""

    def __init__(self, inputs: np.ndarray, truth: np.ndarray, penalty: float, config: ModelConfig):
        self.config = config
        logistic = LogisticRegression(C=1 / penalty, max_iter=2000)
        if config.task == "regression":
            self.parts = [Ridge(alpha=penalty).fit(inputs, truth)]
        elif config.task == "classification":
            self.parts = [_fit_classes(logistic, inputs, truth)]
        else:
            levels = range(config.outputs - 1)
            self.parts = [_fit_classes(clone(logistic), inputs, truth > level) for level in levels]

    @property
    def coefficients(self) -> int:
        return sum(part.coef_.size + np.size(part.intercept_) for part in self.parts if hasattr(part, "coef_"))

    def predict(self, inputs: np.ndarray) -> Float[np.ndarray, "clip *logits"]:
        if self.config.task == "regression":
            return self.parts[0].predict(inputs)
        if self.config.task == "classification":
            return np.log(_probabilities(self.parts[0], inputs, range(self.config.outputs)))
        sides = [_probabilities(part, inputs, (False, True)) for part in self.parts]
        above = np.stack([np.log(side[:, 1] / side[:, 0]) for side in sides], axis=1)
        return above[:, 0] if above.shape[1] == 1 else above


def _fit_classes(model: LogisticRegression, inputs: np.ndarray, truth: np.ndarray) -> Any:
    """A single class in the training split is always the answer."""
    return (model if len(np.unique(truth)) > 1 else DummyClassifier()).fit(inputs, truth)


def _probabilities(model: Any, inputs: np.ndarray, classes: Sequence[Any]) -> Float[np.ndarray, "clip class"]:
    """Next to zero for classes that the training split does not have."""
    found = dict(zip(model.classes_.tolist(), model.predict_proba(inputs).T, strict=True))
    columns = [found.get(each, np.zeros(len(inputs))) for each in classes]
    return np.stack(columns, axis=1).clip(LEAST, 1 - LEAST)


def time_means(split: FeatureSplit, modalities: Sequence[str]) -> Float[np.ndarray, "clip feature"]:
    """The means over the real time steps of these streams, side by side."""
    columns = [_means(split.features[m], split.lengths[m]) for m in modalities if m in split.features]
    if not columns:
        raise ValueError(f"{split.source} has no features of {', '.join(modalities)} for a linear model")
    return np.concatenate(columns, axis=1)


def _means(x: np.ndarray, lengths: np.ndarray) -> Float[np.ndarray, "clip feature"]:
    real = np.arange(x.shape[1]) < lengths[:, None]
    parts = [slice(start, start + CHUNK) for start in range(0, len(x), CHUNK)]
    sums = [np.einsum("ctf,ct->cf", x[part].astype(np.float64), real[part]) for part in parts]
    return np.concatenate(sums) / np.maximum(lengths, 1)[:, None]
