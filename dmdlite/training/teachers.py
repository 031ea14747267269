"""A run by the name of its model: what holds for this model alone, and the teacher that has to be trained first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.models.base import SavedModel
from dmdlite.models.registry import RECIPES, build
from dmdlite.training.loop import seed_everything
from dmdlite.training.runs import Result
from dmdlite.training.trainer import train

Settings = Mapping[str, Any]  # fields of configs; each model takes those it has


def train_by_name(
    name: str,
    splits: Mapping[str, FeatureSplit],
    config: DMDConfig,
    training: TrainingConfig,
    folder_of: Callable[[str], Path],
    settings: Settings | None = None,
    *,
    progress: bool = True,
) -> tuple[SavedModel, Result]:
    """A trained model and its run. Its teacher, if it has one, is trained before it with the same seed and budget.

    folder_of: the run folder of a model by its name; asked for the teacher's, too. A run that is there is used again.
    settings: fields beside those of `config`, of which each model takes those that it has.
    """
    teacher = RECIPES[name].teacher if name in RECIPES else None
    if teacher is not None:
        taught, _ = train_by_name(teacher, splits, config, training, folder_of, settings, progress=progress)
    seed_everything(training.seed)
    model = build(name, config, **own_settings(name, config, settings))
    if teacher is not None:
        model.learn_from(taught)
    return model, train(model, splits, folder_of(name), training, progress=progress)


def untrained(name: str, config: DMDConfig, settings: Settings | None = None) -> SavedModel:
    """The model as it would begin its training; its teacher, if it has one, knows nothing either."""
    model = build(name, config, **own_settings(name, config, settings))
    if (teacher := RECIPES[name].teacher) is not None:
        model.learn_from(untrained(teacher, config, settings))
    return model


def own_settings(name: str, config: DMDConfig, settings: Settings | None) -> dict[str, Any]:
    """Those settings that this model has a field for; of `loss_weights`, the terms that its loss has."""
    own = RECIPES[name].config(config)
    kept = {field: value for field, value in (settings or {}).items() if field in {f.name for f in fields(own)}}
    if isinstance(weights := kept.get("loss_weights"), dict):
        kept["loss_weights"] = {term: weight for term, weight in weights.items() if term in own.loss_weights}
    return kept


def check_settings(names: list[str], config: DMDConfig, settings: Settings) -> None:
    """Raises ValueError for a setting that none of these models has a field, or a term of its loss, for."""
    taken = [own_settings(name, config, settings) for name in names]
    for field, value in settings.items():
        if not any(field in own for own in taken):
            raise ValueError(f"none of the models {', '.join(names)} has a field {field!r}")
        for term in value if field == "loss_weights" and isinstance(value, dict) else ():
            if not any(term in own["loss_weights"] for own in taken if isinstance(own.get("loss_weights"), dict)):
                raise ValueError(f"none of the models {', '.join(names)} has a term {term!r} in its loss")
