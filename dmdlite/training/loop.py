"""A whole training run in one loop that can be read from top to bottom."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from accelerate.utils import set_seed as seed_everything
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from dmdlite.config import TrainingConfig
from dmdlite.data.features import SPLITS, FeatureSplit, check_fits, check_trainable
from dmdlite.training.allocator import keep_freed_memory
from dmdlite.training.linear import fit_line
from dmdlite.training.metrics import Logits, lower_is_better, score, table_scores

SCORING_BATCH = 64  # clips of one forward pass when scoring; fixed, so that a score never depends on the training


def plain_loop(model: nn.Module, splits: Mapping[str, FeatureSplit], training: TrainingConfig) -> list[dict[str, Any]]:
    """Trains `model` in place, leaves the weights of its best epoch in it, and returns one record for each epoch.

    A record holds epoch (from 1), learning_rate, losses and edges (means over the batches), valid_error, which is the
    MAE or for classes the cross-entropy, and valid_scores, all scores of the task.
    `dmdlite.train` does the same with `transformers.Trainer`, and adds the run folder, resuming, bf16 and several GPUs.
    bf16 and compile are ignored here. To get the same initial weights, call `seed_everything` before making the model.
    """
    prepare(model, splits, training, needed=("train", "valid"))
    seed_everything(training.seed)
    keep_freed_memory()
    optimizer = make_optimizer(model, training)
    schedule = make_schedule(optimizer, training)
    records: list[dict[str, Any]] = []
    for epoch in range(training.epochs):
        means = train_epoch(model, splits["train"], optimizer, training, epoch)
        found = validate(model, splits["valid"], training, epoch + 1)
        records.append({"epoch": epoch + 1, "learning_rate": optimizer.param_groups[0]["lr"], **means, **found})
        waited = epochs_without_progress(records, training.select_by)
        if waited == 0:
            best_weights = deepcopy(model.state_dict())
        if waited >= training.early_stopping_patience:
            break
        schedule.step(shortfall(found, training.select_by))
    model.load_state_dict(best_weights)
    return records


def prepare(
    model: nn.Module, splits: Mapping[str, FeatureSplit], training: TrainingConfig, needed: Sequence[str] = SPLITS
) -> None:
    """What comes before any training: checks; the model learns the scale of its streams, a line beside it is fitted.

    Raises ValueError for splits that do not fit or teach nothing, or if the task has no score `training.select_by`.
    """
    config = model.config
    check_trainable(splits, config.task, model.learns_unlabelled, needed)
    check_fits(splits, config, model.reads)
    logits = np.zeros((len(splits["valid"]), *[config.num_logits] * (config.num_logits > 1)), np.float32)
    names = ["error", *score({"valid": logits}, splits, config)["valid"]]
    if training.select_by not in names:
        raise ValueError(f"select_by must be one of {', '.join(names)}, got {training.select_by!r}")
    model.read.learn_scale(splits["train"])
    if model.line is not None:
        fit_line(model.line, splits)


def train_epoch(
    model: nn.Module, split: FeatureSplit, optimizer: torch.optim.Optimizer, training: TrainingConfig, epoch: int
) -> dict[str, Any]:
    """One pass over `split`; its order depends on the seed and the epoch alone. Returns `EpochMeans.result`."""
    model.train()
    means, device = EpochMeans(), next(model.parameters()).device
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(training.seed + epoch))
    batches = order.split(training.batch_size)
    for start in range(0, len(batches), training.gradient_accumulation):
        accumulated = batches[start : start + training.gradient_accumulation]
        for indices in accumulated:
            batch = send_to_device(training_batch(model, split, indices.tolist(), training, epoch), device)
            out = model(**batch)
            model.update_evidence(out, batch["labels"])
            (out.loss / len(accumulated)).backward()
            means.add(out.loss, out.losses, out.edges)
        if training.gradient_clip:
            nn.utils.clip_grad_value_(model.parameters(), training.gradient_clip)
        optimizer.step()
        optimizer.zero_grad()
    return means.result()


def make_optimizer(model: nn.Module, training: TrainingConfig) -> torch.optim.Adam:
    """Adam for every trainable parameter; language model and dictionaries have a learning rate of their own, if set."""
    own = {"language_encoder.": training.language_model_learning_rate}
    own |= {"dictionaries.": training.dictionary_learning_rate}
    rest = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    groups: list[dict[str, Any]] = []
    for part, rate in own.items():
        if rate and (names := [name for name in rest if part in name]):
            groups.append({"params": [rest.pop(name) for name in names], "lr": rate})
    groups.insert(0, {"params": list(rest.values())})
    return torch.optim.Adam(groups, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True)


class Plateau(ReduceLROnPlateau):
    """Lowers the learning rates after some epochs without a lower validation error, and raises them at the start.

    Epoch e of `warmup_epochs`, counted from 1, has e / (warmup_epochs + 1) of each learning rate.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, training: TrainingConfig):
        super().__init__(optimizer, factor=training.plateau_factor, patience=training.plateau_patience)
        self.rising, self.full = training.warmup_epochs, [group["lr"] for group in optimizer.param_groups]
        if self.rising:
            self.last_epoch = -1
            self.step(0.0)

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        if self.last_epoch >= self.rising:
            return super().step(metrics, epoch)
        self.last_epoch += 1
        for group, rate in zip(self.optimizer.param_groups, self.full):
            group["lr"] = rate * (self.last_epoch + 1) / (self.rising + 1)


