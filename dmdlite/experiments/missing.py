"""What is left of a model when a modality is missing at test time: its scores for every subset of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from dmdlite.data.features import FeatureSplit
from dmdlite.files import write_json
from dmdlite.models.base import SavedModel
from dmdlite.training.runs import Result, evaluate

FILE = "missing_modalities.json"  # in a run folder, beside metrics.json: {"language+vision": scores, ...}


def subsets_of(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """All but the empty one, the largest first."""
    return [subset for size in range(len(modalities), 0, -1) for subset in combinations(modalities, size)]


def subset_name(present: Sequence[str]) -> str:
    return "+".join(present) or "nothing"


def with_only(split: FeatureSplit, present: Sequence[str]) -> FeatureSplit:
    """The split as if no clip had its other modalities: zeros, all of them padding.

    A model that is told of padding sees that nothing is there; any other sees a silent stream, as in DMD's code. The
    attention mask of token ids becomes zero, too.
    """
    nowhere = np.zeros(len(split), bool)
    return replace(split, present=split.present | {m: nowhere for m in split.lengths if m not in present})


def score_subsets(run: Result, test: FeatureSplit, model: SavedModel, modalities: Sequence[str]) -> None:
    """Scores a finished run of `model` for each non-empty subset of these modalities, and keeps them in its folder.

    A modality that the model does not read makes no difference: subsets that agree on the others are scored once, and
    those with all that it reads have the test scores of the run.
    """
    every = tuple(m for m in modalities if m in model.reads)
    read_by = {subset: tuple(m for m in subset if m in every) for subset in subsets_of(modalities)}
    splits = {subset_name(present): with_only(test, present) for present in read_by.values() if present != every}
    found = evaluate(run.folder, splits, model) | {subset_name(every): run.metrics["test"]}
    scores = {subset_name(subset): found[subset_name(present)] for subset, present in read_by.items()}
    write_json(run.folder / FILE, scores)


def stored_subsets(folder: Path, full: Mapping[str, float], modalities: Sequence[str]) -> dict[str, dict[str, float]]:
    """What `score_subsets` has left in a run folder, or {} if it is not of this run, whose test scores are `full`."""
    try:
        scores = json.loads((folder / FILE).read_text(encoding="utf-8"))
        subsets = list(map(subset_name, subsets_of(modalities)))
        whole = list(scores) == subsets and scores[subsets[0]] == full
    except (OSError, ValueError, TypeError):
        return {}
    return scores if whole else {}
