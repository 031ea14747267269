"""Other tasks than one number: losses and answers by hand, scores, data, whole runs and their files."""

import csv
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from course.toy_tasks import reviewed_topics, sentiment_levels, valence_and_arousal
from dmdlite.__main__ import main
from dmdlite.components.graph_distillation import logit_difference
from dmdlite.components.losses import decide, margin_contrastive_loss, task_loss
from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.features import (
    DataError,
    check_fits,
    check_trainable,
    feature_shapes,
    label_shape,
    load_features,
    write_mmsa,
)
from dmdlite.data.toy import toy_world
from dmdlite.models.registry import build
from dmdlite.training.loop import plain_loop, predict_logits
from dmdlite.training.metrics import concordance, constant_prediction, task_error, task_metrics
from dmdlite.training.runs import evaluate
from dmdlite.training.trainer import train

WORLD = toy_world(200)
TASKS = {
    "regression": valence_and_arousal(WORLD),
    "classification": reviewed_topics(WORLD),
    "ordinal": sentiment_levels(WORLD.splits, 4),
}


def test_losses_by_hand():
    logits, classes = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    expected = -(np.log(np.e**2 / (np.e**2 + 1)) + np.log(1 / (1 + np.e))) / 2
    assert task_loss(logits, classes, "classification").item() == pytest.approx(expected)
    above = torch.tensor([[3.0, -1.0]])  # of three levels, the clip is of the middle one: above 0, not above 1
    expected = (np.log1p(np.exp(-3)) + np.log1p(np.exp(-1))) / 2
    assert task_loss(above, torch.tensor([1]), "ordinal").item() == pytest.approx(expected)
    assert task_loss(torch.zeros(2, 2), torch.tensor([[1.0, 3.0], [0.0, 0.0]]), "regression").item() == 1.0


def test_answers_by_hand():
    logits = torch.tensor([[3.0, 1.0], [3.0, -1.0], [-3.0, -4.0]])
    assert decide(logits, "ordinal").tolist() == [2, 1, 0]
    assert decide(logits, "classification").tolist() == [0, 0, 0]
    assert decide(logits, "regression") is logits
    assert decide(torch.tensor([0.5, -0.5]), "ordinal").tolist() == [1, 0]  # two levels need one logit


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_labels_that_do_not_fit_are_named(task):
    with pytest.raises(ValueError, match=r"labels have shape \(4, 1\), expected"):
        task_loss(torch.zeros(4, 3), torch.zeros(4, 1), task)


def test_the_distance_of_several_logits_is_their_mean():
    logits = torch.tensor([[[0.0, 0.0], [1.0, 3.0], [2.0, 0.0]]])
    assert logit_difference(logits)[0].tolist() == [[0, 2, 1], [2, 0, 2], [1, 2, 0]]


def test_the_margin_loss_knows_what_a_class_is():
    """The distance of two classes is 1 whichever they are; that of two levels is how many lie between them."""
    torch.manual_seed(0)
    features = {"language": torch.randn(4, 5), "vision": torch.randn(4, 5)}
    near, far = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0.0, 0.0, 7.0, 7.0])
    classes = DMDConfig.toy(task="classification", outputs=8)
    levels = DMDConfig.toy(task="ordinal", outputs=8)
    loss = {
        (config.task, y): margin_contrastive_loss(features, y, config)
        for config in (classes, levels)
        for y in (near, far)
    }
    assert loss["classification", near] == loss["classification", far] == loss["ordinal", near] < loss["ordinal", far]
    pairs = margin_contrastive_loss(features, torch.stack([near, near], 1), DMDConfig.toy(outputs=2))
    assert pairs == loss["ordinal", near]


numbers = st.lists(st.floats(-3, 3, width=32), min_size=3, max_size=20)


@given(numbers, st.floats(-2, 2), st.floats(0.1, 3))
def test_concordance_is_bounded_and_minds_scale_and_mean(truth, shift, scale):
    truth = np.array(truth)
    assert abs(concordance(scale * truth + shift, truth)) <= 1 + 1e-12
    if truth.std() > 1e-3:
        assert concordance(truth, truth) == pytest.approx(1)
        expected = 2 * scale * truth.var() / ((1 + scale**2) * truth.var() + ((scale - 1) * truth.mean() + shift) ** 2)
        assert concordance(scale * truth + shift, truth) == pytest.approx(expected)


