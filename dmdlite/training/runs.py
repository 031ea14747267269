"""The run folder: what a finished run leaves behind, and what an unfinished one needs in order to resume.

config.json, model.safetensors    the weights of the best epoch, for `from_pretrained`
training.json                     what was run: model, config, training, data, and the digests of `identity.py`
metrics.json                      scores of every split, of a constant, a line and single classes; written last
predictions.csv                   split, id, label, prediction (and probabilities of classes) of every clip
log.jsonl                         one line for each epoch: learning rate, loss terms, edges, validation error and scores
losses.png, predictions.png, edges.png
last_epoch/                       the last checkpoint, from which the same run goes on to more epochs
checkpoints/, logs/               while a run is unfinished; what `report_to` has written

Every file is whole or absent (`dmdlite/files.py`).
"""

import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn

from dmdlite.config import TrainingConfig
from dmdlite.data.features import FeatureSplit, check_fits, fingerprint, fitted, open_data
from dmdlite.files import write_bytes, write_json, write_text
from dmdlite.models import registry as models
from dmdlite.models.saving import name_of
from dmdlite.training import checkpoints
from dmdlite.training.figures import Records, draw_answers, draw_edges, draw_losses
from dmdlite.training.identity import first_difference, identity
from dmdlite.training.linear import linear_baseline
from dmdlite.training.loop import epochs_without_progress, predict_logits
from dmdlite.training.metrics import Splits, all_scores, class_scores, score, table_scores
from dmdlite.training.predictions import answers as answers_of
from dmdlite.training.predictions import read_outputs, table, vectors
from dmdlite.training.teachers import warn_of_poor_teachers

LEARNED = 0.5  # of a constant's error: above it the model has learned too little to judge its teachers
MANY = ("comparison", "tuning")  # what is called a model in the training.json of many runs
DESCRIBED = {"model": str, "config": dict, "training": dict, "data": dict}  # what training.json has to hold
FILES = ("metrics.json", "predictions.csv", "log.jsonl", "config.json", "model.safetensors", "README.md", "losses.png")
FILES += ("predictions.png", "edges.png")


@dataclass(frozen=True)
class Result:
    """A finished run: its folder, its metrics.json, and one record for each epoch."""

    folder: Path
    metrics: dict[str, Any]
    epochs: list[dict[str, Any]]


def describe(
    model: nn.Module, splits: Splits, training: TrainingConfig, source: str | Path | None = None, *own: Any
) -> dict[str, Any]:
    """What training.json holds: all that a run depends on, the code of `own` too. Call it with the initial weights."""
    data = {"fingerprint": fingerprint(splits), "source": str(source or splits["train"].source)}
    data |= {"reading": getattr(splits, "reading", {})}
    found = {"model": name_of(model.kind), "config": model.saved_fields(), "training": asdict(training), "data": data}
    found |= {"dmdlite": version("dmdlite")} | identity(model, training, *own)
    return json.loads(json.dumps(found, default=name_of))


def state_of(folder: Path, description: dict[str, Any], restart: bool = False) -> str:
    """Whether the folder is "new", "unfinished" or "finished"; nothing is touched.

    A finished run is "unfinished" if more epochs are wanted, unless it stopped early; with `restart`, every run is.
    Raises ValueError if the folder holds another run, or anything else.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose another output folder")
    if all(entry.is_dir() and not any(entry.iterdir()) for entry in folder.glob("[!.]*")):
        return "new"  # hidden files and empty folders are all that a run leaves if it is stopped at once
    if not (folder / "training.json").is_file():
        raise ValueError(f"{folder} is not empty and holds no run of dmdlite; choose another output folder")
    there = read_description(folder)
    difference = first_difference(there, description)
    kinds = {x["model"] if x["model"] in MANY else "run" for x in (there, description)}
    if difference and not (restart and len(kinds) == 1):
        again = "choose another output folder, or run it afresh with --restart (in Python: restart=True)"
        raise ValueError(f"{folder} already holds another run ({difference}); {again}")
    if restart or not (folder / "metrics.json").is_file():
        return "unfinished"
    more, before = (x["training"].get("epochs", 0) for x in (description, there))
    return "unfinished" if _read(folder / "metrics.json")["epochs"] == before < more else "finished"


def begin(folder: Path, description: dict[str, Any], restart: bool) -> None:
    """Makes the folder this run's, with nothing in it that is newer than the checkpoint to resume from."""
    if restart:
        for name in FILES:  # the scores first
            (folder / name).unlink(missing_ok=True)
        for name in ("checkpoints", checkpoints.LAST, checkpoints.LOGS):
            shutil.rmtree(folder / name, ignore_errors=True)
    checkpoints.take_up(folder)
    (folder / "metrics.json").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "training.json", description)
    checkpoints.keep_only(checkpoints.newest(folder / "checkpoints"), folder / "checkpoints")


