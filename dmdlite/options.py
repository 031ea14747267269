"""The words of the command line: its options with their help, and what they come to, data, configs and settings."""

import argparse
import json
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from dmdlite.checking import known
from dmdlite.config import MODALITIES, SENTIMENT_RANGE, DMDConfig, TrainingConfig
from dmdlite.presets import TASKS

MOSI, MOSEI = {"dataset": "mosi"}, {"dataset": "mosei"}
# Name -> the constructor of DMDConfig, and its argument.
PRESETS = {"toy": ("toy", {}), "small": ("small", {}), "mosi": ("official", MOSI), "mosei": ("official", MOSEI)}
PRESETS |= {"paper-mosi": ("paper", MOSI), "paper-mosei": ("paper", MOSEI)}
DATA_HELP = "a file or folder of features, or a converted folder"


class Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, without the whole usage."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


def one_line(message: object) -> str:
    return " ".join(str(message).split())


def make_parser() -> Parser:
    parser = Parser(prog="dmdlite", description="Decoupled Multimodal Distilling (DMD) for emotion recognition.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    _add_train(commands)
    example = "runs/dmd-toy-seed0 --data data_samples/toy --split test"
    command = _command(commands, "evaluate", "score a finished run again, on its own data or on others", example)
    _add_run_and_data(command, "(default: test)")
    example = "runs/dmd-toy-seed0 --data data_samples/toy --output predictions.csv"
    summary = "what a finished run says of clips, with or without labels: answers, each modality's own, edges"
    command = _command(commands, "predict", summary, example)
    _add_run_and_data(command, "(default: all of the file)")
    command.add_argument("--output", type=Path, metavar="FILE.csv", help="write the table there (default: print it)")
    text = "write the vectors that the predictions are made from, too"
    command.add_argument("--embeddings", type=Path, metavar="FILE.npz", help=text)
    _add_compare(commands)
    _add_extract(commands)
    text = "rewrite a feature file as a folder that opens at once"
    command = _command(commands, "convert", text, "aligned_50.pkl mosi_aligned")
    command.add_argument("source", type=Path, metavar="IN.pkl")
    command.add_argument("folder", type=Path, metavar="OUT", help="a new or empty folder")
    return parser


def _command(commands: Any, name: str, summary: str, example: str) -> Parser:
    epilog = f"example:\n  python -m dmdlite {name} {example}"
    return commands.add_parser(name, help=summary, description=summary, epilog=epilog)


def _add_train(commands: Any) -> None:
    example = "--data mosi.pkl --preset mosi --seed 1 --set width=32 --set 'loss_weights={\"margin\": 0}'"
    command = _command(commands, "train", "train a model; resumes an interrupted run", example)
    text = "dmd, a rival, an ablation, or language, vision, audio; an unknown name lists them all (default: dmd)"
    command.add_argument("--model", default="dmd", metavar="NAME", help=text)
    command.add_argument("--seed", type=int, metavar="N", help="seed of weights, dropout and order (default: 0)")
    text = "start from the weights of a run, of a saved model or of a .safetensors, .pt or .pth file"
    command.add_argument("--from", dest="start", type=Path, metavar="PATH", help=text)
    command.add_argument("--output", type=Path, metavar="FOLDER", help="(default: runs/MODEL-PRESET-seedN)")
    command.add_argument("--restart", action="store_true", help="discard the run in the folder and start afresh")
    _add_data_and_recipe(command)


def _add_compare(commands: Any) -> None:
    text = "train models with several seeds under one budget and compare them, also without some of the modalities"
    command = _command(commands, "compare", text, "--models dmd rivals --seeds 5 --epochs 20")
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


def _add_extract(commands: Any) -> None:
    text = "read features from videos, sounds and texts: words, face and voice; resumes where it was stopped"
    command = _command(commands, "extract", text, "clips features --labels labels.csv --jobs 4")
    add = command.add_argument
    add("clips", nargs="?", type=Path, metavar="CLIPS", help="a folder of videos, sounds or texts")
    add("folder", nargs="?", type=Path, metavar="OUT", help="a folder for the features, which --data then reads")
    text = "a CSV: id, video, or video_id and clip_id; label; split, if you like"
    add("--labels", type=Path, metavar="FILE.csv", help=text)
    text = "a folder of ID.txt, or a CSV with id and text (default: texts beside the clips or labels; else a guess)"
    add("--transcripts", type=Path, metavar="PATH", help=text)
    add("--aligned", action="store_true", help="one step of vision and audio for each word: the mean over its time")
    add("--language-model", metavar="NAME", help="write token ids for it, too, e.g. bert-base-uncased")
    add("--longest", type=float, default=600.0, metavar="SECONDS", help="refuse longer clips (default: 600)")
    add("--jobs", type=int, metavar="N", help="clips at the same time, each on one CPU core (default: one per core)")
    text = "fetch the models that find a face, once (7 MB), and do nothing else"
    add("--setup", action="store_true", help=text)


def _add_run_and_data(parser: Parser, default: str) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--data", type=Path, metavar="PATH", help=f"{DATA_HELP} (default: the run's own)")
    parser.add_argument("--split", metavar="NAME", help=f"a split of the data, such as train, valid, test {default}")
    _add_invalid(parser)


def _add_invalid(parser: Any) -> None:
    text = "zero: set values that are not finite to 0, with a count (default: refuse them)"
    parser.add_argument("--invalid", default="refuse", metavar="HOW", help=text)


def _add_data_and_recipe(parser: Parser) -> None:
    """The options of `train` and `compare`. Those that a TrainingConfig takes as they are bear its fields' names."""
    group = parser.add_argument_group("data")
    add = group.add_argument
    add("--data", type=Path, metavar="PATH", help=f"{DATA_HELP} (default: the toy world)")
    add("--task", metavar="NAME", help=f"{', '.join(TASKS)} (default: what the labels are)")
    add("--modalities", nargs="+", metavar="NAME", help="those to read, of language, vision, audio (default: all)")
    text = "divide a file without splits: shares of train, valid and test; no video is in two of them"
    add("--split-by-id", type=shares, metavar="X,Y,Z", help=text)
    add("--split-seed", type=int, default=0, metavar="N", help="another division of the same shares (default: 0)")
    _add_invalid(group)
    add("--standardise", action="store_true", help="give every channel mean 0 and deviation 1 on the training split")
    text = "let rare classes count as much as frequent ones in the loss"
    add("--class-weights", action="store_const", const=True, default=[], help=text)
    add("--mask", dest="padding_mask", action="store_true", help="tell the model which time steps are padding")
    text = "Anything not given here keeps the preset's value. The sizes of inputs and labels come from the data."
    add = parser.add_argument_group("recipe", text).add_argument
    add("--preset", default="toy", metavar="NAME", help=f"{', '.join(PRESETS)} (default: toy)")
    add("--epochs", type=int, metavar="N", help="upper limit")
    add("--batch-size", type=int, metavar="N")
    add("--learning-rate", type=float, metavar="X")
    text = "the validation score whose best epoch is kept (default: the task's error)"
    add("--select-by", metavar="SCORE", help=text)
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


def shares(text: str) -> list[float]:
    return [float(share) for share in text.split(",")]


def read_options(options: argparse.Namespace) -> tuple[Any, Path | None, DMDConfig, TrainingConfig, dict[str, Any]]:
    """The splits and where they come from; a DMDConfig of preset, sizes of the data and options; the TrainingConfig.

    Last, what only some models take: the settings of fields that neither of these has, and of the loss weights.
    """
    from dmdlite.data.features import check_trainable, feature_shapes, label_shape, open_data

    kind, dataset = PRESETS[known("--preset", options.preset, PRESETS)]
    known("--task", options.task or TASKS[0], TASKS)
    settings = dict(options.set)
    given = {name: x for name, x in vars(options).items() if x is not None and x is not False} | settings
    if given.get("language_model") == "none":
        given["language_model"] = None
    for name in given.setdefault("modalities", list(MODALITIES)):
        known("--modalities", name, MODALITIES)
    reading = {name: given.get(name) for name in ("task", "modalities", "invalid", "split_by_id", "split_seed")}
    if dataset and given.get("task") in (None, "regression"):
        reading["label_range"] = SENTIMENT_RANGE
    splits, source = open_data(options.data, **reading)
    tokens = given.get("language_model") is not None and "language" in given["modalities"]
    changes = feature_shapes(splits, tokens) | label_shape(splits, given.get("task"))
    check_trainable(splits, changes["task"], unlabelled=True)
    given["modalities"] = [m for m in given["modalities"] if options.modalities or m in changes["modalities"]]
    if given.get("class_weights") is True:
        from dmdlite.data.fitting import class_weights

        given["class_weights"] = class_weights(splits["train"], changes["outputs"], changes["task"])
    shared = {f.name: given[f.name] for f in fields(DMDConfig) if f.name in given and f.name != "loss_weights"}
    budget = {f.name: given[f.name] for f in fields(TrainingConfig) if f.name in given}
    both = {name: changes[name] | x for name, x in shared.items() if type(changes.get(name)) is type(x) is dict}
    config = getattr(DMDConfig, kind)(**dataset, **(changes | shared | both))
    training = {"toy": TrainingConfig, "small": TrainingConfig.small}.get(kind, TrainingConfig.official)()
    own = {name: value for name, value in settings.items() if name not in budget | shared}
    return splits, source, config, training.replace(**budget), own
