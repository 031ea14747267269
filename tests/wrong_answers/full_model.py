import torch


def passed(h, weight, bias, scales):
    gate = torch.sigmoid(h @ weight.T + bias)
    return gate * h if scales else gate


def grouped(losses, weights, group):
    sums = {"task": 0.0, "dec": 0.0, "dtl": 0.0}
    for name, weight in weights.items():
        sums[group(name)] += weight * losses[name]
    return sums


def by_prefix(name):
    return {"task": "task", "gd": "dtl"}.get(name.split("_")[0], "dec")


def divided(sums, total):
    return {name: part / total for name, part in sums.items()}


def every_loss(losses, weights):
    sums = {"task": 0.0, "dec": 0.0, "dtl": 0.0}
    for name, loss in losses.items():
        sums[by_prefix(name)] += weights.get(name, 1.0) * loss
    return divided(sums, sum(sums.values()))


def largest_stage(ours, published, tolerance):
    far = {stage: (ours[stage] - published[stage]).abs().max().item() for stage in published}
    stage = max(far, key=far.get)
    return stage if far[stage] > tolerance else "none"


def first(differs, order=lambda ours, published: published):
    def answer(ours, published, tolerance):
        for stage in order(ours, published):
            if differs(ours[stage] - published[stage], tolerance):
                return stage
        return "none"

    return answer


WRONG = {
    "gain": [
        lambda h, weight, bias, scales: passed(h, weight, bias, not scales).norm(dim=1) / h.norm(dim=1),
        lambda h, weight, bias, scales: passed(h, weight.T, bias, scales).norm(dim=1) / h.norm(dim=1),
        lambda h, weight, bias, scales: passed(h, weight, 0 * bias, scales).norm(dim=1) / h.norm(dim=1),
        lambda h, weight, bias, scales: passed(h, weight, bias, scales).norm(dim=1),
        lambda h, weight, bias, scales: h.norm(dim=1) / passed(h, weight, bias, scales).norm(dim=1),
        lambda h, weight, bias, scales: passed(h, weight, bias, scales).norm() / h.norm(),
        lambda h, weight, bias, scales: passed(h, weight, bias, False).mean(dim=1),
        lambda h, weight, bias, scales: passed(h, weight, bias, True).norm(dim=1) / h.norm(dim=1),
        lambda h, weight, bias, scales: passed(h.detach(), weight, bias, scales).norm(dim=1) / h.norm(dim=1),
    ],
    "shares": [
        lambda losses, weights: grouped(losses, weights, by_prefix),
        lambda losses, weights: divided(grouped(losses, weights, by_prefix), sum(map(float, losses.values()))),
        every_loss,
        lambda losses, weights: divided(grouped(losses, dict.fromkeys(weights, 1.0), by_prefix), 1.0),
        lambda losses, weights: divided(grouped(losses, weights, by_prefix), 0.01),
        lambda losses, weights: {"task": 0.94, "dec": 0.012, "dtl": 0.048},
        lambda losses, weights: dict(zip(("dec", "dtl", "task"), every_loss(losses, weights).values())),
    ],
    "first_difference": [
        largest_stage,
        first(lambda x, tolerance: x.abs().max() > tolerance),
        first(lambda x, tolerance: x.abs().max() >= tolerance),
        first(lambda x, tolerance: not x.max() <= tolerance),
        first(lambda x, tolerance: not x.mean().abs() <= tolerance),
        first(lambda x, tolerance: not x.abs().max() <= tolerance, order=lambda ours, published: ours),
        first(lambda x, tolerance: not x.abs().max() <= 1e-5),
        lambda ours, published, tolerance: "decoupled",
    ],
}
