"""Trains the models that the notebooks open: the finished DMD, two DMDs with fewer graphs, and a small DHMD.

python notebooks/train_models.py         all four, about 6 minutes on 2 cores
python notebooks/train_models.py dhmd    those whose names contain "dhmd"
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import dmdlite
from dmdlite.config import SPACES
from dmdlite.models.base import SavedModel
from dmdlite.models.registry import build, no_graphs
from dmdlite.training.loop import seed_everything

HERE = Path(__file__).parent
KEPT = ("config.json", "model.safetensors", "metrics.json", "log.jsonl")
SMALL = dict(width=16, layers=1, minimum_memory_layers=1)


def dmd(*without: str) -> SavedModel:
    """DMD; in the spaces named in `without` no graph distils (paper: Fig. 3)."""
    return build("dmd", dmdlite.DMDConfig.toy(loss_weights=no_graphs(*without)))


MODELS: dict[str, Callable[[], SavedModel]] = {  # folder -> makes a fresh model
    "finished_model": dmd,
    "without_heterogeneous_graph": lambda: dmd("heterogeneous"),
    "without_graphs": lambda: dmd(*SPACES),
    "finished_dhmd": lambda: build("dhmd", dmdlite.DMDConfig.toy(**SMALL)),
}


def train_into(folder: Path, make: Callable[[], SavedModel]) -> None:
    """Trains a model as `python -m dmdlite train` does, and keeps the files that notebooks read."""
    splits = dmdlite.load_features(HERE.parent / "data_samples" / "toy")
    seed_everything(0)
    model = make()
    with tempfile.TemporaryDirectory() as run:
        dmdlite.train(model, splits, run, dmdlite.TrainingConfig())
        folder.mkdir(exist_ok=True)
        for name in KEPT:
            shutil.copyfile(Path(run) / name, folder / name)


if __name__ == "__main__":
    for name, make in MODELS.items():
        if (sys.argv[1] if len(sys.argv) > 1 else "") in name:
            print(name)
            train_into(HERE / name, make)
