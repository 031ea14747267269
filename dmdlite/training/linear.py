"""The baseline that every model has to beat: a linear model of the time means of the streams. It has no seed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from pandas import DataFrame
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from dmdlite.config import ModelConfig
from dmdlite.data.features import DataError, FeatureSplit
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
    scaler = StandardScaler().fit(means["train"])
    inputs = {name: scaler.transform(x) for name, x in means.items()}
    truth, least, best = splits["valid"].truth(config.task), np.inf, []
    for penalty in PENALTIES:
        parts = _fit(*labelled_clips(inputs["train"], splits["train"].truth(config.task)), penalty, config)
        if (error := task_error(_predict(parts, inputs["valid"], config), truth, config.task)) > least:
            break
        least, best = error, parts
    coefficients = sum(part.coef_.size + np.size(part.intercept_) for part in best if hasattr(part, "coef_"))
    return score({name: _predict(best, x, config) for name, x in inputs.items()}, splits, config), coefficients


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
