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
tuning/NAME/                 if models are tuned: the trials of each, as `dmdlite.tune` leaves them
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from pandas import DataFrame, Series

from dmdlite.config import MODALITIES, ModelConfig, TrainingConfig
from dmdlite.data.features import check_fits, fingerprint
from dmdlite.experiments.audit import write_audit
from dmdlite.experiments.checks import Variant
from dmdlite.experiments.executors import Outcome, executor_for, run_all
from dmdlite.experiments.parcels import unpack
from dmdlite.experiments.plan import Plan, Run, make_plan
from dmdlite.experiments.reports import write_reports
from dmdlite.experiments.study import Study, in_words
from dmdlite.experiments.tables import Comparison, missing_table, model_table, published_rows, seeds_table
from dmdlite.experiments.timing import count_parameters, seconds_per_epoch
from dmdlite.experiments.tune import best_numbers, tune_all, with_numbers_of
from dmdlite.files import write_json
from dmdlite.models.saving import name_of
from dmdlite.presets import TUNING_SEED
from dmdlite.training.linear import linear_baseline
from dmdlite.training.metrics import Splits, all_scores
from dmdlite.training.optimizers import check_rates


def compare(
    names: Sequence[str], data: Splits | str | Path, config: ModelConfig, seeds: Sequence[int], output_dir: str | Path,
    training: TrainingConfig | None = None, *, settings: Mapping[str, Any] | None = None,
    variants: Mapping[str, Variant] | None = None, dataset: str | None = None, tune: int = 0,
    tuning_seed: int = TUNING_SEED, fixed: Sequence[str] = (), executor: Executor | None = None, jobs: int = 1,
    progress: bool = True, restart: bool = False, reading: Mapping[str, Any] | None = None,
    report_to: str | None = None, audit: bool = False,
) -> Comparison:  # fmt: skip
    """Trains and scores every model with every seed, and writes the tables and figures.

    names: models that `dmdlite.build` knows, and the groups in `dmdlite.models.registry.GROUPS`.
    training: the budget, the same for all; its seed is replaced by each of the seeds. reading: options of
    `load_features`, if `data` is a path. settings: fields beside those of `config`; each model takes those it has.
    variants: name -> function that makes your own model from `config`, or a Recipe. Added loss terms get a column.
    dataset: "mosi" or "mosei" adds published numbers. restart: train afresh what other code, weights or settings have
    left. tune: trials of each model's numbers, but for those `fixed`, with another seed (see `dmdlite.tune`). executor:
    where the runs happen; it is left open. Without one: `jobs` processes of this machine, each with one CPU thread, or
    a GPU of its own; the results do not depend on it. report_to: "tensorboard" or "wandb", as of `train`, for each run.
    audit: also under other habits (`audit.py`).

    The same call resumes what was stopped, and may name more models, seeds and epochs. A failed run does not stop the
    others; the result's `failures` list it. Raises ValueError, before anything is touched, for impossible names, seeds
    and settings, and if the folder holds something else or runs of other code; ConnectionError if a scheduler stops.
    """
    own = {"settings": settings, "variants": variants, "dataset": dataset, "restart": restart, "reading": reading}
    own |= {"tune": tune, "tuning_seed": tuning_seed, "fixed": fixed, "report_to": report_to, "audit": audit}
    plan = make_plan(names, data, config, seeds, output_dir, training, jobs=jobs if executor is None else 1, **own)
    plan = tuned(plan, executor=executor, jobs=jobs, progress=progress)
    return collect(plan, train_runs(plan, executor=executor, jobs=jobs, progress=progress))


def tuned(
    plan: Plan,
    only: Sequence[Run] = (),
    executor: Executor | None = None,
    jobs: int = 1,
    progress: bool = True,
    search: bool = True,
) -> Plan:
    """The plan with the best numbers of its models, once all trials are done; the same plan if it does not tune.

    only: the models of these runs. search: False takes the numbers that are there, and tries no others.
    """
    if not plan.tune:
        return plan
    if (seed := plan.tuning_seed) in plan.seeds:
        raise ValueError(f"the models are tuned with seed {seed}, which must not be one of the comparison's seeds")
    runs, names = plan.part(only) if only else plan.all_runs, list(dict(only)) or plan.names
    for name in names:
        Study.of(name, plan, plan.folder)  # raises ValueError for what cannot be tuned
    if search:
        _check_fits(plan, runs)
        _claim(plan, [])
        tune_all(plan, names, executor, jobs, progress)
    return with_numbers_of(plan, best_numbers(plan, names))


