"""The splits of a data set: the arrays of all clips, in memory or mapped from disk, and whether a model fits them."""

import hashlib
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.data.pickles import DataError

SPLITS = ("train", "valid", "test")
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
    """One split of a data set: N clips, three streams of features, one sentiment each.

    `split[i]` is a Clip; `split[3:7]` and `split[[2, 5]]` are smaller splits. A split made with token ids alone has no
    "language" in `features`; its language lengths count tokens.
    """

    features: dict[str, Float[np.ndarray, "clip _time _width"]]  # by modality, zero at padding; may be mapped from disk
    lengths: dict[str, Int[np.ndarray, "clip"]]  # by modality: true time steps before the padding, at least 1
    labels: Float[np.ndarray, "clip *outputs"]  # sentiment in [-3, 3], or several numbers such as valence and arousal
    ids: list[str]
    raw_text: list[str]
    classes: Int[np.ndarray, "clip"] | None = None  # from 0; in MMSA's files 0 negative, 1 neutral, 2 positive
    tokens: Int[np.ndarray, "clip 3 _time"] | None = None  # token ids, attention mask, segment ids
    source: str = "these features"  # the file or folder it came from, for messages
    name: str = "unnamed"  # "train", "valid" or "test"
    replaced: int = 0  # values of -inf in audio that were set to 0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice) or np.ndim(index):
            return self.subset(index)
        batch = self.batch([operator.index(index)], tokens="language" not in self.features)
        return Clip({name: x[0] for name, x in batch.items()})

    def __repr__(self) -> str:
        arrays = self.features | ({} if self.tokens is None else {"tokens": self.tokens})
        streams = "  ".join(f"{name} {x.shape[1:]}" for name, x in arrays.items())
        y = self.labels
        labels = f"{y.min():g} to {y.max():g}, mean {y.mean():z.2f}" if len(self) else "none"
        classes = f"; classes 0 to {self.classes.max()}" if self.classes is not None and len(self) else ""
        return f"{self.place}: {len(self)} clips\nstreams: {streams}\nlabels: {labels} (regression){classes}"

    @property
    def place(self) -> str:
        """Where messages say that something was found."""
        return f"{self.source}, split {self.name!r}"

    @property
    def steps(self) -> dict[str, int]:
        """Time steps of each modality, padding included; those of the tokens if there are no language features."""
        steps = {modality: x.shape[1] for modality, x in self.features.items()}
        return steps if "language" in steps else {"language": self.stream("language", tokens=True).shape[2]} | steps

    def truth(self, task: str = "regression") -> Num[np.ndarray, "clip *outputs"]:
        """The targets of a task: the numbers for "regression", the classes for "classification" and "ordinal"."""
        if task == "regression":
            return self.labels
        return self._need("classes (key 'classification_labels')", self.classes)

    def batch(
        self,
        indices: Indices,
        *,
        tokens: bool = False,
        mask: bool = False,
        modalities: Sequence[str] = MODALITIES,
        task: str = "regression",
    ) -> dict[str, Any]:
        """Tensors of some clips under the names of the model's inputs.

        language, vision, audio: (B, T_m, D_m) float32; with `tokens`, language is (B, 3, T) int64: token ids, attention
        mask, segment ids. labels: (B,) or (B, outputs) float32, or (B,) int64 for a task with classes. With `mask`,
        mask: a dict of (B, T_m) bool, true at real steps.
        Reads only what is asked for from a mapped file. Raises DataError if the split lacks some of it.
        """
        rows = _rows(indices, len(self))
        arrays = {m: self.stream(m, tokens) for m in modalities} | {"labels": self.truth(task)}
        batch: dict[str, Any] = {}
        for name, x in arrays.items():
            whole = x is self.tokens or x is self.classes
            batch[name] = torch.from_numpy(x[rows].astype(np.int64 if whole else np.float32, copy=False))
        if mask:
            real = {m: np.arange(self.steps[m]) < self.lengths[m][rows, None] for m in modalities}
            batch["mask"] = {m: torch.from_numpy(steps) for m, steps in real.items()}
        return batch

    def subset(self, indices: Indices) -> "FeatureSplit":
        """Some of the clips as a split of their own: a view for a slice, a copy in memory for other indices."""
        rows = indices if isinstance(indices, slice) else _rows(indices, len(self))

        def chosen(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: x[rows] for key, x in value.items()}
            if isinstance(value, list):
                return [value[i] for i in np.arange(len(self))[rows]]
            return value[rows] if isinstance(value, np.ndarray) else value

        return replace(self, **{f.name: chosen(getattr(self, f.name)) for f in fields(self)})

    def stream(self, modality: str, tokens: bool = False) -> Num[np.ndarray, "clip _ _"]:
        """The features of a modality; with `tokens`, language is its token ids. Raises DataError if there are none."""
        if tokens and modality == "language":
            return self._need("token ids (key 'text_bert')", self.tokens)
        return self._need(f"{modality} features (key {KEYS[modality]!r})", self.features.get(modality))

    def _need(self, what: str, array: np.ndarray | None) -> np.ndarray:
        if array is None:
            raise DataError(f"{self.place} has no {what}, which the model needs.")
        return array


