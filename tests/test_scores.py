"""Scores by task and scale, several labels, class weights, what selects the best epoch, scale and lack of streams."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from course.toy_tasks import sentiment_levels
from dmdlite.components.losses import decide, task_loss, task_loss_where_known
from dmdlite.config import DMDConfig, ModelConfig, TrainingConfig
from dmdlite.data.features import DataError, feature_shapes, label_shape
from dmdlite.data.fitting import class_weights
from dmdlite.data.toy import toy_world
from dmdlite.models.base import Line
from dmdlite.models.registry import NAMES, RECIPES, build
from dmdlite.training.checkpoints import newest
from dmdlite.training.linear import linear_baseline, time_means
from dmdlite.training.loop import epochs_without_progress, plain_loop, predict_logits, seed_everything, training_batch
from dmdlite.training.metrics import class_scores, constant_prediction, score, table_scores, task_error, task_metrics
from dmdlite.training.runs import evaluate, load_model
from dmdlite.training.systems import train_system
from dmdlite.training.teachers import warn_of_poor_teachers
from dmdlite.training.trainer import train

WORLD = toy_world(120).splits
LEVELS = sentiment_levels(WORLD, 3)
NAN = float("nan")


def with_labels(splits, change):
    return {name: change(split) for name, split in splits.items()}


EMOTIONS = with_labels(
    WORLD, lambda x: replace(x, labels=np.stack([x.labels > 0, x.labels < 1, x.labels > 1.5], 1) * 1.0)
)
EMOTIONS = with_labels(EMOTIONS, lambda x: replace(x, labels=x.labels.astype(np.float32), classes=None))


def small(splits, task="regression", **changes):
    config = DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)
    return config.replace(**feature_shapes(splits), **label_shape(splits, task)).replace(**changes)


def fresh(name, config, seed=0):
    seed_everything(seed)
    return build(name, config)


def sims_numbers():
    r = np.random.default_rng(0)
    y = np.round(r.uniform(-1, 1, 500) * 5) / 5
    return np.clip(y + r.normal(0, 0.25, 500), -1, 1), y


def test_ch_sims_has_its_own_scores():
    """The cuts are MMSA's."""
    p, y = sims_numbers()
    found = task_metrics(3 * p, y, "regression", "sims")
    assert found == task_metrics(np.clip(3 * p, -1, 1), y, "regression", "sims"), "predictions are clipped first"
    found = task_metrics(p, y, "regression", "sims")
    assert list(found) == ["mae", "corr", "ccc", "acc2", "f1", "acc3", "acc5"]
    for name, cuts in {"acc2": [0], "acc3": [-0.1, 0.1], "acc5": [-0.7, -0.1, 0.1, 0.7]}.items():
        same = np.digitize(p, cuts, right=True) == np.digitize(y, cuts, right=True)
        assert found[name] == pytest.approx(same.mean())
    assert found["f1"] == pytest.approx(f1_score(y > 0, p > 0, average="weighted"))
    zeros = task_metrics(np.array([0.0, 0.5]), np.array([-0.5, 0.5]), "regression", "sims")
    assert zeros["acc2"] == 1, "0 is negative"
    edges = np.array([-0.7, -0.1, 0.1, 0.7], np.float32)  # each belongs to the class below it, in single precision too
    assert task_metrics(edges, edges - np.float32(0.05), "regression", "sims")["acc5"] == 1


def test_no_score_that_means_nothing():
    p, y = np.array([100.0, 110.0, 95.0]), np.array([90.0, 120.0, 99.0])
    assert list(task_metrics(p, y, "regression", "other")) == ["mae", "corr", "ccc"]
    for scale in ("mosi", "sims", "other"):
        assert set(table_scores("regression", 1, scale)) <= set(task_metrics(p, y, "regression", scale))


