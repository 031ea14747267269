"""The run folder: what a finished run leaves behind, and what an unfinished one needs to go on.

config.json, model.safetensors    the weights of the best epoch, for `from_pretrained`
training.json                     what was run: model, training, fingerprint of the data, version
metrics.json                      scores of every split, of a constant beside them, and the best epoch; written last
predictions.csv                   split, id, label, prediction (and logits of classes) of every clip
log.jsonl                         one line for each epoch: learning rate, every loss term, the edges, validation error
losses.png, predictions.png, edges.png
checkpoints/                      only while a run is unfinished

Every file is written under another name first and then renamed, so that it is either whole or absent.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import nn

from dmdlite.config import TrainingConfig
from dmdlite.data.features import check_fits, fingerprint
from dmdlite.models import registry as models
from dmdlite.models.base import name_of
from dmdlite.training.figures import draw_answers, draw_edges, draw_losses
from dmdlite.training.metrics import error_name
from dmdlite.training.predictions import Splits, all_scores, predict_all, predictions_csv, score

DESCRIBED = {"model": str, "config": dict, "training": dict, "data": dict}  # what training.json has to hold


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, its metrics.json, and one record for each epoch."""

    folder: Path
    metrics: dict[str, Any]
    epochs: list[dict[str, Any]]


def describe(model: nn.Module, splits: Splits, training: TrainingConfig) -> dict[str, Any]:
    """What training.json holds: everything that makes a run this run and no other."""
    description = {
        "model": name_of(model),
        "config": model.saved_fields(),
        "training": asdict(training),
        "data": {"fingerprint": fingerprint(splits), "source": splits["train"].source},
        "dmdlite": version("dmdlite"),
    }
    return json.loads(json.dumps(description))


def state_of(folder: Path, description: dict[str, Any]) -> str:
    """Whether the folder is "new", "unfinished" or "finished"; nothing is touched.

    Raises ValueError if the folder holds another run, or something that is no run at all.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose another output folder")
    if not folder.exists() or not any(_is_something(file) for file in folder.iterdir()):
        return "new"
    if not (folder / "training.json").is_file():
        raise ValueError(f"{folder} is not empty and holds no run of dmdlite; choose another output folder")
    there = read_description(folder)
    if difference := _first_difference(there, description):
        raise ValueError(f"{folder} already holds another run ({difference}); choose another output folder")
    return "finished" if (folder / "metrics.json").is_file() else "unfinished"


def _is_something(file: Path) -> bool:
    """False for hidden files and empty folders: all that a run stopped in its first moment leaves behind."""
    return not file.name.startswith(".") and not (file.is_dir() and not any(file.iterdir()))


def _first_difference(there: dict[str, Any], here: dict[str, Any]) -> str | None:
    """In words, without the version of dmdlite and the source of the data."""
    theirs, ours = (_flat({**x, "dmdlite": None, "data": x.get("data", {}).get("fingerprint")}) for x in (there, here))
    for name in ours | theirs:
        if theirs.get(name) != ours.get(name):
            if name == "data":
                return "on other data"
            return f"{name} is {theirs.get(name)!r} there and {ours.get(name)!r} here"
    return None


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def start(folder: Path, description: dict[str, Any]) -> None:
    """Marks the folder as belonging to this run."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "training.json", description)


def finish(folder: Path, model: nn.Module, splits: Splits, epochs: list[dict[str, Any]], padding_mask: bool) -> None:
    """Writes all that a finished run holds, metrics.json last, and removes the checkpoints."""
    save_model(model, folder)
    task, predictions = model.config.task, predict_all(model, splits, padding_mask)
    metrics = all_scores(predictions, splits, model.config) | best_and_last(epochs)
    write_text(folder / "predictions.csv", predictions_csv(predictions, splits, task))
    write_text(folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in epochs))
    figures = {
        "losses.png": draw_losses(epochs, metrics["constant"]["valid"][error_name(task)]),
        "predictions.png": draw_answers(predictions["test"], splits["test"].truth(task), metrics, task),
        "edges.png": draw_edges(epochs) if epochs[-1]["edges"] else None,
    }
    for name, figure in figures.items():
        if figure is not None:
            write_picture(folder / name, figure)
    write_json(folder / "metrics.json", metrics)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def best_and_last(epochs: list[dict[str, Any]]) -> dict[str, int]:
    best = min(epochs, key=lambda record: record["valid_error"])
    return {"best_epoch": best["epoch"], "epochs": epochs[-1]["epoch"]}


def evaluate(folder: str | Path, splits: Splits, model: nn.Module | None = None) -> dict[str, dict[str, float]]:
    """Scores a finished run again: {split: scores}, the same numbers as in its metrics.json on the same machine.

    model: only needed for a model that is not part of dmdlite; the weights of the run are loaded into it.
    Raises ValueError in one sentence if the run is not there, not whole, or was made for other data.
    """
    folder = Path(folder)
    description = read_description(folder)
    _read_json(folder / "metrics.json")
    if model is None:
        model = load_model(folder)
    else:
        model.load_saved(folder)
    check_fits(splits, model.config, model.reads)
    model.to(torch.accelerator.current_accelerator(check_available=True) or "cpu")
    mask = description["training"]["padding_mask"]
    return score(predict_all(model, splits, mask), splits, model.config)


def load_result(folder: str | Path) -> Result:
    """The stored result of a finished run."""
    folder = Path(folder)
    epochs = [json.loads(line) for line in _read_text(folder / "log.jsonl").splitlines()]
    return Result(folder, _read_json(folder / "metrics.json"), epochs)


def read_description(folder: Path) -> dict[str, Any]:
    """training.json of a run folder."""
    found = _read_json(folder / "training.json")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), kind) for key, kind in DESCRIBED.items()):
        raise ValueError(f"{folder / 'training.json'} does not describe a run; it needs {', '.join(DESCRIBED)}")
    return found


def load_model(folder: Path) -> nn.Module:
    """The model of a run, if its class is part of dmdlite: a run folder cannot make us import anything else."""
    wanted = read_description(folder)["model"]
    kinds = {name_of(kind): kind for kind in models.KINDS}
    if wanted not in kinds:
        raise ValueError(f"{folder} holds a {wanted}, which dmdlite does not know: pass the model itself")
    return kinds[wanted].from_pretrained(folder)


def save_model(model: nn.Module, folder: Path) -> None:
    """`save_pretrained`, each file whole or absent."""
    draft = folder / ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    model.save_pretrained(draft)
    for file in draft.iterdir():
        file.chmod(0o644)  # safetensors would keep it from everybody else in the class
        os.replace(file, folder / file.name)
    draft.rmdir()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_read_text(path))
    except json.JSONDecodeError as problem:
        raise ValueError(f"{path} cannot be read: {problem}") from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path.parent} holds no finished run: {path.name} is missing") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ValueError(f"{path} cannot be read: {problem}") from None


def write_picture(path: Path, figure: Figure) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    write_bytes(path, picture.getvalue())


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    os.replace(draft, path)