def train_runs(
    plan: Plan,
    only: Sequence[Run] = (),
    executor: Executor | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> dict[Run, str]:
    """Trains those runs of a comparison that are not finished; returns what went wrong.

    only: these and their teachers, instead of all. Raises ValueError, before anything is touched, for a run that is
    not part of the comparison, and if the folder holds something else or runs of other code.
    """
    runs = plan.part(only) if only else plan.all_runs
    _check_fits(plan, runs)
    left = _claim(plan, runs)
    say = partial(print, flush=True) if progress else lambda _: None
    failures: dict[Run, str] = {}
    say(f"{plan.folder}: {len(left)} of {len(runs)} runs to go")
    with ExitStack() as stack:
        sent = stack.enter_context(plan.sent()) if executor else plan
        where = executor or stack.enter_context(executor_for(min(jobs, len(left))))
        outcomes = stack.enter_context(closing(run_all(sent.train_chain, sent.chains(left), where)))
        ended = (run for outcome in outcomes for run in _ended(plan, outcome))
        for number, ((name, seed), words, failure) in enumerate(ended, start=1):
            if failure is not None:
                failures[name, seed], words = failure, f"failed: {failure}"
            say(f"[{number:{len(str(len(left)))}d}/{len(left)}] {name}, seed {seed}: {words}")
    return failures


def _ended(plan: Plan, outcome: Outcome) -> list[Outcome]:
    """The outcome of each run of a chain. Folders that have travelled are put in their place."""
    if outcome.failure is None:
        ended, parcels = outcome.value
        for run, parcel in parcels.items():
            unpack(parcel, plan.run_folder(run))
        return ended
    done: list[Run] = []
    for run in outcome.task.runs:
        with suppress(ValueError):
            done += [run] if plan.is_done(run) else []
    return [Outcome(x, "finished") if x in done else Outcome(x, failure=outcome.failure) for x in outcome.task.runs]


def _claim(plan: Plan, runs: Sequence[Run]) -> list[Run]:
    """Makes the folder this comparison's; returns the runs that are left. Raises ValueError before it touches any."""
    budget = {field: value for field, value in asdict(plan.training).items() if field not in ("seed", "log_test")}
    source = {"fingerprint": fingerprint(plan.splits), "source": plan.splits["train"].source}
    config = {"shared": plan.config.to_dict(), "own": plan.settings}
    whole = {"model": "comparison", "config": config, "training": budget, "data": source, "dmdlite": version("dmdlite")}
    if plan.tune:
        search = {"trials": plan.tune, "seed": plan.tuning_seed, "fixed": sorted(plan.fixed)}
        whole |= {"tuning": search | {"epochs": plan.training.epochs}}  # what was tuned for fewer would not do for more
    whole = json.loads(json.dumps(whole, default=name_of))
    plan.state_of(plan.folder, whole)
    left = plan.left(runs)
    if plan.restart:
        (plan.folder / "timing.json").unlink(missing_ok=True)
    plan.folder.mkdir(parents=True, exist_ok=True)
    write_json(plan.folder / "training.json", whole)
    return left


def _check_fits(plan: Plan, runs: Sequence[Run]) -> None:
    models = [plan.build(name) for name in dict.fromkeys(name for name, _ in runs)]
    for model in models:
        check_fits(plan.splits, model.config, model.reads)
    check_rates(plan.training, models)


def collect(plan: Plan, failed: Mapping[Run, str] | None = None) -> Comparison:
    """Writes the tables and figures of the runs that are finished, and trains nothing.

    failed: why the others are not. Without it they are looked for, and ValueError is raised if no run is finished.
    """
    if failed is None:
        failed = dict.fromkeys(plan.left(plan.all_runs), "not there yet")
        if set(failed) >= {*product(plan.names, plan.seeds)}:
            raise ValueError(f"{plan.folder} holds no finished run of this comparison yet: nothing to collect")
    return _report(plan, failed)


def _report(plan: Plan, failed: Mapping[Run, str]) -> Comparison:
    """The scores, costs and baselines, written to the folder."""
    splits, names, seeds = plan.splits, plan.names, plan.seeds
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
    records += _baselines(plan, costs)
    config, shown = plan.config, plan.shown
    one_number = config.task == "regression" and config.outputs == 1 and config.label_scale == "mosi"
    as_in_papers = one_number and len(config.modalities) == len(MODALITIES)
    published = published_rows(names, plan.dataset if as_in_papers else None, config)
    table = seeds_table(records, shown)
    spent = DataFrame(costs, index=["parameters", "parameters_in_training", "seconds_per_epoch"]).T
    models = model_table(table, shown, spent, published)
    if plan.tune:
        models["tuned"] = Series({name: in_words(plan.numbers[name]) for name in names})
    missing = missing_table(subsets, shown, names, config.modalities)
    found = Comparison(table, models, missing, plan.training, len(splits["test"]), published, plan.tune)
    write_reports(found, plan.folder)
    if plan.training.log_test and done:
        found.audit = write_audit(done, plan.shown, plan.folder)
    return found


def _baselines(plan: Plan, costs: dict[str, Any]) -> list[dict[str, Any]]:
    """A constant, and linear models of all streams and of each that a model reads alone; adds to `costs` theirs."""
    found, splits = [], plan.splits
    alone = {f"linear_{m}": (m,) for m in plan.names if m in MODALITIES}
    for name, modalities in {"linear": plan.config.modalities, **alone}.items():
        if line := linear_baseline(splits, plan.config, modalities):
            scores, size = line
            found.append({"model": name, "kind": "linear"} | scores["test"])
            costs[name] = {"parameters": size, "parameters_in_training": size}
    constant = all_scores({}, splits, plan.config)["constant"]["test"]
    return [*found, {"model": "constant", "kind": "constant"} | constant]
