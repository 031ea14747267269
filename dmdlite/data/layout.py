"""One split as MMSA lays it out (github.com/thuiar/MMSA, README.md:108-128): a dict of arrays under its keys.

Every FeatureSplit that comes from a file is made here, so pickles and converted folders pass the same checks.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float, Int, Num

from dmdlite.config import MODALITIES, SENTIMENT_RANGE
from dmdlite.data.pickles import DataError
from dmdlite.data.splits import FeatureSplit

KEYS = {"language": "text", "vision": "vision", "audio": "audio"}
BLOCK_CLIPS = 256  # clips looked at together when a large array is searched


@dataclass(frozen=True)
class Layout:
    """The arrays of one split under MMSA's keys, as found in a file."""

    data: Mapping[str, Any]
    source: str
    name: str

    def split(self, scan: bool) -> FeatureSplit:
        """The checked split; `scan` as in `make_splits`. Raises DataError naming file, split and key."""
        labels = self.labels()
        count = len(labels)
        tokens = self.tokens(count)
        modalities = [m for m in MODALITIES if m != "language" or "text" in self.data or tokens is None]
        arrays = {m: self.features(KEYS[m], count) for m in modalities}
        replaced = 0
        if scan:
            arrays["audio"], replaced = self.without_minus_infinity("audio", arrays["audio"])
        features = {m: self.floats(KEYS[m], x, scan) for m, x in arrays.items()}
        return FeatureSplit(
            features=features,
            lengths=self.lengths(features, tokens),
            labels=labels,
            ids=self.strings("id", [f"{self.name}_{i}" for i in range(count)]),
            raw_text=self.strings("raw_text", [""] * count),
            classes=self.integers("classification_labels", (count,)) if "classification_labels" in self.data else None,
            tokens=tokens,
            source=self.source,
            name=self.name,
            replaced=replaced,
        )

    def fail(self, key: str, problem: str) -> NoReturn:
        raise DataError(f"{self.source}, split {self.name!r}, key {key!r}: {problem}.")

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

    def labels(self) -> Float[np.ndarray, "clip *outputs"]:
        labels = self.numbers("regression_labels").astype(np.float32)
        if labels.ndim not in (1, 2) or labels.shape[1:] == (0,):
            self.fail("regression_labels", f"shape {labels.shape}, not (clips,) or (clips, numbers)")
        labels = labels[:, 0] if labels.shape[1:] == (1,) else labels
        low, high = SENTIMENT_RANGE
        if not len(labels):
            self.fail("regression_labels", "empty, the split has no clips")
        if bad := int((~np.isfinite(labels)).sum()):
            self.fail("regression_labels", f"{bad} of {labels.size} labels are NaN or infinite")
        if len(odd := labels[(labels < low) | (labels > high)]):
            self.fail("regression_labels", f"{len(odd)} labels outside [{low:g}, {high:g}], the first is {odd[0]:g}")
        return labels

    def features(self, key: str, count: int) -> Num[np.ndarray, "clip time width"]:
        array = self.numbers(key)
        if array.ndim != 3:
            self.fail(key, f"rank {array.ndim}, not 3 (clips, time, width)")
        if len(array) != count:
            self.fail(key, f"{len(array)} clips, but 'regression_labels' has {count}")
        if 0 in array.shape:
            self.fail(key, f"shape {array.shape} has no time steps or no width")
        return array

    def without_minus_infinity(
        self, key: str, array: Num[np.ndarray, "clip time width"]
    ) -> tuple[Num[np.ndarray, "clip time width"], int]:
        """MMSA's repair of its audio features: -inf becomes 0. Also how many there were."""
        count = sum(int(np.isneginf(block).sum()) for block in _blocks(array))
        if count:
            warnings.warn(
                f"{self.source}, split {self.name!r}, key {key!r}: {count} × -inf was set to 0, as MMSA does.",
                stacklevel=2,
            )
            array = array.copy()
            array[np.isneginf(array)] = 0
        return array, count

    def floats(
        self, key: str, array: Num[np.ndarray, "clip time width"], scan: bool
    ) -> Float[np.ndarray, "clip time width"]:
        if array.dtype not in (np.float16, np.float32):
            with np.errstate(over="ignore"):
                array = array.astype(np.float32)
        if scan and (bad := sum(int((~np.isfinite(block)).sum()) for block in _blocks(array))):
            self.fail(key, f"{bad} values are NaN or infinite")
        return array

    def integers(self, key: str, shape: tuple[int, ...]) -> Int[np.ndarray, "..."]:
        array = self.numbers(key)
        array = array.reshape(-1) if array.shape == (*shape, 1) else array
        if array.shape != shape:
            self.fail(key, f"shape {array.shape}, not {shape}")
        if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.round(array))).all():
            self.fail(key, "values that are not whole numbers")
        return array.astype(np.int64, copy=False)

    def tokens(self, count: int) -> Int[np.ndarray, "clip 3 time"] | None:
        if "text_bert" not in self.data:
            return None
        shape = np.shape(self.numbers("text_bert"))
        if len(shape) != 3 or shape[:2] != (count, 3) or shape[2] == 0:
            self.fail("text_bert", f"shape {shape}, not ({count}, 3, time)")
        tokens = self.integers("text_bert", shape)
        if (tokens < 0).any():
            self.fail("text_bert", "negative token ids")
        return tokens

    def lengths(
        self,
        features: dict[str, Float[np.ndarray, "clip _time _width"]],
        tokens: Int[np.ndarray, "clip 3 _time"] | None,
    ) -> dict[str, Int[np.ndarray, "clip"]]:
        """True steps of each clip, by modality.

        As stored; else language's from the token mask; else in an aligned file (equal time steps) the language's, as in
        MMSA; else up to the last step that is not all zero. A length of 0 counts as 1.
        """
        steps = {m: x.shape[1] for m, x in features.items()}
        if tokens is not None and steps.setdefault("language", tokens.shape[2]) != tokens.shape[2]:
            self.fail("text_bert", f"{tokens.shape[2]} time steps, but 'text' has {steps['language']}")
        lengths: dict[str, np.ndarray] = {}
        for modality in MODALITIES:
            key = f"{KEYS[modality]}_lengths"
            if key in self.data:
                found = self.integers(key, (len(features["vision"]),))
            elif modality == "language" and tokens is not None:
                key, found = "text_bert", tokens[:, 1].sum(axis=1)
            elif modality != "language" and len(set(steps.values())) == 1:
                found = lengths["language"]
            else:
                found = _last_nonzero(features[modality])
            lengths[modality] = self.within(key, found, steps[modality])
        return lengths

    def within(self, key: str, lengths: Int[np.ndarray, "clip"], steps: int) -> Int[np.ndarray, "clip"]:
        if lengths.min() < 0:
            self.fail(key, f"a length of {lengths.min()}")
        if lengths.max() > steps:
            self.fail(key, f"a length of {lengths.max()}, longer than the {steps} time steps of the sequence")
        return np.maximum(lengths, 1)

    def strings(self, key: str, default: list[str]) -> list[str]:
        """Texts of any spelling as str; `default` where the file has none."""
        if (values := self.data.get(key)) is None:
            return default
        values = np.asarray(values, dtype=object).ravel()
        if len(values) != len(default):
            self.fail(key, f"{len(values)} clips, but 'regression_labels' has {len(default)}")
        return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]


def listed(keys: Iterable[Any]) -> str:
    """The keys of a dict, for a message."""
    return ", ".join(map(str, keys)) or "nothing"


def _blocks(array: Num[np.ndarray, "clip time width"]) -> Iterator[Num[np.ndarray, "block time width"]]:
    return (array[start : start + BLOCK_CLIPS] for start in range(0, len(array), BLOCK_CLIPS))


def _last_nonzero(array: Float[np.ndarray, "clip time width"]) -> Int[np.ndarray, "clip"]:
    steps = 1 + np.arange(array.shape[1])
    return np.concatenate([((block != 0).any(axis=2) * steps).max(axis=1) for block in _blocks(array)])
