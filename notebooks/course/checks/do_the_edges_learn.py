"""Notebook 11."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _graph(dice: Dice) -> tuple:
    return (dice.edges(),)


def _main_teacher(edges: torch.Tensor) -> int:
    leaving = [sum(row) for row in edges.tolist()]
    return leaving.index(max(leaving))


def _two_graphs(dice: Dice) -> tuple:
    return tuple(edges / edges.sum() for edges in (dice.edges(), dice.edges()))


def _distance(shares: torch.Tensor, prior: torch.Tensor) -> float:
    """What has to arrive somewhere is as much as has to leave elsewhere."""
    return float((shares - prior).clamp_min(0).double().sum())


def _scores(dice: Dice) -> tuple:
    return (dice.tensor(3, 3, scale=2.0),)


def _edges_with_nobody(scores: torch.Tensor) -> torch.Tensor:
    teachers = scores.exp() * (1 - torch.eye(3))
    return teachers / (1 + teachers.sum(dim=0))


@exercise("11.1", returns="whole", draw=_graph, right=_main_teacher)
def main_teacher(answer: Callable) -> None:
    """answer(edges) -> 0, 1 or 2: the modality whose outgoing edges, row by row, weigh most."""
    columns = torch.tensor([[0.0, 0.05, 0.1], [0.25, 0.0, 0.2], [0.35, 0.05, 0.0]])
    single = torch.tensor([[0.0, 0.36, 0.04], [0.25, 0.0, 0.25], [0.05, 0.05, 0.0]])
    got = answer(columns.clone())
    expect(np.asarray(got).size == 1, f"return one number, the index of the teacher; got {got!r}")
    expect(float(got) == int(got), f"return the index of the teacher, 0, 1 or 2, not its weight; got {float(got)}")
    expect(int(got) in range(3), f"{int(got)} is a place among the nine edges; return a modality, 0, 1 or 2")
    expect(int(got) != 0, "language is taught most: its column is the heaviest. The teacher is a row")
    expect(int(got) != 2, "audio has the widest arrow, but vision's two together weigh more: 0.45 against 0.40")
    expect(int(got) == 1, f"expected 1 (vision), got {int(got)}")
    got = int(answer(single.clone()))
    expect(got == 1, f"expected 1 (vision, 0.25 + 0.25) where language has the widest arrow, 0.36; got {got}")


@exercise("11.2", returns="number", draw=_two_graphs, right=_distance)
def distance(answer: Callable) -> None:
    """answer(shares, prior) -> (): half of the summed absolute differences: how much weight has to move."""
    prior = torch.tensor([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    shares = torch.tensor([[0.0, 0.3, 0.1], [0.2, 0.0, 0.1], [0.3, 0.0, 0.0]])
    got = float(answer(shares.clone(), prior.clone()))
    expect(like(float(answer(prior.clone(), prior.clone())), 0.0), "the distance of a graph from itself has to be 0")
    mean = "take the sum over the edges, not the mean"
    mistakes = {
        "both sum to 1, so the plain differences cancel: take their absolute values": 0.0,
        "what leaves one edge arrives at another and was counted twice: take half": 1.2,
        "these are squares; take absolute values": (shares - prior).square().sum(),
        mean: 1.2 / 9,
    }
    rule_out(got, mistakes)
    rule_out(got, {mean: 1.2 / 6})
    expect(like(got, 0.6), f"expected 0.600: 0.2 leave language → vision and 0.4 language → audio; got {got:.3f}")


@exercise("11.3", returns="tensor", draw=_scores, right=_edges_with_nobody)
def edges_with_nobody(answer: Callable) -> None:
    """answer(scores) -> (3, 3): for each student, a column, a softmax over two teachers and nobody, who scores 0."""
    scores = torch.tensor([[9.0, 2.0, 1.0], [-2.0, 9.0, -1.0], [-1.0, 1.0, 9.0]])
    got = torch.as_tensor(answer(scores.clone()))
    expect(got.shape == (3, 3), f"return a (3, 3) matrix, got shape {tuple(got.shape)}")
    loops = torch.eye(3, dtype=torch.bool)
    expect(got[loops].abs().max() < 1e-6, "no modality teaches itself: in the result the diagonal has to be zero")
    without, with_nobody = scores.masked_fill(loops, -torch.inf), scores.masked_fill(loops, 0.0)
    columns, rows = (with_nobody.softmax(dim=dim).masked_fill(loops, 0.0) for dim in (0, 1))
    six = without.flatten().softmax(dim=0).view(3, 3)
    forced, kept = without.softmax(dim=0), scores.softmax(dim=0).masked_fill(loops, 0.0)
    nine = with_nobody.flatten().softmax(dim=0).view(3, 3).masked_fill(loops, 0.0)
    mistakes = {
        "that is one softmax over the whole matrix; each student, a column, has its own": nine,
        "each student's two edges sum to 1: “nobody”, who scores 0, is missing from the softmax": forced,
        "that is a softmax over the students of each teacher, a row": rows,
        "the diagonal of the scores was left as it is; “nobody” scores 0": kept,
        "that is one softmax over all six edges; each student has its own": six,
    }
    rule_out(got, mistakes, 1e-4)
    expected, found = ([round(x, 3) for x in edges[:, 0].tolist()] for edges in (columns, got))
    expect(like(got, columns, 1e-4), f"expected language's column {expected}, got {found}")


summary = summary_of(__name__)
