"""The scores that papers on CMU-MOSI and CMU-MOSEI report."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from sklearn.metrics import f1_score


def sentiment_metrics(prediction: Float[ndarray, "clips"], truth: Float[ndarray, "clips"]) -> dict[str, float]:
    """Scores of predicted against true sentiments in [-3, 3], all fractions rather than percentages.

    mae             mean absolute error, in units of sentiment
    corr            Pearson correlation
    acc2, f1        positive (> 0) or not, over the clips whose true sentiment is not zero; F1 weighted by class size
    acc2_with_zero, f1_with_zero    non-negative (>= 0) or not, over all clips
    acc7, acc5      the same class after clipping to ±3 or ±2 and rounding half to even

    Definitions: DMD's utils/metricsTop.py:92-109, which are MMSA's. A score that is not defined is 0.0: the correlation
    of constant values, and acc2 and f1 where every true sentiment is zero. Raises ValueError on values that are
    not finite.
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
