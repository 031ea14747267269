"""Reading, converting and writing feature files. Other packages import from here what they need of `data/`.

A converted folder has one safetensors file per split, with arrays under MMSA's keys, and features.json for the strings.
Feature values are checked when it is written, labels and lengths whenever it is opened.
"""

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dmdlite.checking import known
from dmdlite.config import MODALITIES
from dmdlite.data.assemble import divided_by_id, make_splits, to_layout
from dmdlite.data.fitting import check_fits, check_trainable, clipped, feature_shapes, fitted, label_shape
from dmdlite.data.pickles import DataError, UnsafePickle
from dmdlite.data.readers import listed, read_layout
from dmdlite.data.splits import SPLITS, WHOLE, Clip, FeatureSplit, Splits, fingerprint
from dmdlite.data.toy import toy_world
from dmdlite.files import whole_folder, write_bytes, write_text
from dmdlite.presets import TASKS

__all__ = ["SPLITS", "Clip", "DataError", "FeatureSplit", "Splits", "UnsafePickle", "check_fits", "check_trainable"]
__all__ += ["convert_features", "feature_shapes", "fingerprint", "fitted", "label_shape", "load_features", "open_data"]
__all__ += ["write_folder", "write_mmsa"]
SIGNS = ("Negative", "Neutral", "Positive")  # MMSA's words for classes that are the sign of a sentiment
INDEX = "features.json"
FORMAT = "dmdlite features 1"
DTYPES = ("F16", "F32", "I64")


def load_features(
    path: str | Path,
    task: str | None = None,
    *,
    modalities: Sequence[str] = MODALITIES,
    invalid: str = "refuse",
    split_by_id: Sequence[float] | None = None,
    split_seed: int = 0,
    label_range: Sequence[float] | None = None,
) -> Splits:
    """The splits of a feature file or folder in any layout of docs/own_data.md, or of a converted folder.

    task: "regression", "classification", "ordinal" or "multilabel"; by default what the labels are.
    modalities: those to read; the others need not be sound. invalid: "zero" sets NaN and infinities to 0, with a count.
    split_by_id: shares of train, valid and test for a file without splits; no video or speaker is in two of them.
    label_range: the least and the largest number of a label; those outside are clipped, with a count.
    A file is read whole and every value is checked; a converted folder opens at once, mapped from disk clip by clip.
    Raises DataError, naming file, split and key, and UnsafePickle (a DataError) if a pickle holds more than data.
    """
    path = Path(path)
    known("invalid", invalid, ("refuse", "zero"))
    known("task", task, (None, *TASKS))
    if not path.exists():
        raise DataError(f"{path} does not exist; give a feature file, or a folder, in a layout of docs/own_data.md.")
    converted = (path / INDEX).is_file()
    content = _read_folder(path.resolve()) if converted else read_layout(path)
    name = path.resolve().name
    splits = make_splits(content, name, task, modalities=modalities, invalid=invalid, scan=not converted)
    if split_by_id is not None:
        if list(splits) != [WHOLE]:
            raise DataError(f"{name} has the splits {listed(splits)} already; --split-by-id is for a file without any.")
        splits = divided_by_id(splits[WHOLE], split_by_id, split_seed)
    splits = clipped(splits, *label_range) if label_range else splits
    splits.reading = {"task": task, "modalities": [*modalities], "invalid": invalid, "split_by_id": split_by_id}
    splits.reading |= {"split_seed": split_seed, "label_range": label_range}
    return splits


def open_data(path: Path | None, **reading: Any) -> tuple[Mapping[str, FeatureSplit], Path | None]:
    """The data of a command, read with these options of `load_features`, and the file or folder that they come from.

    Without a path this is data_samples/toy, here or beside this package; elsewhere the same splits, made in memory.
    """
    samples = [Path("data_samples/toy"), Path(__file__).parents[2] / "data_samples" / "toy"]
    path = path or next((place for place in samples if place.exists()), None)
    return (toy_world().splits, None) if path is None else (load_features(path, **reading), path)


def write_mmsa(splits: Mapping[str, FeatureSplit], path: str | Path) -> None:
    """Writes an MMSA-layout pickle of numpy arrays and strings alone; equal splits give equal bytes.

    It holds the lengths of all modalities; MMSA itself reads those of audio and vision. Raises DataError on bad splits.
    """
    content = {name: to_layout(split) for name, split in splits.items()}
    make_splits(content, Path(path).name)
    for name, layout in content.items():
        classes, names = splits[name].classes, splits[name].class_names
        if not names and classes is not None and np.array_equal(classes, 1 + np.sign(splits[name].labels)):
            names = SIGNS
        if names and classes.ndim == 1:
            layout["annotations"] = np.array(names)[classes]
            if names == SIGNS:  # that is what MMSA's words are
                layout.pop("class_names", None)
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
    checked = make_splits({name: to_layout(split) for name, split in splits.items()}, folder.name)
    source = next(iter(splits.values())).source
    index: dict[str, Any] = {"format": FORMAT, "source": source, "splits": {}}
    with whole_folder(folder) as draft:
        for name, split in checked.items():
            arrays = to_layout(split)
            strings = {key: arrays.pop(key) for key in ("id", "raw_text", "class_names", "extractor") if key in arrays}
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
    for name in splits or SPLITS:
        entry = splits.get(name)
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), kinds[key]) for key in kinds):
            raise DataError(f"{where} has no split {name!r} with {listed(kinds)}.")
        if odd := [key for key in ("class_names", "extractor") if not isinstance(entry.get(key, []), list)]:
            raise DataError(f"{where}, split {name!r} has {odd[0]} that are no list.")
    kinds |= dict(class_names=list, extractor=list)
    return {name: {key: entry[key] for key in kinds if key in entry} for name, entry in splits.items()}


def _map(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors of a split's file, mapped from disk, and the dtype and shape of each."""
    try:
        with safe_open(folder / f"{name}.safetensors", framework="pt") as file:  # numpy would read the file whole
            parts = {key: file.get_slice(key) for key in file.offset_keys()}
            found = {key: {"dtype": x.get_dtype(), "shape": x.get_shape()} for key, x in parts.items()}
            return {key: file.get_tensor(key) for key in parts}, found
    except (OSError, SafetensorError) as problem:
        raise DataError(f"{folder.name}/{name}.safetensors is missing, truncated or damaged ({problem}).") from None
