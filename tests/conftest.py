"""Switches on run-time checking of every shape in a signature, and settings that all tests share."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

from jaxtyping import install_import_hook

install_import_hook("dmdlite", "beartype.beartype")

import torch

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
