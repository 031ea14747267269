"""The layouts in which feature files circulate, each brought to splits of arrays under MMSA's keys.

docs/own_data.md lists them. A reader looks at names and nesting alone; `layout.py` checks the arrays.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dmdlite.data.containers import read_file
from dmdlite.data.pickles import DataError
from dmdlite.data.splits import KEYS, WHOLE
from dmdlite.data.ur_funny import FOLDS, read_ur_funny

ALIASES = {  # MMSA's key -> the names it goes by, in small letters
    "text": ("text", "language", "glove", "linguistic"),
    "vision": ("vision", "visual", "video", "facet", "openface"),
    "audio": ("audio", "acoustic", "covarep", "speech"),
    "text_bert": ("text_bert", "tokens"),
    "raw_text": ("raw_text", "sentence", "sentences", "transcript", "words"),
    "id": ("id", "ids", "segment", "segments", "name"),
    "regression_labels": ("regression_labels", "regression_labels_m", "sentiment"),
    "classification_labels": ("classification_labels", "classification_labels_m", "class", "classes", "emotion"),
    "annotations": ("annotations", "annotation"),
    "labels": ("labels", "label", "label_m"),  # numbers or classes, as their type tells
    "lengths": ("lengths", "length"),  # of all modalities
    "availability": ("availability", "available"),  # (clips, 3): language, vision, audio
    "split": ("split", "mode"),
}
ALIASES |= {f"regression_labels_{m}": (f"regression_labels_{m}", f"label_{m}") for m in "tav"}  # CH-SIMS
ALIASES |= {
    f"{key}_{what}": tuple(f"{name}_{ending}" for name in ALIASES[key] for ending in (what, what.rstrip("s")))
    for key in KEYS.values()
    for what in ("lengths", "starts", "available")
}
KEY_OF = {name: key for key, names in ALIASES.items() for name in names} | {"extractor": "extractor"}
SPLIT_OF = {"train": "train", "training": "train", "test": "test", "testing": "test", WHOLE: WHOLE}
SPLIT_OF |= dict.fromkeys(("valid", "dev", "val", "validation"), "valid")
Arrays = dict[str, Any]  # MMSA's key -> what the file holds under it, clip by clip


def read_layout(path: Path) -> dict[str, Arrays]:
    """Split -> MMSA's key -> values, from a file or a folder of any known layout; undivided data is the split "all".

    Raises DataError in one sentence for a file that cannot be read or a layout that is not known.
    """
    content = _read_folder(path) if path.is_dir() else read_file(path)
    for reader in (mmsa, tuples, prefixed, clip_by_clip, undivided):
        if found := reader(content):
            return found
    for name, arrays in _splits_of(content).items():
        if not isinstance(arrays, Mapping):
            raise DataError(f"{path.name}, split {name!r} holds {type(arrays).__name__}, not a dict of arrays.")
    held = f"a dict with {listed(content)}" if isinstance(content, Mapping) else f"a {type(content).__name__}"
    raise DataError(f"{path.name} holds {held}, not splits or streams in any layout of docs/own_data.md.")


def mmsa(content: Any) -> dict[str, Arrays]:
    """MMSA, MMSA-FET, CH-SIMS, MulT: a dict of splits, each a dict of the arrays of all its clips."""
    splits = _splits_of(content)
    return {name: renamed(x) for name, x in splits.items()} if _all(splits.values(), Mapping) else {}


def tuples(content: Any) -> dict[str, Arrays]:
    """MAG-BERT, MISA, MMIM: a list of ((words, vision, audio, …), label, id) for each split, or one such list."""
    splits = _splits_of(content) or {WHOLE: content}
    found = {name: _of_tuples(clips) for name, clips in splits.items()}
    return found if all(found.values()) else {}


def prefixed(content: Any) -> dict[str, Arrays]:
    """The arrays of several splits side by side, as .npz files have them: train_text, train/text, text_train."""
    splits: dict[str, Arrays] = {}
    for name, value in content.items() if isinstance(content, Mapping) else ():
        for mark in "/._":
            (first, _, rest), (start, _, last) = str(name).partition(mark), str(name).rpartition(mark)
            for split, key in ((first, rest), (last, start)):
                if split.lower() in SPLIT_OF and key.lower() in KEY_OF:
                    splits.setdefault(SPLIT_OF[split.lower()], {})[key] = value
    return {name: renamed(arrays) for name, arrays in splits.items()}


def clip_by_clip(content: Any) -> dict[str, Arrays]:
    """A dict of arrays for each clip: in a list, or in a dict by the clip's id. "split" or "mode" divides them."""
    named = isinstance(content, Mapping)
    clips = list(content.values()) if named else content
    if not _all(clips, Mapping) or not all(_streams(renamed(clip)) for clip in clips):
        return {}
    rows = [({"id": str(name)} if named else {}) | renamed(clip) for name, clip in zip(content, clips)]
    return divided({key: [row.get(key) for row in rows] for key in dict.fromkeys(key for row in rows for key in row)})


