"""A fair table of models: each trained with several seeds under one budget, scored on the test split.

OUTPUT/NAME/seed_K/          every run, as `dmdlite.train` leaves it, and missing_modalities.json
training.json                what is compared: config, budget, data
comparison.md                the table for reading
comparison.csv               one row per model
comparison_seeds.csv         one row per model and seed, with every score
comparison.png               the error of every model, seed by seed
missing_modalities.md, .csv, .png    the scores of every model with each subset of the modalities at test time
audit.md, .csv, .png, audit_epochs.csv    what other habits of reporting would add: `audit.py`
timing.json                  seconds of an epoch by model: measured once
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from pandas import DataFrame

from dmdlite.config import MODALITIES, ModelConfig, TrainingConfig
from dmdlite.data.features import check_fits, fingerprint
from dmdlite.experiments.audit import write_audit
from dmdlite.experiments.plan import Plan, Variant, check_counts, check_variants
from dmdlite.experiments.reports import write_reports
from dmdlite.experiments.tables import Comparison, missing_table, model_table, published_rows, seeds_table
from dmdlite.experiments.timing import count_parameters, seconds_per_epoch
from dmdlite.experiments.workers import Task, run_tasks
from dmdlite.files import write_json
from dmdlite.models.registry import RECIPES, check_settings, in_groups, with_teachers
from dmdlite.training.linear import linear_baseline
from dmdlite.training.metrics import Splits, all_scores


def compare(
    names: Sequence[str],
    data: Splits | str | Path,
    config: ModelConfig,
    seeds: Sequence[int],
    output_dir: str | Path,
    training: TrainingConfig | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    variants: Mapping[str, Variant] | None = None,
    dataset: str | None = None,
    jobs: int = 1,
    progress: bool = True,
    restart: bool = False,
    reading: Mapping[str, Any] | None = None,
    audit: bool = False,
) -> Comparison:
    """Trains and scores every model with every seed, and writes the tables and figures.

    names: models that `dmdlite.build` knows, and groups in `dmdlite.models.registry.GROUPS`. training: the budget, the
    same for all; its seed is replaced by each of the seeds. reading: options of `load_features`, if `data` is a path.
    settings: fields beside those of `config`; each model takes those it has. variants: name -> function that makes your
    own model from `config`, or a Recipe. Added loss terms get a column. dataset: "mosi" or "mosei" adds published
    numbers. jobs: runs at the same time on a CPU, each in a process of one thread; the results do not depend on it.
    restart: train afresh what other code, weights or settings have left. audit: also under other habits (`audit.py`).

    The same call resumes what was stopped, and may name more models, seeds and epochs. A failed run does not stop the
    others; the result's `failures` list it. Raises ValueError, before anything is touched, for impossible names, seeds
    and settings, and if the folder holds something else or runs of other code.
    """
    own = check_variants(variants or {}, jobs)
    names, recipes = [*in_groups(names), *own], RECIPES | own
    budget = (training or TrainingConfig()).replace(seed=0, log_test=audit)
    plan = Plan(data, config, budget, Path(output_dir), dict(settings or {}), recipes, restart, dataset, reading)
    check_settings({name: recipes[name] for name in names}, config, plan.settings)
    check_counts(names, seeds, jobs)
    splits = plan.splits()
    tasks = [(name, seed) for seed in seeds for name in with_teachers(names, recipes)]
    failures = _train_all(plan, _claim(plan, splits, tasks), len(tasks), jobs, progress)
    return _report(plan, splits, names, seeds, failures)


def _claim(plan: Plan, splits: Splits, tasks: Sequence[Task]) -> list[Task]:
    """Makes the folder this comparison's; returns the tasks that are left. Raises ValueError before it touches any."""
    for name in dict.fromkeys(name for name, _ in tasks):
        model = plan.build(name)
        check_fits(splits, model.config, model.reads)
    budget = {field: value for field, value in asdict(plan.training).items() if field not in ("seed", "log_test")}
    source = {"fingerprint": fingerprint(splits), "source": splits["train"].source}
    config = {"shared": plan.config.to_dict(), "own": plan.settings}
    whole = {"model": "comparison", "config": config, "training": budget, "data": source, "dmdlite": version("dmdlite")}
    whole = json.loads(json.dumps(whole))
    plan.state_of(plan.folder, whole)
    left: list[Task] = []
    for task in tasks:  # a teacher comes before its student
        if plan.teacher(task) in left or not plan.is_done(task, splits):
            left.append(task)
    if plan.restart:
        (plan.folder / "timing.json").unlink(missing_ok=True)
    plan.folder.mkdir(parents=True, exist_ok=True)
    write_json(plan.folder / "training.json", whole)
    return left


