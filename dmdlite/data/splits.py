"""One split of a data set in memory (or mapped from disk), and what has to hold between splits and a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.data.pickles import DataError

SPLITS = ("train", "valid", "test")
Indices = slice | Sequence[int] | np.ndarray | Tensor
FINGERPRINT_CLIPS = 16
NEEDED = {
    "text": "language features",
    "text_bert": "token ids",
    "classification_labels": "classes",
}  # under MMSA's keys


@dataclass(frozen=True)
class FeatureSplit:
    """One split of a data set: N clips, three streams of features, one sentiment each.

    A split made with token ids alone has no "language" in `features`; its language lengths count tokens.
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

    @property
    def steps(self) -> dict[str, int]:
        """Time steps of each modality, padding included; those of the tokens where there are no language features."""
        steps = {modality: x.shape[1] for modality, x in self.features.items()}
        return steps if "language" in steps else {"language": self.tokens.shape[2]} | steps

    def truth(self, task: str = "regression") -> Num[np.ndarray, "clip *outputs"]:
        """What a model is asked for: the numbers, or for "classification" and "ordinal" the classes."""
        return self.labels if task == "regression" else self._need("classification_labels", self.classes)

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
        mask, segment ids. labels: (B,) or (B, outputs) float32, (B,) int64 of a task with classes. With `mask`, mask: a
        dict of (B, T_m) bool, true at the real steps.
        Only what is asked for is read from a mapped file. Raises DataError if the split lacks some of it.
        """
        rows = _rows(indices, len(self))
        batch: dict[str, Any] = {}
        for m in modalities:
            if m == "language" and tokens:
                batch[m] = torch.from_numpy(self._need("text_bert", self.tokens)[rows].astype(np.int64))
            else:
                batch[m] = _floats(self._need("text", self.features.get(m)), rows)
        truth = self.truth(task)
        batch["labels"] = _floats(truth, rows) if task == "regression" else torch.from_numpy(np.int64(truth[rows]))
        if mask:
            real = {m: np.arange(self.steps[m]) < self.lengths[m][rows, None] for m in modalities}
            batch["mask"] = {m: torch.from_numpy(steps) for m, steps in real.items()}
        return batch

    def _need(self, key: str, array: np.ndarray | None) -> np.ndarray:
        if array is None:
            what = NEEDED[key]
            raise DataError(f"{self.source}, split {self.name!r} has no {what} (key {key!r}), which the model needs.")
        return array

    def subset(self, indices: Indices) -> FeatureSplit:
        """Some of the clips as a split of their own; read into memory at once, except for a slice of a mapped file."""
        rows = indices if isinstance(indices, slice) else _rows(indices, len(self))
        places = np.arange(len(self))[rows]
        return replace(
            self,
            features={m: x[rows] for m, x in self.features.items()},
            lengths={m: x[rows] for m, x in self.lengths.items()},
            labels=self.labels[rows],
            ids=[self.ids[i] for i in places],
            raw_text=[self.raw_text[i] for i in places],
            classes=None if self.classes is None else self.classes[rows],
            tokens=None if self.tokens is None else self.tokens[rows],
        )


def _rows(indices: Indices, count: int) -> Int[np.ndarray, "batch"]:
    if isinstance(indices, slice):
        return np.arange(count)[indices]
    rows = np.asarray(indices)
    return np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64).reshape(-1)


def _floats(array: Float[np.ndarray, "clip *rest"], rows: Int[np.ndarray, "batch"]) -> Float[Tensor, "batch *rest"]:
    return torch.from_numpy(np.asarray(array[rows], dtype=np.float32))


def feature_shapes(splits: Mapping[str, FeatureSplit]) -> dict[str, dict[str, int]]:
    """What a config needs to know of the data: `config.replace(**feature_shapes(splits))`.

    The widths have no language where the data holds token ids only.
    """
    train = splits["train"]
    return {"feature_widths": {m: x.shape[2] for m, x in train.features.items()}, "lengths": train.steps}


def label_shape(splits: Mapping[str, FeatureSplit], task: str = "regression") -> dict[str, Any]:
    """What a config needs to know of the labels, for a task: `config.replace(**label_shape(splits, task))`."""
    truth = {name: split.truth(task) for name, split in splits.items()}
    if task == "regression":
        return {"task": task, "outputs": int(np.prod(truth["train"].shape[1:]))}
    return {"task": task, "outputs": 1 + int(max(classes.max() for classes in truth.values()))}


def check_fits(splits: Mapping[str, FeatureSplit], config: DMDConfig, modalities: Sequence[str] = MODALITIES) -> None:
    """Raises DataError with one sentence if a model made for `config` cannot read these modalities of the splits.

    Nor must it be asked for other numbers or classes than they have.
    """
    for split in splits.values():
        _check_labels(split, config)
        for modality in modalities:
            if modality == "language" and config.language_model is not None:
                _check_tokens(split, config.language_model)
            else:
                features = split._need("text", split.features.get(modality))
                _check_size(split, modality, "width", features.shape[2], config.feature_widths[modality])
            _check_size(split, modality, "length", split.steps[modality], config.lengths[modality])


def _check_labels(split: FeatureSplit, config: DMDConfig) -> None:
    truth, where = split.truth(config.task), f"{split.source}, split {split.name!r}"
    if config.task == "regression":
        if (numbers := int(np.prod(truth.shape[1:]))) != config.outputs:
            raise DataError(f"{where} has {numbers} numbers as a label, the model was made for {config.outputs}.")
    elif truth.min() < 0 or truth.max() >= config.outputs:
        odd = int(truth.min() if truth.min() < 0 else truth.max())
        raise DataError(f"{where} has the class {odd}, the model was made for classes 0 to {config.outputs - 1}.")


def _check_tokens(split: FeatureSplit, language_model: str | dict[str, Any]) -> None:
    """As far as the description of the language model tells."""
    tokens, where = split._need("text_bert", split.tokens), f"{split.source}, split {split.name!r}, key 'text_bert'"
    known = language_model if isinstance(language_model, dict) else {}
    if (largest := int(tokens[:, 0].max())) >= known.get("vocab_size", largest + 1):
        raise DataError(f"{where}: token id {largest}, but the language model knows {known['vocab_size']} tokens.")
    if tokens.shape[2] > (most := known.get("max_position_embeddings", tokens.shape[2])):
        raise DataError(f"{where}: {tokens.shape[2]} tokens in a clip, but the language model reads at most {most}.")


def _check_size(split: FeatureSplit, modality: str, size: str, found: int, expected: int) -> None:
    if found != expected:
        where = f"{split.source}, split {split.name!r}"
        raise DataError(f"{where} has {modality} {size} {found}, the model was made for {expected}.")


def fingerprint(splits: Mapping[str, FeatureSplit]) -> str:
    """16 hex digits that tell data sets apart: ids, labels, lengths, shapes and the features of a few clips.

    The same for a pickle and the folder converted from it, and quick on a mapped folder.
    """
    digest = hashlib.sha256()
    for name in sorted(splits):
        split = splits[name]
        clips = np.unique(np.linspace(0, len(split) - 1, FINGERPRINT_CLIPS).astype(np.int64))
        digest.update(repr((name, split.ids, [(m, x.shape) for m, x in sorted(split.features.items())])).encode())
        parts = [split.labels, *(x for _, x in sorted(split.lengths.items()))]
        parts += [x[clips] for _, x in sorted(split.features.items())]
        if split.tokens is not None:
            parts.append(split.tokens[clips])
        if split.classes is not None:
            parts.append(split.classes)
        for part in parts:
            digest.update(np.ascontiguousarray(part, dtype="<f4").tobytes())
    return digest.hexdigest()[:16]
