"""The command line: `python -m dmdlite train|evaluate|compare|convert`, each with --help."""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from dmdlite.checking import known
from dmdlite.config import DMDConfig, TrainingConfig

MOSI, MOSEI = {"dataset": "mosi"}, {"dataset": "mosei"}
# Name -> the constructor of DMDConfig, and its argument.
PRESETS = {"toy": ("toy", {}), "mosi": ("official", MOSI), "mosei": ("official", MOSEI)}
PRESETS |= {"paper-mosi": ("paper", MOSI), "paper-mosei": ("paper", MOSEI)}
DATA_HELP = "MMSA pickle or converted folder"


class Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, without the whole usage."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code: 0; 2 after one line about invalid input; 130 after Ctrl-C."""
    options, unknown = make_parser().parse_known_args(arguments)
    prog = f"dmdlite {options.command}"
    if unknown:
        Parser(prog=prog).error(f"unknown option {unknown[0]}")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # otherwise the Hub reports every retry before our one line
    warnings.formatwarning = lambda message, *_, **__: f"{prog}: {one_line(message)}\n"
    try:
        options.run(options)
    except (ValueError, OSError) as problem:
        print(f"{prog}: {one_line(problem)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = " The same command goes on from the last finished epoch." if options.run in (train, compare) else ""
        print(f"\n{prog}: stopped.{again}", file=sys.stderr)
        return 130
    return 0


def one_line(message: object) -> str:
    return " ".join(str(message).split())


def make_parser() -> Parser:
    parser = Parser(prog="dmdlite", description="Decoupled Multimodal Distilling (DMD) for emotion recognition.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    example = "--data mosi.pkl --preset mosi --seed 1 --set width=32 --set 'loss_weights={\"margin\": 0}'"
    command = _command(commands, train, "train a model; resumes an interrupted run", example)
    text = "dmd, a rival, an ablation, or language, vision, audio; an unknown name lists them all (default: dmd)"
    command.add_argument("--model", default="dmd", metavar="NAME", help=text)
    command.add_argument("--seed", type=int, metavar="N", help="seed of weights, dropout and order (default: 0)")
    command.add_argument("--output", type=Path, metavar="FOLDER", help="(default: runs/MODEL-PRESET-seedN)")
    command.add_argument("--restart", action="store_true", help="discard the run in the folder and start afresh")
    _add_data_and_recipe(command)
    example = "runs/dmd-toy-seed0 --data data_samples/toy --split test"
    command = _command(commands, evaluate, "score a finished run again, on its own data or on others", example)
    command.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a finished run")
    command.add_argument("--data", type=Path, metavar="PATH", help=f"{DATA_HELP} (default: the run's own)")
    command.add_argument("--split", default="test", metavar="NAME", help="train, valid or test (default: test)")
    text = "train models with several seeds under one budget and compare them, also without some of the modalities"
    command = _command(commands, compare, text, "--models dmd rivals --seeds 5 --epochs 20")
    text = "models and groups of them: all, rivals, ablations, unimodal (default: all)"
    command.add_argument("--models", nargs="+", default=["all"], metavar="NAME", help=text)
    text = "one number: that many seeds from 0 on; several: these seeds (default: 5)"
    command.add_argument("--seeds", nargs="+", type=int, default=[5], metavar="N", help=text)
    text = "runs at the same time, each on one CPU core; the results do not depend on it (default: one per core)"
    command.add_argument("--jobs", type=int, metavar="N", help=text)
    text = "train afresh what other code or settings have left in the folder (default: refuse it)"
    command.add_argument("--restart", action="store_true", help=text)
    command.add_argument("--output", type=Path, metavar="FOLDER", help="(default: runs/compare-PRESET)")
    _add_data_and_recipe(command)
    text = "rewrite an MMSA pickle as a folder that opens at once"
    command = _command(commands, convert, text, "aligned_50.pkl mosi_aligned")
    command.add_argument("source", type=Path, metavar="IN.pkl")
    command.add_argument("folder", type=Path, metavar="OUT", help="a new or empty folder")
    return parser


def _command(commands: Any, run: Any, summary: str, example: str) -> Parser:
    epilog = f"example:\n  python -m dmdlite {run.__name__} {example}"
    parser = commands.add_parser(run.__name__, help=summary, description=summary, epilog=epilog)
    parser.set_defaults(run=run)
    return parser


def _add_data_and_recipe(parser: Parser) -> None:
    """The options of `train` and `compare`. Those that a TrainingConfig takes as they are bear its fields' names."""
    add = parser.add_argument_group("data").add_argument
    add("--data", type=Path, metavar="PATH", help=f"{DATA_HELP} (default: the toy world)")
    add("--task", default="regression", metavar="NAME", help="regression (the default), classification or ordinal")
    add("--mask", dest="padding_mask", action="store_true", help="tell the model which time steps are padding")
    text = "Anything not given here keeps the preset's value. The sizes of inputs and labels come from the data."
    add = parser.add_argument_group("recipe", text).add_argument
    add("--preset", default="toy", metavar="NAME", help=f"{', '.join(PRESETS)} (default: toy)")
    add("--epochs", type=int, metavar="N", help="upper limit")
    add("--batch-size", type=int, metavar="N")
    add("--learning-rate", type=float, metavar="X")
    add("--bf16", action="store_true", help="train in bfloat16 mixed precision")
    add("--compile", action="store_true", help="compile the model first; pays off in long runs, especially on a GPU")
    text = "encoder for the tokens, from the Hugging Face Hub, e.g. bert-base-uncased; none: use the features"
    add("--language-model", metavar="NAME", help=text)
    text = "any field of DMDConfig or TrainingConfig, with a value in JSON; can be repeated"
    add("--set", action="append", default=[], type=setting, metavar="FIELD=VALUE", help=text)


def setting(text: str) -> tuple[str, Any]:
    """FIELD=VALUE as a pair; a value that is not JSON is a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"it needs FIELD=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def train(options: argparse.Namespace) -> None:
    splits, source, config, training, settings = read_options(options)
    output = options.output or Path("runs") / f"{options.model}-{options.preset}-seed{training.seed}"
    from dmdlite.models.registry import RECIPES, check_settings
    from dmdlite.training.callbacks import is_first_process
    from dmdlite.training.systems import train_system

    known("--model", options.model, RECIPES)
    check_settings({options.model: RECIPES[options.model]}, config, settings)
    folder_of = lambda name: output if name == options.model else output.with_name(f"{output.name}-{name}")
    own = {"restart": options.restart, "source": source}
    _, result = train_system(options.model, RECIPES, splits, config, training, folder_of, settings, **own)
    if is_first_process():
        metrics = result.metrics
        print(f"\nbest epoch {metrics['best_epoch']} of {metrics['epochs']}\n{score_table(metrics, config)}")
        print(f"everything is in {output}")


def compare(options: argparse.Namespace) -> None:
    """Prints the table. Raises ValueError at the end if runs have failed."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("compare runs whole trainings side by side (--jobs), not under torchrun; use train for that")
    if "seed" in dict(options.set):
        raise ValueError("the seeds of a comparison are given by --seeds")
    splits, source, config, training, settings = read_options(options)
    from dmdlite.experiments.compare import compare as run
    from dmdlite.experiments.reports import markdown
    from dmdlite.experiments.workers import on_cpu

    output = options.output or Path("runs") / f"compare-{options.preset}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = options.jobs if options.jobs is not None else cores if on_cpu() else 1
    own = {"settings": settings, "jobs": jobs, "restart": options.restart, **PRESETS[options.preset][1]}
    found = run(options.models, source or splits, config, seeds_of(options.seeds), output, training, **own)
    print(f"\n{markdown(found)}\nthe tables, the figures and every run are in {output}")
    if failures := found.failures:
        raise ValueError(f"{len(failures)} of the runs failed, the others are whole; the first: {failures[0]}")


def seeds_of(numbers: list[int]) -> list[int]:
    """`--seeds 5` means 0, 1, 2, 3, 4; `--seeds 3 7` means these two."""
    return list(range(numbers[0])) if len(numbers) == 1 else numbers


def evaluate(options: argparse.Namespace) -> None:
    from dmdlite.data.features import load_features
    from dmdlite.training import runs

    splits = load_features(options.data) if options.data else runs.own_data(options.run_folder)
    if options.split not in splits:
        raise ValueError(f"--split must be one of {', '.join(splits)}, got {options.split!r}")
    scores = runs.evaluate(options.run_folder, {options.split: splits[options.split]})[options.split]
    print("\n".join(f"{name:16s} {score:.4f}" for name, score in scores.items()))


def convert(options: argparse.Namespace) -> None:
    from dmdlite.data.features import convert_features

    convert_features(options.source, options.folder)
    print(f"wrote {options.folder}")


def read_options(options: argparse.Namespace) -> tuple[Mapping[str, Any], Path | None, DMDConfig, TrainingConfig, dict]:
    """The splits and where they come from; the DMDConfig, with their sizes, and the TrainingConfig that is asked for.

    Last, what only some models take: the settings of fields that neither of these has, and of the loss weights.
    """
    from dmdlite.data.features import feature_shapes, label_shape, open_data

    splits, source = open_data(options.data)
    kind, dataset = PRESETS[known("--preset", options.preset, PRESETS)]
    known("--task", options.task, ("regression", "classification", "ordinal"))
    config = getattr(DMDConfig, kind)(**dataset, **feature_shapes(splits), **label_shape(splits, options.task))
    training = TrainingConfig() if kind == "toy" else TrainingConfig.official()
    if options.language_model is not None:
        config = config.replace(language_model=None if options.language_model == "none" else options.language_model)
    settings = dict(options.set)
    given = {name: value for name, value in vars(options).items() if value is not None} | settings
    budget = {f.name: given[f.name] for f in fields(TrainingConfig) if f.name in given}
    shared = {f.name: settings[f.name] for f in fields(DMDConfig) if f.name in settings and f.name != "loss_weights"}
    own = {name: value for name, value in settings.items() if name not in budget | shared}
    return splits, source, config.replace(**shared), training.replace(**budget), own


def score_table(metrics: Mapping[str, Any], config: Any) -> str:
    """Test and validation scores beside those of a constant prediction."""
    import pandas as pd

    from dmdlite.training.metrics import table_scores, title

    answer = metrics["constant"]["prediction"]
    always = "constant" if isinstance(answer, list) else f"constant {answer:.1f}"
    rows = {}
    for split in ("test", "valid"):
        rows |= {split: metrics[split], f"{split}, {always}": metrics["constant"][split]}
    table = pd.DataFrame(rows).T[list(table_scores(config.task, config.outputs))]
    return table.to_string(header=[f" {title(score)}" for score in table], float_format="{:.3f}".format, col_space=7)


if __name__ == "__main__":
    sys.exit(main())
