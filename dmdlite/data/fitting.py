"""Whether splits and a model fit: sizes and task for a config, clips of other lengths, labels that can be learned."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.data.pickles import DataError
from dmdlite.data.splits import SPLITS, FeatureSplit, Splits


def feature_shapes(splits: Mapping[str, FeatureSplit], tokens: bool = False) -> dict[str, Any]:
    """For `config.replace(**feature_shapes(splits))`: the modalities that the data have, their widths and lengths,
    and the extractor that made them, if it is known.

    tokens: a language model will read the token ids. The widths have no language if there are token ids only.
    """
    first = next(iter(splits.values()))
    widths = {m: x.shape[2] for m, x in first.features.items()}
    lengths = first.steps
    if tokens:
        lengths["language"] = first.stream("language", tokens=True).shape[2]
    sizes = {"modalities": [m for m in MODALITIES if m in lengths], "feature_widths": widths, "lengths": lengths}
    return sizes | ({"extractor": first.extractor} if first.extractor else {})


def label_shape(splits: Mapping[str, FeatureSplit], task: str | None = None) -> dict[str, Any]:
    """The task, its number of outputs and what they mean: `config.replace(**label_shape(splits, task))`."""
    truths = [split.truth(task) for split in splits.values() if split.labelled(task)]
    first = next(iter(splits.values()))
    task = task or first.task
    if not truths:
        first.truth(task)  # raises what is wrong
    if task in ("classification", "ordinal"):
        outputs = max(len(first.class_names), 1 + int(max(truth.max() for truth in truths)))
    else:
        outputs = int(np.prod(truths[0].shape[1:]))
    scale = label_scale(truths) if task == "regression" and outputs == 1 else "other"
    names = list(first.class_names) if task != "regression" else []
    return {"task": task, "outputs": outputs, "label_scale": scale, "class_names": names}


def label_scale(labels: Sequence[np.ndarray]) -> str:
    """Whose scores make sense for these labels: "mosi" within [-3, 3], "sims" within [-1, 1], else "other".

    Labels that are never negative are no sentiments, whose sign these scores judge.
    """
    low, high = min(np.nanmin(x) for x in labels), max(np.nanmax(x) for x in labels)
    if low >= 0 or max(-low, high) > 3:
        return "other"
    return "sims" if max(-low, high) <= 1 else "mosi"


def check_fits(splits: Mapping[str, FeatureSplit], config: ModelConfig, modalities: Sequence[str] = MODALITIES) -> None:
    """Raises DataError if a model made for `config` cannot read these modalities or predict their labels, if any."""
    for split in splits.values():
        if config.extractor not in ("", split.extractor):
            found = f"those of {split.extractor!r}" if split.extractor else "of an extractor that is not known"
            raise DataError(f"{split.place}: features {found}, the model was made for those of {config.extractor!r}.")
        if split.labelled(config.task):
            _check_labels(split, config)
        for m in modalities:
            tokens = m == "language" and config.language_model is not None
            x, sizes = split.stream(m, tokens), {}
            if tokens:
                _check_tokens(split, config.language_model)
            else:
                sizes["width"] = x.shape[2], config.feature_widths[m]
            sizes["length"] = x.shape[2 if tokens else 1], config.lengths[m]
            for what, (found, expected) in sizes.items():
                if found != expected:
                    raise DataError(f"{split.place} has {m} {what} {found}, the model was made for {expected}.")


def clipped(splits: Splits, low: float, high: float) -> Splits:
    """The splits with labels within a range, and a warning that counts those that were outside."""
    if count := sum(np.count_nonzero((x.labels < low) | (x.labels > high)) for x in splits.values()):
        source = next(iter(splits.values())).source
        warnings.warn(f"{source}: {count} labels outside [{low:g}, {high:g}] are clipped to it.", stacklevel=2)
    return Splits({name: replace(x, labels=x.labels.clip(low, high)) for name, x in splits.items()})


def check_trainable(
    splits: Mapping[str, FeatureSplit], task: str, unlabelled: bool = False, needed: Sequence[str] = SPLITS
) -> None:
    """Raises DataError if a split that is needed is missing, or if there is nothing to learn from its labels.

    unlabelled: whether the model learns from clips without labels, too.
    """
    if absent := [name for name in needed if name not in splits]:
        there = next(iter(splits.values())).source + " has " + ", ".join(map(repr, splits))
        advice = "--split-by-id 0.7,0.1,0.2 makes the three" if len(splits) == 1 else "training needs all three"
        raise DataError(f"{there} and no split {absent[0]!r}; {advice}.")
    for name in needed:
        truth, where = splits[name].truth(task), splits[name].place
        unknown = np.isnan(truth)
        if unknown.any() and not (unlabelled and name == "train"):
            advice = "leave these clips out, or only predict them"
            raise DataError(f"{where}: {unknown.sum()} of {truth.size} labels are NaN; {advice}.")
    if np.nanmin(truth := splits["train"].truth(task)) == np.nanmax(truth):
        classes = "; its classes may be meant (--task classification)" if task == "regression" else ""
        where, value = splits["train"].place, np.nanmax(truth)
        raise DataError(f"{where}: every label is {value:g}, so there is nothing to learn{classes}.")


def class_weights(split: FeatureSplit, outputs: int, task: str | None = None) -> list[float]:
    """Weights for `config.class_weights` that make all classes count alike: N / (C n_c) for the n_c clips of class c.

    Of several labels at once: how many clips lack a label for each that has it. task: by default what the classes are.
    """
    several = split.classes is None or split.classes.ndim == 2
    truth = split.truth(task or ("multilabel" if several else "classification"))
    if truth.dtype.kind == "f" or truth.ndim == 2:
        count = (truth > 0).reshape(len(truth), -1).sum(axis=0).clip(1, max(len(truth) - 1, 1))
        return ((len(truth) - count) / count).tolist()
    return (len(truth) / (outputs * np.bincount(truth, minlength=outputs).clip(1))).tolist()


def fitted(split: FeatureSplit, config: ModelConfig) -> FeatureSplit:
    """The split as a model reads it: shorter clips padded to its lengths, classes numbered as its own are."""
    names, spoken = split.class_names, "tokens" if config.language_model else "language"
    split = split.resized({spoken if m == "language" else m: steps for m, steps in config.lengths.items()})
    if config.class_names and split.classes is not None and list(names) != config.class_names:
        if unknown := [name for name in names if name not in config.class_names]:
            known = ", ".join(config.class_names)
            raise DataError(f"{split.place} has the class {unknown[0]!r}, the model knows {known}.")
        if names:
            order = np.array([config.class_names.index(name) for name in names])
            split = replace(split, classes=order[split.classes], class_names=tuple(config.class_names))
    return split


def _check_labels(split: FeatureSplit, config: ModelConfig) -> None:
    truth, where = split.truth(config.task), split.place
    if config.task in ("regression", "multilabel"):
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