def _train_all(plan: Plan, left: Sequence[Task], count: int, jobs: int, progress: bool) -> dict[Task, str]:
    """Trains what is not done yet; returns what went wrong."""
    needs = {task: teacher for task in left if (teacher := plan.teacher(task)) in left}
    plan = replace(plan, retaught=frozenset(needs))
    say = partial(print, flush=True) if progress else lambda _: None
    failures: dict[Task, str] = {}
    say(f"{plan.folder}: {len(left)} of {count} runs to go")
    with closing(run_tasks(Plan.train, plan, left, needs, jobs)) as outcomes:
        for number, outcome in enumerate(outcomes, start=1):
            name, seed = outcome.task
            if outcome.failure is not None:
                failures[outcome.task] = outcome.failure
            ended = outcome.value if outcome.failure is None else f"failed: {outcome.failure}"
            say(f"[{number:{len(str(len(left)))}d}/{len(left)}] {name}, seed {seed}: {ended}")
    return failures


def _report(plan: Plan, splits: Splits, names: list[str], seeds: Sequence[int], failed: dict[Task, str]) -> Comparison:
    """The scores, costs and baselines, written to the folder."""
    train, mask = splits["train"], plan.training.padding_mask
    trained = [n for n in names if any((n, seed) not in failed for seed in seeds)]  # others may fail here, too
    seconds = seconds_per_epoch(trained, plan.build, train, plan.training, plan.folder / "timing.json")
    costs = {n: count_parameters(plan.build(n), train, mask) | {"seconds_per_epoch": seconds[n]} for n in trained}
    records, subsets, done = [], [], {}
    for task in product(names, seeds):
        run = {"model": task[0], "kind": "model", "seed": task[1], "failure": failed.get(task)}
        if task not in failed:
            result, present = plan.stored(task)
            done[task] = result
            run |= {name: result.metrics[name] for name in ("best_epoch", "epochs")}
            run |= result.metrics["test"] | plan.added_terms(task[0], result)
            subsets += [{"model": task[0], "present": subset} | scores for subset, scores in present.items()]
        records.append(run)
    records += _baselines(plan, splits, names, costs)
    config, shown = plan.config, plan.shown
    one_number = config.task == "regression" and config.outputs == 1 and config.label_scale == "mosi"
    as_in_papers = one_number and len(config.modalities) == len(MODALITIES)
    published = published_rows(names, plan.dataset if as_in_papers else None, config)
    table = seeds_table(records, shown)
    spent = DataFrame(costs, index=["parameters", "parameters_in_training", "seconds_per_epoch"]).T
    models = model_table(table, shown, spent, published)
    missing = missing_table(subsets, shown, names, config.modalities)
    found = Comparison(table, models, missing, plan.training, len(splits["test"]), published)
    write_reports(found, plan.folder)
    if plan.training.log_test and done:
        found.audit = write_audit(done, plan.shown, plan.folder)
    return found


def _baselines(plan: Plan, splits: Splits, names: Sequence[str], costs: dict[str, Any]) -> list[dict[str, Any]]:
    """A constant, and linear models of all streams and of each that a model reads alone; adds to `costs` theirs."""
    found = []
    alone = {f"linear_{m}": (m,) for m in names if m in MODALITIES}
    for name, modalities in {"linear": plan.config.modalities, **alone}.items():
        if line := linear_baseline(splits, plan.config, modalities):
            scores, size = line
            found.append({"model": name, "kind": "linear"} | scores["test"])
            costs[name] = {"parameters": size, "parameters_in_training": size}
    constant = all_scores({}, splits, plan.config)["constant"]["test"]
    return [*found, {"model": "constant", "kind": "constant"} | constant]
