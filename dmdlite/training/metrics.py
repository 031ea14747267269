"""The scores that papers report: on CMU-MOSI, CMU-MOSEI and CH-SIMS, of valence and arousal, of classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num
from numpy import ndarray
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from dmdlite.components.losses import decide, task_loss
from dmdlite.config import ModelConfig
from dmdlite.data.features import FeatureSplit

Splits = Mapping[str, FeatureSplit]
Logits = Float[ndarray, "clips *logits"]  # a model's output for each clip, as `predict_logits` returns it
Truth = Num[ndarray, "clips *outputs"]
Predictions = dict[str, ndarray]  # split -> Logits
SIMS_CUTS = {"acc3": (-0.1, 0.1), "acc5": (-0.7, -0.1, 0.1, 0.7)}  # bounds of classes, which belong to the lower one


def sentiment_metrics(prediction: Float[ndarray, "clips"], truth: Float[ndarray, "clips"]) -> dict[str, float]:
    """Scores of predicted against true sentiments in [-3, 3], all fractions rather than percentages.

    mae             mean absolute error, in units of sentiment
    corr            Pearson correlation
    acc2, f1        positive (> 0) or not, over the clips whose true sentiment is not zero; F1 weighted by class size
    acc2_with_zero, f1_with_zero    non-negative (>= 0) or not, over all clips
    acc7, acc5      the same class after clipping to ±3 or ±2 and rounding half to even

    Definitions: DMD's utils/metricsTop.py:92-109, which are MMSA's. An undefined score is 0.0: the correlation of a
    constant, acc2 and f1 where every true sentiment is zero. Raises ValueError on values that are not finite.
    """
    prediction, truth = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    for name, values in (("prediction", prediction), ("true sentiment", truth)):
        if not np.isfinite(values).all():
            raise ValueError(f"{np.sum(~np.isfinite(values))} of {values.size} {name}s are not finite")
    polar = truth != 0
    return {
        "mae": float(np.abs(prediction - truth).mean()),
        "corr": _correlation(prediction, truth),
        **_two_classes(prediction[polar] > 0, truth[polar] > 0),
        "acc7": _same_class(prediction, truth, limit=3),
        "acc5": _same_class(prediction, truth, limit=2),
        **{f"{name}_with_zero": score for name, score in _two_classes(prediction >= 0, truth >= 0).items()},
    }


def sims_metrics(prediction: Float[ndarray, "clips"], truth: Float[ndarray, "clips"]) -> dict[str, float]:
    """Scores of predicted against true sentiments in [-1, 1], to which predictions are clipped first.

    mae, corr, ccc    as in `_agreement`
    acc2, f1          positive (> 0) or not, over all clips; F1 weighted by class size
    acc3, acc5        the same of three or five classes, whose bounds are `SIMS_CUTS`

    Definitions: MMSA utils/metricsTop.py, __eval_sims_regression.
    """
    prediction = np.clip(prediction, -1, 1)
    cut = lambda x, cuts: np.digitize(x, np.asarray(cuts, x.dtype), right=True)  # 0.1 is 0.1 in single precision, too
    same = {name: float((cut(prediction, x) == cut(truth, x)).mean()) for name, x in SIMS_CUTS.items()}
    return _agreement(prediction, truth) | _two_classes(prediction > 0, truth > 0) | same


def label_metrics(prediction: Logits, truth: Truth, names: Sequence[str] = ()) -> dict[str, float]:
    """Scores of several labels at once: the mean over the labels, and those of each by its name or number.

    weighted_accuracy    (TP · N/P + TN) / 2N of P clips that have the label and N that lack it, as for the six emotions
                         of CMU-MOSEI (Tong et al., 2017; Zadeh et al., 2018); of one side alone its accuracy
    f1                   of having it or not, weighted by class size
    """
    answers, truths = (x.reshape(len(truth), -1) > 0 for x in (prediction, truth))
    each = {}
    for i, (answer, holds) in enumerate(zip(answers.T, truths.T, strict=True)):
        sides = [(answer == holds)[side].mean() for side in (holds, ~holds) if side.any()]
        scores = {"weighted_accuracy": float(np.mean(sides)), "f1": _two_classes(answer, holds)["f1"]}
        each[names[i] if names else i + 1] = scores
    means = {score: float(np.mean([found[score] for found in each.values()])) for score in scores}
    return means | {f"{score}_{name}": x for name, found in each.items() for score, x in found.items()}


def _correlation(prediction: Float[ndarray, "clips"], truth: Float[ndarray, "clips"]) -> float:
    if np.ptp(prediction) == 0 or np.ptp(truth) == 0:
        return 0.0
    return float(np.corrcoef(prediction, truth)[0, 1])


def _two_classes(prediction: ndarray, truth: ndarray) -> dict[str, float]:
    if not truth.size:
        return {"acc2": 0.0, "f1": 0.0}
    f1 = f1_score(truth, prediction, average="weighted", zero_division=0)
    return {"acc2": float((prediction == truth).mean()), "f1": float(f1)}


def _same_class(prediction: Float[ndarray, "clips"], truth: Float[ndarray, "clips"], limit: int) -> float:
    classes = (np.round(np.clip(values, -limit, limit)) for values in (prediction, truth))
    return float(np.equal(*classes).mean())


def labelled_clips(prediction: Num[ndarray, "clips *logits"], truth: Truth) -> tuple[ndarray, ndarray]:
    """Those of clips whose label is known: the label of every other is NaN."""
    known = ~np.isnan(truth).reshape(len(truth), -1).any(axis=1)
    return (prediction, truth) if known.all() else (prediction[known], truth[known])


def task_error(prediction: Logits, truth: Truth, task: str) -> float:
    """The MAE of numbers, or the cross-entropy of classes as in `task_loss`, over the clips with a label."""
    prediction, truth = labelled_clips(prediction, truth)
    if task == "regression":
        return float(np.abs(prediction - truth).mean())
    return float(task_loss(torch.from_numpy(prediction), torch.from_numpy(truth), task))


def task_metrics(
    prediction: Logits, truth: Truth, task: str, scale: str = "mosi", class_names: Sequence[str] = ()
) -> dict[str, float]:
    """Scores of a model's output, by the task, over the clips with a label.

    one number       by the scale of the labels: those of `sentiment_metrics`, and ccc ("mosi"); of `sims_metrics`
                     ("sims"); mae, corr and ccc ("other")
    several numbers  mae, corr and ccc, each averaged over the numbers, and for each number as mae_1, mae_2, …
    classification   accuracy, macro_f1 (every class has the same weight, however rare), cross_entropy
    ordinal          the same, and mae: how many levels the answer is off
    multilabel       those of `label_metrics`, and cross_entropy
    """
    prediction, truth = labelled_clips(prediction, truth)
    if task == "regression" and truth.ndim == 1:
        if scale == "mosi":
            return sentiment_metrics(prediction, truth) | {"ccc": concordance(prediction, truth)}
        return sims_metrics(prediction, truth) if scale == "sims" else _agreement(prediction, truth)
    if task == "regression":
        each = [_agreement(*pair) for pair in zip(prediction.T, truth.T, strict=True)]
        means = {name: float(np.mean([scores[name] for scores in each])) for name in each[0]}
        return means | {f"{name}_{i}": score for i, scores in enumerate(each, 1) for name, score in scores.items()}
    if task == "multilabel":
        cross_entropy = task_error(prediction, truth, task)
        return {"cross_entropy": cross_entropy, **label_metrics(prediction, truth, class_names)}
    answer = decided(prediction, task)
    scores = {
        "accuracy": float((answer == truth).mean()),
        "macro_f1": float(f1_score(truth, answer, average="macro", zero_division=0)),
        "cross_entropy": task_error(prediction, truth, task),
    }
    return scores | ({"mae": float(np.abs(answer - truth).mean())} if task == "ordinal" else {})


def decided(logits: Logits, task: str) -> Truth:
    """The answer for each clip, as `decide` takes it from a model's output."""
    return decide(torch.from_numpy(logits), task).numpy()


