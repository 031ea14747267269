"""One system, one file."""

from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.base import SavedModel
from dmdlite.models.dmd import DMD
from dmdlite.models.unimodal import Unimodal

NAMES = ("dmd", *MODALITIES)
KINDS = (DMD, Unimodal)


def build(name: str, config: DMDConfig) -> SavedModel:
    """A fresh model by the name that the command line uses: "dmd", or one modality on its own."""
    if name not in NAMES:
        raise ValueError(f"model must be one of {', '.join(NAMES)}, got {name!r}")
    return DMD(config) if name == "dmd" else Unimodal(config, name)
