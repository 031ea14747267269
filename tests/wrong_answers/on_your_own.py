"""For each check wrong answers that it has to see through; one file for each notebook, by its name."""

import numpy as np
import torch
from scipy.stats import norm
from scipy.stats import t as student_t


def lessons(
    scores, logits, present, hold=(True, False), loops=True, fill=True, finite=True, root=False, axis="clip", over="all"
):
    """A right one; each keyword makes one mistake. hold: is the teacher detached, is the student?"""
    n = present.shape[1]
    edge = present[:, :, None] & present[:, None, :]
    edge = edge & ~torch.eye(n, dtype=torch.bool) if loops else edge
    logits = logits.masked_fill(~present, 0.0) if fill else logits
    teacher, student = (x.detach() if held else x for x, held in zip((logits, logits), hold))
    epsilon = student[:, None, :] - teacher[:, :, None]
    epsilon = epsilon.square().sqrt() if root else epsilon.abs()  # a root has no gradient at 0
    masked = scores.masked_fill(~edge, -torch.inf if axis != "exp" else -1e9)
    if axis == "clip":
        weights = masked.flatten(1).softmax(dim=1).view_as(masked)
    elif axis == "batch":
        weights = masked.flatten().softmax(dim=0).view_as(masked) * len(scores)
    elif axis == "exp":
        powers = masked.exp()
        weights = powers / powers.sum(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    weights = torch.nan_to_num(weights) if finite else weights
    lessons = (weights * epsilon).sum(dim=(1, 2))
    if over == "taught":
        return lessons.sum() / (present.sum(dim=1) >= 2).sum().clamp_min(1)
    return lessons.sum() if over == "sum" else lessons.mean()


def of_four(scores, logits, present):
    pad = 4 - present.shape[1]
    return lessons(scores[:, :4, :4], logits[:, :4], present[:, :4]) if pad <= 0 else lessons(scores, logits, present)


def of_the_first_clip(scores, logits, present):
    there = present[0].nonzero().flatten()
    part = scores[:, there][:, :, there], logits[:, there], present[:, there]
    return lessons(*part)


def selected(scores, logits, present, detach_edges=False):
    scores = scores.detach() if detach_edges else scores
    total = 0 * torch.nan_to_num(scores).sum()
    for s, x, there in zip(scores, logits, present):
        s, x = s[there][:, there], x[there]
        pairs = ~torch.eye(len(x), dtype=torch.bool)
        if pairs.any():
            total = total + (s[pairs].softmax(dim=0) * (x[None, :] - x[:, None].detach()).abs()[pairs]).sum()
    return total / len(present)


def compared(runs, baseline, variant, control, by="valid", tie=0, keep=None, pairs="seed", q=None, ddof=1, sign=1):
    """A right one; each keyword makes one mistake."""
    best = {}
    for row in sorted(runs, key=lambda row: row["epoch"] * (-1 if tie else 1)):
        run = row["model"], row["seed"]
        better = by == "last" or run not in best or row[by] < best[run][by]
        best = best | {run: row} if better else best
    models = baseline, variant, control
    needed = models[:2] if keep == "two" else models
    seeds = [s for s in dict.fromkeys(row["seed"] for row in runs) if all((m, s) in best for m in needed)]
    tests = {m: [best[m, s]["test"] for s in seeds if (m, s) in best] for m in models}
    if pairs == "order":
        tests = {m: [row["test"] for (model, _), row in best.items() if model == m] for m in models}
        tests = {m: x[: min(map(len, tests.values()))] for m, x in tests.items()}
    base, ours, same = map(np.array, tests.values())
    d, n = sign * (ours - base), len(base)
    spread = d.std(ddof=ddof) / n**0.5
    if pairs == "none":
        spread = np.sqrt((base.var(ddof=1) + ours.var(ddof=1)) / n)
    half = (student_t.ppf(0.975, n - 1) if q is None else q) * spread if n > 1 else np.inf
    moved = same - base[: len(same)]
    low, high = d.mean() - half, d.mean() + half
    return {"seeds": n, "difference": d.mean(), "low": low, "high": high, "control": np.abs(moved).max()}


def changed(**values):
    return lambda *x: (found := compared(*x)) | {key: value(found) for key, value in values.items()}


WRONG = {
    "lesson_loss": [
        lambda *x: lessons(*x, hold=(False, False)),
        lambda *x: lessons(*x, hold=(False, True)),
        lambda *x: lessons(*x, finite=False),
        lambda *x: lessons(*x, root=True),
        lambda *x: lessons(*x, fill=False),
        lambda *x: lessons(*x, axis="batch"),
        lambda *x: lessons(*x, axis="exp"),
        lambda *x: lessons(*x, over="sum"),
        lambda *x: lessons(*x, over="taught"),
        lambda *x: lessons(*x, loops=False),
        lambda s, x, p: lessons(s, x, torch.ones_like(p)),
        lambda s, x, p: torch.nan_to_num(lessons(s, x, p, finite=False)),
        of_four,
        of_the_first_clip,
        lambda *x: selected(*x, detach_edges=True),
        lambda s, x, p: selected(s, x, p) * len(p) / (p.sum(dim=1) > 0).sum().clamp_min(1),
        lambda s, x, p: selected(s.softmax(dim=1), x, p),
    ],
    "fair_comparison": [
        lambda *x: compared(*x, by="test"),
        lambda *x: compared(*x, by="last"),
        lambda *x: compared(*x, tie=1),
        lambda *x: compared(*x, keep="two"),
        lambda *x: compared(*x, pairs="order"),
        lambda *x: compared(*x, pairs="none"),
        lambda *x: compared(*x, q=1.96),
        lambda *x: compared(*x, q=norm.ppf(0.95)),
        lambda *x: compared(*x, q=student_t.ppf(0.975, 2)),
        lambda *x: compared(*x, ddof=0),
        lambda *x: compared(*x, sign=-1),
        lambda runs, a, b, c: compared(
            runs, *sorted((a, b, c), key=["dmd", "ours", "unchanged", "mult", "again"].index)
        ),
        lambda runs, *models: compared([row for row in runs if row["seed"] < 3], *models),
        changed(control=lambda _: 0.0),
        changed(seeds=lambda found: found["seeds"] - 1),
        lambda *x: {key: round(float(value), 3) for key, value in compared(*x).items()},
        lambda *x: tuple(compared(*x).values()),
    ],
}
