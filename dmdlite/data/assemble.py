"""From the arrays of a file to splits that agree in their streams, sizes and classes; and back to arrays."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dmdlite.data.layout import Layout
from dmdlite.data.pickles import DataError
from dmdlite.data.readers import Arrays, is_text, is_whole, listed
from dmdlite.data.splits import KEYS, SPLITS, FeatureSplit, Splits

LARGE = 100.0  # a channel of this root mean square drowns the others
Layouts = dict[str, Layout]
Drafts = dict[str, FeatureSplit]


def make_splits(content: Mapping[str, Arrays], source: str, task: str | None = None, **options: Any) -> Splits:
    """Checked splits from the arrays of each under MMSA's keys. Raises DataError naming source, split and key.

    task: what the labels are for; by default numbers, or classes where the file has no numbers.
    options: `modalities`, `invalid` and `scan`, as of `Layout`.
    """
    kind = task or ("classification" if are_two_classes([x.get("labels") for x in content.values()]) else None)
    chosen = {name: with_labels(arrays, kind) for name, arrays in content.items()}
    layouts = {name: Layout(data=x, source=source, name=name, **options) for name, x in chosen.items()}
    splits = agreeing(layouts, {name: layout.split() for name, layout in layouts.items()})
    splits = with_classes(layouts, splits)
    first = next(iter(splits.values()))
    if options.get("scan", True):
        for modality, x in first.features.items():
            remark(f"{first.place}, key {KEYS[modality]!r}", x)
    if task is None:
        numbers = first.labelled("regression") or first.classes is None
        task = "regression" if numbers else "classification" if first.classes.ndim == 1 else "multilabel"
    return Splits({name: replace(split, task=task) for name, split in splits.items()})


def to_layout(split: FeatureSplit) -> Arrays:
    """One split under MMSA's keys; nothing is copied."""
    layout: Arrays = {KEYS[modality]: x for modality, x in split.features.items()}
    for what, values in {"lengths": split.lengths, "starts": split.starts, "available": split.present}.items():
        layout |= {f"{KEYS[modality]}_{what}": np.asarray(x, np.int64) for modality, x in values.items()}
    layout |= {"regression_labels": split.labels} if split.labelled("regression") else {}
    layout |= {"classification_labels": split.classes, "text_bert": split.tokens}
    layout |= {f"regression_labels_{KEYS[modality][0]}": x for modality, x in split.labels_of.items()}
    layout |= {"id": split.ids, "raw_text": split.raw_text, "class_names": list(split.class_names) or None}
    layout |= {"extractor": [split.extractor] * len(split)} if split.extractor else {}
    return {key: value for key, value in layout.items() if value is not None}


def divided_by_id(split: FeatureSplit, shares: Sequence[float], seed: int) -> Splits:
    """Train, valid and test with about these shares of the clips, and no video or speaker in two of them.

    What comes in an id before "$_$", "[" or a last "_" names the video. Raises DataError for fewer than three of them.
    """
    if len(shares) != len(SPLITS) or min(shares) <= 0:
        raise DataError(f"a division needs three positive shares, such as 0.7,0.1,0.2, got {listed(shares)}.")
    if "id" in split.problems:
        raise DataError(split.problems["id"])
    videos = np.array([re.split(r"\$_\$|\[|_(?=[^_]*$)", name)[0] for name in split.ids])
    names, sizes = np.unique(videos, return_counts=True)
    if len(names) < len(SPLITS):
        raise DataError(f"{split.place}: the ids name {len(names)} videos, too few for three splits.")
    if len(names) == len(split):
        advice = "clips of one speaker may be in two splits; an id such as video_12 names its video"
        warnings.warn(f"{split.place}: every id names a video of its own, so {advice}.", stacklevel=3)
    order = np.random.default_rng(seed).permutation(len(names))
    middles = (sizes[order].cumsum() - sizes[order] / 2) / sizes.sum()
    first, second = np.searchsorted(middles, np.cumsum(shares)[:-1] / sum(shares))
    first = np.clip(first, 1, len(names) - 2)  # no split stays empty
    parts = np.split(names[order], [first, np.clip(second, first + 1, len(names) - 1)])
    rows = {name: np.isin(videos, part) for name, part in zip(SPLITS, parts, strict=True)}
    return Splits({name: replace(split.subset(kept), name=name) for name, kept in rows.items()})


def with_labels(arrays: Arrays, task: str | None) -> Arrays:
    """A file's plain "labels" are classes if they are words or whole numbers, unless another task is wanted.

    Numbers of another type, 1.0 and 2.0, are classes if a task with classes is wanted and nothing else gives them.
    """
    found = dict(arrays)
    if (labels := arrays.get("labels")) is not None:
        wanted = task in ("classification", "ordinal")
        classes = is_text(labels) or (is_whole(labels) and (wanted or task is None))
        classes |= wanted and not arrays.keys() & {"classification_labels", "annotations"}
        found.setdefault("classification_labels" if classes else "regression_labels", labels)
    if "annotations" in arrays:
        found.setdefault("classification_labels", arrays["annotations"])
    return found


