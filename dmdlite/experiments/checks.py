"""What a caller asks for, checked before anything is touched."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from dmdlite.config import ModelConfig
from dmdlite.experiments.executors import check_jobs
from dmdlite.models.base import SavedModel
from dmdlite.models.registry import NAMES, Recipe

Variant = Recipe | Callable[[ModelConfig], SavedModel]  # the function makes a model from the config that all share


def check_variants(variants: Mapping[str, Variant], jobs: int, **sent: Any) -> dict[str, Recipe]:
    """Their recipes. Raises ValueError for a name that is taken or makes no folder, and for what cannot be sent."""
    recipes = {name: make if isinstance(make, Recipe) else Recipe(make) for name, make in variants.items()}
    for name, recipe in recipes.items():
        if name in NAMES or not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"a variant needs a name of its own, of letters, digits and underscores; got {name!r}")
        sent[name] = recipe.make
    for name, make in sent.items():
        make = make.func if isinstance(make, partial) else make
        if jobs > 1 and callable(make) and (make.__module__ == "__main__" or "<" in getattr(make, "__qualname__", "")):
            raise ValueError(f"jobs must be 1 for {name!r}, which is defined in a notebook or inside a function")
    return recipes


def check_counts(names: Sequence[str], seeds: Sequence[int], jobs: int) -> None:
    if not names or not seeds:
        raise ValueError("there is nothing to compare: give at least one name and one seed")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"each seed counts once, got {' '.join(map(str, seeds))}")
    if min(seeds) < 0:
        raise ValueError(f"seed must be at least 0, got {min(seeds)}")
    check_jobs(jobs)
