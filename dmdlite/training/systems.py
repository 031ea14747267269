"""A run by the name of its system: how the model is made, and the teacher that is trained before it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dmdlite.config import ModelConfig, TrainingConfig
from dmdlite.models.base import SavedModel
from dmdlite.models.registry import Recipe, Settings
from dmdlite.models.starting import start_from
from dmdlite.training.loop import seed_everything
from dmdlite.training.metrics import Splits
from dmdlite.training.runs import Result, load_model
from dmdlite.training.trainer import train

Recipes = Mapping[str, Recipe]  # by the name of the system
Folders = Callable[[str], Path]  # the run folder of a system


def train_system(
    name: str,
    recipes: Recipes,
    splits: Splits,
    config: ModelConfig,
    training: TrainingConfig,
    folder_of: Folders,
    settings: Settings | None = None,
    start: Path | None = None,
    **options: Any,
) -> tuple[SavedModel, Result]:
    """Trains a system, after its teacher, if it has one, with the same seed and budget. A finished run is reused.

    config, settings: what all systems share, and further fields, of which each system takes those it has.
    start: what `start_from` takes weights from; a teacher starts from fresh ones all the same.
    options: `progress`, `restart` and `source`, as of `train`; they hold for the teacher, too.
    """
    if teacher := recipes[name].teacher:
        train_system(teacher, recipes, splits, config, training, folder_of, settings, **options)
    model = fresh(name, recipes, config, settings, training.seed, folder_of, splits)
    if start is not None:
        start_from(model, start)
    return model, train(model, splits, folder_of(name), training, **options)


def fresh(
    name: str, recipes: Recipes, config: ModelConfig, settings: Settings | None, seed: int, folder_of: Folders,
    splits: Splits,
) -> SavedModel:  # fmt: skip
    """The system as it begins its training: weights of this seed, its teacher as its run folder holds it, its scales.

    Raises ValueError if the teacher's run is not finished.
    """
    seed_everything(seed)
    model = recipes[name].build(config, settings)
    if teacher := recipes[name].teacher:
        model.learn_from(load_model(folder_of(teacher), recipes[teacher].build(config, settings)))
    model.read.learn_scale(splits["train"])
    return model
