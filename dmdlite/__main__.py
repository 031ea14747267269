"""The command line, `python -m dmdlite COMMAND`: one function for each command of `options.py`."""

import argparse
import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from dmdlite.checking import known
from dmdlite.given import given_numbers, read_options, train_command
from dmdlite.options import PRESETS, Parser, make_parser, one_line

# What a RuntimeError of PyTorch says -> what to do.
REMEDIES = {
    r"out of memory|allocate|MemoryError": "not enough memory; a smaller --batch-size needs less",
    r"CxxCompiler|C\+\+ compiler|ompiler: \S+ is not found|riton": "--compile needs a C++ compiler (on a GPU, Triton)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code: 0; 2 after one line about invalid input; 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console that lacks a letter shows "?"
    options, unknown = make_parser().parse_known_args(arguments)
    options.words, prog = sys.argv[1:] if arguments is None else arguments, f"dmdlite {options.command}"
    if unknown:
        Parser(prog=prog).error(f"unknown option {unknown[0]}")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # otherwise the Hub reports every retry before our one line
    os.environ["MPLBACKEND"] = "agg"  # pictures are files
    warnings.formatwarning = lambda message, *_, **__: f"{prog}: {one_line(message)}\n"
    try:
        COMMANDS[options.command](options)
    except (ValueError, OSError, RuntimeError, MemoryError) as problem:
        found = [problem] if isinstance(problem, (ValueError, OSError)) else []
        found += [remedy for signs, remedy in REMEDIES.items() if re.search(signs, f"{type(problem)} {problem}")]
        if not found:
            raise
        print(f"{prog}: {one_line(found[0])}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        done = {"train": "epoch", "compare": "epoch", "tune": "epoch", "extract": "clip"}.get(options.command)
        again = f" The same command goes on from the last finished {done}." if done else ""
        print(f"\n{prog}: stopped.{again}", file=sys.stderr)
        return 130
    return 0


def train(options: argparse.Namespace) -> None:
    splits, source, config, training, settings = read_options(options)
    from dmdlite.models.registry import RECIPES, check_settings
    from dmdlite.training.callbacks import is_first_process
    from dmdlite.training.systems import train_system

    name = known("--model", options.model, RECIPES)
    if name == "dmd" and len(config.modalities) == 1:
        (name,) = config.modalities
        if is_first_process():
            print(f"DMD distils between modalities; with {name} alone this trains the model {name!r}")
    output = options.output or Path("runs") / f"{name}-{options.preset}-seed{training.seed}"
    check_settings({name: RECIPES[name]}, config, settings)
    folder_of = lambda other: output if other == name else output.with_name(f"{output.name}-{other}")
    own = {"restart": options.restart, "source": source, "start": options.start, "report_to": options.report_to}
    _, result = train_system(name, RECIPES, splits, config, training, folder_of, settings, **own)
    if is_first_process():
        metrics = result.metrics
        print(f"\nbest epoch {metrics['best_epoch']} of {metrics['epochs']}\n{score_table(metrics, config)}")
        print(f"everything is in {output}")


def compare(options: argparse.Namespace) -> None:
    """Prints the table, except with --only. Raises ValueError at the end if runs have failed."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("compare runs whole trainings side by side (--jobs), not under torchrun; use train for that")
    if "seed" in dict(options.set):
        raise ValueError("the seeds of a comparison are given by --seeds")
    splits, source, config, training, settings = read_options(options)
    from dmdlite.experiments.compare import collect, train_runs, tuned
    from dmdlite.experiments.executors import cluster, most_jobs
    from dmdlite.experiments.plan import make_plan
    from dmdlite.experiments.reports import markdown
    from dmdlite.models.registry import can_read, in_groups

    names = in_groups(options.models)
    if unable := [x for x in names if x not in options.models and not can_read(x, config.modalities)]:
        print(f"left out, for they need other modalities: {', '.join(unable)}")
    output = options.output or Path("runs") / f"compare-{options.preset}"
    jobs = most_jobs() if options.jobs is None else options.jobs
    own = {"settings": settings, "jobs": jobs, "restart": options.restart, **PRESETS[options.preset][1]}
    own |= {"report_to": options.report_to} | ({"reading": splits.reading} if source else {})
    own |= {"tune": options.tune, "tuning_seed": options.tuning_seed, "fixed": given_numbers(options)}
    own["audit"] = options.audit
    names, seeds = [x for x in names if x not in unable], seeds_of(options.seeds)
    failed = None
    with warnings.catch_warnings(), cluster(options.cluster) if options.cluster else nullcontext() as executor:
        warnings.filterwarnings("ignore", module=r"dmdlite\.data")  # oddities of the data were already reported
        plan = make_plan(names, source or splits, config, seeds, output, training, **own)
        plan = tuned(plan, options.only, executor, jobs, search=not options.collect)
        if not options.collect:
            failed = train_runs(plan, options.only, executor, jobs)
        if not options.only:
            found = collect(plan, failed)
            read = (output / "audit.md").read_text(encoding="utf-8") if len(found.audit) else ""
            print(f"\n{markdown(found)}\n{read}\nthe tables, the figures and every run are in {output}")
    if failed:
        (name, seed), first = next(iter(failed.items()))
        count = f"{len(failed)} of the runs failed, the others are whole"
        raise ValueError(f"{count}; the first: {name}, seed {seed}: {first}")


def seeds_of(numbers: list[int]) -> list[int]:
    """`--seeds 5` means 0, 1, 2, 3, 4; `--seeds 3 7` means these two."""
    return list(range(numbers[0])) if len(numbers) == 1 else numbers


def tune(options: argparse.Namespace) -> None:
    """Prints the best numbers and the command that trains with them."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("tune runs whole trainings side by side (--jobs), not under torchrun")
    if "seed" in dict(options.set):
        raise ValueError("the seed of the trials is given by --seed")
    splits, source, config, training, settings = read_options(options)
    from dmdlite.experiments.executors import cluster
    from dmdlite.experiments.tune import tune as run

    output = options.output or Path("runs") / f"tune-{options.model}-{options.preset}"
    own = {"settings": settings, "fixed": given_numbers(options), "jobs": options.jobs, "restart": options.restart}
    own |= {"reading": splits.reading} if source else {}
    own |= {"trials": options.trials, "seed": options.seed}
    with cluster(options.cluster) if options.cluster else nullcontext() as executor:
        found = run(options.model, source or splits, config, output, training, executor=executor, **own)
    print(f"\nvalidation error {found.error:.4f}, with the defaults {found.own_error:.4f}")
    print(f"train with the best numbers:\n  {train_command(options.words, found.settings)}")
    print(f"everything is in {output}")


def evaluate(options: argparse.Namespace) -> None:
    from dmdlite.training import runs

    splits = splits_for(options)
    name = options.split or ("test" if "test" in splits or len(splits) > 1 else next(iter(splits)))
    scores = runs.evaluate(options.run_folder, {name: splits[known("--split", name, splits)]})[name]
    print("\n".join(f"{name:16s} {score:.4f}" for name, score in scores.items()))


def predict(options: argparse.Namespace) -> None:
    import numpy as np
    import pandas as pd

    from dmdlite.files import write_text
    from dmdlite.training import predictions, runs

    if options.clip:
        from dmdlite.experiments.clip_picture import predict_clip

        if options.data or options.split:
            raise ValueError("--clip takes the place of --data and --split; give one or the other")
        picture = options.picture or Path(f"{options.clip.stem}_prediction.png")
        reading = predict_clip(options.run_folder, options.clip, options.transcript, picture)
        print(f"wrote {picture}")
        splits, parts, config = {"clip": reading.split}, {"clip": reading.parts}, reading.config
    else:
        if lost := [name for name in ("transcript", "picture") if getattr(options, name) is not None]:
            raise ValueError(f"--{lost[0]} is about the clip that --clip names, and there is no --clip")
        splits, (model, mask) = splits_for(options), runs.opened(options.run_folder)
        names = [known("--split", options.split, splits)] if options.split else list(splits)
        parts = {name: predictions.read_outputs(model, splits[name], mask) for name in names}
        config = model.config
    tables = {name: predictions.table(x, splits[name], config) for name, x in parts.items()}
    rows = pd.concat(tables, names=["split"]).reset_index(level="split", drop=len(tables) == 1)
    for path in filter(None, (options.output, options.embeddings)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if options.output:
        write_text(options.output, rows.to_csv(index=False, lineterminator="\n"))
        print(f"wrote {len(rows)} predictions to {options.output}")
    else:
        table, sides = (rows.T, {"header": False}) if options.clip else (rows, {"index": False})  # one clip: upright
        print(table.to_string(**sides, max_colwidth=40, float_format="{:.3f}".format))
    if options.embeddings:
        np.savez(options.embeddings, **predictions.vectors(parts, splits))


def splits_for(options: argparse.Namespace) -> Mapping[str, Any]:
    """The data for a finished run: its own, or others, of which only what it reads has to be sound."""
    from dmdlite.data.features import load_features
    from dmdlite.training import runs

    if not options.data:
        return runs.own_data(options.run_folder)
    run = runs.read_description(options.run_folder)
    if run["data"].get("reading", {}).get("split_by_id"):
        with suppress(ValueError):  # the run's own clips: divided as then, so that none is scored that was trained on
            return runs.own_data(options.run_folder, options.data)
    config = run["config"]
    return load_features(options.data, config["task"], modalities=config["modalities"], invalid=options.invalid)


def extract(options: argparse.Namespace) -> None:
    from dmdlite.data.extract.setup import fetch_models
    from dmdlite.experiments.executors import cores
    from dmdlite.experiments.extraction import extract as run

    if options.setup:
        return print(f"the models are in {fetch_models()}")
    if not (options.clips and options.folder):
        raise ValueError("give the folder of the clips and one for the features, or --setup alone")
    jobs = options.jobs if options.jobs is not None else cores()
    names = ("labels", "transcripts", "aligned", "language_model", "longest")
    failures = run(options.clips, options.folder, jobs=jobs, **{name: getattr(options, name) for name in names})
    left_out = f", without {len(failures)} that failed (failures.txt says why)" if failures else ""
    print(f"wrote {options.folder}{left_out}")


def convert(options: argparse.Namespace) -> None:
    from dmdlite.data.features import convert_features

    convert_features(options.source, options.folder)
    print(f"wrote {options.folder}")


def course(options: argparse.Namespace) -> None:
    from dmdlite.course import write_course

    write_course(options.folder, options.edition)
    print(f"begin with:\n  cd {options.folder}\n  jupyter lab notebooks/00_start_here.ipynb")


def score_table(metrics: Mapping[str, Any], config: Any) -> str:
    """Test and validation scores beside those of a line, if there is one, and of a constant prediction."""
    import pandas as pd

    from dmdlite.training.metrics import table_scores, title

    answer = metrics["constant"]["prediction"]
    always = "constant" if isinstance(answer, list) else f"constant {answer:.1f}"
    each = {"": metrics, ", linear": metrics.get("linear"), f", {always}": metrics["constant"]}
    rows = {split + name: scores[split] for split in ("test", "valid") for name, scores in each.items() if scores}
    table = pd.DataFrame(rows).T[list(table_scores(config.task, config.outputs, config.label_scale))]
    return table.to_string(header=[f" {title(score)}" for score in table], float_format="{:.3f}".format, col_space=7)


COMMANDS = {x.__name__: x for x in (train, evaluate, predict, compare, tune, extract, convert, course)}

if __name__ == "__main__":
    sys.exit(main())
