"""A run by the name of its system: how the model is made, from where it starts, and the teacher trained before it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from dmdlite.config import ModelConfig, TrainingConfig
from dmdlite.models.base import SavedModel
from dmdlite.models.official.weights import read_state
from dmdlite.models.registry import Recipe, Settings
from dmdlite.models.saving import CONFIG_NAME, WEIGHTS_NAME, load_weights, read_config
from dmdlite.training.loop import seed_everything
from dmdlite.training.metrics import Splits
from dmdlite.training.optimizers import fitting
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
    callbacks: Sequence[TrainerCallback] = (),
    **options: Any,
) -> tuple[SavedModel, Result]:
    """Trains a system, after its teacher, if it has one, with the same seed and budget. A finished run is reused.

    config, settings: what all systems share, and further fields, of which each system takes those it has.
    start: what `start_from` takes weights from; a teacher starts from fresh ones all the same.
    callbacks: of the system's own training. options: all others of `train`; they hold for the teacher, too.
    """
    if teacher := recipes[name].teacher:
        other = fitting(training, recipes[teacher].build(config, settings))
        train_system(teacher, recipes, splits, config, other, folder_of, settings, **options)
    model = fresh(name, recipes, config, settings, training.seed, folder_of, splits)
    if start is not None:
        start_from(model, start)
    return model, train(model, splits, folder_of(name), training, callbacks=callbacks, **options)


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


def start_from(model: SavedModel, source: str | Path) -> SavedModel:
    """Loads weights into a fresh model, which goes on learning from there, e.g. on other data.

    source: the folder of a run or of `save_pretrained`, a .safetensors file, or a .pt or .pth state dict, also one of
    published code. Raises ValueError in one sentence for weights of another model or another task.
    """
    path = Path(source)
    if path.is_dir():
        kind = read_config(path / CONFIG_NAME).get("model")
        if kind != model.kind.__name__:
            raise ValueError(f"{path} holds a model of the kind {kind}, not {model.kind.__name__}")
        path /= WEIGHTS_NAME
    weights = read_state(path)
    if model.published and model.published.MARK in weights:
        return model.published.load_official(model, weights)
    own, outputs = model.state_dict(), model.config.num_logits
    for name in sorted(own.keys() & weights.keys()):
        now, before = own[name].shape, weights[name].shape
        if now != before and now[1:] == before[1:] and outputs in (now[0], now.numel()):
            task = f"{outputs} for the task {model.config.task!r}"
            raise ValueError(f"{source} predicts {before[0]} numbers for a clip, but these labels need {task}")
    load_weights(model, weights, str(source))
    return model
