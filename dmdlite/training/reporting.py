"""The log of a run in TensorBoard or Weights & Biases, through Trainer's own callbacks for them."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from typing import Any

from matplotlib.image import imread
from transformers import Trainer
from transformers.integrations import TensorBoardCallback, WandbCallback

from dmdlite.checking import known
from dmdlite.training.checkpoints import LOGS, step_of


def check_reporter(name: str | None) -> None:
    """Raises ValueError for an unknown name, and where its package is not installed."""
    if name is not None and find_spec(known("report_to", name, REPORTERS)) is None:
        raise ValueError(f'report_to={name!r} needs the package {name}: pip install "dmdlite[logs]"')


@contextmanager
def reporting(
    name: str | None, trainer: Trainer, folder: Path, description: dict[str, Any], checkpoint: Path | None
) -> Iterator[None]:
    """Reports each epoch that is trained in the block, and after it the test scores and figures of the finished run."""
    if name is None or not trainer.is_world_process_zero():
        yield
        return
    start = step_of(checkpoint) if checkpoint else 0
    reporter = REPORTERS[name](folder, start, description)
    trainer.add_callback(reporter)
    try:
        yield
        state = replace(trainer.state, global_step=max(start, trainer.state.global_step))
        scores = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["test"]
        scores = {f"test_{score}": x for score, x in scores.items()}
        reporter.on_log(trainer.args, state, trainer.control, logs=scores)
        for picture in sorted(folder.glob("*.png")):
            reporter.show(picture, state.global_step)
    finally:
        reporter.close()


def scalars(record: dict[str, Any], modalities: Sequence[str]) -> dict[str, Any]:
    """losses/TERM, edges/SPACE/SOURCE_to_TARGET, eval_SCORE, …; Trainer's callbacks make eval/SCORE of the last."""
    flat = {name.replace("valid_", "eval_"): x for name, x in record.items() if not isinstance(x, dict)}
    flat |= {f"losses/{term}": x for term, x in record.get("losses", {}).items()}
    flat |= {f"eval_{score}": x for score, x in record.get("valid_scores", {}).items()}
    for space, edges in record.get("edges", {}).items():
        for (i, source), (j, target) in permutations(enumerate(modalities), 2):
            flat[f"edges/{space}/{source}_to_{target}"] = edges[i][j]
    return flat


class _TensorBoard(TensorBoardCallback):
    """Events that an interrupted run wrote after its last checkpoint, which is step `start`, are void."""

    def __init__(self, folder: Path, start: int, description: dict[str, Any]):
        from torch.utils.tensorboard import SummaryWriter

        super().__init__(SummaryWriter(folder / LOGS, purge_step=start + 1))
        self.tb_writer.add_text("training.json", f"```\n{json.dumps(description, indent=2)}\n```", start + 1)

    # Trainer would show its own arguments, which leave out what we do ourselves, and close the log before the figures.
    on_train_begin = on_train_end = lambda *_, **__: None

    def show(self, picture: Path, step: int) -> None:
        self.tb_writer.add_image(picture.stem, imread(picture), step, dataformats="HWC")

    def close(self) -> None:
        self.tb_writer.close()


class _Wandb(WandbCallback):
    """One run of theirs for each of ours, which is taken up with it; or the run that is open already."""

    def __init__(self, folder: Path, start: int, description: dict[str, Any]):
        super().__init__()
        self.opened = None
        if self._wandb.run is None:
            (folder / LOGS).mkdir(exist_ok=True)
            *_, last = "", *sorted(path.name for path in (folder / LOGS / "wandb").glob("*run-*-*"))
            options = {"project": os.environ.get("WANDB_PROJECT", "dmdlite"), "dir": folder / LOGS, "resume": "allow"}
            name = "/".join(folder.absolute().parts[-2:])
            self.opened = self._wandb.init(name=name, id=last.rpartition("-")[2] or None, **options)
        self._wandb.config.update(description, allow_val_change=True)

    def setup(self, *_: Any, **__: Any) -> None:
        """As Trainer's, without its own arguments, which leave out what we do ourselves."""
        self._initialized = True
        self._wandb.define_metric("train/global_step")
        self._wandb.define_metric("*", step_metric="train/global_step", step_sync=True)

    def show(self, picture: Path, step: int) -> None:
        self._wandb.log({picture.stem: self._wandb.Image(str(picture)), "train/global_step": step})

    def close(self) -> None:
        if self.opened is not None:
            self.opened.finish()


REPORTERS = {"tensorboard": _TensorBoard, "wandb": _Wandb}
