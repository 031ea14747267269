import torch


def zeta(weights, logits, letters="ij,bij->bj", detach="teacher", power=1):
    teacher, student = logits[:, :, None], logits[:, None, :]
    teacher = teacher.detach() if "teacher" in detach else teacher
    student = student.detach() if "student" in detach else student
    return torch.einsum(letters, weights, (student - teacher).abs() ** power)


def mended(logits, labels, has_label, weights, teacher=1, detach="teacher", only_labelled=False, sums=False):
    """teacher: the axis of the differences that belongs to the teacher; 2 is the planted bug."""
    errors = (logits - labels[:, None]).abs()
    task = (errors * has_label).sum(dim=0) / has_label.sum(dim=0).clamp_min(1)
    ends = {1: logits[:, :, None], 2: logits[:, None, :]}
    for axis in ends:
        if detach == "both" or detach == ("teacher" if axis == teacher else "student"):
            ends[axis] = ends[axis].detach()
    distillation = (weights * (ends[2] - ends[1]).abs() * (has_label[:, None, :] if only_labelled else 1)).sum((1, 2))
    return task.sum() + (distillation.sum() if sums else distillation.mean())


WRONG = {
    "distillation_loss": [
        lambda student, teacher: (student - teacher).abs().mean(),  # detach forgotten
        lambda student, teacher: (student.detach() - teacher).abs().mean(),  # the wrong one detached
        lambda student, teacher: (student.detach() - teacher.detach()).abs().mean(),
        lambda student, teacher: (student - teacher.detach()).square().mean(),
        lambda student, teacher: (student - teacher.detach()).mean(),
        lambda student, teacher: (student - teacher.detach()).mean().abs(),
        lambda student, teacher: (student - teacher.detach()).abs().sum(),
        lambda student, teacher: (student - teacher.detach()).abs(),
        lambda student, teacher: (student - teacher.detach()).abs().mean().item(),
    ],
    "taught": [
        lambda weights, logits: zeta(weights.T, logits),  # transposed
        lambda weights, logits: zeta(weights, logits, "ij,bij->bi"),  # what i teaches
        lambda weights, logits: zeta(weights, logits, "ij,bij->b"),
        lambda weights, logits: zeta(weights, logits, "ij,bij->j"),
        lambda weights, logits: zeta(weights, logits) / 2,
        lambda weights, logits: zeta(weights, logits, power=2),
        lambda weights, logits: zeta(weights, logits, detach="nobody"),
        lambda weights, logits: zeta(weights, logits, detach="student"),
        lambda weights, logits: zeta(weights, logits, detach="teacher and student"),
        lambda weights, logits: zeta((weights > 0).float(), logits),
    ],
    "mended_loss": [
        lambda logits, labels, known, weights: mended(logits, labels, known, weights, teacher=2),  # not mended
        lambda logits, labels, known, weights: mended(logits, labels, known, weights, detach="neither"),
        lambda logits, labels, known, weights: mended(logits, labels, known, weights, detach="both"),
        lambda logits, labels, known, weights: mended(logits.detach(), labels, known, weights),
        lambda logits, labels, known, weights: mended(logits, labels, known, weights.T),  # turned twice
        lambda logits, labels, known, weights: mended(logits, labels, known, weights, only_labelled=True),
        lambda logits, labels, known, weights: mended(logits, labels, known, weights, sums=True),
        lambda logits, labels, known, weights: mended(logits, labels, known, 2 * weights),
        lambda logits, labels, known, weights: mended(logits, labels, known, 0 * weights),
        lambda logits, labels, known, weights: mended(logits, labels, known, weights).item(),
    ],
}
