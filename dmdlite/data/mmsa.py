"""Reading and writing MMSA's feature files: a pickled dict of splits, each a dict of arrays."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dmdlite.data.layout import KEYS, Layout, listed
from dmdlite.data.pickles import DataError, read_pickle
from dmdlite.data.splits import SPLITS, FeatureSplit

ANNOTATIONS = np.array(["Negative", "Neutral", "Positive"])


def read_mmsa(path: str | Path) -> dict[str, FeatureSplit]:
    """The three splits of an MMSA-layout pickle, fully checked.

    Raises DataError, or UnsafePickle for a pickle that holds more than data, with one sentence saying where.
    """
    return make_splits(read_pickle(path), Path(path).name)


def write_mmsa(splits: Mapping[str, FeatureSplit], path: str | Path) -> None:
    """Writes an MMSA-layout pickle: numpy arrays and strings alone, the same bytes for the same splits.

    Lengths of all modalities are written (MMSA itself knows those of audio and vision). Raises DataError on bad splits.
    """
    content = {name: to_layout(splits[name]) for name in SPLITS}
    make_splits(content, Path(path).name)
    for name, layout in content.items():
        if splits[name].labels.ndim == 1:
            layout["annotations"] = ANNOTATIONS[1 + np.sign(splits[name].labels).astype(int)]
    unfinished = Path(f"{path}.unfinished")
    plain = {name: {key: _plain(value) for key, value in layout.items()} for name, layout in content.items()}
    try:
        with unfinished.open("wb") as file:
            pickle.dump(plain, file, protocol=4)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _plain(value: Any) -> np.ndarray:
    """A fresh view with a fresh dtype, so that what objects share in memory leaves no trace in the pickle."""
    array = np.ascontiguousarray(value)
    return array.view(np.dtype(array.dtype.str), np.ndarray)


def to_layout(split: FeatureSplit) -> dict[str, Any]:
    """One split under MMSA's keys; nothing is copied."""
    layout = {KEYS[modality]: x for modality, x in split.features.items()}
    layout |= {f"{KEYS[modality]}_lengths": x for modality, x in split.lengths.items()}
    layout["regression_labels"] = split.labels
    if split.classes is not None:
        layout["classification_labels"] = split.classes
    if split.tokens is not None:
        layout["text_bert"] = split.tokens
    return layout | {"id": split.ids, "raw_text": split.raw_text}


def make_splits(content: Any, source: str, *, scan: bool = True) -> dict[str, FeatureSplit]:
    """Checked splits from a dict of dicts under MMSA's keys.

    `scan` looks at every feature value, for NaN, inf and audio's -inf; without it they are not read at all.
    """
    if not isinstance(content, Mapping):
        raise DataError(f"{source} holds {type(content).__name__}, not a dict with the splits {', '.join(SPLITS)}.")
    for name in SPLITS:
        if not isinstance(content.get(name), Mapping):
            raise DataError(f"{source} has no split {name!r} (a dict of arrays); it has {listed(content)}.")
    splits = {name: Layout(content[name], source, name).split(scan) for name in SPLITS}
    for split in splits.values():
        _check_agreement(splits["train"], split)
    return splits


def _check_agreement(train: FeatureSplit, split: FeatureSplit) -> None:
    for modality, steps in split.steps.items():
        where = f"{split.source}, split {split.name!r}, key {KEYS[modality]!r}"
        if (modality in split.features) != (modality in train.features):
            raise DataError(f"{where}: present in one of this split and 'train', missing in the other.")
        if steps != train.steps[modality]:
            raise DataError(f"{where}: {steps} time steps, but split 'train' has {train.steps[modality]}.")
        if modality in split.features and split.features[modality].shape[2] != train.features[modality].shape[2]:
            width, expected = split.features[modality].shape[2], train.features[modality].shape[2]
            raise DataError(f"{where}: width {width}, but split 'train' has {expected}.")
    if split.labels.shape[1:] != train.labels.shape[1:]:
        where = f"{split.source}, split {split.name!r}, key 'regression_labels'"
        raise DataError(f"{where}: shape {split.labels.shape}, but split 'train' has {train.labels.shape}.")
