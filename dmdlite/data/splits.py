"""The splits of a data set: the arrays of all clips, in memory or mapped from disk."""

import hashlib
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NoReturn

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from dmdlite.config import MODALITIES
from dmdlite.data.pickles import DataError

SPLITS = ("train", "valid", "test")
WHOLE = "all"  # the split of a file without splits
KEYS = {"language": "text", "vision": "vision", "audio": "audio"}  # MMSA's names of the modalities
Indices = slice | Sequence[int] | np.ndarray | Tensor


class Clip(dict[str, Tensor]):
    """One clip as a model's inputs without the batch axis; `DataLoader(split)` collates clips into a batch.

    language, vision, audio: (T_m, D_m) float32; language is (3, T) int64 in a split with token ids alone.
    labels: () or (outputs,) float32.
    """

    def __repr__(self) -> str:
        return f"Clip({'  '.join(f'{name} {tuple(x.shape) or round(x.item(), 4)}' for name, x in self.items())})"


@dataclass(frozen=True)
class FeatureSplit:
    """One split of a data set: N clips, up to three streams of features, and labels, if they are known.

    `split[i]` is a Clip; `split[3:7]` and `split[[2, 5]]` are smaller splits. A split made with token ids alone has no
    "language" in `features`; its language lengths count tokens.
    """

    features: dict[str, Float[np.ndarray, "clip _time _width"]]  # by modality, zero at padding; may be mapped from disk
    lengths: dict[str, Int[np.ndarray, "clip"]]  # by modality: how many time steps are real, at least 1
    labels: Float[np.ndarray, "clip *outputs"]  # a sentiment, or several numbers; NaN where unknown
    ids: list[str]
    raw_text: list[str]
    classes: Int[np.ndarray, "clip *labels"] | None = None  # from 0; or (clip, labels) of 0 and 1, several at once
    tokens: Int[np.ndarray, "clip 3 _time"] | None = None  # token ids, attention mask, segment ids
    source: str = "these features"  # the file or folder it came from, for messages
    name: str = "unnamed"  # "train", "valid" or "test"
    replaced: int = 0  # values that were set to 0: audio's -inf, or all that were not finite
    starts: dict[str, Int[np.ndarray, "clip"]] = field(default_factory=dict)  # first real steps, if not all are 0
    present: dict[str, Bool[np.ndarray, "clip"]] = field(default_factory=dict)  # which clips have it, if not all do
    class_names: tuple[str, ...] = ()  # empty: classes are called by their numbers
    labels_of: dict[str, Float[np.ndarray, "clip"]] = field(default_factory=dict)  # of one modality alone (CH-SIMS)
    task: str = "regression"  # what the labels of a batch are for
    extractor: str = ""  # what made the features from raw clips, with its version, if it is known
    problems: Mapping[str, str] = field(default_factory=dict)  # MMSA's key -> why it cannot be used

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice) or np.ndim(index):
            return self.subset(index)
        batch = self.batch([operator.index(index)], tokens="language" not in self.features)
        return Clip({name: x[0] for name, x in batch.items()})

    def __repr__(self) -> str:
        arrays = self.features | ({} if self.tokens is None else {"tokens": self.tokens})
        streams = "  ".join(f"{name} {x.shape[1:]}" for name, x in arrays.items())
        kinds = []
        if self.labelled("regression"):
            low, high, mean = (f(self.labels) for f in (np.nanmin, np.nanmax, np.nanmean))
            kinds.append(f"{low:g} to {high:g}, mean {mean:z.2f} (regression)")
        if self.classes is not None and len(self):
            of = ", ".join(self.class_names) or f"0 to {self.classes.max()}"
            several = f"{self.classes.shape[-1]} classes, several at once"
            kinds.append(f"classes {of}" if self.classes.ndim == 1 else several)
        return f"{self.place}: {len(self)} clips\nstreams: {streams}\nlabels: {'; '.join(kinds) or 'none'}"

    @property
    def place(self) -> str:
        """Where messages say that something was found."""
        return f"{self.source}, split {self.name!r}"

    @property
    def steps(self) -> dict[str, int]:
        """Time steps of each modality, padding included; those of the tokens if there are no language features."""
        steps = {modality: x.shape[1] for modality, x in self.features.items()}
        return steps if "language" in steps or self.tokens is None else {"language": self.tokens.shape[2]} | steps

    def truth(self, task: str | None = None) -> Num[np.ndarray, "clip *outputs"]:
        """The targets of a task, of this split's own by default. Raises DataError if they are unknown.

        "regression": the numbers. "classification" and "ordinal": the class of each clip. "multilabel": 0 or 1 for each
        class, where several may hold at once; of numbers those above zero hold, as for CMU-MOSEI's six emotions.
        """
        task = task or self.task
        several = self.classes is not None and self.classes.ndim == 2
        if task == "regression" or (task == "multilabel" and not several):
            numbers = self._need("labels", "regression_labels", self.labels if self.labelled("regression") else None)
            if task == "regression":
                return numbers
            if numbers.ndim == 1:
                raise DataError(f"{self.place} has one label for each clip; the task 'multilabel' needs several.")
            return (numbers > 0).astype(np.float32)
        if several != (task == "multilabel"):
            raise DataError(f"{self.place} has several classes for each clip, which is the task 'multilabel'.")
        return self._need("classes", "classification_labels", self.classes)

    def labelled(self, task: str | None = None) -> bool:
        """Whether there are targets of this task, be it of some clips only."""
        task = task or self.task
        if self.classes is not None and task != "regression":
            return True
        return task in ("regression", "multilabel") and not np.isnan(self.labels).all()

    def batch(
        self,
        indices: Indices,
        *,
        tokens: bool = False,
        mask: bool = False,
        modalities: Sequence[str] | None = None,
        task: str | None = None,
    ) -> dict[str, Any]:
        """Tensors of some clips under the names of the model's inputs.

        language, vision, audio: (B, T_m, D_m) float32, zero where a clip lacks the modality; with `tokens`, language is
        (B, 3, T) int64: token ids, attention mask, segment ids. labels, if they are known: (B,) or (B, outputs)
        float32, or (B,) int64 for a task with classes. With `mask`, mask: a dict of (B, T_m) bool, true at real steps.
        modalities, task: by default all that the split has, and its own.
        Reads only what is asked for from a mapped file. Raises DataError if the split lacks some of it.
        """
        rows, task = _rows(indices, len(self)), task or self.task
        if modalities is None:
            modalities = [m for m in MODALITIES if m in self.steps]
        arrays = {m: self.stream(m, tokens) for m in modalities}
        batch: dict[str, Any] = {m: _tensor(x[rows], tokens and m == "language") for m, x in arrays.items()}
        for m in self.present.keys() & batch.keys():
            batch[m] = batch[m] * torch.from_numpy(self.present[m][rows, None, None])
        if self.labelled(task):
            batch["labels"] = _tensor(self.truth(task)[rows], task in ("classification", "ordinal"))
        if mask:
            batch["mask"] = {m: torch.from_numpy(self.real(m, rows, tokens)) for m in modalities}
        return batch

    def real(self, modality: str, indices: Indices = slice(None), tokens: bool = False) -> Bool[np.ndarray, "batch _"]:
        """Which time steps of some clips are real, (B, T_m); none are where a clip lacks the modality.

        Raises DataError if the file's lengths of this modality cannot be used.
        """
        rows, key = _rows(indices, len(self)), KEYS[modality]
        for name in (f"{key}_lengths", "lengths"):
            if name in self.problems:
                raise DataError(self.problems[name])
        present = self.present[modality][rows, None] if modality in self.present else True
        if tokens and modality == "language":
            return (self.stream(modality, tokens)[rows, 1] > 0) & present
        start = self.starts[modality][rows, None] if modality in self.starts else 0
        step = np.arange(self.steps[modality])
        return (step >= start) & (step < start + self.lengths[modality][rows, None]) & present

    def subset(self, indices: Indices) -> "FeatureSplit":
        """Some of the clips as a split of their own: a view for a slice, a copy in memory for other indices."""
        rows = indices if isinstance(indices, slice) else _rows(indices, len(self))

        def chosen(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: x[rows] if isinstance(x, np.ndarray) else x for key, x in value.items()}
            if isinstance(value, list):
                return [value[i] for i in np.arange(len(self))[rows]]
            return value[rows] if isinstance(value, np.ndarray) else value

        return replace(self, **{f.name: chosen(getattr(self, f.name)) for f in fields(self)})

    def resized(self, steps: Mapping[str, int]) -> "FeatureSplit":
        """The split with zeros added up to these numbers of time steps, on the side where its padding is.

        steps: by modality, and of "tokens".
        """
        features, starts, tokens = dict(self.features), dict(self.starts), self.tokens
        for m in (m for m, x in self.features.items() if x.shape[1] < steps.get(m, 0)):
            more = steps[m] - features[m].shape[1]
            ends = (more, 0) if m in starts else (0, more)
            features[m] = np.pad(features[m], ((0, 0), ends, (0, 0)))
            starts |= {m: starts[m] + more} if m in starts else {}
        if tokens is not None and (more := steps.get("tokens", 0) - tokens.shape[2]) > 0:
            tokens = np.pad(tokens, ((0, 0), (0, 0), (0, more)))
        return replace(self, features=features, starts=starts, tokens=tokens)

    def stream(self, modality: str, tokens: bool = False) -> Num[np.ndarray, "clip _ _"]:
        """The features of a modality; with `tokens`, language is its token ids. Raises DataError if there are none."""
        if tokens and modality == "language":
            return self._need("token ids", "text_bert", self.tokens)
        return self._need(f"{modality} features", KEYS[modality], self.features.get(modality))

    def _need(self, what: str, key: str, array: np.ndarray | None) -> np.ndarray:
        if array is None:
            raise DataError(self.problems.get(key, f"{self.place} has no {what} (key {key!r}), which are needed."))
        return array