def make_schedule(optimizer: torch.optim.Optimizer, training: TrainingConfig) -> ReduceLROnPlateau:
    """A step of it follows each epoch; without a better one (`shortfall`) for some, it lowers the learning rate."""
    return Plateau(optimizer, training)


def make_batch(model: nn.Module, split: FeatureSplit, indices: list[int], padding_mask: bool) -> dict[str, Any]:
    """The keyword arguments of one forward pass, on the device of the model."""
    device = next(model.parameters()).device
    return send_to_device(split.batch(indices, **batch_options(model, padding_mask)), device)


def batch_options(model: nn.Module, padding_mask: bool) -> dict[str, Any]:
    """The options of `FeatureSplit.batch` that this model needs."""
    tokens = model.config.language_model is not None
    return {"tokens": tokens, "mask": padding_mask, "modalities": model.reads, "task": model.config.task}


def training_batch(
    model: nn.Module, split: FeatureSplit, indices: list[int], training: TrainingConfig, epoch: int
) -> dict[str, Any]:
    """As `make_batch`, on the CPU, and some clips lack modalities as often as `missing_rate` says.

    Which ones depends on the seed, the epoch and the clip alone: not on the batch, so that a resumed run is the same.
    Each clip keeps at least one of its modalities.
    """
    if training.missing_rate:
        draws = np.random.default_rng((training.seed, epoch)).random((len(split), len(model.reads)))
        for column, m in zip(draws.T, model.reads, strict=True):
            column[~split.present.get(m, np.True_)] = -1.0  # an absent modality cannot be the one that is kept
        kept = (draws >= training.missing_rate) | (draws == draws.max(axis=1, keepdims=True))
        split = replace(split, present=dict(zip(model.reads, kept.T, strict=True)))
    return split.batch(indices, **batch_options(model, training.padding_mask))


def validate(model: nn.Module, split: FeatureSplit, training: TrainingConfig, epoch: int) -> dict[str, Any]:
    """The part of an epoch's record about the validation split. Raises ValueError if the training has diverged."""
    logits, config = predict_logits(model, split, training.padding_mask), model.config
    if not np.isfinite(logits).all():
        raise ValueError(f"training diverged in epoch {epoch}; try a lower learning rate")
    scores = score({"valid": logits}, {"valid": split}, config)["valid"]
    error = scores[table_scores(config.task, config.outputs, config.label_scale)[0]]
    return {"valid_error": error, "valid_scores": scores}


def read_batches(model: nn.Module, split: FeatureSplit, options: Mapping[str, Any], read: Callable) -> list[Any]:
    """What `read` takes from the model's output for each batch, in the split's order, without dropout or gradients.

    options: of `FeatureSplit.batch`.
    """
    was_training, device, found = model.training, next(model.parameters()).device, []
    model.eval()
    with torch.inference_mode():
        for indices in torch.arange(len(split)).split(SCORING_BATCH):
            found.append(read(model(**send_to_device(split.batch(indices, **options), device))))
    model.train(was_training)
    return found


def predict_logits(model: nn.Module, split: FeatureSplit, padding_mask: bool = False) -> Logits:
    """The model's output (`components/losses.py`) for each clip, in the split's order, in float32, without dropout."""
    batches = read_batches(model, split, batch_options(model, padding_mask), lambda out: out.prediction.float().cpu())
    return torch.cat(batches).numpy()


def selected(record: dict[str, Any], select_by: str) -> float:
    """The validation error or score of an epoch that selects the best one."""
    return record["valid_error"] if select_by == "error" else record["valid_scores"][select_by]


def shortfall(record: dict[str, Any], select_by: str) -> float:
    """An error as it is, or what a score lacks to 1: lower is better."""
    return selected(record, select_by) if lower_is_better(select_by) else 1 - selected(record, select_by)


def epochs_without_progress(records: list[dict[str, Any]], select_by: str = "error") -> int:
    """Epochs since the best one, the first of equal ones: 0 when the last epoch is the best."""
    found = [shortfall(record, select_by) for record in records]
    return len(found) - 1 - found.index(min(found))


class EpochMeans:
    """Means of every loss term and of the edges over the batches of an epoch, kept on the device until `result`."""

    def __init__(self):
        self.sums: dict[tuple[str, str], Tensor] = {}
        self.batches = 0

    def add(self, loss: Tensor, losses: dict[str, Tensor], edges: dict[str, Float[Tensor, "batch _ _"]]) -> None:
        """Adds one batch. The loss itself is called `total`."""
        values = {("losses", name): value for name, value in {"total": loss, **losses}.items()}
        values |= {("edges", space): matrix.mean(0) for space, matrix in edges.items()}
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach().float()
        self.batches += 1

    def result(self) -> dict[str, dict[str, Any]]:
        """{"losses": {name: float}, "edges": {space: 3 by 3 list (of two modalities 2 by 2), rows are sources}}."""
        means: dict[str, dict[str, Any]] = {"losses": {}, "edges": {}}
        for (kind, name), total in self.sums.items():
            means[kind][name] = (total / self.batches).tolist()
        return means
