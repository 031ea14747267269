import torch


def zeta(weights, logits, letters="ij,bij->bj", detach="teacher", power=1):
    teacher, student = logits[:, :, None], logits[:, None, :]
    teacher = teacher.detach() if "teacher" in detach else teacher
    student = student.detach() if "student" in detach else student
    return torch.einsum(letters, weights, (student - teacher).abs() ** power)


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
}
