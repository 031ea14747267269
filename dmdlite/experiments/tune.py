"""Tuning: a system's numbers are searched by its validation error alone; the test split is never looked at.

training.json    what is tuned: config, budget, data, space
journal.log      the study, in Optuna's words
trials.csv       one row per trial
best.json        the numbers of the best one
tuning.png       the validation error of every trial
trials/N/        a trial while it is running, as `dmdlite.train` leaves it
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from dmdlite.checking import known
from dmdlite.config import ModelConfig, TrainingConfig
from dmdlite.experiments.checks import Variant, check_variants
from dmdlite.experiments.executors import check_jobs, executor_for, run_all
from dmdlite.experiments.plan import Plan
from dmdlite.experiments.study import Study
from dmdlite.experiments.tables import title_of
from dmdlite.files import write_json, write_text
from dmdlite.models.registry import RECIPES
from dmdlite.models.spaces import Numbers
from dmdlite.presets import TUNING_SEED
from dmdlite.training.figures import INK, MODEL, QUIET
from dmdlite.training.metrics import Splits
from dmdlite.training.runs import write_picture


@dataclass(frozen=True)
class Tuned:
    """The best trial, and all of them.

    settings    its numbers by name, those that are not the defaults, e.g. {"loss_weights.margin": 0.02}
    error       its validation error, or what the score `select_by` lacks to 1; of the defaults: own_error
    trials      one row per trial, which is its index: state, error, epochs, numbers, failure; trial 0 is the defaults
    """

    name: str
    settings: Numbers
    error: float
    own_error: float
    trials: DataFrame
    folder: Path


def tune(
    name: str,
    data: Splits | str | Path,
    config: ModelConfig,
    output_dir: str | Path,
    training: TrainingConfig | None = None,
    *,
    trials: int = 20,
    seed: int = TUNING_SEED,
    settings: Mapping[str, Any] | None = None,
    variants: Mapping[str, Variant] | None = None,
    fixed: Sequence[str] = (),
    jobs: int = 1,
    executor: Executor | None = None,
    progress: bool = True,
    restart: bool = False,
    reading: Mapping[str, Any] | None = None,
) -> Tuned:
    """Searches the space of a system (`Recipe.space`) for the lowest validation error. Its own numbers are trial 0.

    training: the budget of each trial; its seed is replaced by `seed`. fixed: names of numbers that stay as they are,
    as all settings do. A teacher is trained anew in each trial, with the same numbers. The rest is as in `compare`.
    The same call resumes an interrupted search, or does more trials; several at once share the folder and the trials.
    With one job the result depends on the arguments alone; with more, also on the order in which trials end.
    Raises ValueError, before anything is touched, for what cannot be tuned, and if the folder holds something else.
    """
    check_jobs(jobs)
    budget, settings = training or TrainingConfig(), dict(settings or {})
    sent = {"optimizer": budget.optimizer, "scheduler": budget.scheduler}
    recipes = RECIPES | check_variants(variants or {}, jobs if executor is None else 1, **sent)
    known("model", name, recipes)
    own: dict[str, Any] = {"restart": restart, "reading": reading, "tune": trials, "tuning_seed": seed, "fixed": fixed}
    plan = Plan(data, config, budget, Path(output_dir), [name], [seed], settings, recipes, **own)
    study = Study.of(name, plan, plan.folder)
    study.begin()
    _make_trials(study, executor, jobs, partial(print, flush=True) if progress else lambda _: None)
    return report(study)


def _make_trials(study: Study, executor: Executor | None, jobs: int, say: Callable) -> None:
    say(f"{study.folder}: {study.left} of {study.plan.tune} trials to go")
    number = 0
    with ExitStack() as stack:
        plan = stack.enter_context(study.plan.sent()) if executor else study.plan
        sent = Study.of(study.name, plan, plan.folder)
        where = executor or stack.enter_context(executor_for(max(1, min(jobs, study.left))))
        while study.left:
            for outcome in run_all(sent.next_trial, range(study.left), where):
                if outcome.failure:
                    raise OSError(f"a trial was broken off; the same command goes on with it: {outcome.failure}")
                if outcome.value:
                    number += 1
                    say(f"[{number}] {outcome.value}")
            study.wait()


def report(study: Study) -> Tuned:
    """Writes the files of the folder. Raises ValueError if no trial has come to its end."""
    shutil.rmtree(study.folder / "trials", ignore_errors=True)
    rows = study.table()
    write_text(study.folder / "trials.csv", rows.to_csv(lineterminator="\n"))
    if (ended := rows[rows.state == "finished"]).empty:
        failure = next(iter(rows.failure.dropna()), "none has ended")
        raise ValueError(f"{study.folder}: no trial of {study.name} has come to its end; the first: {failure}")
    best, own_error = ended.error.idxmin(), ended.error.get(0, float("nan"))
    settings = study.changed(rows, int(best))
    found = Tuned(study.name, settings, ended.error[best], own_error, rows, study.folder)
    whole = {"model": study.name, "trial": int(best), "error": found.error, "defaults": found.own_error}
    space = {name: asdict(span) for name, span in study.space.items()}
    write_json(study.folder / "best.json", whole | {"settings": settings, "own": study.own, "space": space})
    write_picture(study.folder / "tuning.png", draw_trials(found))
    return found


def tune_all(plan: Plan, names: Sequence[str], executor: Executor | None, jobs: int, progress: bool) -> None:
    """Makes all trials of each system.

    Those of one system follow each other in one place, so that its numbers do not depend on how many places there are.
    """
    say = partial(print, flush=True) if progress else lambda _: None
    with ExitStack() as stack:
        sent = stack.enter_context(plan.sent()) if executor else plan
        studies = studies_of(sent, names)
        for study in studies:
            study.begin()
        left = [study for study in studies if study.left]
        say(f"{plan.folder / 'tuning'}: {len(left)} of {len(names)} models to tune")
        where = executor or stack.enter_context(executor_for(max(1, min(jobs, len(left)))))
        for number, outcome in enumerate(run_all(Study.search, left, where), start=1):
            if outcome.failure:
                name = outcome.task.name
                raise OSError(f"{name}: tuning was broken off; the same command goes on: {outcome.failure}")
            say(f"[{number:{len(str(len(left)))}d}/{len(left)}] {outcome.task.name}: {outcome.value}")


def studies_of(plan: Plan, names: Sequence[str]) -> list[Study]:
    return [Study.of(name, plan, plan.folder / "tuning" / name) for name in names]


def best_numbers(plan: Plan, names: Sequence[str]) -> dict[str, Numbers]:
    """The best numbers of each system, as `Tuned.settings`; none where trials are missing, or none has ended."""
    studies = studies_of(plan, names)
    done = [study for study in studies if (study.folder / "journal.log").is_file() and not study.left]
    found: dict[str, Numbers] = dict.fromkeys(names, {})
    for study in done:
        with suppress(ValueError):
            found[study.name] = report(study).settings
    return found


def with_numbers_of(plan: Plan, numbers: Mapping[str, Numbers]) -> Plan:
    """The plan with tuned systems. A teacher has its student's numbers, and so each student a teacher of its own."""
    recipes, every = dict(plan.recipes), dict(numbers)
    for name, found in numbers.items():
        student = name
        while teacher := recipes[student].teacher:
            own = f"{teacher}_of_{name}"
            recipes |= {student: replace(recipes[student], teacher=own), own: plan.recipes[teacher]}
            student, every[own] = own, found
    return replace(plan, recipes=recipes, numbers=every)


def draw_trials(found: Tuned) -> Figure:
    """The validation error of every trial in turn, and the lowest so far; an open dot is a trial that was stopped."""
    rows = found.trials.dropna(subset="error")
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axis = figure.subplots()
    ended = rows[rows.state == "finished"].error
    axis.step(ended.index, ended.cummin(), where="post", color=MODEL, label="lowest so far")
    axis.plot(ended, "o", color=INK, markersize=5, linestyle="none", label="trial")
    axis.plot(rows[rows.state != "finished"].error, "o", color=INK, markerfacecolor="white", markersize=5,
              linestyle="none", label="stopped early or failed")  # fmt: skip
    axis.axhline(found.own_error, color=QUIET, linestyle="dashed", linewidth=1, label="defaults (trial 0)")
    most = ended.max() + 0.1 * (ended.max() - ended.min())
    axis.set(xlabel="trial", ylabel="validation error of its best epoch")
    axis.set_ylim(top=most if len(ended) > 1 else None)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    beside = f"{found.error:.3f}, with the defaults {found.own_error:.3f}"
    figure.suptitle(f"{title_of(found.name)}, tuned: the lowest validation error is {beside}", fontsize=12)
    return figure
