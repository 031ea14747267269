"""What is left of a model when a modality is missing at test time: its scores for every subset of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from dmdlite.config import MODALITIES
from dmdlite.data.features import FeatureSplit
from dmdlite.files import write_json
from dmdlite.models.registry import SavedModel
from dmdlite.training.runs import Result, evaluate

Present = tuple[str, ...]  # the modalities that are there
Scores = dict[str, float]

FILE = "missing_modalities.json"  # in a run folder, beside metrics.json: {"language+vision": scores, ...}
SUBSETS: tuple[Present, ...] = tuple(s for size in (3, 2, 1) for s in combinations(MODALITIES, size))


def with_only(split: FeatureSplit, present: Sequence[str]) -> FeatureSplit:
    """The split as if its other modalities had never been recorded: zeros, of which no time step is real.

    So a model that is told of padding sees that nothing is there; any other sees a silent stream, as DMD's code would.
    Of token ids it is their attention mask that is zero, too. The zeros take no memory.
    """
    absent = [m for m in MODALITIES if m not in present]
    features = {m: _zeros(x) if m in absent else x for m, x in split.features.items()}
    lengths = {m: np.zeros_like(x) if m in absent else x for m, x in split.lengths.items()}
    tokens = _zeros(split.tokens) if "language" in absent and split.tokens is not None else split.tokens
    return replace(split, features=features, lengths=lengths, tokens=tokens)


def _zeros(array: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)


def score_subsets(run: Result, test: FeatureSplit, model: SavedModel) -> dict[str, Scores]:
    """Scores of a finished run, whose model is `model`, for each non-empty subset of the modalities.

    They are kept in the run folder. A modality that the model does not read makes no difference, so subsets that agree
    on the others are scored once; the test scores of the run are those of all that it reads.
    """
    folder, every = run.folder, tuple(m for m in MODALITIES if m in model.reads)
    read_by = {subset: tuple(m for m in subset if m in every) for subset in SUBSETS}
    splits = {name_of(present): with_only(test, present) for present in read_by.values() if present != every}
    found = evaluate(folder, splits, model) | {name_of(every): run.metrics["test"]}
    scores = {name_of(subset): found[name_of(present)] for subset, present in read_by.items()}
    write_json(folder / FILE, scores)
    return scores


def stored_subsets(folder: Path, full: Mapping[str, float]) -> dict[str, Scores] | None:
    """What `score_subsets` has left in a run folder, if it belongs to this run, whose test scores are `full`."""
    try:
        scores = json.loads((folder / FILE).read_text(encoding="utf-8"))
        whole = list(scores) == [name_of(subset) for subset in SUBSETS] and scores[name_of(MODALITIES)] == full
    except (OSError, ValueError, TypeError):
        return None
    return scores if whole else None


def name_of(present: Present) -> str:
    return "+".join(present) or "nothing"
