"""MMSA's layout (github.com/thuiar/MMSA, README.md:108-128): splits as dicts of arrays. All files are checked here."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float, Int, Num

from dmdlite.config import MODALITIES, SENTIMENT_RANGE
from dmdlite.data.pickles import DataError
from dmdlite.data.splits import KEYS, SPLITS, FeatureSplit, Splits


def make_splits(content: Any, source: str, *, scan: bool = True) -> Splits:
    """Checked splits from a dict of dicts under MMSA's keys. Raises DataError naming source, split and key.

    `scan` looks at every feature value for NaN, inf and audio's -inf; without it they are not read at all.
    """
    if not isinstance(content, Mapping):
        raise DataError(f"{source} holds {type(content).__name__}, not a dict with the splits {listed(SPLITS)}.")
    for name in SPLITS:
        if not isinstance(content.get(name), Mapping):
            raise DataError(f"{source} has no split {name!r} (a dict of arrays); it has {listed(content)}.")
    layouts = {name: Layout(content[name], source, name) for name in SPLITS}
    splits = Splits({name: layout.split(scan) for name, layout in layouts.items()})
    for name, layout in layouts.items():
        layout.check_agreement(splits[name], splits["train"])
    return splits


def to_layout(split: FeatureSplit) -> dict[str, Any]:
    """One split under MMSA's keys; nothing is copied."""
    layout: dict[str, Any] = {KEYS[modality]: x for modality, x in split.features.items()}
    layout |= {f"{KEYS[modality]}_lengths": x for modality, x in split.lengths.items()}
    layout |= {"regression_labels": split.labels, "classification_labels": split.classes, "text_bert": split.tokens}
    layout |= {"id": split.ids, "raw_text": split.raw_text}
    return {key: value for key, value in layout.items() if value is not None}


