"""Switches on the run-time check of every shape in a signature; the config checks itself, in sentences."""

import torch
from jaxtyping import install_import_hook

FLOORS = ("dmdlite.data", "dmdlite.components", "dmdlite.models", "dmdlite.training", "dmdlite.experiments", "course")
install_import_hook(list(FLOORS), "beartype.beartype")
torch.set_num_threads(1)
