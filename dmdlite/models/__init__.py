"""One system, one file; and the names by which the command line knows them."""

from dataclasses import dataclass, field
from typing import Any

from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.base import SavedModel, config_kind
from dmdlite.models.dmd import DMD
from dmdlite.models.unimodal import Unimodal


@dataclass(frozen=True)
class Recipe:
    """How a named model is made from the config that all models of a comparison share."""

    kind: type[SavedModel]
    arguments: dict[str, Any] = field(default_factory=dict)  # of the constructor, beside the config
    changes: dict[str, Any] = field(default_factory=dict)  # of fields of the config
    teacher: str | None = None  # the name of the model that has to be trained first


RECIPES = {"dmd": Recipe(DMD)} | {m: Recipe(Unimodal, {"modality": m}) for m in MODALITIES}
NAMES = tuple(RECIPES)
KINDS = tuple({recipe.kind: None for recipe in RECIPES.values()})


def build(name: str, config: DMDConfig, **changes: Any) -> SavedModel:
    """A fresh model by its name. `changes` are made to its config, and may name fields that only this model has."""
    if name not in RECIPES:
        raise ValueError(f"model must be one of {', '.join(NAMES)}, got {name!r}")
    recipe = RECIPES[name]
    own = config_kind(recipe.kind).of(config, **recipe.changes).replace(**changes)
    return recipe.kind(own, **recipe.arguments)