class Splits(dict[str, FeatureSplit]):
    """Splits by name, with a readable error for a missing one. `reading`: the options they were read with."""

    reading: dict[str, Any] = {}

    def __missing__(self, name: str) -> NoReturn:
        hint = "; did you mean 'valid'?" if name in ("dev", "val", "validation") else ""
        hint = "; load_features(..., split_by_id=(0.7, 0.1, 0.2)) divides it" if WHOLE in self else hint
        raise KeyError(f"no split {name!r} among {', '.join(self)}{hint}")


def _tensor(x: np.ndarray, whole: bool) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x).astype(np.int64 if whole else np.float32, copy=False))


def _rows(indices: Indices, count: int) -> Int[np.ndarray, "batch"]:
    """Any indices, counted from 0. Raises IndexError if one is out of range."""
    if isinstance(indices, slice):
        return np.arange(count)[indices]
    rows = np.asarray(indices).reshape(-1)
    return np.arange(count)[rows if rows.dtype == bool else rows.astype(np.int64)]


def fingerprint(splits: Mapping[str, FeatureSplit]) -> str:
    """16 hex digits that tell data sets apart: ids, labels, lengths, shapes, the features of 16 clips, own fields.

    A pickle and the folder converted from it have the same fingerprint. Reads only a few clips of a mapped folder.
    """
    digest = hashlib.sha256()
    for name, split in sorted(splits.items()):
        few = split.subset(np.unique(np.linspace(0, len(split) - 1, 16).astype(np.int64)))
        digest.update(repr((name, split.ids, [(m, x.shape) for m, x in sorted(split.features.items())])).encode())
        parts = [split.labels, *(x for _, x in sorted(split.lengths.items()))]
        parts += [*(x for _, x in sorted(few.features.items())), few.tokens, split.classes]
        parts += [x for values in (split.starts, split.present, split.labels_of) for _, x in sorted(values.items())]
        for part in (x for x in parts if x is not None):
            digest.update(np.ascontiguousarray(part, dtype="<f4").tobytes())
        for x in (getattr(split, f.name) for f in fields(split)[len(fields(FeatureSplit)) :]):  # of a subclass
            digest.update(x.tobytes() if isinstance(x, np.ndarray) else repr(x).encode())
    return digest.hexdigest()[:16]
