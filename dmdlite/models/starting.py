"""Weights to start from: those of a run, of a saved model, or of a checkpoint."""

from pathlib import Path

from dmdlite.models.base import SavedModel
from dmdlite.models.official import load_official, read_state
from dmdlite.models.saving import CONFIG_NAME, WEIGHTS_NAME, load_weights, read_config


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
        load_official(model, weights)
        return
    own, outputs = model.state_dict(), model.config.num_logits
    for name in sorted(own.keys() & weights.keys()):
        now, before = own[name].shape, weights[name].shape
        if now != before and now[1:] == before[1:] and outputs in (now[0], now.numel()):
            task = f"{outputs} for the task {model.config.task!r}"
            raise ValueError(f"{source} predicts {before[0]} numbers for a clip, but these labels need {task}")
    load_weights(model, weights, str(source))
