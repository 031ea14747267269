"""UR-FUNNY as its authors give it away (Hasan et al., EMNLP 2019): a folder of pickles of dicts by clip."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dmdlite.data.containers import read_file
from dmdlite.data.pickles import DataError

FOLDS = "data_folds.pkl"
WORDS = ("language_sdk.pkl", "langauge_sdk.pkl", "word_embedding_indexes_sdk.pkl")  # of version 2, so spelled, of 1


def read_ur_funny(folder: Path) -> dict[str, dict[str, Any]]:
    """Split -> the punchline of each clip, a step for each word, without its context; the class 1 is humour.

    Raises DataError for a file that is missing, or that lacks a clip of the folds.
    """
    words = next((name for name in WORDS if (folder / name).is_file()), WORDS[0])
    names = ("word_embedding_list.pkl", "openface_features_sdk.pkl", "covarep_features_sdk.pkl", "humor_label_sdk.pkl")
    folds, said, vectors, faces, voices, labels = (read_file(folder / name) for name in (FOLDS, words, *names))
    vectors = np.asarray(vectors, np.float32)

    def of(ids: Sequence[Any]) -> dict[str, Any]:
        arrays = {key: [_steps(sdk[i]["punchline_features"]) for i in ids] for key, sdk in streams.items()}
        arrays["text"] = [_steps(vectors[np.asarray(said[i]["punchline_embedding_indexes"], int)]) for i in ids]
        arrays["raw_text"] = [str(said[i].get("punchline_sentence", "")) for i in ids]
        return arrays | {"labels": [int(labels[i]) for i in ids], "id": [str(i) for i in ids]}

    streams = {"vision": faces, "audio": voices}
    try:
        return {split: of(ids) for split, ids in folds.items()}
    except (KeyError, TypeError, IndexError, ValueError) as problem:
        raise DataError(f"{folder} holds {FOLDS}, but not UR-FUNNY's pickles: {problem!r}.") from None


def _steps(features: Any) -> np.ndarray | None:
    """(words, width), or None for a punchline without any."""
    x = np.asarray(features, np.float32)
    return x if len(x) else None