@dataclass(frozen=True)
class Layout:
    """The arrays of one split under MMSA's keys, as a reader found them."""

    data: Mapping[str, Any]
    source: str
    name: str

    def split(self, scan: bool) -> FeatureSplit:
        """The checked split; `scan` as in `make_splits`."""
        labels = self.labels()
        count = len(labels)
        tokens = self.tokens(count)
        modalities = [m for m in MODALITIES if m != "language" or "text" in self.data or tokens is None]
        found = {m: self.features(KEYS[m], count, scan) for m in modalities}
        features = {m: array for m, (array, _) in found.items()}
        lengths = self.lengths(features, tokens)
        ids = self.strings("id", [f"{self.name}_{i}" for i in range(count)])
        raw_text = self.strings("raw_text", [""] * count)
        classes = self.integers("classification_labels", (count,)) if "classification_labels" in self.data else None
        before = int(self.integers("replaced", ())) if "replaced" in self.data else 0
        replaced = before + found["audio"][1]
        return FeatureSplit(features, lengths, labels, ids, raw_text, classes, tokens, self.source, self.name, replaced)

    def place(self, key: str) -> str:
        return f"{self.source}, split {self.name!r}, key {key!r}"

    def fail(self, key: str, problem: str) -> NoReturn:
        raise DataError(f"{self.place(key)}: {problem}.")

    def numbers(self, key: str) -> Num[np.ndarray, "..."]:
        if key not in self.data:
            self.fail(key, f"missing; the split has {listed(self.data)}")
        try:
            array = np.asarray(self.data[key])
        except ValueError:
            self.fail(key, "rows of different lengths")
        if array.dtype.kind not in "biuf":
            self.fail(key, f"holds {array.dtype}, not numbers")
        return array

    def integers(self, key: str, shape: tuple[int, ...]) -> Int[np.ndarray, "..."]:
        array = self.numbers(key)
        array = array.reshape(-1) if array.shape == (*shape, 1) else array
        if array.shape != shape:
            self.fail(key, f"shape {array.shape}, not {shape}")
        if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.round(array))).all():
            self.fail(key, "values that are not whole numbers")
        return array.astype(np.int64, copy=False)

    def strings(self, key: str, default: list[str]) -> list[str]:
        """Any values as str; `default` if the file has none."""
        if (values := self.data.get(key)) is None:
            return default
        values = np.asarray(values, dtype=object).ravel()
        if len(values) != len(default):
            self.fail(key, f"{len(values)} clips, but 'regression_labels' has {len(default)}")
        return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]

    def labels(self) -> Float[np.ndarray, "clip *outputs"]:
        key, (low, high) = "regression_labels", SENTIMENT_RANGE
        labels = self.numbers(key).astype(np.float32)
        if labels.ndim not in (1, 2) or labels.shape[1:] == (0,):
            self.fail(key, f"shape {labels.shape}, not (clips,) or (clips, numbers)")
        labels = labels[:, 0] if labels.shape[1:] == (1,) else labels
        if not len(labels):
            self.fail(key, "empty, the split has no clips")
        if bad := int((~np.isfinite(labels)).sum()):
            self.fail(key, f"{bad} of {labels.size} labels are NaN or infinite")
        if len(odd := labels[(labels < low) | (labels > high)]):
            self.fail(key, f"{len(odd)} labels outside [{low:g}, {high:g}], the first is {odd[0]:g}")
        return labels

    def tokens(self, count: int) -> Int[np.ndarray, "clip 3 time"] | None:
        if "text_bert" not in self.data:
            return None
        shape = self.numbers("text_bert").shape
        if len(shape) != 3 or shape[:2] != (count, 3) or shape[2] == 0:
            self.fail("text_bert", f"shape {shape}, not ({count}, 3, time)")
        tokens = self.integers("text_bert", shape)
        if (tokens < 0).any():
            self.fail("text_bert", "negative token ids")
        return tokens

    def features(self, key: str, count: int, scan: bool) -> tuple[Float[np.ndarray, "clip time width"], int]:
        """One stream, and how many -inf in audio became 0, as in MMSA."""
        array, replaced = self.numbers(key), 0
        if array.ndim != 3:
            self.fail(key, f"rank {array.ndim}, not 3 (clips, time, width)")
        if len(array) != count:
            self.fail(key, f"{len(array)} clips, but 'regression_labels' has {count}")
        if 0 in array.shape:
            self.fail(key, f"shape {array.shape} has no time steps or no width")
        # Clip by clip, so that looking at a large array needs no second one of its size.
        if scan and key == "audio" and (replaced := int(sum(np.count_nonzero(clip == -np.inf) for clip in array))):
            warnings.warn(f"{self.place(key)}: {replaced} × -inf was set to 0, as MMSA does.", stacklevel=2)
            array = np.where(array == -np.inf, np.zeros((), array.dtype), array)
        if array.dtype not in (np.float16, np.float32):
            with np.errstate(over="ignore"):
                array = array.astype(np.float32)
        if scan and (bad := sum(np.count_nonzero(~np.isfinite(clip)) for clip in array)):
            self.fail(key, f"{bad} values are NaN or infinite")
        return array, replaced

    def lengths(self, features: dict[str, np.ndarray], tokens: np.ndarray | None) -> dict[str, Int[np.ndarray, "clip"]]:
        """True steps of each clip, by modality; a length of 0 counts as 1.

        Stored lengths come first, then language's token mask. In an aligned file (equal time steps), vision and audio
        are as long as language, as in MMSA. Otherwise a clip ends at its last step that is not all zero.
        """
        steps = {m: x.shape[1] for m, x in features.items()}
        if tokens is not None and steps.setdefault("language", tokens.shape[2]) != tokens.shape[2]:
            self.fail("text_bert", f"{tokens.shape[2]} time steps, but 'text' has {steps['language']}")
        lengths = {}
        for modality in MODALITIES:
            key = f"{KEYS[modality]}_lengths"
            if key in self.data:
                found = self.integers(key, (len(features["vision"]),))
            elif modality == "language" and tokens is not None:
                key, found = "text_bert", tokens[:, 1].sum(axis=1)
            elif modality != "language" and len(set(steps.values())) == 1:
                found = lengths["language"]
            else:
                found = np.array([1 + np.flatnonzero(clip.any(axis=1)).max(initial=-1) for clip in features[modality]])
            if found.min() < 0:
                self.fail(key, f"a length of {found.min()}")
            if (most := found.max()) > (time := steps[modality]):
                self.fail(key, f"a length of {most}, longer than the {time} time steps of the sequence")
            lengths[modality] = np.maximum(found, 1)
        return lengths

    def check_agreement(self, split: FeatureSplit, train: FeatureSplit) -> None:
        if split.features.keys() != train.features.keys():
            self.fail("text", "present in one of this split and 'train', missing in the other")
        for modality, steps in split.steps.items():
            if steps != train.steps[modality]:
                self.fail(KEYS[modality], f"{steps} time steps, but split 'train' has {train.steps[modality]}")
        for modality, x in split.features.items():
            if x.shape[2] != (width := train.features[modality].shape[2]):
                self.fail(KEYS[modality], f"width {x.shape[2]}, but split 'train' has {width}")
        if split.labels.shape[1:] != train.labels.shape[1:]:
            self.fail("regression_labels", f"shape {split.labels.shape}, but split 'train' has {train.labels.shape}")


def listed(names: Iterable[Any]) -> str:
    """Names for a message."""
    return ", ".join(map(str, names)) or "nothing"
