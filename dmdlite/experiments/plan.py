"""What the runs of a comparison have in common, and how each of its models is made and trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.features import FeatureSplit, load_features
from dmdlite.experiments.workers import Task
from dmdlite.models.registry import NAMES, RECIPES, SavedModel
from dmdlite.training.loop import seed_everything
from dmdlite.training.runs import Result, read_description
from dmdlite.training.systems import fresh, train_system
from dmdlite.training.trainer import train

Splits = Mapping[str, FeatureSplit]
Variant = Callable[[DMDConfig], SavedModel]  # makes a model of somebody's own from the config that all share


@dataclass(frozen=True)
class Plan:
    """It is sent to every worker; `data` may be a path, so that each opens it itself."""

    data: Splits | str | Path
    config: DMDConfig
    training: TrainingConfig
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)  # fields that only some models have
    variants: dict[str, Variant] = field(default_factory=dict)

    def splits(self) -> Splits:
        return load_features(self.data) if isinstance(self.data, (str, Path)) else self.data

    def run_folder(self, task: Task) -> Path:
        return self.folder / task[0] / f"seed_{task[1]}"

    def teacher(self, name: str) -> str | None:
        """The model that has to be trained before this one."""
        return None if name in self.variants else RECIPES[name].teacher

    def with_teachers(self, names: Sequence[str]) -> list[str]:
        """The names, and before each the teacher that it needs."""
        chain: list[str] = []
        for name in names:
            taught = [name]
            while (teacher := self.teacher(taught[0])) is not None:
                taught.insert(0, teacher)
            chain += taught
        return list(dict.fromkeys(chain))

    def untrained(self, name: str) -> SavedModel:
        """The model as it would begin its training."""
        if name in self.variants:
            return self.variants[name](self.config)
        return RECIPES[name].build(self.config, self.settings)

    def fresh(self, task: Task) -> SavedModel:
        """The model of one task as it begins its training."""
        name, seed = task
        if name in self.variants:
            seed_everything(seed)
            return self.untrained(name)
        return fresh(name, RECIPES, self.config, self.settings, seed, lambda name: self.run_folder((name, seed)))

    def train(self, task: Task, splits: Splits) -> tuple[SavedModel, Result]:
        """The model of one task, trained, and its run."""
        name, seed = task
        training = self.training.replace(seed=seed)
        if name in self.variants:
            model = self.fresh(task)
            return model, train(model, splits, self.run_folder(task), training, progress=False)
        folder_of = lambda name: self.run_folder((name, seed))
        options = dict(with_teacher=False, progress=False)
        return train_system(name, RECIPES, splits, self.config, training, folder_of, self.settings, **options)

    def terms_of_its_own(self, name: str, result: Result) -> dict[str, float]:
        """The terms of a variant's loss that its config has no weight for, as they were in its best epoch."""
        if name not in self.variants:
            return {}
        best = next(record for record in result.epochs if record["epoch"] == result.metrics["best_epoch"])
        known = {"total", *read_description(result.folder)["config"]["loss_weights"]}
        return {term: value for term, value in best["losses"].items() if term not in known}


def check_variants(variants: Mapping[str, Variant], jobs: int) -> None:
    """Raises ValueError for a name that is taken or makes no folder, and for what cannot be sent to another process."""
    for name, make in variants.items():
        if name in NAMES or not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"a variant needs a name of its own, of letters, digits and underscores; got {name!r}")
        maker = make.func if isinstance(make, partial) else make
        here_only = maker.__module__ == "__main__" or "<" in getattr(maker, "__qualname__", "")
        if jobs > 1 and here_only:
            raise ValueError(f"jobs must be 1 for {name!r}, which is defined in a notebook or inside a function")