def finish(folder: Path, model: nn.Module, splits: Splits, epochs: Records, training: TrainingConfig) -> None:
    """Writes everything that a finished run holds, metrics.json last, and keeps only the last checkpoint."""
    save_model(model, folder)
    config, task, select_by, mask = model.config, model.config.task, training.select_by, training.padding_mask
    predictions = {name: predict_logits(model, split, mask) for name, split in splits.items()}
    metrics = all_scores(predictions, splits, config)
    if line := linear_baseline(splits, config, model.read.modalities):
        metrics["linear"] = line[0]
    if task in ("classification", "ordinal"):
        metrics["classes"] = class_scores(predictions, splits, config)
    metrics |= {"best_epoch": len(epochs) - epochs_without_progress(epochs, select_by), "epochs": len(epochs)}
    tables = {name: pd.concat(answers_of(x, splits[name], config), axis=1) for name, x in predictions.items()}
    rows = pd.concat(tables, names=["split"]).reset_index(level="split").drop(columns="text")
    write_text(folder / "predictions.csv", rows.to_csv(index=False, lineterminator="\n"))
    write_text(folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in epochs))
    error, constant = table_scores(task, config.outputs, config.label_scale)[0], metrics["constant"]["valid"]
    if metrics["valid"][error] < LEARNED * constant[error]:
        warn_of_poor_teachers(model, splits["valid"], mask, constant[error])
    baseline = constant[error if select_by == "error" else select_by]
    write_picture(folder / "losses.png", draw_losses(epochs, baseline, select_by))
    if "test" in splits:
        test = predictions["test"], splits["test"].truth(task)
        write_picture(folder / "predictions.png", draw_answers(*test, metrics, config))
    if epochs[-1]["edges"]:
        write_picture(folder / "edges.png", draw_edges(epochs, None, model.reads))
    write_json(folder / "metrics.json", metrics)
    checkpoints.put_aside(folder)


def evaluate(folder: str | Path, splits: Splits, model: nn.Module | None = None) -> dict[str, dict[str, float]]:
    """Scores a finished run again: {split: scores}, the same numbers as in its metrics.json on the same machine.

    model: only needed for a model that is not part of dmdlite; the weights of the run are loaded into it.
    Raises ValueError in one sentence if the run is missing or incomplete, or does not fit the data.
    """
    model, mask = opened(folder, model)
    splits = {name: fitted(split, model.config) for name, split in splits.items()}
    for split in splits.values():
        if not split.labelled(model.config.task):
            advice = "python -m dmdlite predict, or dmdlite.predict, needs none"
            raise ValueError(f"{split.place} has no labels of the task {model.config.task!r} to score; {advice}")
    check_fits(splits, model.config, model.reads)
    predictions = {name: predict_logits(model, split, mask) for name, split in splits.items()}
    return score(predictions, splits, model.config)


