"""A model's outputs for each clip: its answer, each modality's own, probabilities of classes, edges, and vectors."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import permutations

import numpy as np
import torch
from numpy import ndarray
from pandas import DataFrame, concat
from torch import Tensor

from dmdlite.config import ModelConfig
from dmdlite.data.features import DataError, FeatureSplit, check_fits, fitted
from dmdlite.models.base import ModelOutput, SavedModel
from dmdlite.training.loop import batch_options, read_batches
from dmdlite.training.metrics import Logits, Truth, decided

Parts = dict[tuple[str, str], ndarray]  # ("head", "final" or a modality), ("edge", its name), ("vector", its name)
VECTORS = ("common", "reinforced", "private", "shared")  # outputs that hold one vector of each modality


def read_outputs(model: SavedModel, split: FeatureSplit, mask: bool) -> Parts:
    """The parts of the output for all clips, without dropout. Labels and streams that no prediction needs are not read.

    Shorter clips are padded. Raises DataError for streams that the model cannot read.
    """
    unlabelled = replace(split, labels=np.full(len(split), np.nan, np.float32), classes=None, class_names=())
    split = fitted(unlabelled, model.config)
    options = batch_options(model, mask) | {"modalities": model.read.modalities}
    check_fits({split.name: split}, model.config, options["modalities"])
    read = lambda out: {name: x.float().cpu() for name, x in parts_of(out, model.reads).items()}
    batches = read_batches(model, split, options, read)
    return {name: torch.cat([batch[name] for batch in batches]).numpy() for name in batches[0]}


def parts_of(out: ModelOutput, modalities: Sequence[str]) -> dict[tuple[str, str], Tensor]:
    """The parts of one output. DMD's heads of one modality are those of its heterogeneous space."""
    found, heads = {("head", "final"): out.prediction}, out.predictions
    found |= {("head", m): heads[key] for m in modalities for key in (m, f"heterogeneous_{m}") if key in heads}
    for space, edges in out.edges.items():
        for (i, source), (j, target) in permutations(enumerate(modalities), 2):
            found["edge", f"{space} {source}->{target}"] = edges[:, i, j]
    found |= {} if out.fused is None else {("vector", "fused"): out.fused}
    return found | {("vector", f"{kind}_{m}"): x for kind in VECTORS for m, x in getattr(out, kind, {}).items()}


def of_kind(parts: Parts, wanted: str) -> dict[str, ndarray]:
    return {name: x for (kind, name), x in parts.items() if kind == wanted}


def table(parts: Parts, split: FeatureSplit, config: ModelConfig) -> DataFrame:
    """One row a clip: the columns of `answers`, each modality's own answer, and the edges."""
    heads = of_kind(parts, "head")
    first, chances = answers(heads.pop("final"), split, config)
    own = [columns(m, decided(x, config.task), config, config.class_names) for m, x in heads.items()]
    return concat([first, *own, chances, DataFrame(of_kind(parts, "edge"))], axis=1)


def vectors(parts: Mapping[str, Parts], splits: Mapping[str, FeatureSplit]) -> dict[str, ndarray]:
    """The vectors of these splits by name, one below the other, with the "ids" and the "split" of each."""
    each = [of_kind(x, "vector") for x in parts.values()]
    ids = [clip for name in parts for clip in splits[name].ids]
    found = {"ids": np.array(ids), "split": np.repeat(list(parts), [len(splits[name]) for name in parts])}
    return found | {kind: np.concatenate([x[kind] for x in each]) for kind in each[0]}


def answers(logits: Logits, split: FeatureSplit, config: ModelConfig) -> tuple[DataFrame, DataFrame]:
    """Id, text, label if there is one, and prediction of each clip; and the probabilities of classes, if any."""
    found = [DataFrame({"id": split.ids, "text": split.raw_text})]
    with suppress(DataError):  # labels of another kind do not matter here
        if split.labelled(config.task):
            names = split.class_names or config.class_names
            found.append(columns("label", split.truth(config.task), config, names))
    found.append(columns("prediction", decided(logits, config.task), config, config.class_names))
    chances = {} if config.task == "regression" else probabilities(logits, config)
    return concat(found, axis=1), DataFrame(chances, index=range(len(split)))


def columns(stem: str, x: Truth, config: ModelConfig, names: Sequence[str]) -> DataFrame:
    """One column, of classes with their names if all have one; or one for each number or class that may hold."""
    x = x.astype(float if config.task == "regression" else int)
    if x.ndim == 1:
        named = config.task != "regression" and len(names) > x.max(initial=0)
        return DataFrame({stem: np.array(names, dtype=object)[x] if named else x})
    titles = range(1, x.shape[1] + 1) if config.task == "regression" else names or range(x.shape[1])
    return DataFrame(x, columns=[f"{stem}{'_' if config.task == 'regression' else ' '}{title}" for title in titles])


def probabilities(logits: Logits, config: ModelConfig) -> dict[str, ndarray]:
    """Of each class; of ordered levels as differences of "above level k"; of classes that may hold together each."""
    x = torch.from_numpy(logits.reshape(len(logits), -1)).double()
    each = x.softmax(dim=1).numpy() if config.task == "classification" else x.sigmoid().numpy()
    if config.task == "ordinal":  # a level is never exceeded more likely than one below it
        each = -np.diff(np.minimum.accumulate(each, axis=1), axis=1, prepend=1.0, append=0.0)
    return {f"probability {name}": x for name, x in zip(config.class_names or range(config.outputs), each.T)}
