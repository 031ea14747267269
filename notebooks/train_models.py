"""Trains the models that the notebooks open: the finished one, and two with fewer graphs to set beside it.

python notebooks/train_models.py         all three, about 5 minutes on 2 cores
"""

import shutil
import tempfile
from pathlib import Path

import dmdlite
from dmdlite.training.loop import seed_everything

HERE = Path(__file__).parent
KEPT = ("config.json", "model.safetensors", "metrics.json", "log.jsonl")
DISTILLATION = {
    space: dict.fromkeys((f"gd_{space}_{term}" for term in ("logit", "representation", "prior_penalty")), 0.0)
    for space in ("homogeneous", "heterogeneous")
}
SWITCHED_OFF = {  # folder -> the loss weights that are zero; nothing else differs (paper: Fig. 3)
    "finished_model": {},
    "without_heterogeneous_graph": DISTILLATION["heterogeneous"],
    "without_graphs": DISTILLATION["homogeneous"] | DISTILLATION["heterogeneous"],
}


def train_into(folder: Path, zero: dict[str, float]) -> None:
    """The run of `python -m dmdlite train`, with some loss weights at zero."""
    splits = dmdlite.load_features(HERE.parent / "data_samples" / "toy")
    seed_everything(0)
    model = dmdlite.DMD(dmdlite.DMDConfig.toy(loss_weights=zero))
    with tempfile.TemporaryDirectory() as run:
        dmdlite.train(model, splits, run, dmdlite.TrainingConfig())
        folder.mkdir(exist_ok=True)
        for name in KEPT:
            shutil.copyfile(Path(run) / name, folder / name)


if __name__ == "__main__":
    for name, zero in SWITCHED_OFF.items():
        print(name)
        train_into(HERE / name, zero)
