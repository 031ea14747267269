"""The words of the command line: its options, with their help."""

import argparse
import json
from pathlib import Path
from typing import Any, NoReturn

from dmdlite.presets import TASKS, TUNING_SEED

MOSI, MOSEI = {"dataset": "mosi"}, {"dataset": "mosei"}
# Name -> the constructor of DMDConfig, and its argument.
PRESETS = {"toy": ("toy", {}), "small": ("small", {}), "mosi": ("official", MOSI), "mosei": ("official", MOSEI)}
PRESETS |= {"paper-mosi": ("paper", MOSI), "paper-mosei": ("paper", MOSEI)}
MODEL_HELP = "dmd, a rival, an ablation, or language, vision, audio; an unknown name lists them all (default: dmd)"
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
    summary = "what a finished run predicts for clips, with or without labels: answers, each modality's own, edges"
    command = _command(commands, "predict", summary, example)
    _add_run_and_data(command, "(default: all of the file)")
    command.add_argument("--output", type=Path, metavar="FILE.csv", help="write the table there (default: print it)")
    text = "write the vectors that the predictions are made from, too"
    command.add_argument("--embeddings", type=Path, metavar="FILE.npz", help=text)
    _add_clip(command)
    _add_compare(commands)
    _add_tune(commands)
    _add_extract(commands)
    text = "rewrite a feature file as a folder that opens at once"
    command = _command(commands, "convert", text, "aligned_50.pkl mosi_aligned")
    command.add_argument("source", type=Path, metavar="IN.pkl")
    command.add_argument("folder", type=Path, metavar="OUT", help="a new or empty folder")
    command = _command(commands, "course", "write the course into a new folder, to work in", "my_course")
    command.add_argument("folder", type=Path, metavar="FOLDER", help="a new or empty folder")
    add, keep = command.add_mutually_exclusive_group().add_argument, {"dest": "edition", "action": "store_const"}
    add("--solutions", const="full", default="student", help="with the solutions of all exercises", **keep)
    add("--instructor", const="instructor", help="with solutions, expected answers and slides", **keep)
    return parser


def _command(commands: Any, name: str, summary: str, example: str) -> Parser:
    epilog = f"example:\n  python -m dmdlite {name} {example}"
    return commands.add_parser(name, help=summary, description=summary, epilog=epilog)


def _add_train(commands: Any) -> None:
    example = "--data mosi.pkl --preset mosi --seed 1 --set width=32 --set 'loss_weights={\"margin\": 0}'"
    command = _command(commands, "train", "train a model; resumes an interrupted run", example)
    command.add_argument("--model", default="dmd", metavar="NAME", help=MODEL_HELP)
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
    where = command.add_mutually_exclusive_group()
    text = "runs at the same time, each with a GPU or one CPU core; results do not depend on it (default: one for each)"
    where.add_argument("--jobs", type=int, metavar="N", help=text)
    text = "send the runs to a Dask scheduler, such as tcp://192.168.0.7:8786 (see docs/cluster.md)"
    where.add_argument("--cluster", metavar="ADDRESS", help=text)
    part = command.add_mutually_exclusive_group()
    text = "train just these runs, and their teachers, and make no table: one task of a job array"
    part.add_argument("--only", nargs="+", type=run_of, default=[], metavar="MODEL:SEED", help=text)
    text = "train nothing; make the tables of the runs that are finished"
    part.add_argument("--collect", action="store_true", help=text)
    text = "first tune every model on the validation split, with N trials each, see tune (default: nothing is tuned)"
    command.add_argument("--tune", type=int, default=0, metavar="N", help=text)
    text = f"seed of the trials, which must not be one of the comparison's (default: {TUNING_SEED})"
    command.add_argument("--tuning-seed", type=int, default=TUNING_SEED, metavar="N", help=text)
    text = "what other habits of reporting would add: audit.md, .csv, .png (logs test scores of every epoch)"
    command.add_argument("--audit", action="store_true", help=text)
    text = "train afresh what other code or settings have left in the folder (default: refuse it)"
    command.add_argument("--restart", action="store_true", help=text)
    command.add_argument("--output", type=Path, metavar="FOLDER", help="(default: runs/compare-PRESET)")
    _add_data_and_recipe(command)


def _add_tune(commands: Any) -> None:
    text = "search a model's numbers by its validation error, and print the train command with the best ones"
    command = _command(commands, "tune", text, "--model mult --trials 20 --data mosi.pkl --preset mosi")
    command.add_argument("--model", default="dmd", metavar="NAME", help=MODEL_HELP)
    add_search(command)
    _add_data_and_recipe(command)


def add_search(parser: Any) -> None:
    """What `tune` takes and `train` does not."""
    text = "runs with other numbers each, the first with the defaults (default: 20)"
    parser.add_argument("--trials", type=int, default=20, metavar="N", help=text)
    text = f"seed of the search and of every trial (default: {TUNING_SEED})"
    parser.add_argument("--seed", type=int, default=TUNING_SEED, metavar="N", help=text)
    where = parser.add_mutually_exclusive_group()
    text = "trials at the same time; with more than one the search depends on which end first (default: 1)"
    where.add_argument("--jobs", type=int, default=1, metavar="N", help=text)
    text = "send the trials to a Dask scheduler; the folder must be on storage that its workers share"
    where.add_argument("--cluster", metavar="ADDRESS", help=text)
    text = "start afresh where other code or settings have left their trials (default: refuse it)"
    parser.add_argument("--restart", action="store_true", help=text)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="(default: runs/tune-MODEL-PRESET)")


def run_of(text: str) -> tuple[str, int]:
    name, _, seed = text.partition(":")
    if not name or not seed.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not MODEL:SEED, such as dmd:3")
    return name, int(seed)


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


def _add_clip(command: Parser) -> None:
    text = "A video, a sound or a text in place of --data, for a run on features that extract has made."
    add = command.add_argument_group("a clip of your own", text).add_argument
    add("--clip", type=Path, metavar="VIDEO", help="the file; what the model makes of it becomes a picture, too")
    text = "what is said in it, '' for nothing (default: the text in ID.txt beside the clip; else a guess)"
    add("--transcript", metavar="TEXT", help=text)
    text = "where the picture goes (default: ID_prediction.png in the current folder)"
    add("--picture", type=Path, metavar="FILE.png", help=text)


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
    add("--optimizer", metavar="NAME", help="adam or adamw (default: adam)")
    text = "plateau, cosine, linear or constant: the learning rate over the epochs (default: plateau)"
    add("--scheduler", metavar="NAME", help=text)
    add("--warmup-epochs", type=int, metavar="N", help="in which the learning rate rises (default: 0)")
    text = "the validation score whose best epoch is kept (default: the task's error)"
    add("--select-by", metavar="SCORE", help=text)
    add("--bf16", action="store_true", help="train in bfloat16 mixed precision")
    add("--compile", action="store_true", help="compile the model first; pays off in long runs, especially on a GPU")
    text = "encoder for the tokens, from the Hugging Face Hub, e.g. bert-base-uncased; none: use the features"
    add("--language-model", metavar="NAME", help=text)
    add("--report-to", metavar="NAME", help="tensorboard or wandb: show the log, figures and test scores there, too")
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
