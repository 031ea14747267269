"""Notebook 17: one public example for each task. What is marked are the hidden tests, which only teachers have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from course.checks.answers import KINDS, describe
from course.checks.marking import exercise, expect, like, summary_of

# One clip, four streams of which the third is missing; all edges score 0, but the first to the second log 2.
LOGITS = torch.tensor([[2.0, 1.0, 9.0, -1.0]])
PRESENT = torch.tensor([[True, True, False, True]])
KEYS = ("seeds", "difference", "low", "high", "control")
ERRORS = {"dmd": (0.60, 0.62, 0.58), "ours": (0.57, 0.60, 0.57), "unchanged": (0.60, 0.62, 0.58)}
COMPARED = {"seeds": 3, "difference": -0.02, "low": -0.0448, "high": 0.0048, "control": 0.0}


def small_log() -> list[dict[str, Any]]:
    """The runs of the worked example: three models, three seeds, two epochs, the second of which is better."""
    return [
        {"model": model, "seed": seed, "epoch": epoch, "valid": round(error + gap, 2), "test": round(error + gap, 2)}
        for model, errors in ERRORS.items()
        for seed, error in enumerate(errors)
        for epoch, gap in ((1, 0.3), (2, 0.0))
    ]


@exercise("17.1", returns="loss", public=True)
def lesson_loss(answer: Callable) -> None:
    """answer(scores, logits, present) -> (): the weighted lessons of a clip, averaged over clips."""
    scores = torch.zeros(1, 4, 4)
    scores[0, 0, 1] = math.log(2)
    got = answer(scores, LOGITS.clone(), PRESENT.clone())
    expect(like(got, 13 / 7, 1e-4), f"the worked example gives 13/7 ≈ 1.857, got {float(got):.3f}")


@exercise("17.2", returns="dict", public=True)
def fair_comparison(answer: Callable) -> None:
    """answer(runs, baseline, variant, control) -> the paired difference, its interval, and what the control says."""
    got = answer(small_log(), "dmd", "ours", "unchanged")
    expect(set(got) == set(KEYS), f"the dict should hold {', '.join(KEYS)} and nothing else")
    for key, value in COMPARED.items():
        expect(KINDS["number"][0](got[key]), f"`{key}` should be one number, not {describe(got[key])}")
        expect(like(got[key], value, 1e-4), f"in the worked example `{key}` is {value:g}, got {float(got[key]):.4g}")


summary = summary_of(__name__)