def table_scores(task: str, outputs: int, scale: str = "mosi") -> tuple[str, ...]:
    """The scores in a table; the first is the error, which ranks the models."""
    if task == "regression":
        by_scale = {"mosi": ("acc2", "f1", "acc7"), "sims": ("acc2", "f1", "acc3", "acc5")}
        return ("mae", "corr", *by_scale.get(scale if outputs == 1 else "other", ("ccc",)))
    if task == "multilabel":
        return ("cross_entropy", "weighted_accuracy", "f1")
    return ("cross_entropy", "accuracy", "macro_f1", *(("mae",) if task == "ordinal" else ()))


def lower_is_better(score: str) -> bool:
    """Whether it is an error, and not a score that is 1 at best."""
    return score in ("error", "cross_entropy") or score.startswith("mae")


def title(score: str) -> str:
    """The name of a score in a table."""
    names = {"corr": "Corr", "accuracy": "accuracy", "macro_f1": "macro F1", "cross_entropy": "cross-entropy"}
    names |= {"error": "error", "weighted_accuracy": "weighted accuracy"}
    return names.get(score, score.upper())


def constant_prediction(truth: Truth, task: str, outputs: int) -> Float[ndarray, "*logits"]:
    """The best constant prediction: the median of each number, or the logits of how frequent classes or labels are."""
    _, truth = labelled_clips(truth, truth)
    if task == "regression":
        return np.asarray(np.median(truth, axis=0), np.float32)
    if task == "classification":
        share = np.bincount(truth, minlength=outputs) / len(truth)
        return np.log(np.maximum(share, 1e-9)).astype(np.float32)
    sides = truth > 0 if task == "multilabel" else truth[:, None] > np.arange(outputs - 1)
    above = np.clip(sides.reshape(len(truth), -1).mean(axis=0), 1e-9, 1 - 1e-9)
    return np.asarray(np.log(above / (1 - above)).squeeze(), np.float32)


