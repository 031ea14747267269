"""PKDOT: its losses by hand, what may influence what, and that its student gains by its teacher."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_models import TINY_BERT, small_batch, small_config, tokens

from dmdlite.components.losses import task_loss, task_loss_where_known
from dmdlite.components.transport import sinkhorn_divergence
from dmdlite.config import MODALITIES, DMDConfig, TrainingConfig
from dmdlite.data.toy import toy_world
from dmdlite.models.pkdot import PKDOT, PKDOTConfig, PKDOTTeacher, pick_anchors, shifted_similarities
from dmdlite.models.registry import build
from dmdlite.training.loop import make_optimizer, plain_loop, predict_logits, seed_everything

NAN = float("nan")


def small_pkdot(**changes) -> PKDOTConfig:
    return PKDOTConfig.of(small_config(), **changes)


def student_and_teacher(seed=0, **changes) -> tuple[PKDOT, PKDOTTeacher]:
    torch.manual_seed(seed)
    teacher = PKDOTTeacher(small_pkdot(**changes))
    return PKDOT(small_pkdot(**changes)).learn_from(teacher), teacher


def test_similarities_and_anchors_by_hand():
    z = torch.tensor([[1.0, 0.0], [2.0, 2.0], [0.0, -3.0]])
    r = 0.5**0.5
    expected = torch.tensor([[1, r, 0], [r, 1, -r], [0, -r, 1]]) + r
    similarities = shifted_similarities(z)
    torch.testing.assert_close(similarities, expected)
    assert pick_anchors(similarities, 2, "highest").tolist() == [[0, 1], [1, 0], [2, 0]]
    assert pick_anchors(similarities, 2, "lowest").tolist() == [[2, 1], [2, 0], [1, 0]]
    assert pick_anchors(similarities, 5, "lowest").shape == (3, 3)  # a batch smaller than k


@pytest.mark.parametrize("choice", ["highest", "lowest"])
def test_losses_are_what_the_output_shows(choice):
    model, teacher = student_and_teacher(anchors=3, anchor_choice=choice, epsilon=0.02)
    batch = small_batch(6)
    out, taught = model.eval()(**batch), teacher.eval()(**batch)
    torch.testing.assert_close(out.taught.fused, taught.fused)
    cosines = torch.cosine_similarity(taught.fused[:, None], taught.fused, dim=-1)
    for i, row in enumerate(cosines - cosines.min()):
        best = sorted(range(6), key=row.tolist().__getitem__, reverse=choice == "highest")[:3]
        assert out.anchors[i].tolist() == best
        torch.testing.assert_close(out.similarities["teacher"][i], row[best])
    own = torch.cosine_similarity(out.fused[:, None], out.fused, dim=-1)
    torch.testing.assert_close(out.similarities["student"], (own - own.min()).gather(1, out.anchors))
    distance = sinkhorn_divergence(*(out.similarities[who].double() for who in ("student", "teacher")), 0.02)
    torch.testing.assert_close(out.losses["transport"].double(), distance, atol=1e-4, rtol=1e-3)
    error = (out.privileged - taught.privileged).square().mean()
    torch.testing.assert_close(out.losses["hallucination"], error)
    assert out.taught.privileged.shape == out.privileged.shape == (6, model.config.width)


def test_a_student_like_its_teacher_has_nothing_to_learn():
    z = torch.randn(7, 4)
    rows = shifted_similarities(z).gather(1, pick_anchors(shifted_similarities(z), 3, "lowest"))
    same = shifted_similarities(5 * z @ torch.linalg.qr(torch.randn(4, 4)).Q)  # turned and scaled
    distance = sinkhorn_divergence(same.gather(1, pick_anchors(same, 3, "lowest")), rows, 0.01)
    torch.testing.assert_close(distance, torch.tensor(0.0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("privileged", MODALITIES)
def test_a_prediction_does_not_look_at_the_privileged_stream(privileged):
    model, _ = student_and_teacher(privileged=privileged)
    batch = small_batch()
    labels = batch.pop("labels")
    expected = model.eval()(**batch).prediction
    for stream in (torch.full_like(batch[privileged], NAN), torch.randn(4, 2, 3), None):
        assert torch.equal(model(**batch | {privileged: stream}).prediction, expected)
    garbage = batch | {privileged: torch.randn_like(batch[privileged])}
    assert torch.equal(model(**garbage, labels=labels).prediction, expected)
    assert not torch.equal(model(**garbage, labels=labels).loss, model(**batch, labels=labels).loss)
    for m in model.config.prevalent:
        assert not torch.allclose(model(**batch | {m: torch.randn_like(batch[m])}).prediction, expected)
    with pytest.raises(ValueError, match=f"the losses need {privileged}, which is privileged"):
        model(**batch | {privileged: None}, labels=labels)


def test_without_teacher_the_privileged_stream_is_never_needed():
    model = build("pkdot_without_teacher", small_config())
    batch = small_batch()
    expected = model(**batch)
    assert expected.losses.keys() == {"task_final"}
    torch.testing.assert_close(model(**batch | {"audio": None}).loss, expected.loss)


def test_both_students_start_from_the_same_weights():
    with_teacher, without = (
        (seed_everything(3), build(name, small_config()))[1] for name in ("pkdot", "pkdot_without_teacher")
    )
    assert with_teacher.state_dict().keys() == without.state_dict().keys()
    for name, weight in with_teacher.state_dict().items():
        assert torch.equal(weight, without.state_dict()[name])
    assert with_teacher.config.loss_weights != without.config.loss_weights


def test_the_teacher_is_frozen_and_saved(tmp_path):
    model, teacher = student_and_teacher()
    assert all(torch.equal(weight, model.teacher.state_dict()[name]) for name, weight in teacher.state_dict().items())
    model.save_pretrained(tmp_path)
    again = PKDOT.from_pretrained(tmp_path)
    for student in (model, again):
        before = {name: weight.clone() for name, weight in student.teacher.state_dict().items()}
        student.train()
        assert not any(module.training for module in student.teacher.modules()) and student.read.training
        optimizer = make_optimizer(student, TrainingConfig())
        student(**small_batch()).loss.backward()
        optimizer.step()
        assert all(p.grad is None and not p.requires_grad for p in student.teacher.parameters())
        assert all(p.grad is not None for name, p in student.named_parameters() if not name.startswith("teacher."))
        assert all(torch.equal(weight, student.teacher.state_dict()[name]) for name, weight in before.items())
    assert all(torch.equal(weight, again.teacher.state_dict()[name]) for name, weight in teacher.state_dict().items())


def test_teachers_that_do_not_fit():
    with pytest.raises(ValueError, match="trained with audio as the privileged modality, the student with vision"):
        PKDOT(small_pkdot(privileged="vision")).learn_from(PKDOTTeacher(small_pkdot()))
    with pytest.raises(ValueError, match="the teacher was made for another shape"):
        PKDOT(small_pkdot()).learn_from(PKDOTTeacher(small_pkdot(width=16)))
    with pytest.raises(ValueError, match="epsilon must be positive"):
        small_pkdot(epsilon=0.0)


def test_parameters_in_use_are_those_that_a_prediction_needs():
    model, _ = student_and_teacher()
    model(**{m: small_batch()[m] for m in model.config.prevalent}).prediction.sum().backward()
    assert model.parameters_in_use == sum(p.numel() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_smaller_than_k(size):
    model, _ = student_and_teacher(anchors=30)
    out = model(**small_batch(size))
    out.loss.backward()
    assert out.anchors.shape == (size, size) and out.loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("task", "prediction", "labels"),
    [
        ("regression", torch.randn(4), torch.tensor([1.0, NAN, -2.0, NAN])),
        ("regression", torch.randn(4, 2), torch.tensor([[1.0, 0.0], [NAN, 1.0], [-2.0, 0.5], [NAN, NAN]])),
        ("classification", torch.randn(4, 3), torch.tensor([2.0, NAN, 0.0, NAN])),
        ("ordinal", torch.randn(4, 2), torch.tensor([2.0, NAN, 0.0, NAN])),
    ],
)
def test_clips_without_a_label_have_no_task_loss(task, prediction, labels):
    prediction.requires_grad_()
    loss = task_loss_where_known(prediction, labels, task)
    known = labels[::2] if task == "regression" else labels[::2].long()
    torch.testing.assert_close(loss, task_loss(prediction[::2], known, task))
    (gradient,) = torch.autograd.grad(loss, prediction)
    assert (gradient[::2] != 0).any() and (gradient[1::2] == 0).all()
    nothing = task_loss_where_known(prediction, torch.full_like(labels, NAN), task)
    assert nothing == 0 and (torch.autograd.grad(nothing, prediction)[0] == 0).all()


def test_clips_without_a_label_still_teach_the_rest():
    model, _ = student_and_teacher()
    out = model(**small_batch() | {"labels": torch.full((4,), NAN)})
    out.loss.backward()
    assert out.losses["task_final"] == 0 and out.losses["transport"] > 0 and out.losses["hallucination"] > 0
    assert model.temporal["language"].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("privileged", ["language", "vision"])
def test_with_a_language_model(privileged, tmp_path):
    """The student has an encoder of its own, unless language is what it does not get."""
    config = small_pkdot(privileged=privileged, language_model=TINY_BERT)
    model, batch = PKDOT(config).eval(), small_batch() | {"language": tokens()}
    assert (model.read.language_encoder is None) == (privileged == "language")
    assert model(**batch).loss.isfinite()
    model.save_pretrained(tmp_path)
    assert torch.equal(PKDOT.from_pretrained(tmp_path)(**batch).prediction, model(**batch).prediction)


def test_the_student_gains_by_its_teacher(without_shape_checks):
    """60 of 420 clips have labels, all have recordings, and the face, which tells most, will be missing in use."""
    world = toy_world(700, strongest="vision")
    config = DMDConfig.toy(layers=1, minimum_memory_layers=1)
    train, labelled = world.splits["train"], np.random.default_rng(0).permutation(420)[:60]
    some_labels = np.full_like(train.labels, NAN)
    some_labels[labelled] = train.labels[labelled]
    few, many = train.subset(labelled), replace(train, labels=some_labels)

    def fit(name, clips, seed, teacher=None, epochs=12, batch_size=32, **changes):
        seed_everything(seed)
        model = build(name, config, privileged="vision", **changes)
        if teacher is not None:
            model.learn_from(teacher)
        steps = dict(epochs=epochs, batch_size=batch_size, early_stopping_patience=epochs)
        plain_loop(model, world.splits | {"train": clips}, TrainingConfig(seed=seed, learning_rate=8e-3, **steps))
        return model

    def test_error(model):
        return float(np.abs(predict_logits(model, world.splits["test"]) - world.splits["test"].labels).mean())

    teacher = fit("pkdot_teacher", few, 0, epochs=25, batch_size=8)
    seeds = range(5)
    alone = np.array([test_error(fit("pkdot_without_teacher", many, seed)) for seed in seeds])
    weights = dict(
        loss_weights=dict(hallucination=30.0)
    )  # most clips have no label: T-Net's lesson carries the training
    taught = np.array([test_error(fit("pkdot", many, seed, teacher, **weights)) for seed in seeds])
    gains = alone - taught
    assert (gains > 0).all() and gains.mean() > max(0.1, 3 * gains.std(ddof=1) / 5**0.5), gains
