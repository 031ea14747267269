"""The data of a command: a given file or folder, or else the toy world."""

from __future__ import annotations

from pathlib import Path

from dmdlite.data.features import FeatureSplit, load_features
from dmdlite.data.toy import toy_world


def open_data(path: Path | None) -> tuple[dict[str, FeatureSplit], Path | None]:
    """The splits, and the file or folder that they come from.

    Without a path this is data_samples/toy, here or beside this package; elsewhere the same splits, made in memory.
    """
    samples = [Path("data_samples/toy"), Path(__file__).parents[2] / "data_samples" / "toy"]
    path = path or next((place for place in samples if place.exists()), None)
    return (toy_world().splits, None) if path is None else (load_features(path), path)