def own_data(run: Path, moved: Path | None = None) -> Splits:
    """The splits of a run, read as then, from where they are now. ValueError if they are not there, or not the same."""
    data = read_description(run)["data"]
    source = str(data.get("source"))
    path = moved or (None if source.startswith("toy_world(") else Path(source))
    if path and not path.exists():
        raise ValueError(f"{run} was trained on {source}, which is not here; give --data PATH")
    splits, path = open_data(path, **data.get("reading", {}))
    if fingerprint(splits) != data.get("fingerprint"):
        raise ValueError(f"{run} was trained on other data than {path or 'the toy world'}; give --data PATH")
    return splits


def predict(run_or_model: str | Path | Result | nn.Module, split: FeatureSplit) -> pd.DataFrame:
    """One row a clip: id, text, label if there is one, prediction, each modality's own, probabilities, edges.

    A modality's own answer is that of its head, if it has one (DMD: in the heterogeneous space). Classes are named if
    the model knows names; several numbers are columns of their own: label_1, label_2, … Labels are not needed.
    run_or_model: a run folder, its Result, or a model, which is used without a padding mask.
    """
    model, mask = opened(run_or_model)
    return table(read_outputs(model, split, mask), split, model.config)


def embed(run_or_model: str | Path | Result | nn.Module, split: FeatureSplit) -> dict[str, np.ndarray]:
    """The vectors of each clip by name, (clips, width): "fused", of DMD also "common_audio", "reinforced_audio", …

    "ids" and "split" say which clips they are.
    """
    model, mask = opened(run_or_model)
    return vectors({split.name: read_outputs(model, split, mask)}, {split.name: split})


def opened(run_or_model: str | Path | Result | nn.Module, model: nn.Module | None = None) -> tuple[nn.Module, bool]:
    """The model of a run on the available device, or the given one where it is; and whether padding is masked."""
    if isinstance(run_or_model, nn.Module):
        return run_or_model, False
    folder = Path(run_or_model.folder if isinstance(run_or_model, Result) else run_or_model)
    mask, model = read_description(folder)["training"]["padding_mask"], load_model(folder, model)
    return model.to(torch.accelerator.current_accelerator(check_available=True) or "cpu"), mask


def load_result(folder: str | Path) -> Result:
    """The stored result of a finished run."""
    folder = Path(folder)
    epochs = _read(folder / "log.jsonl", lambda text: [json.loads(line) for line in text.splitlines()])
    return Result(folder, _read(folder / "metrics.json"), epochs)


def read_description(folder: Path) -> dict[str, Any]:
    """training.json of a run folder."""
    found = _read(folder / "training.json")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), kind) for key, kind in DESCRIBED.items()):
        raise ValueError(f"{folder / 'training.json'} does not describe a run; it needs {', '.join(DESCRIBED)}")
    return found


def load_model(folder: Path, model: nn.Module | None = None) -> nn.Module:
    """The model of a finished run; its weights are loaded into `model`, if one is given.

    Otherwise its class must be part of dmdlite: a run folder must not decide what is imported.
    """
    _read(folder / "metrics.json")
    if model is not None:
        model.load_saved(folder)
        return model
    wanted = read_description(folder)["model"]
    kinds = {name_of(kind): kind for kind in models.KINDS}
    if wanted not in kinds:
        raise ValueError(f"{folder} holds a {wanted}, which dmdlite does not know: pass the model itself")
    return kinds[wanted].from_pretrained(folder)


def save_model(model: nn.Module, folder: Path) -> None:
    """`save_pretrained`, each file whole or absent."""
    with tempfile.TemporaryDirectory() as draft:
        model.save_pretrained(draft)
        for file in Path(draft).iterdir():
            write_bytes(folder / file.name, file.read_bytes())


def _read(path: Path, parse: Callable[[str], Any] = json.loads) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path.parent} holds no finished run: {path.name} is missing") from None
    except (OSError, ValueError) as problem:
        raise ValueError(f"{path} cannot be read: {problem}") from None


def write_picture(path: Path, figure: Figure) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    write_bytes(path, picture.getvalue())
