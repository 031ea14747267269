"""`plain_loop` on `transformers.Trainer`: with progress, resuming after a kill, bf16, and any number of devices."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from safetensors.torch import save_model
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from dmdlite.config import TrainingConfig
from dmdlite.files import alone_in
from dmdlite.models.saving import load_saved_weights
from dmdlite.training import checkpoints, loop, runs
from dmdlite.training.allocator import keep_freed_memory
from dmdlite.training.callbacks import ShowProgress, is_first_process
from dmdlite.training.loop import EpochMeans, epochs_without_progress, make_batch, training_batch
from dmdlite.training.metrics import Splits
from dmdlite.training.reporting import check_reporter, reporting, scalars


def train(
    model: nn.Module, splits: Splits, output_dir: str | Path, training: TrainingConfig | None = None, *,
    restart: bool = False, progress: bool = True, source: str | Path | None = None,
    callbacks: Sequence[TrainerCallback] = (), report_to: str | None = None, wait: bool = False, **overrides: Any,
) -> runs.Result:  # fmt: skip
    """Trains `model` in place, leaves the weights of its best epoch in it, and fills the run folder `output_dir`.

    training, overrides: a TrainingConfig, and fields of it to change, e.g. `epochs=5, scheduler="cosine"`.
    restart: discard the run that is there. Otherwise an interrupted run resumes from its last whole checkpoint, and a
    finished one is read, or goes on if it has fewer epochs. source: the file of the splits, for `dmdlite evaluate`.
    callbacks: after each epoch `on_evaluate` gets metrics["eval_error"], the error or what the score `select_by` lacks
    to 1. They only watch or stop a run; one that changes what is learned needs an attribute `changes_training = True`.
    wait: for another process that trains in this folder, and then read or finish what it leaves; otherwise ValueError.
    report_to: "tensorboard" or "wandb" shows the log, the figures and the test scores there.
    accelerate chooses the device: CUDA, MPS or the CPU; several GPUs with torchrun. Call `seed_everything` before
    making the model, whose weights are not seeded here. Splits without "test" will do: then nothing is scored on it.
    Raises ValueError, and touches nothing, if the splits do not fit the model or cannot teach it, or if the folder
    holds another run: other settings, data, code or initial weights.
    """
    training = (training or TrainingConfig()).replace(**overrides)
    check_reporter(report_to)
    loop.prepare(model, splits, training, needed=["train", "valid", *({"test"} & splits.keys())])
    folder = Path(output_dir)
    say = partial(print, flush=True) if progress and is_first_process() else lambda *_: None
    changing = [x for x in callbacks if getattr(x, "changes_training", False)]
    description = runs.describe(model, splits, training, source, *changing)
    if runs.state_of(folder, description, restart) == "finished":
        return _stored(folder, model, say)
    with alone_in(folder, wait) if is_first_process() else nullcontext(False) as waited:
        if (state := runs.state_of(folder, description, restart := restart and not waited)) == "finished":
            return _stored(folder, model, say)
        trainer = SentimentTrainer(model, splits, training, folder / "checkpoints", progress, callbacks)
        trainer.in_first_process(runs.begin, folder, description, restart)
        checkpoint = checkpoints.newest(folder / "checkpoints")
        say(f"{folder}: {_opening(state, checkpoint, restart)}")
        with reporting(report_to, trainer, folder, description, checkpoint):
            trainer.fill(folder, trainer.run(checkpoint))
    return runs.load_result(folder)


def _stored(folder: Path, model: nn.Module, say: Callable[[str], None]) -> runs.Result:
    result, most = runs.load_result(folder), runs.read_description(folder)["training"]["epochs"]
    early = f", stopped early after epoch {len(result.epochs)}" if len(result.epochs) < most else ""
    say(f"{folder} holds this run already, finished{early}: nothing to train")
    model.load_saved(folder)
    return result


def _opening(state: str, checkpoint: Path | None, restart: bool) -> str:
    if checkpoint is not None:
        return f"resuming after epoch {len(checkpoints.epoch_records(checkpoint))}"
    if state == "unfinished" and not restart:
        return "the run here has no whole checkpoint; starting afresh"
    return "starting" if state == "new" else "starting afresh"


class Trainee(nn.Module):
    """The shell of a model that is being trained: it returns a dict and updates the model's evidence.

    accelerate casts the forward pass of this shell to bf16, while the model itself keeps scoring in float32. Only the
    loss keeps its graph: DistributedDataParallel would count every weight behind an output as used.
    """

    accepts_loss_kwargs = False

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, **batch: Any) -> dict[str, Any]:
        out = self.model(**batch)
        if self.training:
            self.model.update_evidence(out, batch["labels"])
        terms, edges = ({name: x.detach() for name, x in found.items()} for found in (out.losses, out.edges))
        return {"loss": out.loss, "losses": terms, "edges": edges}


def has_unused_parameters(model: nn.Module, batch: dict[str, Any]) -> bool:
    """Whether the loss does not depend on some weights, such as those of a term of weight zero, or BERT's pooler.

    DistributedDataParallel waits for the gradient of every weight unless it is told to look for unused ones.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    mode, loss = model.training, model.eval()(**batch).loss  # without dropout, which would use up random numbers
    model.train(mode)
    return any(x is None for x in torch.autograd.grad(loss, trained, allow_unused=True))


