"""Notebook 05."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of
from dmdlite.config import MODALITIES


def _pair(dice: Dice) -> tuple:
    clips = dice.whole(2, 6)
    return dice.tensor(clips), dice.tensor(clips)


def _distillation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    return sum(abs(s - t) for s, t in zip(student, teacher.detach(), strict=True)) / len(student)


def _scheme(dice: Dice) -> tuple:
    return dice.edges().detach(), dice.tensor(dice.whole(2, 5), 3)


def _taught(weights: Tensor, logits: Tensor) -> Tensor:
    held = logits.detach()
    columns = [sum(weights[i, j] * abs(logits[:, j] - held[:, i]) for i in range(3) if i != j) for j in range(3)]
    return torch.stack(columns, dim=1)


def _batch(dice: Dice) -> tuple:
    """Some clips; the last modality has labels or not, the others have some."""
    clips = dice.whole(3, 6)
    has_label = torch.tensor([[1.0, float(clip % 2), float(dice.whole(0, 1))] for clip in range(clips)])
    has_label[:, 2] *= dice.whole(0, 1)
    return dice.tensor(clips, 3), dice.tensor(clips), has_label, dice.edges()


def _mended_loss(logits: Tensor, labels: Tensor, has_label: Tensor, weights: Tensor) -> Tensor:
    known = has_label.bool()
    tasks = [abs(logits[known[:, m], m] - labels[known[:, m]]).mean() for m in range(3) if known[:, m].any()]
    return sum(tasks) + _taught(weights, logits).sum() / len(logits)


@exercise("5.1", returns="loss", draw=_pair, right=_distillation_loss, gradient=True)
def distillation_loss(answer: Callable) -> None:
    """answer(student, teacher) -> () the mean of |student − teacher| with the teacher held fixed; both are (batch,)."""
    student = torch.tensor([0.5, -1.0, 2.0, 0.0], requires_grad=True)
    teacher = torch.tensor([1.5, -3.0, 2.5, 0.5], requires_grad=True)
    loss = answer(student, teacher * 1.0)
    expect(isinstance(loss, Tensor) and loss.numel() == 1, "return one number as a tensor: the mean over the clips")
    value = loss.item()
    rule_out(value, {"that is the mean of squared differences; ε takes absolute ones": 1.375})
    expect(value > 1e-5, "differences of opposite sign cancel: take absolute values before the mean")
    rule_out(value, {"that is the sum over the clips; take their mean": 4.0})
    expect(like(value, 1.0), f"expected 1.0 for a small example, got {value:.4f}")
    expect(loss.requires_grad, "no gradient is left, so nothing is learned: detach only the teacher")
    student_gradient, teacher_gradient = torch.autograd.grad(loss, (student, teacher), allow_unused=True)
    expect(
        student_gradient is not None,
        "wrong direction: your loss moves the teacher and holds the student; detach the teacher",
    )
    expect(teacher_gradient is None, "the teacher gets a gradient, so it moves towards its student: detach it")
    right = torch.tensor([-0.25, 0.25, -0.25, -0.25])
    expect(like(student_gradient, right), "the value is right, but the student's gradient is not ±1/4 for each clip")


@exercise("5.2", returns="tensor", draw=_scheme, right=_taught, gradient=True)
def taught(answer: Callable) -> None:
    """answer(weights, logits) -> (batch, 3) ζ_j of Eq. (7) for each clip; weights (3, 3), logits (batch, 3)."""
    weights = torch.tensor([[0.0, 1.0, 2.0], [0.5, 0.0, 4.0], [0.25, 8.0, 0.0]])
    logits = torch.tensor([[2.0, 1.0, -0.5], [-1.0, 0.5, 3.0]], requires_grad=True)
    expected = _zeta(weights, logits.detach())
    zeta = torch.as_tensor(answer(weights, logits))
    expect(
        tuple(zeta.shape) == (2, 3),
        f"the shape should be (batch, 3), here (2, 3), got {tuple(zeta.shape)}: one ζ_j for each clip and each student",
    )
    squares = torch.einsum("ij,bij->bj", weights, (logits[:, None, :] - logits[:, :, None]).square())
    mistakes = {
        "the weights are transposed: ζ_j adds up column j, the arrows that arrive at j, and yours adds up row j": _zeta(
            weights.T, logits.detach()
        ),
        "ζ_j is the sum over the two teachers, not their mean": expected / 2,
        "ζ_j is a sum over teachers, not a mean": expected / 3,
        "those are squared differences; ε takes absolute ones": squares,
    }
    rule_out(zeta, mistakes)
    for b, j in (~torch.isclose(zeta, expected)).nonzero().tolist():
        want, got = expected[b, j].item(), zeta[b, j].item()
        raise AssertionError(
            f"ζ of {MODALITIES[j]} for clip {b} should be {want:.2f} in a small example, got {got:.2f}"
        )
    expect(zeta.requires_grad, "no gradient is left, so nothing is learned: detach only the teachers")
    for j, modality in enumerate(MODALITIES):
        moved = torch.autograd.grad(zeta[:, j].sum(), logits, retain_graph=True)[0].ne(0).any(dim=0)
        teachers = moved.clone()
        teachers[j] = False
        expect(not (teachers.any() and not moved[j]), f"ζ of {modality} moves the teachers instead of the student")
        expect(not teachers.any(), f"ζ of {modality} also moves its teachers: detach their logits")
        expect(moved[j], f"ζ of {modality} does not move {modality}: the student must not be detached")


@exercise("5.3", returns="loss", draw=_batch, right=_mended_loss, gradient=True)
def mended_loss(answer: Callable) -> None:
    """answer(logits, labels, has_label, weights) -> () task loss of labelled clips, and distillation of all clips."""
    logits = torch.tensor([[2.0, 1.0, -0.5], [-1.0, 0.5, 3.0]], requires_grad=True)
    labels, no_arrow, arrow = torch.tensor([2.5, -1.5]), torch.zeros(3, 3), torch.zeros(3, 3)
    has_label, arrow[0, 1] = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), 4.0
    task = answer(logits, labels, has_label, no_arrow)
    expect(like(task, 2.0), f"without an arrow, the task loss of a small example is 2.0; got {task.item():.4f}")
    expect(
        task.requires_grad and torch.autograd.grad(task, logits)[0].any(),
        "the task loss no longer moves anything: detach the teacher, not all the logits",
    )
    taught = answer(logits, labels, has_label, arrow)
    mistakes = {
        "the distillation loss has no effect any more": 2.0,
        "distillation now counts only clips with a label; it needs none": 4.0,
        "the distillation losses of the clips are added up; take their mean": 12.0,
    }
    rule_out(taught, mistakes)
    expect(like(taught, 7.0), f"with language → vision at weight 4, a small example gives 7.0; got {taught.item():.4f}")
    _moves_only_the_student(answer, logits.detach(), labels, arrow)


def _moves_only_the_student(answer: Callable, logits: Tensor, labels: Tensor, arrow: Tensor) -> None:
    """For the arrow language → vision: which outputs have a gradient, if no clip has a label?"""
    logits = logits.clone().requires_grad_()
    loss = answer(logits, labels, torch.zeros(2, 3), arrow)
    expect(loss.requires_grad, "distillation no longer moves anything: only one end of an arrow is detached")
    language, vision, _ = torch.autograd.grad(loss, logits)[0].ne(0).any(dim=0).tolist()
    expect(not (language and vision), "language → vision now moves both ends: the teacher must stay detached")
    expect(
        not language,
        "the value is right, as it was before, but language → vision still moves language, the teacher: which axis of"
        " `weights` is the teacher's? (An arrow turned twice points where it did.)",
    )
    expect(vision, "language → vision no longer moves vision, its student")


def _zeta(weights: Float[Tensor, "3 3"], logits: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
    """Computed with loops, unlike any answer."""
    zeta = torch.zeros_like(logits)
    for b in range(len(logits)):
        for j in range(3):
            zeta[b, j] = sum(weights[i, j] * abs(logits[b, j] - logits[b, i]) for i in range(3) if i != j)
    return zeta


summary = summary_of(__name__)
