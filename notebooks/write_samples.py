"""Writes data_samples/ again from the toy world: `make samples`."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from dmdlite.data.features import check_free, convert_features, write_mmsa
from dmdlite.data.toy import toy_world


def write_samples(folder: str | Path) -> None:
    """Writes toy_world() as toy.pkl (MMSA's layout) and as toy/ (converted), its truth and its vocabulary.

    Features are stored as float16, which loses nothing. Raises DataError if `folder` holds toy/ already.
    """
    folder, world = Path(folder), toy_world()
    check_free(folder / "toy")
    folder.mkdir(parents=True, exist_ok=True)
    halved = {
        name: replace(split, features={m: x.astype(np.float16) for m, x in split.features.items()})
        for name, split in world.splits.items()
    }
    write_mmsa(halved, folder / "toy.pkl")
    convert_features(folder / "toy.pkl", folder / "toy")
    hidden = {f"{split}/{name}": values for split, truth in world.truth.items() for name, values in truth.items()}
    np.savez_compressed(folder / "toy_truth.npz", **hidden)
    (folder / "toy_vocabulary.txt").write_bytes(("\n".join(world.vocabulary) + "\n").encode())


if __name__ == "__main__":
    write_samples(sys.argv[1])