class SentimentTrainer(Trainer):
    """Trainer with the optimizer, the order of the data, the log and the validation of `plain_loop`."""

    def __init__(
        self, model: nn.Module, splits: Splits, training: TrainingConfig, folder: Path, progress: bool,
        callbacks: Sequence[TrainerCallback] = (),
    ):  # fmt: skip
        keep_freed_memory()
        self.splits, self.training, self.means = splits, training, EpochMeans()
        self.home = next(model.parameters()).device
        arguments, trainee = make_arguments(training, folder), Trainee(model)
        if training.compile:
            trainee.compile(mode="reduce-overhead", dynamic=False)  # on a GPU these are CUDA graphs
        callbacks = [*([ShowProgress(training.select_by)] if progress else []), *callbacks]
        data = {"train_dataset": splits["train"], "eval_dataset": splits["valid"]}
        super().__init__(trainee, arguments, callbacks=callbacks, **data)
        self.remove_callback(PrinterCallback)
        if self.args.world_size > 1:
            batch = make_batch(model, splits["train"], [0], training.padding_mask)
            self.accelerator.ddp_handler.find_unused_parameters = has_unused_parameters(model, batch)
        loop.seed_everything(training.seed + self.args.process_index)  # each process draws its own dropout

    def run(self, checkpoint: Path | None) -> Path:
        """Trains from a checkpoint, or from the start, and returns the last checkpoint."""
        if checkpoint is not None and self.is_over(checkpoints.epoch_records(checkpoint)):
            return checkpoint
        self.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        return self.current_checkpoint()

    def fill(self, folder: Path, last: Path) -> None:
        """Writes what a finished run holds; the model has the weights of the best epoch then, and is where it was."""
        model = self.model.model
        load_saved_weights(model, checkpoints.best_of(last) / checkpoints.WEIGHTS)
        self.in_first_process(runs.finish, folder, model, self.splits, checkpoints.epoch_records(last), self.training)
        model.to(self.home).eval()

    def current_checkpoint(self) -> Path:
        return Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"

    def in_first_process(self, action: Callable[..., None], *arguments: Any) -> None:
        """Runs the action in the first process alone, while the others wait."""
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            action(*arguments)
        self.accelerator.wait_for_everyone()

    def is_over(self, records: list[dict[str, Any]]) -> bool:
        """Whether nothing is left to train after these epochs."""
        waited = epochs_without_progress(records, self.training.select_by)
        return len(records) >= self.training.epochs or waited >= self.training.early_stopping_patience

    def get_train_dataloader(self) -> DataLoader:
        """Shuffles by seed + epoch alone: with a generator of its own it uses up no random numbers of the dropout."""
        clips, on_gpu = range(len(self.train_dataset)), self.args.device.type == "cuda"
        options = dict(shuffle=True, generator=torch.Generator(), collate_fn=self.collate, pin_memory=on_gpu)
        return self.accelerator.prepare(DataLoader(clips, self.training.batch_size, **options))

    def collate(self, indices: list[int]) -> dict[str, Any]:
        epoch = int(self.state.epoch or 0)  # whole at the end of an epoch, when all of its batches have been made
        return training_batch(self.model.model, self.train_dataset, indices, self.training, epoch)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        self.optimizer = loop.make_optimizer(self.model.model, self.training)
        if limit := self.training.gradient_clip:
            clip = lambda *_: nn.utils.clip_grad_value_(self.model.parameters(), limit)
            self.optimizer.register_step_pre_hook(clip)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        self.lr_scheduler = loop.make_schedule(self.optimizer, self.training)
        return self.lr_scheduler

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Seals it when every process has written its part, and then deletes the older ones."""
        super()._save_checkpoint(model, trial)
        self.in_first_process(checkpoints.seal, self.current_checkpoint())
        self.in_first_process(checkpoints.keep_only, self.current_checkpoint(), Path(self.args.output_dir))

    def _save(self, output_dir: str, state_dict: dict[str, Tensor] | None = None) -> None:
        """The model without its shell, as `save_pretrained` writes it; Trainer's own refuses shared weights."""
        if self.args.should_save:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            save_model(self.model.model, str(Path(output_dir) / checkpoints.WEIGHTS))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_saved_weights(self.model.model, Path(resume_from_checkpoint) / checkpoints.WEIGHTS)

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Flat for the callbacks; the history of the run keeps the record as it is."""
        super().log(scalars(logs, self.model.model.reads), start_time)
        self.state.log_history[-1] = {**logs, "epoch": self.state.epoch, "step": self.state.global_step}

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], **_: Any) -> Tensor:
        out = model(**inputs)
        self.means.add(out["loss"], out["losses"], out["edges"])
        return out["loss"]

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Logs the record of the epoch. All processes use the validation scores of the first one."""
        found = loop.validate(self.model.model, self.splits, self.training, round(self.state.epoch))
        (found,) = broadcast_object_list([found])
        self.means.sums = {name: self.accelerator.reduce(total, "mean") for name, total in self.means.sums.items()}
        self.log({"learning_rate": self.optimizer.param_groups[0]["lr"], **self.means.result(), **found})
        self.means = EpochMeans()
        metrics = {"eval_error": loop.shortfall(found, self.training.select_by)}
        self.lr_scheduler.step(metrics["eval_error"])
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.control.should_training_stop |= self.is_over(checkpoints.records_in(self.state.log_history))
        return metrics


def make_arguments(training: TrainingConfig, folder: Path) -> TrainingArguments:
    """Trainer's arguments. Its own logs, norm clipping, reports and clean-up of checkpoints are off."""
    device = dict(bf16=training.bf16, use_cpu=torch.accelerator.current_accelerator(check_available=True) is None)
    batches = dict(per_device_train_batch_size=training.batch_size, seed=training.seed, data_seed=training.seed)
    steps = dict(num_train_epochs=training.epochs, gradient_accumulation_steps=training.gradient_accumulation)
    best = dict(eval_strategy="epoch", save_strategy="epoch", metric_for_best_model="error", greater_is_better=False)
    off = dict(max_grad_norm=0.0, logging_strategy="no", report_to=[], disable_tqdm=True)
    quiet = dict(log_level="error", log_level_replica="error")
    arguments = TrainingArguments(str(folder), **device, **batches, **steps, **best, **off, **quiet)
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # one process, one GPU: Trainer would split each batch by nn.DataParallel
    return arguments
