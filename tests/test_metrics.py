"""The scores against numbers worked out by hand, and against scikit-learn."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from dmdlite.training.metrics import sentiment_metrics


def test_by_hand():
    truth = np.array([-2.0, -0.4, 0.0, 1.0, 2.6])
    prediction = np.array([-1.0, 0.2, -0.1, 1.4, 2.4])
    scores = sentiment_metrics(prediction, truth)
    assert scores["mae"] == pytest.approx((1.0 + 0.6 + 0.1 + 0.4 + 0.2) / 5)
    assert scores["acc2"] == 3 / 4  # without the zero; -0.4 is taken for positive
    # negative: precision 1/1, recall 1/2; positive: precision 2/3, recall 2/2; two clips of each
    assert scores["f1"] == pytest.approx((2 * (2 / 3) + 2 * (4 / 5)) / 4)
    assert scores["acc2_with_zero"] == 3 / 5  # 0.0 is non-negative, -0.1 is not
    assert scores["acc7"] == 3 / 5  # -2 0 0 1 3 against -1 0 0 1 2
    assert scores["acc5"] == 4 / 5  # -2 0 0 1 2 against -1 0 0 1 2


def test_halves_round_to_even_and_limits_clip():
    truth = np.array([0.5, 1.5, 2.5, -3.0])
    assert sentiment_metrics(np.array([0.0, 2.0, 2.0, -9.0]), truth)["acc7"] == 1.0
    assert sentiment_metrics(np.array([1.0, 1.0, 3.0, -2.0]), truth)["acc7"] == 0.0
    assert sentiment_metrics(np.array([1.0, 1.0, 3.0, -2.0]), truth)["acc5"] == 2 / 4


def test_against_scikit_learn():
    generator = np.random.default_rng(0)
    truth = np.round(generator.uniform(-3, 3, 300), 1)
    prediction = truth + generator.normal(0, 1.5, 300)
    scores, polar = sentiment_metrics(prediction, truth), truth != 0
    assert 0 < polar.sum() < 300
    assert scores["acc2"] == accuracy_score(truth[polar] > 0, prediction[polar] > 0)
    assert scores["f1"] == f1_score(truth[polar] > 0, prediction[polar] > 0, average="weighted")
    assert scores["f1_with_zero"] == f1_score(truth >= 0, prediction >= 0, average="weighted")
    assert scores["corr"] == pytest.approx(np.corrcoef(prediction, truth)[0, 1])
    assert all(type(score) is float for score in scores.values())


@pytest.mark.parametrize("constant", [-0.2, 0.0, 3.0])
def test_a_constant_has_no_correlation_and_no_warning(constant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = sentiment_metrics(np.full(4, constant), np.array([-1.0, 0.0, 0.6, 2.0]))
        nothing_polar = sentiment_metrics(np.array([0.1, -0.1]), np.zeros(2))
    assert scores["corr"] == 0.0
    assert nothing_polar["acc2"] == nothing_polar["f1"] == nothing_polar["corr"] == 0.0


def test_values_that_are_not_finite():
    with pytest.raises(ValueError, match="1 of 2 predictions are not finite"):
        sentiment_metrics(np.array([np.nan, 1.0]), np.zeros(2))
