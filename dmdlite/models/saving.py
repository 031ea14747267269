"""Checkpoints: found here or on the Hub, and read strictly and without trust."""

import inspect
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.constants import CONFIG_NAME
from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE as WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dmdlite.checking import suggestion


def downloaded(name: str, hub: dict[str, Any]) -> Path:
    """The folder of a model on the Hub, "owner/model". Raises ValueError for a mistyped path, and without a network."""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) or Path(name).parent.is_dir():
        raise ValueError(no_such_folder(name))
    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG_NAME, WEIGHTS_NAME], **hub))
    except Exception as error:  # the Hub raises many types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{name} is no folder here, and the Hub gives no such model: {reason}") from error


def no_such_folder(name: str, kind: str = "folder") -> str:
    """The message for a missing path, with the closest name beside it."""
    path = Path(name)
    around = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"there is no {kind} {name}{suggestion(path.name, around)}"


def saved_arguments(file: Path, kind: type[nn.Module]) -> dict[str, Any]:
    """What the constructor was called with: a config, and further arguments of some kinds of models.

    Raises ValueError unless the file describes a model of this kind, with every field of its config (but for those that
    came later) and no other.
    """
    saved = read_config(file)
    if own := ", ".join(saved.get("own_parts", ())):
        raise ValueError(f"{file} describes a model with its own {own}: make it with them, then `load_saved`")
    if (name := saved.pop("model", None)) != kind.__name__:
        raise ValueError(f"{file} describes the model {name!r}, not {kind.__name__}")
    parameters = inspect.signature(kind).parameters
    config = parameters["config"].annotation
    further = {name for name, x in parameters.items() if x.kind is x.POSITIONAL_OR_KEYWORD} - {"config"}
    saved, needed = config.completed(saved), {f.name for f in fields(config)} | further
    if odd := sorted(needed ^ saved.keys()):
        raise ValueError(f"{file} {'lacks' if odd[0] in needed else 'has the unknown'} field {odd[0]!r}")
    arguments = {name: saved.pop(name) for name in further}
    return arguments | {"config": config(**saved)}


def read_config(file: Path) -> dict:
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is not a readable config: {error}") from error
    if not isinstance(saved, dict):
        raise ValueError(f"{file} is not a readable config: it holds a {type(saved).__name__}, not named fields")
    return saved


def name_of(part: object) -> str:
    """The full name of a class or a function, or of the class of anything else."""
    kind = part if inspect.isclass(part) or inspect.isroutine(part) else type(part)
    return f"{kind.__module__}.{kind.__qualname__}"


def load_saved_weights(model: nn.Module, file: Path) -> None:
    try:
        weights = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is not a readable safetensors file: {error}") from error
    load_weights(model, weights, str(file))


def load_weights(model: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    """Copies every weight; a missing, unknown or differently shaped one is a ValueError that names it.

    A shared weight has several names in the model; one of them is enough.
    """
    own = model.state_dict()
    shared = {(x.data_ptr(), x.shape): weights[name] for name, x in own.items() if name in weights and x.numel()}
    weights = {name: shared[key] for name, x in own.items() if (key := (x.data_ptr(), x.shape)) in shared} | weights
    for name in sorted(own.keys() | weights.keys()):
        if name not in weights:
            raise ValueError(f"{source} has no weight {name!r}, which the model needs")
        if name not in own:
            raise ValueError(f"{source} has the weight {name!r}, which the model does not know")
        if weights[name].shape != own[name].shape:
            shapes = f"{tuple(weights[name].shape)}, the model needs {tuple(own[name].shape)}"
            raise ValueError(f"{source} was made for another shape: {name!r} is {shapes}")
    model.load_state_dict(weights)
