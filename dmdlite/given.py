"""What the options of the command line come to: data, configs and settings, and a command again."""

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from dmdlite.checking import known
from dmdlite.config import MODALITIES, SENTIMENT_RANGE, DMDConfig, TrainingConfig
from dmdlite.models.spaces import nested
from dmdlite.options import PRESETS, Parser, add_search, setting
from dmdlite.presets import TASKS


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


def given_numbers(options: argparse.Namespace) -> list[str]:
    """The numbers of a recipe that the command itself gives."""
    named = [f.name for f in fields(TrainingConfig) if getattr(options, f.name, None)]
    return sorted({*named, *dict(options.set)} - {"seed"})


def train_command(words: Sequence[str], numbers: Mapping[str, Any]) -> str:
    """The `train` command with these numbers, from the words of the `tune` command that has found them."""
    own = Parser(add_help=False)
    add_search(own)
    own.add_argument("--set", action="append", default=[], type=setting)
    options, (_, *rest) = own.parse_known_args(list(words))
    given, found = dict(options.set), nested(numbers)
    given |= {name: given[name] | x if isinstance(given.get(name), dict) else x for name, x in found.items()}
    chosen = [word for name, x in given.items() for word in ("--set", f"{name}={json.dumps(x)}")]
    return shlex.join(["python", "-m", "dmdlite", "train", *rest, *chosen])