def test_several_labels_by_hand():
    logits = torch.tensor([[2.0, -1.0], [1.0, -3.0], [-1.0, -0.5], [-2.0, 4.0]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert decide(logits, "multilabel").tolist() == [[1, 0], [1, 0], [0, 0], [0, 1]]
    loss = F.binary_cross_entropy_with_logits(logits, labels)
    assert task_loss(logits, labels, "multilabel") == task_loss(logits, labels.long(), "multilabel") == loss
    found = task_metrics(logits.numpy(), labels.numpy(), "multilabel", class_names=["happy", "sad"])
    assert found["weighted_accuracy_happy"] == pytest.approx((1 * 3 / 1 + 2) / (2 * 3))  # (TP · N/P + TN) / 2N
    assert found["weighted_accuracy_sad"] == pytest.approx(balanced_accuracy_score([0, 0, 1, 1], [0, 0, 0, 1]))
    assert found["f1_sad"] == pytest.approx(f1_score([0, 0, 1, 1], [0, 0, 0, 1], average="weighted"))
    assert found["f1"] == pytest.approx((found["f1_happy"] + found["f1_sad"]) / 2)
    assert found["cross_entropy"] == pytest.approx(loss.item()) and len(found) == 7
    assert "f1_2" in task_metrics(logits.numpy(), labels.numpy(), "multilabel")
    one = task_loss(logits[:, 0], labels[:, :1], "multilabel")  # a single label has no axis
    assert one == task_loss(logits[:, 0], labels[:, 0], "multilabel")
    assert task_metrics(logits[:, 0].numpy(), labels[:, :1].numpy(), "multilabel")["weighted_accuracy_1"] > 0.8
    never = task_metrics(logits[:1].numpy(), np.zeros((1, 2), np.float32), "multilabel")
    assert never["weighted_accuracy_1"] == 0 and never["weighted_accuracy_2"] == 1


def test_no_constant_errs_less_than_the_constant_of_several_labels():
    truth = EMOTIONS["train"].truth("multilabel")
    constant = constant_prediction(truth, "multilabel", 3)
    error = lambda x: task_error(np.broadcast_to(x, truth.shape).astype(np.float32), truth, "multilabel")
    assert all(
        error(constant) < error(constant + shift) for shift in 0.3 * np.random.default_rng(0).normal(size=(9, 3))
    )


def test_clips_without_a_label_count_nowhere():
    prediction, truth = np.arange(5.0), np.array([0.5, NAN, 2.5, NAN, 3.0])
    assert task_metrics(prediction, truth, "regression") == task_metrics(prediction[::2], truth[::2], "regression")
    assert task_error(prediction, truth, "regression") == pytest.approx(2 / 3)
    assert constant_prediction(truth, "regression", 1) == 2.5
    half = replace(WORLD["train"], labels=np.where(np.arange(len(WORLD["train"])) % 2, NAN, WORLD["train"].labels))
    known = WORLD | {"train": WORLD["train"].subset(slice(None, None, 2))}
    ours, theirs = (linear_baseline(splits, small(WORLD)) for splits in (WORLD | {"train": half}, known))
    assert ours[0]["train"]["mae"] < 1 and abs(ours[0]["test"]["mae"] - theirs[0]["test"]["mae"]) < 0.1


def test_unlabelled_clips_are_refused_unless_the_model_learns_from_them(tmp_path):
    labels = WORLD["train"].labels.copy()
    labels[:40] = NAN
    splits = WORLD | {"train": replace(WORLD["train"], labels=labels)}
    for name in ("dmd", "language"):
        with pytest.raises(DataError, match="40 of 72 labels are NaN"):
            plain_loop(fresh(name, small(splits)), splits, TrainingConfig(epochs=1))
        with pytest.raises(DataError, match="40 of 72 labels are NaN"):
            train(fresh(name, small(splits)), splits, tmp_path / "no", epochs=1, progress=False)
    assert not (tmp_path / "no").exists()
    result = train(fresh("pkdot", small(splits)), splits, tmp_path / "run", epochs=1, progress=False)
    assert np.isfinite(result.metrics["train"]["mae"]) and np.isfinite(result.epochs[0]["losses"]["total"])


@pytest.mark.parametrize(("task", "shape"), [("classification", (4, 3)), ("ordinal", (4, 2))])
def test_classes_are_whole_numbers(task, shape):
    with pytest.raises(ValueError, match="must be whole numbers"):
        task_loss(torch.zeros(shape), torch.tensor([0.0, 0.5, 1.0, 2.0]), task)
    loss = task_loss_where_known(torch.zeros(shape), torch.tensor([0.0, NAN, 1.0, 2.0]), task)
    assert loss == task_loss(torch.zeros(3, shape[1]), torch.tensor([0, 1, 2]), task)


def test_weights_multiply_the_loss_of_their_class():
    logits, labels, weights = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0]), [0.5, 1.0, 4.0]
    each = torch.stack([task_loss(x[None], y[None], "classification") for x, y in zip(logits, labels)])
    expected = (each * torch.tensor(weights)[labels]).mean()
    torch.testing.assert_close(task_loss(logits, labels, "classification", weights), expected)
    assert task_loss(logits[:, :2], labels, "ordinal", [2.0] * 3) == 2 * task_loss(logits[:, :2], labels, "ordinal")
    several = torch.tensor([[1.0, 0.0, 0.0]] * 6)
    held = F.binary_cross_entropy_with_logits(logits, several, pos_weight=torch.tensor(weights))
    assert task_loss(logits, several, "multilabel", weights) == held


