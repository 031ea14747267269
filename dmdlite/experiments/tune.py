"""Tuning: a system's numbers are searched by its validation error alone; the test split is never looked at.

training.json    what is tuned: config, budget, data, space
journal.log      the study, in Optuna's words
trials.csv       one row per trial
best.json        the numbers of the best one
tuning.png       the validation error of every trial
trials/N/        a trial while it is running, as `dmdlite.train` leaves it
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from dmdlite.checking import known
from dmdlite.config import ModelConfig, TrainingConfig
from dmdlite.experiments.executors import check_jobs, executor_for, run_all
from dmdlite.experiments.plan import Plan, Variant, check_variants
from dmdlite.experiments.study import Study
from dmdlite.experiments.tables import title_of
from dmdlite.files import write_json, write_text
from dmdlite.models.registry import RECIPES
from dmdlite.models.spaces import Numbers
from dmdlite.training.figures import INK, MODEL, QUIET
from dmdlite.training.metrics import Splits
from dmdlite.training.runs import write_picture

SEED = 1000  # of the weights and of the search: one that no comparison is likely to use


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
    seed: int = SEED,
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
    The same call goes on with what was stopped, or does more trials; several at once share the folder and the trials.
    With one job the result depends on the arguments alone; with more, also on the order in which trials end.
    Raises ValueError, before anything is touched, for what cannot be tuned, and if the folder holds something else.
    """
    check_jobs(jobs)
    recipes = RECIPES | check_variants(variants or {}, jobs)
    budget = (training or TrainingConfig()).replace(seed=seed)
    plan = Plan(data, config, budget, Path(output_dir), dict(settings or {}), recipes, restart, None, reading)
    study = Study.of(known("model", name, recipes), plan, trials, fixed)
    study.begin()
    say = partial(print, flush=True) if progress else lambda _: None
    left, problems = max(0, trials - study.ended()), []
    say(f"{plan.folder}: {left} of {trials} trials to go")
    with nullcontext(executor) if executor else executor_for(jobs) as places:
        for number, outcome in enumerate(run_all(study.next_trial, range(left), places), start=1):
            problems += [outcome.failure] if outcome.failure else []
            if words := outcome.failure or outcome.value:
                say(f"[{number:{len(str(left))}d}/{left}] {words}")
    found = report(study)
    if problems:
        raise OSError(f"{len(problems)} trials were broken off; the same command goes on with them: {problems[0]}")
    return found


def report(study: Study) -> Tuned:
    """Writes the files of the folder. Raises ValueError if no trial has come to its end."""
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


def tune_all(
    names: Sequence[str], plan: Plan, search: Mapping[str, Any], executor: Executor | None, say: Callable
) -> dict[str, Numbers]:
    """The best numbers of each system, as `Tuned.settings`; none if no trial has come to its end.

    The trials of one system follow each other in one place, so that the numbers do not depend on how many there are.
    """
    training, trials = plan.training.replace(seed=search["seed"]), search["trials"]
    each = [replace(plan, folder=plan.folder / "tuning" / name, training=training) for name in names]
    studies = {name: Study.of(name, own, trials, search["fixed"]) for name, own in zip(names, each, strict=True)}
    for study in studies.values():
        study.begin()
    left = [study for study in studies.values() if study.ended() < trials]
    say(f"{plan.folder / 'tuning'}: {len(left)} of {len(names)} models to tune")
    problems = []
    for number, outcome in enumerate(run_all(Study.search, left, executor), start=1):
        problems += [outcome.failure] if outcome.failure else []
        say(f"[{number:{len(str(len(left)))}d}/{len(left)}] {outcome.task.name}: {outcome.failure or outcome.value}")
    if problems:
        raise OSError(f"tuning was broken off; the same command goes on with it: {problems[0]}")
    found = {}
    for name, study in studies.items():
        with suppress(ValueError):
            found[name] = report(study).settings
    return {name: found.get(name, {}) for name in names}


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
