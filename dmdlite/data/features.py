"""Reading, converting and writing feature files. Other packages import from here what they need of `data/`.

A converted folder has one safetensors file per split, with arrays under MMSA's keys, and features.json for the strings.
Feature values are checked when it is written, labels and lengths whenever it is opened.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dmdlite.data.layout import listed, make_splits, to_layout
from dmdlite.data.pickles import DataError, UnsafePickle, read_pickle
from dmdlite.data.splits import SPLITS, Clip, FeatureSplit, Splits, check_fits, feature_shapes, fingerprint, label_shape
from dmdlite.data.toy import toy_world
from dmdlite.files import whole_folder, write_bytes, write_text

__all__ = ["SPLITS", "Clip", "DataError", "FeatureSplit", "Splits", "UnsafePickle", "check_fits", "convert_features"]
__all__ += ["feature_shapes", "fingerprint", "label_shape", "load_features", "open_data", "write_folder", "write_mmsa"]
ANNOTATIONS = np.array(["Negative", "Neutral", "Positive"])
INDEX = "features.json"
FORMAT = "dmdlite features 1"
DTYPES = ("F16", "F32", "I64")


def load_features(path: str | Path) -> Splits:
    """The splits "train", "valid" and "test" of an MMSA-layout pickle or of a converted folder.

    A pickle is read whole and every value is checked; a folder opens at once, mapped from disk clip by clip.
    Raises DataError, naming file, split and key, and UnsafePickle (a DataError) if a pickle holds more than data.
    """
    path = Path(path)
    if path.is_file():
        return make_splits(read_pickle(path), path.name)
    if (path / INDEX).is_file():
        return make_splits(_read_folder(path.resolve()), path.resolve().name, scan=False)
    problem = f"is a folder without {INDEX}" if path.is_dir() else "does not exist"
    raise DataError(f"{path} {problem}; give an MMSA-layout pickle or a converted folder.")


def open_data(path: Path | None) -> tuple[Mapping[str, FeatureSplit], Path | None]:
    """The data of a command, and the file or folder that they come from.

    Without a path this is data_samples/toy, here or beside this package; elsewhere the same splits, made in memory.
    """
    samples = [Path("data_samples/toy"), Path(__file__).parents[2] / "data_samples" / "toy"]
    path = path or next((place for place in samples if place.exists()), None)
    return (toy_world().splits, None) if path is None else (load_features(path), path)


def write_mmsa(splits: Mapping[str, FeatureSplit], path: str | Path) -> None:
    """Writes an MMSA-layout pickle of numpy arrays and strings alone; equal splits give equal bytes.

    It holds the lengths of all modalities; MMSA itself reads those of audio and vision. Raises DataError on bad splits.
    """
    content = {name: to_layout(splits[name]) for name in SPLITS}
    make_splits(content, Path(path).name)
    for name, layout in content.items():
        if splits[name].labels.ndim == 1:
            layout["annotations"] = ANNOTATIONS[1 + np.sign(splits[name].labels).astype(int)]
        for key, value in layout.items():
            array = np.ascontiguousarray(value)
            # A fresh view with a fresh dtype: otherwise objects that share memory leave traces in the pickle.
            layout[key] = array.view(np.dtype(array.dtype.str), np.ndarray)
    write_bytes(Path(path), pickle.dumps(content, protocol=4))


def convert_features(source: str | Path, folder: str | Path) -> None:
    """Rewrites a feature file as a converted folder, which must be new or empty. Raises DataError as both steps do."""
    check_free(Path(folder))
    write_folder(load_features(source), folder)


def write_folder(splits: Mapping[str, FeatureSplit], folder: str | Path) -> None:
    """Writes splits to a new or empty folder, whole or not at all. Raises DataError for other folders, bad splits."""
    folder = Path(folder).resolve()
    check_free(folder)
    checked = make_splits({name: to_layout(splits[name]) for name in SPLITS}, folder.name)
    index: dict[str, Any] = {"format": FORMAT, "source": splits["train"].source, "splits": {}}
    with whole_folder(folder) as draft:
        for name, split in checked.items():
            arrays = to_layout(split)
            strings = {key: arrays.pop(key) for key in ("id", "raw_text")}
            try:
                save_file({key: np.ascontiguousarray(x) for key, x in arrays.items()}, draft / f"{name}.safetensors")
            except SafetensorError as problem:
                raise OSError(f"{folder} cannot be written: {problem}") from None
            entry = {"replaced": splits[name].replaced + split.replaced, "arrays": _map(draft, name)[1]}
            index["splits"][name] = entry | strings
        write_text(draft / INDEX, json.dumps(index))


def check_free(folder: Path) -> None:
    """Raises DataError if the folder cannot be written because something is there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists and is not an empty folder; nothing was written.")


def _read_folder(folder: Path) -> dict[str, dict[str, Any]]:
    """The arrays of a converted folder, mapped from disk, and its strings, by split."""
    splits = {}
    for name, entry in _read_index(folder).items():
        arrays, found = _map(folder, name)
        expected = entry.pop("arrays")
        for key in sorted(found.keys() | expected.keys()):
            where = f"{folder.name}/{name}.safetensors, key {key!r}"
            if key not in found or found[key] != expected.get(key):
                raise DataError(f"{where}: {found.get(key, 'missing')}, but {INDEX} says {expected.get(key)}.")
            if (dtype := found[key]["dtype"]) not in DTYPES:
                raise DataError(f"{where}: holds {dtype}, not one of {listed(DTYPES)}.")
        splits[name] = {key: x.numpy() for key, x in arrays.items()} | entry
    return splits


def _read_index(folder: Path) -> dict[str, dict[str, Any]]:
    """What features.json says of each split."""
    where = f"{folder.name}/{INDEX}"
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DataError(f"{where} is unreadable, truncated or damaged ({problem}).") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise DataError(f"{where} does not say {FORMAT!r}; it is of another version or not ours.")
    splits = index["splits"] if isinstance(index.get("splits"), dict) else {}
    kinds = {"arrays": dict, "id": list, "raw_text": list, "replaced": int}
    for name in SPLITS:
        entry = splits.get(name)
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), kinds[key]) for key in kinds):
            raise DataError(f"{where} has no split {name!r} with {listed(kinds)}.")
    return {name: {key: splits[name][key] for key in kinds} for name in SPLITS}


def _map(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors of a split's file, mapped from disk, and the dtype and shape of each."""
    try:
        with safe_open(folder / f"{name}.safetensors", framework="pt") as file:  # numpy would read the file whole
            parts = {key: file.get_slice(key) for key in file.offset_keys()}
            found = {key: {"dtype": x.get_dtype(), "shape": x.get_shape()} for key, x in parts.items()}
            return {key: file.get_tensor(key) for key in parts}, found
    except (OSError, SafetensorError) as problem:
        raise DataError(f"{folder.name}/{name}.safetensors is missing, truncated or damaged ({problem}).") from None
