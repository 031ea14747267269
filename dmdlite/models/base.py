"""What every model has in common: a config, checkpoints that are read strictly and without trust; and ensembles."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from dmdlite.components.losses import Labels, Logits, Loss, task_loss
from dmdlite.components.streams import StreamReader, resolve_language_model, time_mean
from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.models.official.weights import Weights
from dmdlite.models.output import ModelOutput
from dmdlite.models.saving import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    downloaded,
    load_saved_weights,
    read_config,
    saved_arguments,
)

CARD = """---
{{ card_data }}
---

A model of the family of [DMD](https://arxiv.org/abs/2303.13802), made with dmdlite.
`from_pretrained` of its class reads this folder.
"""
WITH_TWO = "dmd, dhmd, dlf, mult, misa, momke, early_fusion, late_fusion, conventional_distillation"  # such models
SIZES = ("feature_widths", "lengths", "width", "heads", "layers", "outputs")  # what a model's repr shows
HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token")


class SavedModel(nn.Module, PyTorchModelHubMixin, library_name="dmdlite", license="mit", model_card_template=CARD):
    """A model that keeps its config as `config`, with `save_pretrained`, `from_pretrained` and `push_to_hub`.

    The annotation of the constructor's `config` says of which kind it is. `read` checks the streams, and encodes tokens
    if there is a language model: `config` then describes that model in full. Raises ValueError for fewer modalities
    than the model can work with.
    """

    config: ModelConfig
    reads: tuple[str, ...]  # the streams that `forward` needs, for its losses at least
    needs: tuple[int, str] = (1, "reads streams")  # how many modalities at the least, and what for
    line: "Line | None"  # of an ensemble
    learns_unlabelled = False  # whether clips without labels may be in the training split
    kind: type  # the class, of an ensemble that of its members
    loss_weights: dict[str, float]  # those of the config, without the terms of modalities that are not read
    published: ModuleType | None = None  # reads the weights of its published code: a module of models/official

    def __init__(self, config: ModelConfig, modalities: Sequence[str] = (), least: int | None = None):
        """modalities: those that a prediction needs, if fewer than the config's. least: in place of that of `needs`."""
        super().__init__()
        self.kind, self.line = type(self), None
        self.reads, (usual, why) = tuple(config.modalities), self.needs
        if len(self.reads) < (least := least or usual):
            other = f"one train the model {self.reads[0]!r}" if len(self.reads) == 1 else f"two train one of {WITH_TWO}"
            number = "two or three" if least == 2 else "all three modalities"
            raise ValueError(f"{type(self).__name__} {why} and needs {number}; for {other}")
        if "language" not in (modalities := modalities or self.reads):
            config = config.replace(language_model=None)
        self.config, encoder = resolve_language_model(config)
        self.read = StreamReader(self.config, encoder, modalities)
        unread = tuple(f"_{m}" for m in MODALITIES if m not in self.reads)
        self.loss_weights = {term: x for term, x in config.loss_weights.items() if not term.endswith(unread)}

    @classmethod
    def from_official(
        cls, weights: Weights, config: ModelConfig, *parts: Weights | None, **named: Weights
    ) -> "SavedModel":
        """A model in evaluation mode with the weights of its published code: a state dict, or the path of a file.

        parts, named: those of parts that have files of their own, as `load_official` of `published` lists them; what is
        not given stays fresh. Raises ValueError naming the first weight that is missing, unknown or of another shape.
        """
        if cls.published is None:
            raise ValueError(f"{cls.__name__} has no published code whose weights it could read")
        return cls.published.load_official(cls(config), weights, *parts, **named).eval()

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self.config, name)!r}" for name in SIZES)

    def task_loss(self, prediction: Logits, labels: Labels) -> Loss:
        """L_task of one head."""
        config = self.config
        error = getattr(config, "regression_error", "absolute")  # a field of some ancestors
        return task_loss(prediction, labels, config.task, config.class_weights, error)

    def supervised(self, out: ModelOutput, labels: Labels | None) -> ModelOutput:
        """The output with the task loss of its prediction as the whole loss; without labels there is none."""
        if labels is None:
            return out
        return out.with_losses({"task_final": self.task_loss(out.prediction, labels)}, weights={})

    def update_evidence(self, out: ModelOutput, labels: Labels) -> None:
        """Called by the training loop after each batch, for what a model learns without a gradient: here nothing."""

    def saved_fields(self) -> dict:
        """What config.json holds: the fields of the config and further arguments of the constructor, if any."""
        return {"model": type(self).__name__, **self.config.to_dict()}

    def save_pretrained(self, save_directory: str | Path, **options) -> str | None:
        return super().save_pretrained(save_directory, config=self.saved_fields(), **options)

    def load_saved(self, folder: str | Path) -> None:
        """Loads saved weights into this model. Needed for custom parts, which `from_pretrained` cannot build.

        Raises ValueError in one sentence if the folder holds another model, or weights that do not fit.
        """
        saved = self.config.completed(read_config(Path(folder) / CONFIG_NAME))
        own = json.loads(json.dumps(self.saved_fields()))
        if other := sorted(name for name in saved.keys() | own.keys() if saved.get(name) != own.get(name)):
            raise ValueError(f"{folder} holds another model: {other[0]!r} is not as in this one")
        load_saved_weights(self, Path(folder) / WEIGHTS_NAME)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *, map_location: str = "cpu", **options):
        """The saved model in evaluation mode, from a folder or from the Hub; the mixin's own accepts missing weights.

        options: `HUB_OPTIONS`, and arguments of the constructor in place of the saved ones.
        Raises ValueError in one sentence for a config that cannot be read, or weights that do not fit it.
        """
        folder, hub = Path(pretrained_model_name_or_path), {x: options.pop(x) for x in HUB_OPTIONS if x in options}
        if not folder.is_dir():
            folder = downloaded(str(pretrained_model_name_or_path), hub)
        for name in (CONFIG_NAME, WEIGHTS_NAME):
            if not (folder / name).is_file():
                raise ValueError(f"{folder} holds no saved model: {name} is missing")
        model = assembled(cls, **saved_arguments(folder / CONFIG_NAME, cls) | options)
        load_saved_weights(model, folder / WEIGHTS_NAME)
        return model.to(map_location).eval()


