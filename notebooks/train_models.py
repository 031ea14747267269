"""Trains the models that the notebooks open: the finished one, two with fewer graphs to set beside it, a small DHMD.

python notebooks/train_models.py         all four, about 6 minutes on 2 cores
python notebooks/train_models.py dhmd    those whose names contain "dhmd"
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import dmdlite
from dmdlite.models.base import SavedModel
from dmdlite.models.registry import build
from dmdlite.training.loop import seed_everything

HERE = Path(__file__).parent
KEPT = ("config.json", "model.safetensors", "metrics.json", "log.jsonl")
DISTILLATION = {
    space: dict.fromkeys((f"gd_{space}_{term}" for term in ("logit", "representation", "prior_penalty")), 0.0)
    for space in ("homogeneous", "heterogeneous")
}
SMALL = dict(width=16, layers=1, minimum_memory_layers=1)


def dmd(*switched_off: str) -> SavedModel:
    """DMD with all loss weights of some graphs at zero (paper: Fig. 3)."""
    zero = {name: 0.0 for space in switched_off for name in DISTILLATION[space]}
    return build("dmd", dmdlite.DMDConfig.toy(loss_weights=zero))


MODELS: dict[str, Callable[[], SavedModel]] = {  # folder -> a fresh model
    "finished_model": dmd,
    "without_heterogeneous_graph": lambda: dmd("heterogeneous"),
    "without_graphs": lambda: dmd("homogeneous", "heterogeneous"),
    "finished_dhmd": lambda: build("dhmd", dmdlite.DMDConfig.toy(**SMALL)),
}


def train_into(folder: Path, make: Callable[[], SavedModel]) -> None:
    """The run of `python -m dmdlite train`."""
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