class Splits(dict[str, FeatureSplit]):
    """Splits by name, with a readable error for a missing one."""

    def __missing__(self, name: str) -> NoReturn:
        hint = "; did you mean 'valid'?" if name in ("dev", "val", "validation") else ""
        raise KeyError(f"no split {name!r} among {', '.join(self)}{hint}")


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
        for part in (x for x in parts if x is not None):
            digest.update(np.ascontiguousarray(part, dtype="<f4").tobytes())
        for x in (getattr(split, f.name) for f in fields(split)[len(fields(FeatureSplit)) :]):  # of a subclass
            digest.update(x.tobytes() if isinstance(x, np.ndarray) else repr(x).encode())
    return digest.hexdigest()[:16]


def feature_shapes(splits: Mapping[str, FeatureSplit]) -> dict[str, dict[str, int]]:
    """For `config.replace(**feature_shapes(splits))`; the widths have no language if there are token ids only."""
    train = splits["train"]
    return {"feature_widths": {m: x.shape[2] for m, x in train.features.items()}, "lengths": train.steps}


def label_shape(splits: Mapping[str, FeatureSplit], task: str = "regression") -> dict[str, Any]:
    """The task and its number of outputs, for a config: `config.replace(**label_shape(splits, task))`."""
    if task == "regression":
        return {"task": task, "outputs": int(np.prod(splits["train"].labels.shape[1:]))}
    return {"task": task, "outputs": 1 + int(max(split.truth(task).max() for split in splits.values()))}


def check_fits(splits: Mapping[str, FeatureSplit], config: ModelConfig, modalities: Sequence[str] = MODALITIES) -> None:
    """Raises DataError if a model made for `config` cannot read these modalities or predict these labels."""
    for split in splits.values():
        _check_labels(split, config)
        for m in modalities:
            sizes = {}
            if m == "language" and config.language_model is not None:
                _check_tokens(split, config.language_model)
            else:
                sizes["width"] = split.stream(m).shape[2], config.feature_widths[m]
            sizes["length"] = split.steps[m], config.lengths[m]
            for what, (found, expected) in sizes.items():
                if found != expected:
                    raise DataError(f"{split.place} has {m} {what} {found}, the model was made for {expected}.")


def _check_labels(split: FeatureSplit, config: ModelConfig) -> None:
    truth, where = split.truth(config.task), split.place
    if config.task == "regression":
        if (numbers := int(np.prod(truth.shape[1:]))) != config.outputs:
            raise DataError(f"{where} has {numbers} numbers as a label, the model was made for {config.outputs}.")
    elif len(odd := truth[(truth < 0) | (truth >= config.outputs)]):
        raise DataError(f"{where} has the class {odd[0]}, the model was made for classes 0 to {config.outputs - 1}.")


def _check_tokens(split: FeatureSplit, language_model: str | dict[str, Any]) -> None:
    """A model on the Hub, given by its name, may still refuse tokens that pass here."""
    tokens, where = split.stream("language", tokens=True), f"{split.place}, key 'text_bert'"
    known = language_model if isinstance(language_model, dict) else {}
    if (largest := int(tokens[:, 0].max())) >= known.get("vocab_size", largest + 1):
        raise DataError(f"{where}: token id {largest}, but the language model knows {known['vocab_size']} tokens.")
    if tokens.shape[2] > (most := known.get("max_position_embeddings", tokens.shape[2])):
        raise DataError(f"{where}: {tokens.shape[2]} tokens in a clip, but the language model reads at most {most}.")
