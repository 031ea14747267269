"""The baseline that every model has to beat: a linear model of the time means of the streams. It has no seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from jaxtyping import Float
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.data.features import FeatureSplit, feature_shapes
from dmdlite.models.base import Line
from dmdlite.training.metrics import Logits, Splits, labelled_clips, score, task_error

PENALTIES = tuple(10.0**power for power in range(5, -3, -1))  # the validation error selects one
ROUNDING = 1e-4  # means that differ by less, in standard deviations of a time step, are equal but for rounding
LEAST = 1e-9  # about the probability of a class that the training split does not have
BATCH = 64


def linear_baseline(
    splits: Splits, config: ModelConfig, modalities: Sequence[str] = ()
) -> tuple[dict[str, dict[str, float]], int] | None:
    """The scores on each split, and the number of coefficients, of a linear model of standardised time means.

    Ridge regression for numbers, logistic regression for classes, one "above level k" for each level and one for each
    of several labels. The validation error selects the penalty, just as it selects the epoch of the other models:
    from the largest on, until it rises. None if no modality has features; language as token ids alone has none.
    modalities: those of the config, if no others are given.
    """
    read = [m for m in modalities or config.modalities if all(m in split.features for split in splits.values())]
    if not read:
        return None
    shapes = feature_shapes(splits) | {"modalities": read, "kernel_sizes": dict.fromkeys(MODALITIES, 1)}
    line = Line(ModelConfig(task=config.task, outputs=config.outputs, standardise=True).replace(**shapes))
    line.read.learn_scale(splits["train"])
    means = {name: time_means(line, split) for name, split in splits.items()}
    scaler, best = _best(means, splits, line.config)
    coefficients = sum(part.coef_.size + np.size(part.intercept_) for part in best if hasattr(part, "coef_"))
    predictions = {name: _predict(best, scaler.transform(x), config) for name, x in means.items()}
    return score(predictions, splits, config), coefficients


def fit_line(line: Line, splits: Splits) -> None:
    """Gives a line, whose reader knows the scale of the streams, the weights of a linear baseline."""
    means = {name: time_means(line, splits[name]) for name in ("train", "valid")}
    scaler, best = _best(means, splits, line.config)
    weight, bias = _weights(best, line.config)
    weight = weight / scaler.scale_
    line.predict.weight.data.copy_(torch.from_numpy(weight))
    line.predict.bias.data.copy_(torch.from_numpy(bias - weight @ scaler.mean_))


def time_means(line: Line, split: FeatureSplit) -> Float[np.ndarray, "clip feature"]:
    """What a line reads of each clip; steps of zeros count nowhere, be they padding or frames without a face."""
    line.eval()
    tokens = line.config.language_model is not None
    options = {"modalities": line.reads, "tokens": tokens, "mask": tokens}  # a language model's padding is not zero
    batches = (split.batch(i, **options) for i in torch.arange(len(split)).split(BATCH))
    with torch.inference_mode():
        means = [line(**send_to_device(batch, line.predict.weight.device)).fused.cpu() for batch in batches]
    return torch.cat(means).double().numpy()


def _best(means: Mapping[str, np.ndarray], splits: Splits, config: ModelConfig) -> tuple[StandardScaler, list[Any]]:
    """The scale of the inputs, and the models with the penalty that the validation error selects."""
    scaler = StandardScaler().fit(means["train"])
    scaler.scale_[scaler.scale_ < ROUNDING] = np.inf
    inputs = {name: scaler.transform(means[name]) for name in ("train", "valid")}
    truth, least, best = splits["valid"].truth(config.task), np.inf, []
    for penalty in PENALTIES:
        parts = _fit(*labelled_clips(inputs["train"], splits["train"].truth(config.task)), penalty, config)
        if (error := task_error(_predict(parts, inputs["valid"], config), truth, config.task)) > least:
            break
        least, best = error, parts
    return scaler, best


def _rows(part: Any, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (logits, features) and biases of one model: of numbers, of one side of two, or of all classes."""
    if isinstance(part, Ridge):
        return np.atleast_2d(part.coef_), np.atleast_1d(part.intercept_)
    found, always = part.classes_, isinstance(part, DummyClassifier)
    weight, bias = (np.zeros((1, part.n_features_in_)), np.zeros(1)) if always else (part.coef_, part.intercept_)
    if found.dtype == bool:
        return weight, np.where(found, 1.0, -1.0) * -np.log(LEAST) if always else bias
    if len(found) == 2:  # the logit of the second against the first
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    weights, biases = np.zeros((outputs, part.n_features_in_)), np.full(outputs, np.log(LEAST))
    weights[found], biases[found] = weight, bias
    return weights, biases


def _fit(inputs: np.ndarray, truth: np.ndarray, penalty: float, config: ModelConfig) -> list[Any]:
    """One model of the numbers or classes; one for each "above level k", or for each of several labels."""
    if config.task == "regression":
        return [Ridge(alpha=penalty).fit(inputs, truth)]
    if config.task == "classification":
        return [_fit_classes(inputs, truth, penalty)]
    sides = truth > 0 if config.task == "multilabel" else truth[:, None] > np.arange(config.outputs - 1)
    return [_fit_classes(inputs, side, penalty) for side in sides.reshape(len(truth), -1).T]


def _weights(parts: list[Any], config: ModelConfig) -> list[np.ndarray]:
    """Weights (logits, features) and biases of the map to what a model of ours gives: numbers, or logits."""
    return [np.concatenate(x) for x in zip(*(_rows(part, config.outputs) for part in parts), strict=True)]


def _predict(parts: list[Any], inputs: np.ndarray, config: ModelConfig) -> Logits:
    weight, bias = _weights(parts, config)
    logits = inputs @ weight.T + bias
    return logits[:, 0] if logits.shape[1] == 1 else logits


def _fit_classes(inputs: np.ndarray, truth: np.ndarray, penalty: float) -> Any:
    """A single class in the training split is always the answer."""
    several = len(np.unique(truth)) > 1
    return (LogisticRegression(C=1 / penalty, max_iter=2000) if several else DummyClassifier()).fit(inputs, truth)
