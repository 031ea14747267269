"""Callbacks of Trainer: clipping, sealing of checkpoints, progress."""

import os
import sys
import time
from pathlib import Path

from accelerate import PartialState
from torch import nn
from tqdm.auto import tqdm
from transformers import TrainerCallback

from dmdlite.training import checkpoints
from dmdlite.training.loop import epochs_without_progress


class ClipByValue(TrainerCallback):
    """Clips each entry of the gradient before every optimizer step; 0 switches it off."""

    def __init__(self, limit: float):
        self.limit = limit

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        if self.limit:
            nn.utils.clip_grad_value_(model.parameters(), self.limit)


class SealCheckpoints(TrainerCallback):
    """Seals a checkpoint when every process has written its part, and then deletes the older ones."""

    def on_save(self, args, state, control, **_):
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            checkpoints.seal(checkpoint)
            checkpoints.keep_only(checkpoint, checkpoint.parent)


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
            records = checkpoints.records_in(state.log_history)
            seconds, self.started = time.perf_counter() - self.started, time.perf_counter()
            last, best = records[-1], "best so far" if epochs_without_progress(records) == 0 else ""
            numbers = f"loss {last['losses']['total']:8.4f}   validation error {last['valid_error']:.4f}"
            line = f"epoch {last['epoch']:3d}/{state.num_train_epochs}   {numbers}   {seconds:5.1f} s   {best}"
            self.bar.write(line.rstrip())

    def on_train_end(self, args, state, control, **_):
        self.bar.close()


def is_first_process() -> bool:
    """Whether this is the first of the processes that torchrun started; true without torchrun, too."""
    return os.environ.get("RANK", "0") == "0"


def in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
