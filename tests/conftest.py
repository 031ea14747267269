"""Switches on the run-time check of every shape in a signature; the config checks itself, in sentences."""

import torch
from jaxtyping import install_import_hook

install_import_hook(
    [f"dmdlite.{floor}" for floor in ("data", "components", "models", "training", "teaching")], "beartype.beartype"
)
torch.set_num_threads(1)
