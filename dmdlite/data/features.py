"""Feature files: MMSA-layout pickles and our own converted folder. What other code needs of them is all here."""

from __future__ import annotations

from pathlib import Path

from dmdlite.data.folder import INDEX, check_free, read_folder, write_folder
from dmdlite.data.mmsa import read_mmsa, write_mmsa
from dmdlite.data.pickles import DataError, UnsafePickle
from dmdlite.data.splits import SPLITS, FeatureSplit, check_fits, feature_shapes, fingerprint, label_shape

__all__ = [
    "SPLITS",
    "DataError",
    "FeatureSplit",
    "UnsafePickle",
    "check_fits",
    "convert_features",
    "feature_shapes",
    "fingerprint",
    "label_shape",
    "load_features",
    "write_folder",
    "write_mmsa",
]


def load_features(path: str | Path) -> dict[str, FeatureSplit]:
    """The splits "train", "valid" and "test" of an MMSA-layout pickle or of a converted folder.

    A pickle is read whole and checked value by value; a folder is mapped from disk and opens at once.
    Raises DataError with one sentence that names the file, split and key, and its kind UnsafePickle if a pickle holds
    more than data.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; give an MMSA-layout pickle or a converted folder.")
    if path.is_file():
        return read_mmsa(path)
    if not (path / INDEX).is_file():
        raise DataError(f"{path} is a folder without {INDEX}; give an MMSA-layout pickle or a converted folder.")
    return read_folder(path)


def convert_features(source: str | Path, folder: str | Path) -> None:
    """Rewrites a feature file as a converted folder, which opens at once and is read clip by clip.

    The folder must be new or empty. Raises DataError as `load_features` does.
    """
    check_free(folder)
    write_folder(load_features(source), folder)
