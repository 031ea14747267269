"""The command line: `python -m dmdlite train|evaluate|compare|convert`, each with --help."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from dmdlite.experiments import command as compare_command

PRESETS = ("toy", "mosi", "mosei", "paper-mosi", "paper-mosei")
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
    if unknown:
        print(
            f"dmdlite {options.command}: unknown option {unknown[0]} (see dmdlite {options.command} --help)",
            file=sys.stderr,
        )
        return 2
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # otherwise the Hub reports every retry before our one line
    warnings.formatwarning = lambda message, *_, **__: f"dmdlite {options.command}: {one_line(message)}\n"
    try:
        options.run(options)
    except (ValueError, OSError) as problem:
        print(f"dmdlite {options.command}: {one_line(problem)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resumes = options.command in ("train", "compare")
        again = " The same command goes on from the last finished epoch." if resumes else ""
        print(f"\ndmdlite {options.command}: stopped.{again}", file=sys.stderr)
        return 130
    return 0


def one_line(message: object) -> str:
    return " ".join(str(message).split())


def make_parser() -> Parser:
    parser = Parser(prog="dmdlite", description="Decoupled Multimodal Distilling (DMD) for emotion recognition.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    _add_train(commands)
    _add_evaluate(commands)
    _add_compare(commands)
    _add_convert(commands)
    return parser


def _command(commands: Any, run: Any, summary: str, example: str) -> Parser:
    name = run.__name__
    epilog = f"example:\n  python -m dmdlite {example}"
    parser = commands.add_parser(name, help=summary, description=summary, epilog=epilog)
    parser.set_defaults(run=run)
    return parser


def _add_train(commands: Any) -> None:
    example = "train --data mosi.pkl --preset mosi --seed 1 --set width=32 --set 'loss_weights={\"margin\": 0}'"
    parser = _command(commands, train, "train a model; resumes an interrupted run", example)
    text = "dmd, a rival, an ablation, or language, vision, audio; an unknown name lists them all (default: dmd)"
    parser.add_argument("--model", default="dmd", metavar="NAME", help=text)
    parser.add_argument("--seed", type=int, metavar="N", help="seed of weights, dropout and order (default: 0)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="(default: runs/MODEL-PRESET-seedN)")
    parser.add_argument("--restart", action="store_true", help="discard the run in the folder and start afresh")
    _add_shared(parser)


def _add_compare(commands: Any) -> None:
    parser = _command(commands, compare, compare_command.SUMMARY, compare_command.EXAMPLE)
    compare_command.add_options(parser)
    _add_shared(parser)


def _add_shared(parser: Parser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("--data", type=Path, metavar="PATH", help=f"{DATA_HELP} (default: the toy world)")
    text = "regression, classification or ordinal (default: regression)"
    data.add_argument("--task", default="regression", metavar="NAME", help=text)
    data.add_argument("--mask", action="store_true", help="tell the model which time steps are padding (default: no)")
    text = "Anything not given here keeps the preset's value. The sizes of inputs and labels come from the data."
    recipe = parser.add_argument_group("recipe", text)
    recipe.add_argument("--preset", default="toy", metavar="NAME", help=f"{', '.join(PRESETS)} (default: toy)")
    recipe.add_argument("--epochs", type=int, metavar="N", help="upper limit")
    recipe.add_argument("--batch-size", type=int, metavar="N")
    recipe.add_argument("--learning-rate", type=float, metavar="X")
    recipe.add_argument("--bf16", action="store_true", help="train in bfloat16 mixed precision (default: no)")
    text = "compile the model first, which pays off in long runs, especially on a GPU (default: no)"
    recipe.add_argument("--compile", action="store_true", help=text)
    text = "encoder for the tokens, from the Hugging Face Hub, e.g. bert-base-uncased; none: use the features"
    recipe.add_argument("--language-model", metavar="NAME", help=text)
    text = "any field of DMDConfig or TrainingConfig, with a value in JSON; can be repeated"
    recipe.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help=text)


def _add_evaluate(commands: Any) -> None:
    example = "evaluate runs/dmd-toy-seed0 --data data_samples/toy --split test"
    parser = _command(commands, evaluate, "score a finished run again, on its own data or on others", example)
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--data", type=Path, metavar="PATH", help=f"{DATA_HELP} (default: the run's own)")
    parser.add_argument("--split", default="test", metavar="NAME", help="train, valid or test (default: test)")


def _add_convert(commands: Any) -> None:
    text = "rewrite an MMSA pickle as a folder that opens at once"
    parser = _command(commands, convert, text, "convert aligned_50.pkl mosi_aligned")
    parser.add_argument("source", type=Path, metavar="IN.pkl")
    parser.add_argument("folder", type=Path, metavar="OUT", help="a new or empty folder")


def train(options: argparse.Namespace) -> None:
    from dmdlite.data.features import open_data

    splits, source = open_data(options.data)
    settings = compare_command.own_settings(options, split_settings)
    config, training = recipe(options, splits)
    output = options.output or Path("runs") / f"{options.model}-{options.preset}-seed{training.seed}"
    from dmdlite.checking import known
    from dmdlite.models.registry import RECIPES, check_settings
    from dmdlite.training.callbacks import is_first_process
    from dmdlite.training.metrics import table_scores
    from dmdlite.training.systems import train_system

    known("--model", options.model, RECIPES)
    check_settings({options.model: RECIPES[options.model]}, config, settings)
    folder_of = lambda name: output if name == options.model else output.with_name(f"{output.name}-{name}")
    _, result = train_system(
        options.model, RECIPES, splits, config, training, folder_of, settings, restart=options.restart, source=source
    )
    metrics = result.metrics
    if is_first_process():
        table = score_table(metrics, table_scores(config.task, config.outputs))
        print(f"\nbest epoch {metrics['best_epoch']} of {metrics['epochs']}\n{table}")
        print(f"everything is in {output}")


def compare(options: argparse.Namespace) -> None:
    from dmdlite.data.features import open_data

    settings = compare_command.own_settings(options, split_settings)
    splits, source = open_data(options.data)
    compare_command.run(options, source or splits, *recipe(options, splits), settings)


def evaluate(options: argparse.Namespace) -> None:
    from dmdlite.data.features import load_features
    from dmdlite.training.runs import evaluate as run
    from dmdlite.training.runs import own_data

    splits = load_features(options.data) if options.data else own_data(options.run_folder)
    if options.split not in splits:
        raise ValueError(f"--split must be one of {', '.join(splits)}, got {options.split!r}")
    scores = run(options.run_folder, {options.split: splits[options.split]})[options.split]
    print("\n".join(f"{name:16s} {score:.4f}" for name, score in scores.items()))


def convert(options: argparse.Namespace) -> None:
    from dmdlite.data.features import convert_features

    convert_features(options.source, options.folder)
    print(f"wrote {options.folder}")


def recipe(options: argparse.Namespace, splits: Mapping[str, Any]) -> tuple[Any, Any]:
    """The DMDConfig and TrainingConfig that the options ask for, with the sizes of the data."""
    from dmdlite.checking import known
    from dmdlite.config import DMDConfig, TrainingConfig
    from dmdlite.data.features import feature_shapes, label_shape

    known("--preset", options.preset, PRESETS)
    kind, _, dataset = options.preset.rpartition("-")
    make = DMDConfig.toy if dataset == "toy" else getattr(DMDConfig, kind or "official")
    config = make() if dataset == "toy" else make(dataset)
    training = TrainingConfig() if dataset == "toy" else TrainingConfig.official()
    training = training.replace(**_given(options, "epochs", "batch_size", "learning_rate", "seed"))
    training = training.replace(bf16=options.bf16, compile=options.compile, padding_mask=options.mask)
    if options.language_model is not None:
        config = config.replace(language_model=None if options.language_model == "none" else options.language_model)
    own, others = split_settings(options.set, {f.name for f in fields(TrainingConfig)})
    known("--task", options.task, ("regression", "classification", "ordinal"))
    config = config.replace(**feature_shapes(splits), **label_shape(splits, options.task))
    return config.replace(**others), training.replace(**own)


def split_settings(settings: Sequence[str], training: set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """FIELD=VALUE settings, those of TrainingConfig first; a value that is not JSON is a string."""
    own, others = {}, {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"--set needs FIELD=VALUE, got {setting!r}")
        try:
            content = json.loads(value)
        except ValueError:
            content = value
        (own if name in training else others)[name] = content
    return own, others


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: vars(options)[name] for name in names if vars(options).get(name) is not None}


def score_table(metrics: Mapping[str, Any], scores: Sequence[str]) -> str:
    """Test and validation scores beside those of a constant prediction."""
    import pandas as pd

    from dmdlite.training.metrics import title

    answer = metrics["constant"]["prediction"]
    always = "constant" if isinstance(answer, list) else f"constant {answer:.1f}"
    rows = {split: metrics[split] for split in ("test", "valid")}
    rows |= {f"{split}, {always}": metrics["constant"][split] for split in ("test", "valid")}
    table = pd.DataFrame(rows).T.sort_index()[list(scores)].rename(columns=lambda score: f" {title(score)}")
    return table.to_string(float_format="{:.3f}".format, col_space=7)


if __name__ == "__main__":
    sys.exit(main())
