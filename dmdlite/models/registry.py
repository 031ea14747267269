"""The systems by name: how each is built from the config that all share, which one teaches it, what it accepts."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from dmdlite.checking import known, suggestion
from dmdlite.config import MODALITIES, SPACES, ModelConfig
from dmdlite.models.base import SavedModel, assembled
from dmdlite.models.conventional_distillation import ConventionalDistillation
from dmdlite.models.dhmd import DHMD
from dmdlite.models.dlf import DLF
from dmdlite.models.dmd import DMD
from dmdlite.models.early_fusion import EarlyFusion
from dmdlite.models.late_fusion import LateFusion
from dmdlite.models.misa import CONSTRAINTS, MISA
from dmdlite.models.momke import EXPERTS, MoMKE
from dmdlite.models.mult import MulT
from dmdlite.models.pkdot import PKDOT, TAUGHT, PKDOTTeacher
from dmdlite.models.pmr import PMR
from dmdlite.models.spaces import BASE, DEPTH, Around, Choices, Space, weights
from dmdlite.models.unimodal import Unimodal

Settings = Mapping[str, Any]  # fields of configs, by name; each system takes those that it has


@dataclass(frozen=True)
class Recipe:
    """One system. A variant of your own is `Recipe(make)` with a function from a config to a model.

    The annotation of `make`'s first parameter is the kind of config it gets; without one that is the shared config.
    """

    make: Callable[..., SavedModel]  # a model class, or a function that returns a model
    arguments: dict[str, Any] = field(default_factory=dict)  # of `make`, beside the config
    changes: dict[str, Any] = field(default_factory=dict)  # of fields of the config
    teacher: str | None = None  # the name of the system that must be trained first
    space: Space = field(default_factory=lambda: dict(BASE))  # what tuning may change

    def config(self, shared: ModelConfig, settings: Settings | None = None) -> ModelConfig:
        """The system's own config: the fields it shares with the other systems, its changes, then the settings."""
        first = next(iter(inspect.signature(self.make, eval_str=True).parameters.values())).annotation
        has_own = isinstance(first, type) and issubclass(first, ModelConfig)
        own = first.of(shared, **self.changes) if has_own else shared.replace(**self.changes)
        return own.replace(**self.accepted(own, settings or {}))

    def accepted(self, config: ModelConfig, settings: Settings) -> dict[str, Any]:
        """The settings that are fields of this system's config; of `loss_weights`, the terms that its loss has."""
        own = {name: value for name, value in settings.items() if name in {f.name for f in fields(config)}}
        if isinstance(weights := own.get("loss_weights"), dict):
            own["loss_weights"] = {term: weight for term, weight in weights.items() if term in config.loss_weights}
        return own

    def build(self, shared: ModelConfig, settings: Settings | None = None) -> SavedModel:
        """A fresh model."""
        return assembled(self.make, self.config(shared, settings), **self.arguments)


def no_graphs(*spaces: str) -> dict[str, float]:
    """Loss weights that switch the graphs of these spaces off: no head learns from another and no edge learns."""
    return {f"gd_{space}_{term}": 0.0 for space in spaces for term in ("logit", "representation", "prior_penalty")}


# Five of the ablations are rows of the paper's Table 3. A graph that is left out has all its terms at weight zero; its
# heads still learn the task. Without decoupling X^com and X^prt are both X̃, so their losses are left out, too, which is
# our reading.
NO_ATTENTION = dict(reinforcement="none")
NO_DECOUPLING_LOSSES = dict.fromkeys(("reconstruction", "cycle", "margin", "orthogonality"), 0.0)
ABLATIONS: dict[str, dict[str, Any]] = {
    "dmd_without_decoupling": dict(decoupling="none", loss_weights=NO_DECOUPLING_LOSSES),
    "dmd_without_homogeneous_graph": dict(loss_weights=no_graphs("homogeneous")),
    "dmd_without_crossmodal_attention": NO_ATTENTION,  # row 3 of Table 3
    "dmd_without_heterogeneous_graph": dict(loss_weights=no_graphs("heterogeneous")),  # row 2
    "dmd_homogeneous_graph_only": dict(NO_ATTENTION, loss_weights=no_graphs("heterogeneous")),  # row 4
    "dmd_decoupling_only": dict(NO_ATTENTION, loss_weights=no_graphs(*SPACES)),  # row 5
    "dmd_bare": dict(NO_ATTENTION, decoupling="none", loss_weights=NO_DECOUPLING_LOSSES | no_graphs(*SPACES)),  # row 6
}

# What an ablation switches off has the weight 0 and stays off: it is not tuned.
OF_DMD = BASE | weights("margin", "orthogonality", *(f"gd_{space}_logit" for space in SPACES))
OF_PKDOT = BASE | weights(*TAUGHT) | {"anchors": Choices((4, 8, 16)), "epsilon": Around(10.0)}

