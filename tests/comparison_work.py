"""What runs in other processes in test_executors and test_cluster; they have to import it."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import torch
from tiny import SIZES

from dmdlite.config import DMDConfig, ModelConfig, TrainingConfig
from dmdlite.data.features import feature_shapes, load_features
from dmdlite.experiments.compare import compare
from dmdlite.models.registry import Recipe
from dmdlite.models.unimodal import Unimodal


def work(base, task):
    name, number = task
    if name == "bad":
        raise ValueError(f"no good\nwith {number}")
    if name == "odd":
        raise KeyError("surprise")
    if name == "dies":
        os._exit(7)
    if name == "dies once" and not Path(number).exists():
        Path(number).touch()
        os._exit(7)
    if name == "unsendable":
        return lambda: None
    return base + number if isinstance(number, int) else number


def place(_):
    """The process, its threads, the GPU that it sees, and whether it hears Ctrl-C."""
    time.sleep(0.2)  # so that the other process gets a task, too
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    deaf = blocked and signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    return os.getpid(), torch.get_num_threads(), os.environ.get("CUDA_VISIBLE_DEVICES"), deaf


def turn(folder, number):
    """Whether another task runs in this process meanwhile."""
    marks = Path(folder)
    busy = any(marks.iterdir())
    mark = marks / str(number)
    mark.touch()
    time.sleep(0.05)
    mark.unlink()
    return busy


class Pupil(Unimodal):
    """Begins with its teacher's weights, notes every batch that it learns from, and kills whom it is told to kill.

    NOTES: a folder with a file of each process. In it, `kill` names a number of batches and a process (0: its own).
    """

    def __init__(self, config: ModelConfig, modality: str):
        super().__init__(config, modality)

    def learn_from(self, teacher):
        self.load_state_dict(teacher.state_dict())

    def forward(self, *arguments, **named):
        if self.training:
            notes = Path(os.environ["NOTES"])
            with (notes / str(os.getpid())).open("a") as file:
                file.write(".")
                batches = file.tell()  # an attribute that changes would be part of the run's identity
            with suppress(FileNotFoundError):  # there is no order, or another process has just carried it out
                number, victim = map(int, (notes / "kill").read_text().split())
                if batches >= number:
                    (notes / "kill").unlink()
                    os.kill(victim or os.getpid(), signal.SIGKILL)
        return super().forward(*arguments, **named)


BUDGET = TrainingConfig(epochs=4, batch_size=16)
VARIANTS = {"pupil": Recipe(Pupil, {"modality": "audio"}, teacher="audio")}


def compare_pupils(output, data, **options):
    """The comparison of these tests: a teacher and its student."""
    config = DMDConfig.toy(**SIZES, **feature_shapes(load_features(data)))
    usual = dict(names=[], seeds=[0], training=BUDGET, variants=VARIANTS, progress=False)
    return compare(data=data, config=config, output_dir=output, **usual | options)


def compare_in(folder, _):
    return compare_pupils(Path(folder) / "out", Path(folder) / "data").failures