@pytest.mark.parametrize("name", NAMES)
def test_weights_reach_the_task_loss_of_every_system(name):
    batch, losses = LEVELS["train"].batch(range(6), task="classification"), []
    for weights in ([], [3.0] * 3):
        model = fresh(name, small(LEVELS, "classification", class_weights=weights)).eval()
        found = model(**batch).losses
        losses.append(torch.stack([x for term, x in found.items() if term.startswith("task_")]))
    torch.testing.assert_close(3 * losses[0], losses[1])


def test_balanced_weights():
    few = replace(WORLD["train"].subset(slice(0, 4)), classes=np.array([0, 0, 0, 2]))
    assert class_weights(few, 3) == pytest.approx([4 / 9, 4 / 3, 4 / 3])  # a class that is not there has one clip
    held = replace(few, classes=np.array([[1, 0], [1, 1], [1, 0], [0, 0]]))
    assert class_weights(held, 2) == pytest.approx([1 / 3, 3])
    for message, change in (("for tasks with classes", {}), ("2 entries", dict(task="classification", outputs=3))):
        with pytest.raises(ValueError, match=message):
            ModelConfig(class_weights=[1.0, 2.0], **change)


def test_a_rare_class_is_found_more_often_with_weights(without_shape_checks):
    rare = lambda x: replace(x, classes=(x.labels > 1.4).astype(np.int64), labels=np.full(len(x), NAN, np.float32))
    splits, recall = with_labels(toy_world(300).splits, rare), []
    for weights in ([], class_weights(splits["train"], 2)):
        config = small(splits, "classification", class_weights=weights).without_dropout()
        model = fresh("vision", config)
        plain_loop(model, splits, TrainingConfig(epochs=8, learning_rate=5e-3, batch_size=16))
        answers = decide(torch.from_numpy(predict_logits(model, splits["test"])), "classification")
        recall.append(recall_score(splits["test"].classes, answers))
    assert splits["train"].classes.mean() < 0.25 and recall[1] > recall[0] + 0.2


@pytest.mark.parametrize("select_by", ["macro_f1", "accuracy", "mae", "cross_entropy"])
def test_any_score_can_select_the_best_epoch(select_by, tmp_path):
    config, training = small(LEVELS, "ordinal"), TrainingConfig(epochs=4, select_by=select_by, learning_rate=1e-2)
    result = train(fresh("vision", config), LEVELS, tmp_path / "run", training, progress=False)
    values = [record["valid_scores"][select_by] for record in result.epochs]
    best = min(values) if select_by in ("mae", "cross_entropy") else max(values)
    assert result.metrics["best_epoch"] == values.index(best) + 1
    assert result.metrics["valid"][select_by] == pytest.approx(best)
    assert all(record["valid_error"] == record["valid_scores"]["cross_entropy"] for record in result.epochs)
    assert json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[0])["valid_scores"].keys() == {
        "accuracy", "macro_f1", "mae", "cross_entropy"
    }  # fmt: skip
    records = plain_loop(fresh("vision", config), LEVELS, training)
    assert [x["valid_scores"][select_by] for x in records] == pytest.approx(values, rel=1e-4)
    assert len(records) - epochs_without_progress(records, select_by) == result.metrics["best_epoch"]


