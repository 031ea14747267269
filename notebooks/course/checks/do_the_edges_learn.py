"""Notebook 11."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from course.checks.marking import exercise, expect


@exercise("11.1")
def main_teacher(answer: Callable) -> None:
    """answer(edges) -> 0, 1 or 2: the modality whose outgoing edges, row by row, weigh most."""
    columns = torch.tensor([[0.0, 0.05, 0.1], [0.25, 0.0, 0.2], [0.35, 0.05, 0.0]])
    single = torch.tensor([[0.0, 0.36, 0.04], [0.25, 0.0, 0.25], [0.05, 0.05, 0.0]])
    got = answer(columns.clone())
    expect(np.asarray(got).size == 1, f"one number is asked for, the place of the teacher; got {got!r}")
    expect(
        float(got) == int(got), f"the place of the teacher is asked for, 0, 1 or 2, not its weight; got {float(got)}"
    )
    expect(int(got) != 0, "language is taught most, its column is the heaviest; who teaches is a row")
    expect(int(got) != 2, "audio has the widest arrow, but vision's two together weigh more: 0.45 against 0.40")
    expect(int(got) == 1, f"expected 1 (vision), got {int(got)}")
    got = int(answer(single.clone()))
    expect(got == 1, f"expected 1 (vision, 0.25 + 0.25) where language has the widest arrow, 0.36; got {got}")


@exercise("11.2")
def distance(answer: Callable) -> None:
    """answer(shares, prior) -> (): half of the summed absolute differences, what would have to move; from 0 to 1."""
    prior = torch.tensor([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    shares = torch.tensor([[0.0, 0.3, 0.1], [0.2, 0.0, 0.1], [0.3, 0.0, 0.0]])
    got = float(answer(shares.clone(), prior.clone()))
    expect(abs(float(answer(prior.clone(), prior.clone()))) < 1e-6, "a graph has to lie at distance 0 from itself")
    expect(abs(got) > 1e-6, "both sum to 1, so the plain differences cancel: take their absolute values")
    expect(abs(got - 1.2) > 1e-4, "what leaves one edge arrives at another and was counted twice: take half")
    expect(abs(got - (shares - prior).square().sum().item()) > 1e-4, "these are squares; absolute values are asked for")
    expect(abs(got - 1.2 / 9) > 1e-4 and abs(got - 0.2) > 1e-4, "take the sum over the edges, not the mean")
    expect(
        abs(got - 0.6) < 1e-4, f"expected 0.600: 0.2 leave language → vision and 0.4 language → audio; got {got:.3f}"
    )


@exercise("11.3")
def edges_with_nobody(answer: Callable) -> None:
    """answer(scores) -> (3, 3): for each student, a column, a softmax over two teachers and nobody, who scores 0."""
    scores = torch.tensor([[9.0, 2.0, 1.0], [-2.0, 9.0, -1.0], [-1.0, 1.0, 9.0]])
    got = torch.as_tensor(answer(scores.clone()))
    expect(got.shape == (3, 3), f"a (3, 3) matrix is asked for, got shape {tuple(got.shape)}")
    loops = torch.eye(3, dtype=torch.bool)
    expect(got[loops].abs().max() < 1e-6, "nobody teaches himself: at the end the diagonal has to be zero")
    forced = scores.masked_fill(loops, -torch.inf).softmax(dim=0)
    expect(
        not torch.allclose(got, forced, atol=1e-4), "each student's lessons sum to 1: nobody is missing, who scores 0"
    )
    right = scores.masked_fill(loops, 0.0).softmax(dim=0).masked_fill(loops, 0.0)
    rows = scores.masked_fill(loops, 0.0).softmax(dim=1).masked_fill(loops, 0.0)
    expect(not torch.allclose(got, rows, atol=1e-4), "that is a softmax over the students of each teacher, a row")
    kept = scores.softmax(dim=0).masked_fill(loops, 0.0)
    expect(not torch.allclose(got, kept, atol=1e-4), "the diagonal of the scores was left as it is; nobody scores 0")
    six = scores.masked_fill(loops, -torch.inf).flatten().softmax(dim=0).view(3, 3)
    expect(not torch.allclose(got, six, atol=1e-4), "that is one softmax over all six edges; each student has its own")
    expect(
        torch.allclose(got, right, atol=1e-4),
        f"expected language's column {right[:, 0].tolist()}, got {got[:, 0].tolist()}",
    )