def are_two_classes(labels: Sequence[Any]) -> bool:
    """Whether the labels of all splits are 0 and 1, or −1 and 1, as in MultiBench's files of humour and sarcasm."""
    if any(x is None or is_text(x) for x in labels):
        return False
    try:
        values = {float(y) for x in labels for y in np.ravel(x)}
    except (TypeError, ValueError):  # rows of different lengths, or no numbers, which is noted later
        return False
    return values in ({0.0, 1.0}, {-1.0, 1.0})


def agreeing(layouts: Layouts, splits: Drafts) -> Drafts:
    """The splits with equal streams and widths, and padded to equal numbers of time steps."""
    first = next(iter(splits.values()))
    steps = {m: max(x.features[m].shape[1] for x in splits.values() if m in x.features) for m in first.features}
    steps["tokens"] = max([0, *(x.tokens.shape[2] for x in splits.values() if x.tokens is not None)])
    for name, split in splits.items():
        layout = layouts[name]
        for m in sorted(first.features.keys() ^ split.features.keys()):
            layout.fail(KEYS[m], f"present in one of this split and {first.name!r}, missing in the other")
        for m, x in split.features.items():
            if x.shape[2] != (width := first.features[m].shape[2]):
                layout.fail(KEYS[m], f"width {x.shape[2]}, but split {first.name!r} has {width}")
        both = split.labelled("regression") and first.labelled("regression")
        if both and split.labels.shape[1:] != first.labels.shape[1:]:
            shapes = f"shape {split.labels.shape}, but split {first.name!r} has {first.labels.shape}"
            layout.note("regression_labels", shapes)
            split = replace(split, labels=np.full(len(split), np.nan, np.float32))
        splits[name] = split.resized(steps)
    return splits


def with_classes(layouts: Layouts, splits: Drafts) -> Drafts:
    """The splits with their classes numbered from 0 in the order of their names, alike in all of them."""
    key = "classification_labels"
    found = {name: layout.optional(layout.classes, key, len(splits[name])) for name, layout in layouts.items()}
    found = {name: x for name, x in found.items() if x is not None}
    names = tuple(map(str, next(iter(layouts.values())).data.get("class_names", ())))
    if found and all(x.ndim == 2 and (x.sum(axis=1) == 1).all() for x in found.values()):  # one-hot
        found = {name: x.argmax(axis=1) for name, x in found.items()}
    if len({(x.ndim, x.dtype.kind, *x.shape[1:]) for x in found.values()}) > 1:
        for name in found:
            layouts[name].note(key, "classes of another kind than in other splits")
        return splits
    if found and next(iter(found.values())).ndim == 1 and not names:
        levels = np.unique(np.concatenate(list(found.values())))
        names = named(levels, layouts, found)
        found = {name: np.searchsorted(levels, x) for name, x in found.items()}
    return {name: replace(x, classes=found.get(name), class_names=names if found else ()) for name, x in splits.items()}


def named(levels: np.ndarray, layouts: Layouts, found: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """The names of classes: words themselves, or the annotations beside them; none for 0, 1, 2, …"""
    if levels.dtype.kind == "U":
        return tuple(map(str, levels))
    pairs: set[tuple[int, str]] = set()
    for name, classes in found.items():
        words = layouts[name].optional(layouts[name].strings, "annotations", len(classes), " ") or []
        pairs |= set(zip(classes.tolist(), words))
    if len(pairs) == len(levels) == len(dict(pairs)) == len({word for _, word in pairs}):
        return tuple(dict(pairs)[level] for level in levels.tolist())
    return () if levels.tolist() == list(range(len(levels))) else tuple(map(str, levels))


def remark(place: str, x: np.ndarray) -> None:
    """Warns of a stream that teaches nothing, or that drowns the others."""
    low, high = min(clip.min() for clip in x), max(clip.max() for clip in x)
    if low == high:
        advice = 'leave it out (--modalities), or let edges follow the errors (edge_learning="errors")'
        warnings.warn(f"{place}: this stream never changes; {advice}.", stacklevel=2)
    size = max(np.sqrt(np.mean([np.square(clip, dtype=np.float64).mean(axis=0) for clip in x], axis=0)))
    if size >= LARGE:
        effect = "which drown the other streams; --standardise helps"
        warnings.warn(f"{place}: values of about {size:.0f}, {effect}.", stacklevel=2)
