"""What a run in Trainer shows while it goes on."""

import os
import time

from tqdm.auto import tqdm
from transformers import TrainerCallback

from dmdlite.training import checkpoints
from dmdlite.training.loop import epochs_without_progress, selected
from dmdlite.training.metrics import title


class ShowProgress(TrainerCallback):
    """Shows a bar for the whole run, in a terminal or a notebook, and prints one line for each epoch."""

    def __init__(self, select_by: str = "error"):
        self.select_by = select_by

    def on_train_begin(self, args, state, control, **_):
        hidden = None if state.is_world_process_zero else True  # None: hidden where stderr is a file
        self.bar = tqdm(total=state.max_steps, initial=state.global_step, unit="step", leave=False, disable=hidden)
        self.started = time.perf_counter()

    def on_step_end(self, args, state, control, **_):
        self.bar.update()

    def on_evaluate(self, args, state, control, **_):
        if state.is_world_process_zero:
            records = checkpoints.records_in(state.log_history)
            seconds, self.started = time.perf_counter() - self.started, time.perf_counter()
            last, by = records[-1], self.select_by
            best = "best so far" if epochs_without_progress(records, by) == 0 else ""
            numbers = f"loss {last['losses']['total']:8.4f}   validation {title(by)} {selected(last, by):.4f}"
            line = f"epoch {last['epoch']:3d}/{state.num_train_epochs}   {numbers}   {seconds:5.1f} s   {best}"
            self.bar.write(line.rstrip())

    def on_train_end(self, args, state, control, **_):
        self.bar.close()


def is_first_process() -> bool:
    """Whether this is the first of the processes that torchrun started; true without torchrun, too."""
    return os.environ.get("RANK", "0") == "0"