def undivided(content: Any) -> dict[str, Arrays]:
    """The arrays of many clips, or of a single one (MMSA-FET's run_single), without the name of a split."""
    if not isinstance(content, Mapping) or not (streams := _streams(arrays := renamed(content))):
        return {}
    count = len(next(iter(streams.values())))
    columns = [arrays[key] for key in ("id", "labels", "regression_labels", "classification_labels") if key in arrays]
    vectors = any(rank(column) and len(column) == count for column in columns)  # else (time, width) of one clip
    single = not vectors and all(rank(x) == 2 for x in streams.values())
    return divided({key: [value] for key, value in arrays.items()} if single else arrays)


def renamed(arrays: Mapping[Any, Any]) -> Arrays:
    """Under MMSA's keys; what is None or empty counts as absent, and a "text" of words is the raw text."""
    found: Arrays = {}
    for name, value in arrays.items():
        name = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        if value is None or (isinstance(value, list | tuple) and not len(value)):
            continue
        key = KEY_OF.get(name.lower(), name)
        if key == "text" and is_text(value):
            key = "raw_text"
        if key not in found or name == key:
            found[key] = value
    return found


def is_text(value: Any) -> bool:
    """Whether these are words: a string, or an array or list, of any depth, that begins with one."""
    return isinstance(_first(value)[0], str | bytes)


def is_whole(value: Any) -> bool:
    """Whether these are integers by type, such as the numbers of classes."""
    return isinstance(_first(value)[0], int | np.integer)


def rank(value: Any) -> int:
    """The number of axes, also of a list of arrays of different lengths."""
    return _first(value)[1]


def _first(value: Any) -> tuple[Any, int]:
    """The first entry that is no container, None left out, and how deep it lies."""
    depth = 0
    while isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
        value, depth = next((entry for entry in value if entry is not None), None), depth + 1
    return value, depth


def divided(arrays: Arrays) -> dict[str, Arrays]:
    """The splits that a column "split" or "mode" tells apart; without one there is a single split, "all"."""
    if "split" not in arrays:
        return {WHOLE: arrays}
    of_clip = [SPLIT_OF.get(str(name).lower(), str(name)) for name in arrays["split"]]
    rows = {split: [i for i, name in enumerate(of_clip) if name == split] for split in dict.fromkeys(of_clip)}
    take = lambda values, kept: values[kept] if isinstance(values, np.ndarray) else [values[i] for i in kept]
    return {split: {key: take(value, kept) for key, value in arrays.items()} for split, kept in rows.items()}


def listed(names: Any) -> str:
    """Names for a message."""
    names = list(map(str, names))
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "nothing"


