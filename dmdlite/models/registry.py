"""Stands in for the registry until it lands."""

from collections.abc import Mapping
from typing import Any

from dmdlite.config import DMDConfig
from dmdlite.models import GROUPS, KINDS, NAMES, RECIPES, Recipe, build, in_groups

__all__ = ["GROUPS", "KINDS", "NAMES", "RECIPES", "Recipe", "build", "check_settings", "in_groups"]


def check_settings(recipes: Mapping[str, Recipe], config: DMDConfig, settings: Mapping[str, Any]) -> None:
    """Raises ValueError for a setting that none of these models has a field, or a term of its loss, for."""
    taken = [recipe.accepted(config, settings) for recipe in recipes.values()]
    for field, value in settings.items():
        if not any(field in own for own in taken):
            raise ValueError(f"none of the models {', '.join(recipes)} has a field {field!r}")
        for term in value if field == "loss_weights" and isinstance(value, dict) else ():
            if not any(term in own["loss_weights"] for own in taken if isinstance(own.get("loss_weights"), dict)):
                raise ValueError(f"none of the models {', '.join(recipes)} has a term {term!r} in its loss")
