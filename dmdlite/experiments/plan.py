"""What the runs of a comparison share, and how each of its models is made, recognised and trained."""

import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dmdlite.config import ModelConfig, TrainingConfig
from dmdlite.data.features import load_features
from dmdlite.experiments.missing import Scores, score_subsets, stored_subsets
from dmdlite.experiments.workers import Task, on_cpu
from dmdlite.models.base import SavedModel
from dmdlite.models.registry import NAMES, RECIPES, Recipe
from dmdlite.training import runs
from dmdlite.training.metrics import Splits, table_scores
from dmdlite.training.optimizers import fitting
from dmdlite.training.systems import fresh
from dmdlite.training.trainer import train

Variant = Recipe | Callable[[ModelConfig], SavedModel]  # the function makes a model from the config that all share


@dataclass(frozen=True)
class Plan:
    """It is sent to every worker; `data` may be a path, so that each opens it itself."""

    data: Splits | str | Path
    config: ModelConfig
    training: TrainingConfig
    folder: Path
    settings: dict[str, Any]  # fields that only some models have
    recipes: dict[str, Recipe]  # the library's and the variants'
    restart: bool
    dataset: str | None  # whose published numbers are to stand beside ours
    reading: Mapping[str, Any] | None = None  # how a path is opened: options of `load_features`
    report_to: str | None = None  # of each run
    retaught: frozenset[Task] = frozenset()  # whose teachers are trained in this call: they may have to start afresh

    @property
    def shown(self) -> list[str]:
        """The scores in the tables; the first is the error."""
        return list(table_scores(self.config.task, self.config.outputs, self.config.label_scale))

    def splits(self) -> Splits:
        return load_features(self.data, **(self.reading or {})) if isinstance(self.data, (str, Path)) else self.data

    def run_folder(self, task: Task) -> Path:
        return self.folder / task[0] / f"seed_{task[1]}"

    def teacher(self, task: Task) -> Task | None:
        """The run that must be finished before this one."""
        teacher = self.recipes[task[0]].teacher
        return None if teacher is None else (teacher, task[1])

    def build(self, name: str) -> SavedModel:
        """A model with any weights."""
        return self.recipes[name].build(self.config, self.settings)

    def start(self, task: Task, splits: Splits) -> tuple[SavedModel, dict[str, Any], str]:
        """The model as it begins its training, further arguments of `train`, and the state of its run folder."""
        name, seed = task
        folder_of = lambda other: self.run_folder((other, seed))
        model = fresh(name, self.recipes, self.config, self.settings, seed, folder_of, splits)
        training = fitting(self.training.replace(seed=seed), model)
        state = self.state_of(self.run_folder(task), runs.describe(model, splits, training), task in self.retaught)
        source = self.data if isinstance(self.data, (str, Path)) else None
        options = {"training": training, "source": source, "restart": state == "stale", "report_to": self.report_to}
        return model, options, state

    def state_of(self, folder: Path, description: dict[str, Any], replaceable: bool = False) -> str:
        """As `runs.state_of`, or "stale" if the folder holds another run, which may be replaced."""
        try:
            return runs.state_of(folder, description)
        except ValueError:
            if not self.restart and not replaceable:
                raise
            runs.state_of(folder, description, restart=True)  # raises if there is no run at all
            return "stale"

    def train(self, task: Task) -> str:
        """The work of one task: a finished run and its scores for each subset. Returns its error and time, in words."""
        started = time.perf_counter()
        with warnings.catch_warnings(action="ignore"):  # said before, when the comparison began
            splits = self.splits()
        model, options, _ = self.start(task, splits)
        result = train(model, splits, self.run_folder(task), progress=False, **options)
        score_subsets(result, splits["test"], model, self.config.modalities)
        error = result.metrics["test"][self.shown[0]]
        return f"test error {error:.3f}, {(time.perf_counter() - started) / 60:.1f} min"

    def is_done(self, task: Task, splits: Splits) -> bool:
        """Whether nothing is left to do. Raises ValueError if the run folder holds something else."""
        exists = self.run_folder(task).exists()
        return exists and self.start(task, splits)[2] == "finished" and bool(self.stored(task)[1])

    def stored(self, task: Task) -> tuple[runs.Result, dict[str, Scores]]:
        """A finished run and its scores for each subset of the modalities, if they are there."""
        result = runs.load_result(self.run_folder(task))
        return result, stored_subsets(result.folder, result.metrics["test"], self.config.modalities)

    def added_terms(self, name: str, result: runs.Result) -> dict[str, float]:
        """The loss terms in its best epoch for which a variant's config has no weight, as loss_TERM."""
        if name in RECIPES:
            return {}
        best = result.epochs[result.metrics["best_epoch"] - 1]
        known = {"total", *runs.read_description(result.folder)["config"].get("loss_weights", {})}
        return {f"loss_{term}": value for term, value in best["losses"].items() if term not in known}


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
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if jobs > 1 and not on_cpu():
        raise ValueError("jobs must be 1 on a GPU: parallel runs would only take turns")