def all_scores(predictions: Predictions, splits: Splits, config: ModelConfig) -> dict[str, Any]:
    """The scores of each split, and under "constant" those of always giving the median, or the classes' frequencies."""
    constant = constant_prediction(splits["train"].truth(config.task), config.task, config.outputs)
    always = {name: np.broadcast_to(constant, (len(split), *constant.shape)).copy() for name, split in splits.items()}
    answer = decided(constant[None], config.task)[0].tolist()
    return {**score(predictions, splits, config), "constant": {"prediction": answer, **score(always, splits, config)}}


def score(predictions: Predictions, splits: Splits, config: ModelConfig) -> dict[str, dict[str, float]]:
    """split -> scores of the task."""
    kind = config.task, config.label_scale, config.class_names
    return {name: task_metrics(x, splits[name].truth(config.task), *kind) for name, x in predictions.items()}


def class_scores(predictions: Predictions, splits: Splits, config: ModelConfig) -> dict[str, Any]:
    """The names of the classes, and for each split confusion (true classes by answers), precision, recall and f1."""
    classes, found = range(config.outputs), {"names": config.class_names or [str(i) for i in range(config.outputs)]}
    for name, x in predictions.items():
        both = splits[name].truth(config.task), decided(x, config.task)
        each = precision_recall_fscore_support(*both, labels=classes, zero_division=0)
        scores = {score: values.tolist() for score, values in zip(("precision", "recall", "f1"), each, strict=False)}
        found[name] = {"confusion": confusion_matrix(*both, labels=classes).tolist(), **scores}
    return found


def concordance(prediction: Float[ndarray, "clips"], truth: Float[ndarray, "clips"]) -> float:
    """Lin's concordance correlation coefficient (CCC): 2 cov / (var + var + (difference of the means)²).

    It is 1 only where prediction and truth are equal: unlike Pearson's correlation, it penalises a wrong scale and a
    wrong mean. Two equal constants, for which it is undefined, give 0.
    """
    prediction, truth = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    covariance = np.mean((prediction - prediction.mean()) * (truth - truth.mean()))
    spread = prediction.var() + truth.var() + (prediction.mean() - truth.mean()) ** 2
    return float(2 * covariance / spread) if spread else 0.0


def _agreement(prediction: Float[ndarray, "clips"], truth: Float[ndarray, "clips"]) -> dict[str, float]:
    """The mean absolute error, Pearson's correlation and the CCC."""
    mae = float(np.abs(prediction - truth).mean())
    return {"mae": mae, "corr": _correlation(prediction, truth), "ccc": concordance(prediction, truth)}
