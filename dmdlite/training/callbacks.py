"""Callbacks of Trainer: clipping, early stopping, sealing of checkpoints, progress."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from torch import nn
from tqdm.auto import tqdm
from transformers import Trainer, TrainerCallback

from dmdlite.training import checkpoints
from dmdlite.training.checkpoints import records_in
from dmdlite.training.loop import epochs_without_progress


class ClipByValue(TrainerCallback):
    """Clips each entry of the gradient before every optimizer step; 0 switches it off."""

    def __init__(self, limit: float):
        self.limit = limit

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        if self.limit:
            nn.utils.clip_grad_value_(model.parameters(), self.limit)


class StopEarly(TrainerCallback):
    """Stops after some epochs without a lower validation error. It counts in the log, which survives a resume."""

    def __init__(self, patience: int):
        self.patience = patience

    def on_evaluate(self, args, state, control, **_):
        if epochs_without_progress(records_in(state.log_history)) >= self.patience:
            control.should_training_stop = True


class SealCheckpoints(TrainerCallback):
    """Seals a checkpoint when every process has written its part, and then deletes the older ones."""

    def __init__(self, trainer: Trainer):
        self.trainer = trainer

    def on_save(self, args, state, control, **_):
        self.trainer.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            folder = Path(args.output_dir)
            checkpoint = folder / f"checkpoint-{state.global_step}"
            checkpoints.seal(checkpoint)
            checkpoints.keep_only(checkpoint, folder)


class ShowProgress(TrainerCallback):
    """Shows a bar for the whole run, in a terminal or a notebook, and prints one line for each epoch."""

    def on_train_begin(self, args, state, control, **_):
        hidden = not (state.is_world_process_zero and (sys.stderr.isatty() or in_notebook()))
        self.bar = tqdm(total=state.max_steps, initial=state.global_step, unit="step", leave=False, disable=hidden)
        self.started = time.perf_counter()

    def on_step_end(self, args, state, control, **_):
        self.bar.update()

    def on_evaluate(self, args, state, control, **_):
        if state.is_world_process_zero:
            records = records_in(state.log_history)
            seconds, self.started = time.perf_counter() - self.started, time.perf_counter()
            self.bar.write(epoch_line(records, state.num_train_epochs, seconds))

    def on_train_end(self, args, state, control, **_):
        self.bar.close()


def is_first_process() -> bool:
    """Whether this is the first of the processes that torchrun started; true without torchrun, too."""
    return os.environ.get("RANK", "0") == "0"


def in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def epoch_line(records: list[dict[str, Any]], epochs: int, seconds: float) -> str:
    """One line about the last of these epochs."""
    last = records[-1]
    best = "best so far" if epochs_without_progress(records) == 0 else ""
    numbers = f"loss {last['losses']['total']:8.4f}   validation error {last['valid_error']:.4f}"
    return f"epoch {last['epoch']:3d}/{epochs}   {numbers}   {seconds:5.1f} s   {best}".rstrip()
