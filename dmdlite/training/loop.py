"""A whole training run in one loop that can be read from top to bottom."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from accelerate.utils import set_seed as seed_everything
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from dmdlite.config import TrainingConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.training.allocator import keep_freed_memory
from dmdlite.training.metrics import task_error

SCORING_BATCH = 64  # clips of one forward pass when scoring; fixed, so that a score never depends on the training


def plain_loop(model: nn.Module, splits: Mapping[str, FeatureSplit], training: TrainingConfig) -> list[dict[str, Any]]:
    """Trains `model` in place, leaves the weights of its best epoch in it, and returns one record for each epoch.

    A record holds epoch (from 1), learning_rate, losses and edges (means over the batches) and valid_error: the MAE,
    or for classes the cross-entropy (`task_error`).
    `dmdlite.train` does the same with `transformers.Trainer`, and adds the run folder, resuming, bf16 and several GPUs.
    bf16 and compile are ignored here. To get the same initial weights, call `seed_everything` before making the model.
    """
    seed_everything(training.seed)
    keep_freed_memory()
    optimizer = make_optimizer(model, training)
    schedule = make_schedule(optimizer, training)
    records: list[dict[str, Any]] = []
    valid, task = splits["valid"], model.config.task
    for epoch in range(training.epochs):
        means = train_epoch(model, splits["train"], optimizer, training, epoch)
        error = task_error(predict_logits(model, valid, training.padding_mask), valid.truth(task), task)
        learning_rate = optimizer.param_groups[0]["lr"]
        records.append({"epoch": epoch + 1, "learning_rate": learning_rate, **means, "valid_error": error})
        if epochs_without_progress(records) == 0:
            best_weights = deepcopy(model.state_dict())
        if epochs_without_progress(records) >= training.early_stopping_patience:
            break
        schedule.step(error)
    model.load_state_dict(best_weights)
    return records


def train_epoch(
    model: nn.Module, split: FeatureSplit, optimizer: torch.optim.Optimizer, training: TrainingConfig, epoch: int
) -> dict[str, Any]:
    """One pass over `split`; its order depends on the seed and the epoch alone. Returns `EpochMeans.result`."""
    model.train()
    means = EpochMeans()
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(training.seed + epoch))
    batches = order.split(training.batch_size)
    for start in range(0, len(batches), training.gradient_accumulation):
        accumulated = batches[start : start + training.gradient_accumulation]
        for indices in accumulated:
            batch = make_batch(model, split, indices.tolist(), training.padding_mask)
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
    """Adam for every trainable parameter; the language model's have a learning rate of their own, if one is set."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    words = [name for name in trained if "language_encoder." in name and training.language_model_learning_rate]
    groups: list[dict[str, Any]] = [{"params": [x for name, x in trained.items() if name not in words]}]
    if words:
        groups.append({"params": [trained[name] for name in words], "lr": training.language_model_learning_rate})
    return torch.optim.Adam(groups, lr=training.learning_rate, weight_decay=training.weight_decay)


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
    """A step of it follows each epoch."""
    return Plateau(optimizer, training)


def make_batch(model: nn.Module, split: FeatureSplit, indices: list[int], padding_mask: bool) -> dict[str, Any]:
    """The keyword arguments of one forward pass, on the device of the model."""
    device = next(model.parameters()).device
    return send_to_device(split.batch(indices, **batch_options(model, padding_mask)), device)


def batch_options(model: nn.Module, padding_mask: bool) -> dict[str, Any]:
    """The options of `FeatureSplit.batch` that this model needs."""
    tokens = model.config.language_model is not None
    return {"tokens": tokens, "mask": padding_mask, "modalities": model.reads, "task": model.config.task}


def predict_logits(
    model: nn.Module, split: FeatureSplit, padding_mask: bool = False
) -> Float[np.ndarray, "clips *logits"]:
    """The model's output (`components/losses.py`) for each clip, in the split's order, in float32, without dropout."""
    was_training = model.training
    model.eval()
    predictions = []
    with torch.inference_mode():
        for indices in torch.arange(len(split)).split(SCORING_BATCH):
            out = model(**make_batch(model, split, indices.tolist(), padding_mask))
            predictions.append(out.prediction.float().cpu())
    model.train(was_training)
    return torch.cat(predictions).numpy()


def epochs_without_progress(records: list[dict[str, Any]]) -> int:
    """Epochs since the lowest validation error, the first of equal ones: 0 when the last epoch is the best."""
    errors = [record["valid_error"] for record in records]
    return len(errors) - 1 - errors.index(min(errors))


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
