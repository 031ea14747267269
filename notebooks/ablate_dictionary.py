"""Which dictionary works best? An ablation on the toy world, one factor at a time; notebook 13 shows the table.

python notebooks/ablate_dictionary.py         writes dictionary_ablation.csv, 10 minutes on one core

Models are narrower than DMDConfig.toy and train for only 10 epochs: they compare dictionaries and set no records.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import dmdlite
from course.dictionaries import measures
from dmdlite.models.registry import build
from dmdlite.training.loop import plain_loop, predict_logits, seed_everything

HERE = Path(__file__).parent
SMALL = dict(width=16, layers=1, minimum_memory_layers=1)
SEEDS, EPOCHS = range(3), 10
START = dict(
    dictionary_size=64,
    dictionary_pooling="max",
    dictionary_activation="sparsemax",
    dictionary_temperature=10.0,
    dictionary_matching="contrastive",
    contrast_temperature=1.0,
)
CHANGES = {  # (factor, value) -> settings that differ from START
    ("start", ""): {},
    ("size", "16"): dict(dictionary_size=16),
    ("size", "256"): dict(dictionary_size=256),
    ("activation", "softmax"): dict(dictionary_activation="softmax"),
    ("activation", "top 8"): dict(dictionary_activation="top_k", dictionary_top_k=8),
    ("pooling", "mean"): dict(dictionary_pooling="mean"),
    ("pooling", "sum"): dict(dictionary_pooling="sum"),
    ("matching", "margin"): dict(dictionary_matching="margin"),
    ("matching", "divergence"): dict(dictionary_matching="divergence"),
    ("matching", "none (DMD)"): dict(loss_weights=dict(dictionary_homogeneous=0.0, dictionary_heterogeneous=0.0)),
    ("temperature", "1"): dict(dictionary_temperature=1.0),
    ("contrast", "0.07"): dict(contrast_temperature=0.07),
}


def run(world: dmdlite.data.toy.ToyWorld, changes: dict, seed: int) -> dict[str, float]:
    """Trains one model and returns its test error and the `measures` of its dictionaries."""
    seed_everything(seed)
    model = build("dhmd", dmdlite.DMDConfig.toy(**SMALL), **START | changes)
    plain_loop(model, world.splits, dmdlite.TrainingConfig(epochs=EPOCHS, seed=seed))
    test = world.splits["test"]
    scores = {"test_mae": float(np.abs(predict_logits(model, test) - test.labels).mean())}
    for space, table in measures(model, world).items():
        scores |= {f"{space}_{name}": value for name, value in table.items()}
    return scores


if __name__ == "__main__":
    world = dmdlite.toy_world()
    rows = []
    for (factor, value), changes in CHANGES.items():
        for seed in SEEDS:
            scores = {name: f"{score:.4g}" for name, score in run(world, changes, seed).items()}
            rows.append({"factor": factor, "value": value, "seed": seed, **scores})
            print(*rows[-1].values(), flush=True)
    pd.DataFrame(rows).to_csv(HERE / "dictionary_ablation.csv", index=False, lineterminator="\n")
