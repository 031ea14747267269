"""dmdlite: Decoupled Multimodal Distilling for emotion recognition, small enough to read."""

from importlib import import_module
from typing import Any

from dmdlite import sources  # noqa: F401, reads the code of the library before anybody can edit it
from dmdlite.config import MODALITIES, SPACES, DMDConfig, ModelConfig, TrainingConfig

__version__ = "0.1.0"

# Imported when first asked for: PyTorch takes seconds, transformers' Trainer four more.
_HOMES = {
    "DMD": "dmdlite.models.dmd",
    "DHMD": "dmdlite.models.dhmd",
    "MulT": "dmdlite.models.mult",
    "MISA": "dmdlite.models.misa",
    "PMR": "dmdlite.models.pmr",
    "PKDOT": "dmdlite.models.pkdot",
    "PKDOTTeacher": "dmdlite.models.pkdot",
    "EarlyFusion": "dmdlite.models.early_fusion",
    "LateFusion": "dmdlite.models.late_fusion",
    "ConventionalDistillation": "dmdlite.models.conventional_distillation",
    "Unimodal": "dmdlite.models.unimodal",
    "Recipe": "dmdlite.models.registry",
    "build": "dmdlite.models.registry",
    "load_features": "dmdlite.data.features",
    "toy_world": "dmdlite.data.toy",
    "plain_loop": "dmdlite.training.loop",
    "train": "dmdlite.training.trainer",
    "evaluate": "dmdlite.training.runs",
    "predict": "dmdlite.training.runs",
    "compare": "dmdlite.experiments.compare",
}
__all__ = ["MODALITIES", "SPACES", "DMDConfig", "ModelConfig", "TrainingConfig", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dmdlite' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