def test_patience_follows_the_score():
    """The error falls all the time, but the score never again reaches that of the first epoch."""
    records = [{"valid_error": 1 / n, "valid_scores": {"corr": -0.5 - n / 10}} for n in range(1, 5)]
    assert epochs_without_progress(records) == 0 and epochs_without_progress(records, "corr") == 3


def test_an_unknown_score_is_refused_before_training(tmp_path):
    with pytest.raises(ValueError, match="one of error, accuracy, macro_f1, cross_entropy, mae, got 'acc7'"):
        train(fresh("dmd", small(LEVELS, "ordinal")), LEVELS, tmp_path / "run", select_by="acc7", progress=False)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="acc7"):
        plain_loop(fresh("dmd", small(LEVELS, "ordinal")), LEVELS, TrainingConfig(select_by="acc7"))


def test_a_run_tells_of_single_classes_and_of_a_line(tmp_path):
    config = small(LEVELS, "classification", class_names=["bad", "so-so", "good"])
    model = fresh("dmd", config)
    metrics = train(model, LEVELS, tmp_path / "run", epochs=1, progress=False).metrics
    answers = predict_logits(model, LEVELS["test"]).argmax(axis=1)
    truth, found = LEVELS["test"].classes, metrics["classes"]
    assert found["names"] == config.class_names and found["test"]["confusion"] == [
        [int(((truth == i) & (answers == j)).sum()) for j in range(3)] for i in range(3)
    ]
    assert found["test"]["recall"] == recall_score(truth, answers, average=None, labels=range(3)).tolist()
    assert metrics["linear"] == linear_baseline(LEVELS, config)[0]
    assert metrics["linear"]["test"].keys() == metrics["constant"]["test"].keys() == metrics["test"].keys()
    assert class_scores({}, LEVELS, config) == {"names": config.class_names}


def test_the_line_reads_what_the_model_reads(tmp_path):
    metrics = train(fresh("audio", small(WORLD)), WORLD, tmp_path / "run", epochs=1, progress=False).metrics
    assert metrics["linear"] == linear_baseline(WORLD, small(WORLD), ["audio"])[0]
    assert "classes" not in metrics
    assert linear_baseline(with_labels(WORLD, lambda x: replace(x, features={})), small(WORLD)) is None


def test_the_line_minds_padding_in_front_and_absent_modalities():
    clips, steps = WORLD["test"], WORLD["test"].steps["audio"]
    x = np.zeros_like(clips.features["audio"])
    x[:, -3:] = 1.0
    there = np.arange(len(clips)) != 1
    left = replace(clips, features={"audio": x}, lengths={"audio": np.full(len(clips), 3)}, present={"audio": there})
    left = replace(left, starts={"audio": np.full(len(clips), steps - 3)})
    means = time_means(Line(small({"test": left}, modalities=["audio"])), left)
    assert np.array_equal(means, np.ones((len(clips), x.shape[2])) * there[:, None])


def test_the_line_sees_no_difference_in_what_rounding_leaves():
    """Where each clip was standardised by itself, the mean of a feature is 0 but for rounding, and says nothing."""
    half = lambda x: x.features["audio"][:, ::2].repeat(2, axis=1)
    odd = lambda x: np.where(np.arange(x.shape[1])[:, None] % 2, -x, np.float32(1 + 1e-7) * x)
    noisy = with_labels(WORLD, lambda x: replace(x, features=x.features | {"audio": odd(half(x))}, lengths=x.lengths))
    ours, theirs = (
        linear_baseline(splits, small(WORLD), read)
        for splits, read in ((noisy, ["language", "vision", "audio"]), (noisy, ["language", "vision"]))
    )
    assert ours[0]["test"]["mae"] == pytest.approx(theirs[0]["test"]["mae"], abs=1e-6)


@pytest.mark.parametrize("name", ["dmd", "late_fusion", "language"])
def test_a_run_with_several_labels_is_whole(name, tmp_path):
    config = small(EMOTIONS, "multilabel", class_names=["glad", "sad", "keen"])
    model = fresh(name, config)
    result = train(model, EMOTIONS, tmp_path / "run", epochs=1, select_by="weighted_accuracy", progress=False)
    assert all((tmp_path / "run" / picture).is_file() for picture in ("losses.png", "predictions.png"))
    assert {"f1_keen", "weighted_accuracy_glad"} <= result.metrics["test"].keys()
    assert result.metrics["linear"]["train"]["weighted_accuracy"] > 0.6
    assert len(result.metrics["constant"]["prediction"]) == 3
    assert evaluate(tmp_path / "run", EMOTIONS)["test"] == result.metrics["test"]