class Line(SavedModel):
    """A linear model of the time means of the streams, which every other model has to beat. It learns no gradient."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.predict = nn.Linear(sum(self.config.feature_widths[m] for m in self.reads), self.config.num_logits)
        self.predict.requires_grad_(False)  # `training/linear.py` fits it

    def forward(self, language=None, vision=None, audio=None, labels=None, mask=None) -> ModelOutput:
        """Called as all models are; there is no loss."""
        streams = self.read(language, vision, audio, mask)
        means = torch.cat([time_mean(x, x.any(dim=2)) for x in streams.values()], dim=1)
        return ModelOutput(self.predict(means).squeeze(-1), fused=means)


@dataclass(repr=False)
class EnsembleOutput(ModelOutput):
    """The means over the members, and what each of them returned."""

    members: list[ModelOutput] = field(default_factory=list)


class Ensemble(SavedModel):
    """Models that differ in their first weights alone; each learns by itself, and the mean of their predictions counts.

    Where data are few, members err in different places, so that their mean is better than any of them (Hansen and
    Salamon, 1990). They share one `StreamReader`. A line has `config.line_share` of the
    prediction, the members the rest.
    """

    def __init__(self, members: Sequence[SavedModel], line: SavedModel | None = None):
        nn.Module.__init__(self)
        first = members[0]
        self.members, self.read = nn.ModuleList(members), first.read
        self.config, self.reads, self.loss_weights = first.config, first.reads, first.loss_weights
        self.kind, self.learns_unlabelled = first.kind, first.learns_unlabelled
        for member in members:
            member.read = first.read
        self.line = line
        if line is not None:
            line.read = first.read

    def forward(self, *streams: Tensor | None, **inputs: Any) -> EnsembleOutput:
        """Called as its members are. The loss is the sum of theirs, so that each learns as if it were alone."""
        outs = [member(*streams, **inputs) for member in self.members]
        mean = lambda name: _mean_of([getattr(out, name) for out in outs])
        prediction = torch.stack([out.prediction for out in outs]).mean(dim=0)
        fused = None if outs[0].fused is None else torch.cat([out.fused for out in outs], dim=1)
        loss = None if outs[0].loss is None else torch.stack([out.loss for out in outs]).sum()
        if self.line is not None:
            prediction = prediction.lerp(self.line(*streams, **inputs).prediction, self.config.line_share)
        return EnsembleOutput(prediction, loss, mean("losses"), mean("edges"), fused, mean("predictions"), outs)

    def update_evidence(self, out: EnsembleOutput, labels: Labels) -> None:
        for member, own in zip(self.members, out.members, strict=True):
            member.update_evidence(own, labels)

    def learn_from(self, teacher: nn.Module) -> None:
        """Each member learns from its own teacher, or, if there is one alone, all from that."""
        for member, own in zip(self.members, getattr(teacher, "members", [teacher] * len(self.members)), strict=True):
            member.learn_from(own)

    def saved_fields(self) -> dict:
        return self.members[0].saved_fields()


def _mean_of(dicts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([values[name] for values in dicts]).mean(dim=0) for name in dicts[0]}


def assembled(make: Callable[..., SavedModel], config: ModelConfig, **arguments: Any) -> SavedModel:
    """A model, or an ensemble of as many as `config.members` says."""
    members = [make(config, **arguments) for _ in range(config.members)]
    line = Line(config.replace(modalities=list(members[0].read.modalities))) if config.line_share else None
    return Ensemble(members, line) if line or len(members) > 1 else members[0]
