"""One system, one file; and the names by which the command line knows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.ablations import ABLATIONS
from dmdlite.models.base import SavedModel, config_kind
from dmdlite.models.conventional_distillation import ConventionalDistillation
from dmdlite.models.dhmd import DHMD
from dmdlite.models.dmd import DMD
from dmdlite.models.early_fusion import EarlyFusion
from dmdlite.models.late_fusion import LateFusion
from dmdlite.models.misa import MISA, constraint_weights
from dmdlite.models.mult import MulT
from dmdlite.models.pkdot import PKDOT, PKDOTTeacher
from dmdlite.models.pmr import PMR
from dmdlite.models.unimodal import Unimodal


@dataclass(frozen=True)
class Recipe:
    """How a named model is made from the config that all models of a comparison share."""

    kind: type[SavedModel]
    arguments: dict[str, Any] = field(default_factory=dict)  # of the constructor, beside the config
    changes: dict[str, Any] = field(default_factory=dict)  # of fields of the config
    teacher: str | None = None  # the name of the model that has to be trained first

    def config(self, shared: DMDConfig, settings: Mapping[str, Any] | None = None) -> DMDConfig:
        return config_kind(self.kind).of(shared, **self.changes).replace(**self.accepted(shared, settings))

    def accepted(self, shared: DMDConfig, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        own = config_kind(self.kind).of(shared, **self.changes)
        kept = {field: value for field, value in (settings or {}).items() if field in {f.name for f in fields(own)}}
        if isinstance(weights := kept.get("loss_weights"), dict):
            kept["loss_weights"] = {term: weight for term, weight in weights.items() if term in own.loss_weights}
        return kept

    def build(self, shared: DMDConfig, settings: Mapping[str, Any] | None = None) -> SavedModel:
        return self.kind(self.config(shared, settings), **self.arguments)


RECIPES = {
    "dmd": Recipe(DMD),
    "dhmd": Recipe(DHMD),
    "mult": Recipe(MulT),
    "misa": Recipe(MISA),
    "misa_without_constraints": Recipe(MISA, changes={"loss_weights": dict.fromkeys(constraint_weights(), 0.0)}),
    "pmr": Recipe(PMR),
    "early_fusion": Recipe(EarlyFusion),
    "late_fusion": Recipe(LateFusion),
    "conventional_distillation": Recipe(ConventionalDistillation),
    "pkdot": Recipe(PKDOT, teacher="pkdot_teacher"),
    "pkdot_teacher": Recipe(PKDOTTeacher),
    "pkdot_without_teacher": Recipe(PKDOT, changes={"loss_weights": {"transport": 0.0, "hallucination": 0.0}}),
}
RECIPES |= {m: Recipe(Unimodal, {"modality": m}) for m in MODALITIES}
RECIPES |= {name: Recipe(DMD, changes=changes) for name, changes in ABLATIONS.items()}
NAMES = tuple(RECIPES)
KINDS = tuple({recipe.kind: None for recipe in RECIPES.values()})
GROUPS = {
    "all": NAMES,
    "rivals": tuple(name for name in NAMES if name not in ("dmd", *MODALITIES, *ABLATIONS)),
    "ablations": tuple(ABLATIONS),
    "unimodal": MODALITIES,
}


def build(name: str, config: DMDConfig, **changes: Any) -> SavedModel:
    """A fresh model by its name. `changes` are made to its config, and may name fields that only this model has."""
    recipe = _recipe(name)
    return recipe.kind(own_config(name, config, **changes), **recipe.arguments)


def own_config(name: str, config: DMDConfig, **changes: Any) -> DMDConfig:
    """The config that `build` makes this model from."""
    recipe = _recipe(name)
    return config_kind(recipe.kind).of(config, **recipe.changes).replace(**changes)


def _recipe(name: str) -> Recipe:
    if name not in RECIPES:
        raise ValueError(f"model must be one of {', '.join(NAMES)}, got {name!r}")
    return RECIPES[name]


def in_groups(names: Sequence[str]) -> list[str]:
    """The names, each once and groups written out. Raises ValueError for one that is neither a model nor a group."""
    if unknown := [name for name in names if name not in RECIPES and name not in GROUPS]:
        known = f"the models {', '.join(NAMES)} and the groups {', '.join(GROUPS)}"
        raise ValueError(f"{unknown[0]!r} cannot be compared; known are {known}")
    return list(dict.fromkeys(model for name in names for model in GROUPS.get(name, (name,))))