RECIPES: dict[str, Recipe] = {
    "dmd": Recipe(DMD, space=OF_DMD),
    "dhmd": Recipe(DHMD, space=OF_DMD | weights(*(f"dictionary_{space}" for space in SPACES))),
    "dlf": Recipe(DLF, space=BASE | DEPTH | weights("reconstruction", "margin", "orthogonality")),
    "mult": Recipe(MulT, space=BASE | DEPTH),
    "misa": Recipe(MISA, space=BASE | weights(*CONSTRAINTS)),
    "misa_without_constraints": Recipe(MISA, changes={"loss_weights": dict.fromkeys(CONSTRAINTS, 0.0)}),
    "pmr": Recipe(PMR, space=BASE | DEPTH | {"final_layers": Choices((1, 2, 3))}),
    "early_fusion": Recipe(EarlyFusion),
    "late_fusion": Recipe(LateFusion, space=BASE | weights(*(f"task_{m}" for m in MODALITIES))),
    "conventional_distillation": Recipe(ConventionalDistillation, space=BASE | weights("distillation")),
    "momke": Recipe(MoMKE, teacher="momke_experts", space=BASE | DEPTH),
    "momke_experts": Recipe(MoMKE, changes={"stage": "experts", "loss_weights": EXPERTS}, space=BASE | DEPTH),
    "pkdot": Recipe(PKDOT, teacher="pkdot_teacher", space=OF_PKDOT),
    "pkdot_teacher": Recipe(PKDOTTeacher),
    "pkdot_without_teacher": Recipe(PKDOT, changes={"loss_weights": dict.fromkeys(TAUGHT, 0.0)}),
}
RECIPES |= {m: Recipe(Unimodal, {"modality": m}, space=BASE | DEPTH) for m in MODALITIES}
RECIPES |= {name: Recipe(DMD, changes=changes, space=OF_DMD) for name, changes in ABLATIONS.items()}
NAMES = tuple(RECIPES)
KINDS = tuple({recipe.make: None for recipe in RECIPES.values()})
GROUPS = {
    "all": NAMES,
    "rivals": tuple(name for name in NAMES if name not in ("dmd", *MODALITIES, *ABLATIONS)),
    "ablations": tuple(ABLATIONS),
    "unimodal": MODALITIES,
}


def build(name: str, config: ModelConfig, **settings: Any) -> SavedModel:
    """A fresh model; the settings are fields of its own config. Raises ValueError for an unknown name or field."""
    recipe = RECIPES[known("model", name, NAMES)]
    return assembled(recipe.make, recipe.config(config).replace(**settings), **recipe.arguments)


def in_groups(names: Sequence[str]) -> list[str]:
    """The names, each once, with groups expanded. Raises ValueError for one that is neither a model nor a group."""
    if unknown := [name for name in names if name not in RECIPES and name not in GROUPS]:
        listed = f"the models {', '.join(NAMES)} and the groups {', '.join(GROUPS)}"
        closest = suggestion(unknown[0], [*NAMES, *GROUPS]) or f"; known are {listed}"
        raise ValueError(f"{unknown[0]!r} cannot be compared{closest}")
    return list(dict.fromkeys(model for name in names for model in GROUPS.get(name, (name,))))


def can_read(name: str, modalities: Sequence[str]) -> bool:
    """Whether the system works with these modalities alone."""
    recipe = RECIPES[name]
    return len(modalities) >= recipe.make.needs[0] and recipe.arguments.get("modality") in (None, *modalities)


def with_teachers(names: Sequence[str], recipes: Mapping[str, Recipe]) -> list[str]:
    """The names, and before each the teacher that it needs."""
    needed: list[str] = []
    for name in names:
        teacher = recipes[name].teacher
        needed += [name] if teacher is None else [*with_teachers([teacher], recipes), name]
    return list(dict.fromkeys(needed))


def check_settings(recipes: Mapping[str, Recipe], config: ModelConfig, settings: Settings) -> None:
    """Raises ValueError for a setting that none of these systems has a field, or a term of its loss, for."""
    owns = [recipe.config(config) for recipe in recipes.values()]
    names = {f.name for own in owns for f in fields(own)}
    terms = {term for own in owns for term in own.loss_weights}
    none = f"none of the models {', '.join(recipes)} has"
    for name in settings:
        if name not in names:
            raise ValueError(f"{none} a field {name!r}{suggestion(name, names)}")
    weights = settings.get("loss_weights")
    for term in weights if isinstance(weights, dict) else ():
        if term not in terms:
            raise ValueError(f"{none} a term {term!r} in its loss{suggestion(term, terms)}")
