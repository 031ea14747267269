"""Weights to start from: those of a run, of a saved model, or of a checkpoint in any of the usual wrappings."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from dmdlite.models.base import SavedModel
from dmdlite.models.saving import CONFIG_NAME, WEIGHTS_NAME, load_weights, no_such_folder, read_config

WRAPPINGS = ("state_dict", "model_state_dict", "model")  # keys under which training code keeps the weights
PREFIXES = ("module.", "Model.")  # of DataParallel, and of MMSA


def start_from(model: SavedModel, source: str | Path) -> None:
    """Loads weights into a fresh model, which goes on learning from there, e.g. on other data.

    source: the folder of a run or of `save_pretrained`, a .safetensors file, or a .pt or .pth state dict, also one of
    the published DMD. Raises ValueError in one sentence if the weights are another model's, or another task's.
    """
    path = Path(source)
    if path.is_dir():
        kind = read_config(path / CONFIG_NAME).get("model")
        if kind != model.kind.__name__:
            raise ValueError(f"{path} holds a model of the kind {kind}, not {model.kind.__name__}")
        path /= WEIGHTS_NAME
    weights = read_state(path)
    if "proj_l.weight" in weights and hasattr(model, "from_official"):
        from dmdlite.models.official import load_official

        load_official(model, weights)
        return
    own, outputs = model.state_dict(), model.config.num_logits
    for name in sorted(own.keys() & weights.keys()):
        now, before = own[name].shape, weights[name].shape
        if now != before and now[1:] == before[1:] and outputs in (now[0], now.numel()):
            task = f"{outputs} for the task {model.config.task!r}"
            raise ValueError(f"{source} predicts {before[0]} numbers for a clip, but these labels need {task}")
    load_weights(model, weights, str(source))


def read_state(given: Mapping[str, Tensor] | str | Path) -> dict[str, Tensor]:
    """A state dict, or what a file of weights holds, under plain names; nothing in the file is executed."""
    if not isinstance(given, Mapping):
        if not Path(given).is_file():
            raise ValueError(no_such_folder(str(given), "file"))
        try:
            safe = Path(given).suffix == ".safetensors"
            given = load_file(given) if safe else torch.load(given, map_location="cpu", weights_only=True)
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{given} is not a readable checkpoint: {reason}") from error
    while wrapped := [given[key] for key in WRAPPINGS if isinstance(given.get(key), Mapping)]:
        given = wrapped[0]
    found = dict(given)
    while prefix := next((x for x in PREFIXES if found and all(name.startswith(x) for name in found)), None):
        found = {name.removeprefix(prefix): weight for name, weight in found.items()}
    return found
