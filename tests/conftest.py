"""Switches on the run-time check of every shape in a signature; the config checks itself, in sentences."""

import torch
from jaxtyping import install_import_hook

FLOORS = ("data", "components", "models", "training", "comparison", "teaching")
install_import_hook([f"dmdlite.{floor}" for floor in FLOORS], "beartype.beartype")
torch.set_num_threads(1)
