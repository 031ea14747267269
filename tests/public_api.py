"""How a reader uses the public API. Nothing runs this file: `mypy` checks it, and so every exported signature."""

from pathlib import Path
from typing import Any, assert_type

import pandas as pd
import torch

import dmdlite
from dmdlite.data.splits import FeatureSplit
from dmdlite.models.dmd import DMDOutput
from dmdlite.training.runs import Result


def train_and_look(folder: Path) -> torch.Tensor:
    splits = dmdlite.load_features(folder / "aligned_50.pkl")
    assert_type(splits["test"], FeatureSplit)
    config = dmdlite.DMDConfig.official("mosi", width=20)
    assert_type(config, dmdlite.DMDConfig)
    model = dmdlite.DMD(config)
    assert_type(dmdlite.train(model, splits, folder / "run", epochs=20), Result)
    assert_type(dmdlite.plain_loop(model, splits, dmdlite.TrainingConfig(epochs=1)), list[dict[str, Any]])
    scores, table = dmdlite.evaluate(folder / "run", splits), dmdlite.predict(folder / "run", splits["test"])
    assert_type(table, pd.DataFrame)
    print(scores["test"]["mae"], table)
    out = dmdlite.DMD.from_pretrained(folder / "run").eval()(**splits["test"].batch([37]))
    return out.edges["homogeneous"]


def every_configuration() -> list[dmdlite.DMDConfig]:
    toy = dmdlite.DMDConfig.toy(width=8)
    assert_type(dmdlite.TrainingConfig(epochs=3).epochs, int)
    assert_type(dmdlite.MODALITIES, tuple[str, str, str])
    return [toy, dmdlite.DMDConfig.official("mosei"), dmdlite.DMDConfig.paper("mosi"), toy.without_dropout()]


def smoothness(out: DMDOutput, labels: torch.Tensor) -> torch.Tensor:
    assert out.decoupled is not None
    return torch.stack([x.diff(dim=1).square().mean() for x in out.decoupled.common.values()]).sum()


def several_models(config: dmdlite.DMDConfig) -> list[torch.nn.Module]:
    own = dmdlite.DMD(config, losses={"smoothness": smoothness})
    return [own, dmdlite.build("mult", config), dmdlite.EarlyFusion(config), dmdlite.Unimodal(config, "language")]


def compare_variants(config: dmdlite.DMDConfig, folder: Path) -> pd.DataFrame:
    smooth = dmdlite.Recipe(lambda config: dmdlite.DMD(config, losses={"smoothness": smoothness}))
    found = dmdlite.compare(["dmd"], draw_a_world(), config, range(3), folder, variants={"smooth": smooth})
    return found.table


def tuned_numbers(config: dmdlite.DMDConfig, folder: Path) -> dict[str, Any]:
    return dmdlite.tune("dmd", draw_a_world(), config, folder, trials=5, seed=7).settings


def draw_a_world() -> dict[str, FeatureSplit]:
    return dmdlite.toy_world(n=100, seed=3).splits