def _splits_of(content: Any) -> dict[str, Any]:
    """The entries of a dict that are called like splits, whatever spelling."""
    entries = content.items() if isinstance(content, Mapping) else ()
    return {SPLIT_OF[str(name).lower()]: value for name, value in entries if str(name).lower() in SPLIT_OF}


def _all(values: Any, kind: type) -> bool:
    values = list(values) if not isinstance(values, str | bytes | np.ndarray | Mapping) else []
    return bool(values) and all(isinstance(value, kind) for value in values)


def _streams(arrays: Arrays) -> dict[str, Any]:
    return {key: arrays[key] for key in KEYS.values() if key in arrays and rank(arrays[key])}


def _of_tuples(clips: Any) -> Arrays:
    """Those of a list of such tuples, or none. Words may be vectors, word ids or strings; only vectors are features."""
    if not _all(clips, tuple) or not all(len(x) > 1 and isinstance(x[0], tuple) and len(x[0]) > 2 for x in clips):
        return {}
    inputs = [clip[0] for clip in clips]
    words = [x[0] for x in inputs]
    arrays = {"vision": [x[1] for x in inputs], "audio": [x[2] for x in inputs], "labels": [clip[1] for clip in clips]}
    if all(rank(x) == 2 for x in words):
        arrays["text"] = words
    spoken = [x[3] if len(x) > 3 else x[0] for x in inputs]
    if is_text(spoken):
        arrays["raw_text"] = spoken
    return arrays | ({"id": [clip[2] for clip in clips]} if all(len(clip) > 2 for clip in clips) else {})


def _read_folder(folder: Path) -> Any:
    """A CSV with a row for each clip (id; label; text, split) beside text, vision, audio: each an array or a folder.

    An array has the clips in the order of the CSV; a folder has a file for each clip, named by its id.
    Or UR-FUNNY's own pickles.
    """
    if (folder / FOLDS).is_file():
        return read_ur_funny(folder)
    tables = sorted(folder.glob("*.csv"))
    if len(tables) != 1:
        raise DataError(f"{folder} is a folder without features.json, and with {len(tables)} CSV files instead of one.")
    try:
        table = pd.read_csv(tables[0], encoding="utf-8-sig", dtype={"id": str, "video_id": str, "clip_id": str})
    except (ValueError, OSError) as problem:
        raise DataError(f"{tables[0].name} is not a readable table: {str(problem).strip().rstrip('.')}.") from None
    arrays = renamed({name: column.to_numpy() for name, column in table.items() if column.notna().any()})
    if {"video_id", "clip_id"} <= arrays.keys():
        arrays["id"] = [f"{video}$_${clip}" for video, clip in zip(arrays["video_id"], arrays["clip_id"])]
    if "id" not in arrays:
        raise DataError(f"{tables[0].name} has no column 'id' that names the clips; it has {listed(table)}.")
    for entry in sorted(folder.iterdir()):
        key = KEY_OF.get(entry.stem.lower())
        if key in (*KEYS.values(), "text_bert") and entry != tables[0]:
            arrays[key] = _clip_files(entry, list(arrays["id"])) if entry.is_dir() else read_file(entry)
    return divided(arrays)


def _clip_files(folder: Path, ids: Sequence[str]) -> list[Any]:
    """What the file of each clip holds; NaN, which is no recording, for a clip without one."""
    paths = [path for path in folder.rglob("*.*") if path.is_file()]
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
    named = [[str(name), str(name).replace("$_$", "_"), str(name).replace("$_$", "/")] for name in ids]
    found = [next((files[name] for name in names if name in files), None) for names in named]
    arrays = [None if file is None else _single(read_file(file)) for file in found]
    shape = next(((1, *x.shape[1:]) for x in arrays if isinstance(x, np.ndarray)), (1, 1))
    return [np.full(shape, np.nan) if x is None else x for x in arrays]


def _single(content: Any) -> Any:
    """The array of a file that holds one: an .npz has it under some name."""
    return next(iter(content.values())) if isinstance(content, Mapping) and len(content) == 1 else content
