"""Trains compiled and not, and compares; test_training runs it. Graphs run as they are: no C++ compiler is needed."""

import tempfile
from pathlib import Path
from unittest.mock import patch

import torch
from tiny import SIZES
from torch._dynamo import lookup_backend

from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.features import feature_shapes
from dmdlite.data.toy import toy_world
from dmdlite.models.dmd import DMD
from dmdlite.training.loop import seed_everything
from dmdlite.training.runs import Result
from dmdlite.training.trainer import train

SPLITS = toy_world(n=80, seed=0).splits
CONFIG = DMDConfig.toy(**SIZES, **feature_shapes(SPLITS))
GRAPHS = []


def run(config: DMDConfig, compile: bool) -> Result:
    seed_everything(0)
    training = TrainingConfig(epochs=1, batch_size=24, compile=compile)
    with tempfile.TemporaryDirectory() as folder:
        return train(DMD(config), SPLITS, Path(folder) / "run", training, progress=False)


def as_it_is(graph, inputs):
    GRAPHS.append(graph)
    return lookup_backend("aot_eager")(graph, inputs)


def in_one_graph(function, *, compiler=torch.compile, **options):
    assert options == {"mode": "reduce-overhead", "dynamic": False}
    return compiler(function, backend=as_it_is, fullgraph=True, dynamic=False)


with patch("torch.compile", in_one_graph):
    compiled = run(CONFIG.without_dropout(), True)
    assert len(GRAPHS) == 1
    assert run(CONFIG, True).metrics["test"]["mae"] > 0, "with dropout"
eager = run(CONFIG.without_dropout(), False)
for ours, theirs in zip(compiled.epochs, eager.epochs, strict=True):
    for name, loss in theirs["losses"].items():
        assert abs(ours["losses"][name] - loss) < 1e-4 * (1 + abs(loss)), name
    assert abs(ours["valid_error"] - theirs["valid_error"]) < 1e-4
