"""What a model costs: its parameters, and the time of an epoch, measured for all models in the same way."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from dmdlite.components.streams import LanguageEncoder
from dmdlite.config import TrainingConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.experiments.executors import one_thread
from dmdlite.files import write_json
from dmdlite.models.base import SavedModel
from dmdlite.training.allocator import keep_freed_memory
from dmdlite.training.loop import make_batch, make_optimizer, train_epoch
from dmdlite.training.optimizers import fitting

PASSES, STEPS = 3, 4  # each model gets its turn three times; the first of its four steps warms up


def seconds_per_epoch(
    names: Sequence[str], make: Callable[[str], SavedModel], train: FeatureSplit, training: TrainingConfig, file: Path
) -> dict[str, float]:
    """Seconds that the training steps of one epoch take each model, with one thread on a CPU.

    The median step (forward, backward, optimizer, one batch) times the batches of an epoch, without validation,
    checkpoints and `compile`. The models take turns, so that other load on the machine disturbs all alike.
    file: where the times are kept. If it has a time for every model, nothing is measured.
    """
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if set(names) <= set(stored):
        return {name: stored[name] for name in names}
    keep_freed_memory()
    training = training.replace(gradient_accumulation=1)
    clips = train.subset(slice(0, training.batch_size))
    steps: dict[str, list[float]] = {name: [] for name in names}
    with one_thread():
        for _ in range(PASSES):
            for name in names:
                steps[name] += _steps(make(name), clips, training)[1:]
    seconds = {name: statistics.median(times) * (len(train) / len(clips)) for name, times in steps.items()}
    write_json(file, seconds)
    return seconds


def _steps(model: SavedModel, clips: FeatureSplit, training: TrainingConfig) -> list[float]:
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    optimizer, times = make_optimizer(model.to(device), fitting(training, model)), []
    for step in range(STEPS):
        started = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=training.bf16):
            train_epoch(model, clips, optimizer, training, step)
        if device.type != "cpu":
            torch.accelerator.synchronize()
        times.append(time.perf_counter() - started)
    return times


def count_parameters(model: SavedModel, split: FeatureSplit, padding_mask: bool) -> dict[str, int]:
    """The number of parameters that a prediction depends on, and of all parameters.

    Decoders, extra heads and the graphs of DMD only teach: they are not needed at test time. A frozen language model
    is. Count with a model made for it: afterwards nothing in it is frozen.
    """
    everything = list(model.parameters())
    batch = make_batch(model, split, [0, 1], padding_mask)
    del batch["labels"]
    model.eval().requires_grad_(True)
    for module in model.modules():
        if isinstance(module, LanguageEncoder):
            module.trainable = True
    with _ThroughDetach():
        prediction = model(**batch).prediction
    gradients = torch.autograd.grad(prediction.sum(), everything, allow_unused=True)
    used = sum(p.numel() for p, gradient in zip(everything, gradients, strict=True) if gradient is not None)
    return {"parameters": used, "parameters_in_training": sum(p.numel() for p in everything)}


class _ThroughDetach(TorchFunctionMode):
    """Keeps the history of detached tensors: a prediction depends on them, even if nothing learns through them."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if function in (torch.Tensor.detach, torch.detach) else function(*args, **(kwargs or {}))