def test_weak_teachers_are_named():
    noise = lambda x: replace(x, features=x.features | {"audio": 0 * x.features["audio"]})
    splits, published = with_labels(WORLD, noise), small(WORLD)
    model, errors = fresh("dmd", published), fresh("dmd", published.replace(edge_learning="errors"))
    with pytest.warns(UserWarning, match=r"audio \(\d+% of the homogeneous graph\).*edge_learning=\"errors\""):
        warn_of_poor_teachers(model, splits["valid"], False, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_poor_teachers(model, splits["valid"], False, 99.0)
        warn_of_poor_teachers(errors, splits["valid"], False, 0.0)
        warn_of_poor_teachers(fresh("dmd_decoupling_only", published), splits["valid"], False, 0.0)
        warn_of_poor_teachers(fresh("late_fusion", published), splits["valid"], False, 0.0)


def test_a_run_that_has_learned_warns_of_weak_teachers(tmp_path, monkeypatch):
    """The poorly trained heads of one epoch are no better than a constant; only a run that has learned says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(fresh("dmd", small(WORLD)), WORLD, tmp_path / "new", epochs=1, progress=False)
    monkeypatch.setattr("dmdlite.training.runs.LEARNED", 100.0)
    with pytest.warns(UserWarning, match="no better on the validation split than a constant"):
        train(fresh("dmd", small(WORLD)), WORLD, tmp_path / "run", epochs=1, progress=False)


@pytest.mark.parametrize("mask", [False, True])
def test_training_clips_lack_modalities_as_often_as_asked(mask):
    model, training = fresh("dmd", small(WORLD)), TrainingConfig(missing_rate=0.6, padding_mask=mask, seed=3)
    clips, plain = list(range(len(WORLD["train"]))), WORLD["train"].batch(slice(None), mask=mask)
    batch = training_batch(model, WORLD["train"], clips, training, 5)
    gone = torch.stack([(batch[m] == 0).flatten(1).all(dim=1) for m in model.reads], dim=1)
    assert 0.4 < gone.float().mean() < 0.6 and not gone.all(dim=1).any()  # 0.6 − 0.6³/3 = 0.53
    for i, m in enumerate(model.reads):
        kept = ~gone[:, i]
        assert torch.equal(batch[m][kept], plain[m][kept])
        if mask:
            assert not batch["mask"][m][~kept].any() and torch.equal(batch["mask"][m][kept], plain["mask"][m][kept])
    again = training_batch(model, WORLD["train"], [7, 3], training, 5)
    assert all(torch.equal(again[m], batch[m][[7, 3]]) for m in model.reads), "the batch makes no difference"
    other = training_batch(model, WORLD["train"], clips, training, 6)
    assert not torch.equal(other["vision"], batch["vision"])


def test_the_only_modality_of_a_clip_stays():
    present = {m: np.arange(len(WORLD["train"])) < 0 for m in ("language", "vision")}
    model, split = fresh("dmd", small(WORLD)), replace(WORLD["train"], present=present)
    batch = training_batch(model, split, list(range(len(split))), TrainingConfig(missing_rate=0.9), 0)
    assert batch["audio"].flatten(1).any(dim=1).all()


def test_the_tokens_of_a_missing_language_have_no_attention():
    tokens = np.ones((len(WORLD["train"]), 3, 4), np.int64)
    split = replace(WORLD["train"], tokens=tokens)
    bert = dict(model_type="bert", vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    bert |= dict(intermediate_size=8, max_position_embeddings=4)
    config = small(WORLD, language_model=bert, lengths={"language": 4})
    batch = training_batch(fresh("dmd", config), split, list(range(40)), TrainingConfig(missing_rate=0.5), 0)
    attention = batch["language"][:, 1]
    assert 5 < (attention == 0).all(dim=1).sum() < 35 and attention.unique().tolist() == [0, 1]


def test_missing_modalities_are_the_same_in_both_loops_and_after_resuming(tmp_path):
    training = TrainingConfig(epochs=3, missing_rate=0.4, batch_size=10, gradient_accumulation=3, select_by="ccc")
    config = small(WORLD, standardise=True).without_dropout()
    records = plain_loop(fresh("early_fusion", config), WORLD, training)
    whole = train(fresh("early_fusion", config), WORLD, tmp_path / "whole", training, progress=False)
    first = train(fresh("early_fusion", config), WORLD, tmp_path / "parts", training, epochs=1, progress=False)
    parts = train(fresh("early_fusion", config), WORLD, tmp_path / "parts", training, progress=False)
    assert len(first.epochs) == 1 and parts.metrics == whole.metrics and parts.epochs == whole.epochs
    assert newest(tmp_path / "whole/checkpoints") is None
    for ours, theirs in zip(records, whole.epochs, strict=True):
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-4)
        assert ours["valid_scores"] == pytest.approx(theirs["valid_scores"], rel=1e-3)
    without = plain_loop(fresh("early_fusion", config), WORLD, training.replace(missing_rate=0.0))
    assert without[0]["losses"]["total"] != pytest.approx(records[0]["losses"]["total"], rel=1e-3)


@pytest.mark.parametrize("name", ["early_fusion", "misa"])
def test_with_standardise_the_unit_of_a_stream_makes_no_difference(name, tmp_path):
    large = lambda x: replace(x, features=x.features | {"vision": 300 * x.features["vision"]})
    predictions = {}
    for splits in (WORLD, with_labels(WORLD, large)):
        for standardise in (True, False):
            model = fresh(name, small(splits, standardise=standardise))
            plain_loop(model, splits, TrainingConfig(epochs=2))
            predictions.setdefault(standardise, []).append(predict_logits(model, splits["test"]))
    np.testing.assert_allclose(*predictions[True], atol=2e-3)
    assert np.abs(np.subtract(*predictions[False])).max() > 2e-2


def test_a_scale_is_that_of_the_real_steps_and_leaves_padding_alone():
    features = WORLD["train"].features | {"audio": WORLD["train"].features["audio"].copy()}
    features["audio"][..., 0][features["audio"].any(axis=2)] = 7.25  # a constant
    present = {"vision": np.arange(len(WORLD["train"])) > 4}
    split = replace(WORLD["train"], features=features, present=present)
    model = fresh("dmd", small(WORLD, standardise=True).without_dropout())
    model.read.learn_scale(split)
    batch = split.batch(slice(None), mask=True)
    streams = model.read(batch["language"], batch["vision"], batch["audio"], None)
    for m, x in streams.items():
        real = batch["mask"][m]
        assert x[real].mean(dim=0).abs().max() < 1e-5 and not x[~real].any()
        deviation = x[real].std(dim=0, correction=0)
        torch.testing.assert_close(deviation[m == "audio" :], torch.ones(len(deviation))[m == "audio" :])
    assert model.read.scales["audio"].deviation[0] == np.inf and not streams["audio"][..., 0].any()
    assert not model.read.scales["vision"].mean.allclose(fresh("dmd", model.config).read.scales["vision"].mean)
    assert not any("scales" in name for name in fresh("dmd", small(WORLD)).state_dict())


def test_scales_are_kept_with_the_weights(tmp_path):
    config = small(WORLD, standardise=True)

    arguments = RECIPES, WORLD, config, TrainingConfig(epochs=1), lambda name: tmp_path / name
    for name in ("dmd", "pkdot"):
        model, result = train_system(name, *arguments, progress=False)
        loaded = load_model(tmp_path / name)
        assert torch.equal(loaded.read.scales["vision"].mean, model.read.scales["vision"].mean)
        assert evaluate(tmp_path / name, WORLD)["test"] == result.metrics["test"]
        again = train_system(name, *arguments, progress=False)[1]  # the same run: nothing to train
        assert again.metrics == result.metrics
    assert model.teacher.read.scales["vision"].mean.any()
    assert score({"test": predict_logits(loaded, WORLD["test"])}, WORLD, config)["test"] == result.metrics["test"]
