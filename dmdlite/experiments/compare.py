"""A fair table of models: each trained with several seeds under one budget, scored on the test split.

OUTPUT/NAME/seed_K/          every run, as `dmdlite.train` leaves it, and missing_modalities.json
training.json                what is compared: config, budget, data
comparison.md                the table for reading
comparison.csv               one row for each model
comparison_seeds.csv         one row for each model and seed, with every score
comparison.png               the error of every model, seed by seed
missing_modalities.md, .csv, .png    the scores of every model with each subset of the modalities at test time
timing.json                  seconds of an epoch by model: measured once
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dmdlite.config import MODALITIES, DMDConfig, TrainingConfig
from dmdlite.data.features import FeatureSplit, check_fits, fingerprint
from dmdlite.experiments.files import write_comparison
from dmdlite.experiments.linear import linear_baseline
from dmdlite.experiments.missing import score_subsets, stored_subsets
from dmdlite.experiments.plan import Plan, Splits, Variant, check_variants
from dmdlite.experiments.rows import Comparison, Row, add_tests
from dmdlite.experiments.timing import count_parameters, seconds_per_epoch
from dmdlite.experiments.workers import Outcome, Task, on_cpu, run_tasks
from dmdlite.models.registry import RECIPES, check_settings, in_groups
from dmdlite.training import runs
from dmdlite.training.metrics import error_name


def compare(
    names: Sequence[str],
    data: Splits | str | Path,
    config: DMDConfig,
    seeds: Sequence[int],
    output_dir: str | Path,
    training: TrainingConfig | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    variants: Mapping[str, Variant] | None = None,
    dataset: str | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> Comparison:
    """Trains and scores every model with every seed, and writes the tables and figures.

    names: what `dmdlite.models.build` knows, and the groups in `dmdlite.models.GROUPS`.
    training: the budget, the same for all; its seed is replaced by each of the seeds.
    settings: fields beside those of `config`, of which each model takes those that it has.
    variants: name -> function that makes a model of your own from `config`; they follow the `names`. A term of their
        loss that DMD does not have gets a column.
    dataset: "mosi" or "mosei" to have the published numbers beside ours.
    jobs: runs at the same time on a CPU, each in a process of one thread; the results do not depend on it.

    The same call goes on with what was stopped, and may name more models and seeds. A run that fails does not stop the
    others; it is in the `failures` of its row. Raises ValueError for names, seeds and settings that make no sense, and
    if the folder holds something else; nothing is touched then.
    """
    names, variants, training = in_groups(names), dict(variants or {}), training or TrainingConfig()
    check_variants(variants, jobs)
    check_settings({name: RECIPES[name] for name in names}, config, settings or {})
    names += variants
    _check(names, seeds, jobs)
    plan = Plan(data, config, training.replace(seed=0), Path(output_dir), dict(settings or {}), variants)
    splits = plan.splits()
    _claim(plan, splits, names)
    failures = _train_all(plan, names, seeds, jobs, splits, progress)
    rows = [_row(plan, name, seeds, failures) for name in names]
    _add_costs(rows, plan, splits["train"])
    add_tests(rows)
    rows += _baselines(rows, splits, config)
    found = Comparison(rows, list(seeds), splits["test"], config, training, dataset)
    write_comparison(found, plan.folder)
    return found


def _check(names: Sequence[str], seeds: Sequence[int], jobs: int) -> None:
    if not names or not seeds:
        raise ValueError("there is nothing to compare: give at least one name and one seed")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"each seed counts once, got {' '.join(map(str, seeds))}")
    if min(seeds) < 0:
        raise ValueError(f"seed must be at least 0, got {min(seeds)}")
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if jobs > 1 and not on_cpu():
        raise ValueError("jobs must be 1 on a GPU: runs beside each other would only take turns")


def _claim(plan: Plan, splits: Splits, names: Sequence[str]) -> None:
    """Makes the folder this comparison's.

    Raises ValueError, before anything is touched, for a folder that holds something else or a model that cannot be.
    """
    for name in plan.with_teachers(names):
        model = plan.untrained(name)
        check_fits(splits, model.config, model.reads)
    budget = {field: value for field, value in asdict(plan.training).items() if field != "seed"}
    source = {"fingerprint": fingerprint(splits), "source": splits["train"].source}
    config = {"shared": plan.config.to_dict(), "own": plan.settings}
    whole = {"model": "comparison", "config": config, "training": budget, "data": source, "dmdlite": version("dmdlite")}
    whole = json.loads(json.dumps(whole))
    if runs.state_of(plan.folder, whole) == "new":
        runs.start(plan.folder, whole)


def _train_all(
    plan: Plan, names: Sequence[str], seeds: Sequence[int], jobs: int, splits: Splits, progress: bool
) -> dict[Task, str]:
    """Trains what is not finished yet; returns what went wrong."""
    wanted = [(name, seed) for seed in seeds for name in plan.with_teachers(names)]
    left = [task for task in wanted if not _is_done(plan, task, splits)]
    needs = {task: (teacher, task[1]) for task in left if (teacher := plan.teacher(task[0])) is not None}
    failures: dict[Task, str] = {}
    if progress:
        print(f"{plan.folder}: {len(left)} of {len(wanted)} runs to go", flush=True)
    with closing(run_tasks(_train, plan, left, needs, min(jobs, len(left)))) as outcomes:
        for number, outcome in enumerate(outcomes, start=1):
            if outcome.failure is not None:
                failures[outcome.task] = outcome.failure
            if progress:
                print(f"[{number:{len(str(len(left)))}d}/{len(left)}] {_line(outcome)}", flush=True)
    return failures


def _is_done(plan: Plan, task: Task, splits: Splits) -> bool:
    folder, (name, seed) = plan.run_folder(task), task
    teacher = plan.teacher(name)
    if teacher is not None and not _is_done(plan, (teacher, seed), splits):
        return False
    own = runs.describe(plan.fresh(task), splits, plan.training.replace(seed=seed))
    if runs.state_of(folder, own) != "finished":
        return False
    return stored_subsets(folder, runs.load_result(folder).metrics["test"]) is not None


def _line(outcome: Outcome) -> str:
    name, seed = outcome.task
    if outcome.failure is not None:
        return f"{name}, seed {seed}: failed: {outcome.failure}"
    found, minutes = outcome.value
    return f"{name}, seed {seed}: test error {found:.3f}, {minutes:.1f} min"


def _train(plan: Plan, task: Task) -> tuple[float, float]:
    """The work of one task: a finished run and its scores for each subset. Returns the error and the minutes."""
    started = time.perf_counter()
    splits = plan.splits()
    model, result = plan.train(task, splits)
    score_subsets(result, splits["test"], model)
    return result.metrics["test"][error_name(plan.config.task)], (time.perf_counter() - started) / 60


def _row(plan: Plan, name: str, seeds: Sequence[int], failures: Mapping[Task, str]) -> Row:
    row = Row(
        name,
        error_name(plan.config.task),
        failures={seed: failures[name, seed] for seed in seeds if (name, seed) in failures},
    )
    for seed in seeds:
        if seed not in row.failures:
            folder = plan.run_folder((name, seed))
            result = runs.load_result(folder)
            row.results[seed], row.terms[seed] = result.metrics, plan.terms_of_its_own(name, result)
            row.subsets[seed] = stored_subsets(folder, row.results[seed]["test"]) or {}
    return row


def _add_costs(rows: Sequence[Row], plan: Plan, train: FeatureSplit) -> None:
    names, training = [row.name for row in rows], plan.training
    seconds = seconds_per_epoch(names, plan.untrained, train, training, plan.folder / "timing.json")
    for row in rows:
        row.seconds = seconds[row.name]
        row.parameters = count_parameters(plan.untrained(row.name), train, training.padding_mask)


def _baselines(rows: Sequence[Row], splits: Splits, config: DMDConfig) -> list[Row]:
    """What needs no seed: linear models of all streams, and of each that a model here reads alone; a constant."""
    alone = [row.name for row in rows if row.name in MODALITIES]
    found, measure = [], error_name(config.task)
    for name, modalities in {"linear": MODALITIES, **{f"linear_{m}": (m,) for m in alone}}.items():
        if any(m in splits["train"].features for m in modalities):
            scores, coefficients = linear_baseline(splits, config, modalities)
            parameters = {"test": coefficients, "training": coefficients}
            found.append(Row(name, measure, "linear", results={None: {"test": scores}}, parameters=parameters))
    finished = [metrics for row in rows for metrics in row.results.values()]
    if finished:
        constant = {"test": finished[0]["constant"]["test"]}
        found.append(Row("constant", measure, "constant", results={None: constant}))
    return found