def test_scores_of_each_task():
    two = task_metrics(
        np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]]), np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 3.0]]), "regression"
    )
    assert two["mae_1"] == 0 and two["ccc_1"] == two["corr_1"] == 1 and two["mae_2"] == pytest.approx(4 / 3)
    assert two["mae"] == pytest.approx(2 / 3) and two["ccc"] == pytest.approx((1 + two["ccc_2"]) / 2)
    logits, classes = np.array([[2.0, 0, 0], [0, 1.0, 0], [1.0, 0, 0]], np.float32), np.array([0, 1, 2])
    scores = task_metrics(logits, classes, "classification")
    assert scores["accuracy"] == pytest.approx(2 / 3) and scores["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert scores["cross_entropy"] == pytest.approx(log_loss(classes, probabilities), rel=1e-6)
    assert task_metrics(np.array([[5.0, 5.0], [-5.0, -5.0]], np.float32), np.array([0, 1]), "ordinal")["mae"] == 1.5
    one = task_metrics(np.array([0.0, 1.0]), np.array([0.0, 2.0]), "regression")
    assert one["mae"] == 0.5 and one["ccc"] == pytest.approx(concordance(np.array([0.0, 1.0]), np.array([0.0, 2.0])))


@pytest.mark.parametrize("task", TASKS)
def test_no_constant_errs_less_than_the_constant(task):
    truth = TASKS[task]["train"].truth(task)
    outputs = label_shape(TASKS[task], task)["outputs"]
    constant = constant_prediction(truth, task, outputs)

    def error(answer):
        return task_error(np.broadcast_to(answer, (len(truth), *answer.shape)).astype(np.float32), truth, task)

    rng = np.random.default_rng(0)
    others = [constant + 0.3 * rng.standard_normal(constant.shape) for _ in range(20)]
    assert all(error(constant) < error(other.astype(np.float32)) for other in others)


def test_toy_tasks_ask_for_what_is_hidden():
    labels = TASKS["regression"]["train"].labels
    assert np.abs(labels).max() <= 3 and np.array_equal(labels[:, 0], WORLD.splits["train"].labels)
    assert abs(np.corrcoef(labels[:, 1], WORLD.truth["train"]["speaking_rate"])[0, 1]) > 0.5
    levels = TASKS["ordinal"]["train"]
    assert set(levels.classes) == {0, 1, 2, 3} and np.all(np.diff(levels.classes[np.argsort(levels.labels)]) >= 0)
    assert label_shape(TASKS["classification"], "classification")["outputs"] == len(WORLD.topics)


def config_for(splits, task):
    return DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1).replace(
        **feature_shapes(splits), **label_shape(splits, task)
    )


@pytest.mark.parametrize("task", TASKS)
def test_a_run_of_each_task_is_whole(task, tmp_path):
    splits = TASKS[task]
    model = build("dmd", config_for(splits, task))
    result = train(model, splits, tmp_path / "run", epochs=1, progress=False)
    rows = pd.read_csv(tmp_path / "run" / "predictions.csv").query("split == 'test'")
    written = lambda stem: rows.filter(regex=rf"^{stem}(_\d+)?$").to_numpy().squeeze()
    np.testing.assert_allclose(written("label"), splits["test"].truth(task), rtol=1e-6)
    said = predict_logits(model, splits["test"])
    if task == "regression":
        np.testing.assert_allclose(written("prediction"), said, rtol=1e-5, atol=1e-6)
    else:
        chances = rows.filter(regex="^probability ").to_numpy()
        np.testing.assert_allclose(chances.sum(axis=1), 1)
        assert chances.shape[1] == model.config.outputs and chances.min() >= 0
    if task == "classification":
        np.testing.assert_allclose(chances, np.exp(said) / np.exp(said).sum(axis=1, keepdims=True), rtol=1e-5)
    assert evaluate(tmp_path / "run", splits)["test"] == result.metrics["test"]
    assert result.metrics["test"] == task_metrics(said, splits["test"].truth(task), task)
    assert all((tmp_path / "run" / name).is_file() for name in ("losses.png", "predictions.png", "edges.png"))


def test_a_topic_is_learned_from_the_words_alone():
    splits = reviewed_topics(toy_world(400))
    config = config_for(splits, "classification").replace(width=16).without_dropout()
    training = TrainingConfig(epochs=25, learning_rate=5e-3, batch_size=16)
    scores = {}
    for modality in ("language", "vision"):
        model = build(modality, config)
        plain_loop(model, splits, training)
        scores[modality] = task_metrics(predict_logits(model, splits["test"]), splits["test"].classes, "classification")
    assert scores["language"]["accuracy"] > 0.9 and scores["vision"]["accuracy"] < 0.3


def test_mmsa_files_keep_several_numbers(tmp_path):
    write_mmsa(TASKS["regression"], tmp_path / "two.pkl")
    splits = load_features(tmp_path / "two.pkl")
    assert np.array_equal(splits["test"].labels, TASKS["regression"]["test"].labels)
    kind = {"label_scale": "other", "class_names": []}
    assert label_shape(splits) == {"task": "regression", "outputs": 2} | kind


def test_the_command_line_takes_a_task(tmp_path, capsys):
    write_mmsa(TASKS["ordinal"], tmp_path / "levels.pkl")
    command = (
        f"train --model language --data {tmp_path / 'levels.pkl'} --task ordinal --epochs 1 --output {tmp_path / 'run'}"
    )
    assert main(command.split()) == 0
    assert "cross-entropy  accuracy  macro F1     MAE" in capsys.readouterr().out
    with open(tmp_path / "run" / "predictions.csv") as file:
        levels = [f"probability {level}" for level in range(4)]
        assert next(csv.reader(file)) == ["split", "id", "label", "prediction", *levels]
    assert main([*command.split()[:-1], str(tmp_path / "other"), "--task", "guess"]) == 2
    assert "--task must be one of" in capsys.readouterr().err


def test_mistakes_are_one_sentence():
    one = config_for(WORLD.splits, "regression")
    with pytest.raises(DataError, match="has 2 numbers as a label, the model was made for 1"):
        check_fits(TASKS["regression"], one)
    with pytest.raises(DataError, match="has the class 3, the model was made for classes 0 to 2"):
        check_fits(TASKS["ordinal"], one.replace(task="ordinal", outputs=3))
    without = {name: replace(split, classes=None) for name, split in WORLD.splits.items()}
    with pytest.raises(DataError, match="has no classes"):
        check_trainable(without, "classification")
    with pytest.raises(ValueError, match="outputs must be at least 2 for ordinal, got 1"):
        one.replace(task="ordinal")


def test_cross_entropy_is_the_task_loss():
    logits, classes = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32), np.array([0, 1, 2, 1, 0])
    expected = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(classes)).item()
    assert task_error(logits, classes, "classification") == pytest.approx(expected)
