"""Our converted folder: MMSA's layout again, one safetensors file for each split, and features.json for the strings.

Features are mapped from disk and read clip by clip, so the folder opens at once whatever its size. Feature values are
checked when the folder is written, labels and lengths whenever it is opened.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from dmdlite.data.layout import listed
from dmdlite.data.mmsa import make_splits, to_layout
from dmdlite.data.pickles import DataError
from dmdlite.data.splits import SPLITS, FeatureSplit

INDEX = "features.json"
FORMAT = "dmdlite features 1"
DTYPES = {"F16": "<f2", "F32": "<f4", "I64": "<i8"}


def write_folder(splits: Mapping[str, FeatureSplit], folder: str | Path) -> None:
    """Writes the splits to a new or empty folder, which appears complete or not at all.

    Raises DataError if the folder holds anything, or if the splits are not sound.
    """
    folder = Path(folder).resolve()
    check_free(folder)
    layouts = {name: to_layout(splits[name]) for name in SPLITS}
    checked = make_splits(layouts, folder.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        index = {"format": FORMAT, "source": splits["train"].source, "splits": {}}
        for name in SPLITS:
            replaced = splits[name].replaced + checked[name].replaced
            index["splits"][name] = {"replaced": replaced} | _write_split(unfinished, checked[name])
        (unfinished / INDEX).write_text(json.dumps(index), encoding="utf-8")
        _publish(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_free(folder: str | Path) -> None:
    """Raises DataError if something is at the place of a folder to be written."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists and is not an empty folder; nothing was written.")


def _publish(unfinished: Path, folder: Path) -> None:
    unfinished.chmod(0o755)
    if folder.exists():
        folder.rmdir()
    os.rename(unfinished, folder)


def _write_split(folder: Path, split: FeatureSplit) -> dict[str, Any]:
    layout = to_layout(split)
    strings = {key: layout.pop(key) for key in ("id", "raw_text")}
    shapes = _write_tensors(folder / f"{split.name}.safetensors", layout)
    return {"arrays": shapes} | strings


def _write_tensors(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Writes a safetensors file array by array (the library's own writer copies them all first)."""
    codes = {np.dtype(dtype): code for code, dtype in DTYPES.items()}
    header, shapes, end = {}, {}, 0
    by_alignment = sorted(arrays, key=lambda key: (-arrays[key].itemsize, key))
    for key in by_alignment:
        shapes[key] = {"dtype": codes[arrays[key].dtype], "shape": list(arrays[key].shape)}
        header[key] = shapes[key] | {"data_offsets": [end, end := end + arrays[key].nbytes]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key in by_alignment:
            np.ascontiguousarray(arrays[key]).tofile(file)
    return shapes


def read_folder(folder: str | Path) -> dict[str, FeatureSplit]:
    """The splits of a converted folder, features mapped from disk.

    Raises DataError with one sentence if a file is missing, truncated, changed or of another format.
    """
    folder = Path(folder).resolve()
    index = _read_index(folder)
    layouts = {}
    for name in SPLITS:
        entry = index["splits"][name]
        arrays = _map_tensors(folder, f"{name}.safetensors", entry["arrays"])
        layouts[name] = arrays | {"id": entry["id"], "raw_text": entry["raw_text"]}
    splits = make_splits(layouts, folder.name, scan=False)
    return {name: replace(split, replaced=index["splits"][name]["replaced"]) for name, split in splits.items()}


def _read_index(folder: Path) -> dict[str, Any]:
    where = f"{folder.name}/{INDEX}"
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(f"{where} cannot be read: {problem.strerror}.") from None
    except ValueError:
        raise DataError(f"{where} is truncated or damaged.") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise DataError(f"{where} does not say {FORMAT!r}; it is of another version or not ours.")
    splits = index.get("splits")
    for name in SPLITS:
        entry = splits.get(name) if isinstance(splits, dict) else None
        kinds = {"arrays": dict, "id": list, "raw_text": list, "replaced": int}
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), kind) for key, kind in kinds.items()):
            raise DataError(f"{where} has no split {name!r} with {listed(kinds)}.")
    return index


def _map_tensors(folder: Path, file: str, expected: Mapping[str, Any]) -> dict[str, np.ndarray]:
    where = f"{folder.name}/{file}"
    try:
        with safe_open(folder / file, framework="np") as tensors:  # checks the header and the size of the file
            found = {key: tensors.get_slice(key) for key in tensors.keys()}
            shapes = {key: {"dtype": x.get_dtype(), "shape": list(x.get_shape())} for key, x in found.items()}
    except (OSError, SafetensorError) as problem:
        raise DataError(f"{where} is missing, truncated or damaged ({problem}).") from None
    if shapes != expected:
        odd = sorted(key for key in shapes.keys() | expected.keys() if shapes.get(key) != expected.get(key))
        raise DataError(f"{where}, key {odd[0]!r}: {shapes.get(odd[0])}, but {INDEX} says {expected.get(odd[0])}.")
    return _arrays_on_disk(folder / file)


def _arrays_on_disk(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    arrays = {}
    for key, entry in header.items():
        if entry["dtype"] not in DTYPES:
            where = f"{path.parent.name}/{path.name}, key {key!r}"
            raise DataError(f"{where}: holds {entry['dtype']}, not one of {listed(DTYPES)}.")
        start = 8 + size + entry["data_offsets"][0]
        dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
        arrays[key] = np.empty(shape, dtype) if 0 in shape else np.memmap(path, dtype, "r", start, shape)
    return arrays
