"""What must hold between a data set and a model: sizes, labels and tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.data.pickles import DataError
from dmdlite.data.splits import FeatureSplit


def feature_shapes(splits: Mapping[str, FeatureSplit]) -> dict[str, dict[str, int]]:
    """The sizes of the data, for a config: `config.replace(**feature_shapes(splits))`.

    The widths have no language if the data holds token ids only.
    """
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
        for modality in modalities:
            if modality == "language" and config.language_model is not None:
                _check_tokens(split, config.language_model)
            else:
                width = split.stream(modality).shape[2]
                _check_size(split, f"{modality} width", width, config.feature_widths[modality])
            _check_size(split, f"{modality} length", split.steps[modality], config.lengths[modality])


def _check_size(split: FeatureSplit, what: str, found: int, expected: int) -> None:
    if found != expected:
        raise DataError(f"{split.place} has {what} {found}, the model was made for {expected}.")


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
