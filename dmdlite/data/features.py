"""Reading, converting and writing feature files. Other packages import from here what they need of them."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dmdlite.data.fitting import check_fits, feature_shapes, label_shape
from dmdlite.data.folder import INDEX, check_free, read_folder, write_folder
from dmdlite.data.layout import make_splits, to_layout
from dmdlite.data.pickles import DataError, UnsafePickle, read_pickle
from dmdlite.data.splits import SPLITS, Clip, FeatureSplit, Splits, fingerprint
from dmdlite.data.toy import toy_world
from dmdlite.files import write_bytes

__all__ = ["SPLITS", "Clip", "DataError", "FeatureSplit", "Splits", "UnsafePickle", "check_fits", "convert_features"]
__all__ += ["feature_shapes", "fingerprint", "label_shape", "load_features", "open_data", "write_folder", "write_mmsa"]
ANNOTATIONS = np.array(["Negative", "Neutral", "Positive"])


def load_features(path: str | Path) -> Splits:
    """The splits "train", "valid" and "test" of an MMSA-layout pickle or of a converted folder.

    A pickle is read whole and every value is checked; a folder is mapped from disk and opens at once.
    Raises DataError, naming file, split and key, and UnsafePickle (a DataError) if a pickle holds more than data.
    """
    path = Path(path)
    if path.is_file():
        return make_splits(read_pickle(path), path.name)
    if (path / INDEX).is_file():
        return make_splits(read_folder(path.resolve()), path.resolve().name, scan=False)
    problem = f"is a folder without {INDEX}" if path.is_dir() else "does not exist"
    raise DataError(f"{path} {problem}; give an MMSA-layout pickle or a converted folder.")


def convert_features(source: str | Path, folder: str | Path) -> None:
    """Rewrites a feature file as a converted folder, which opens at once and is read clip by clip.

    The folder must be new or empty. Raises DataError as `load_features` does.
    """
    check_free(Path(folder))
    write_folder(load_features(source), folder)


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


def open_data(path: Path | None) -> tuple[Mapping[str, FeatureSplit], Path | None]:
    """The data of a command, and the file or folder that they come from.

    Without a path this is data_samples/toy, here or beside this package; elsewhere the same splits, made in memory.
    """
    samples = [Path("data_samples/toy"), Path(__file__).parents[2] / "data_samples" / "toy"]
    path = path or next((place for place in samples if place.exists()), None)
    return (toy_world().splits, None) if path is None else (load_features(path), path)
