"""What every model has in common: its output, and checkpoints that are read strictly and without trust."""

import inspect
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from huggingface_hub.constants import CONFIG_NAME
from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE as WEIGHTS_NAME
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dmdlite.checking import suggestion
from dmdlite.components.losses import Labels, Logits, Loss, task_loss, total_loss
from dmdlite.components.streams import StreamReader, Vector, resolve_language_model
from dmdlite.config import MODALITIES, ModelConfig


@dataclass(repr=False)
class ModelOutput:
    """What every model returns: fields by name, or out[0] (loss) and out[1] (prediction), as other libraries expect."""

    prediction: Logits
    loss: Loss | None = None  # None without labels
    losses: dict[str, Loss] = field(default_factory=dict)  # every term by name, before its weight
    edges: dict[str, Float[Tensor, "batch _ _"]] = field(default_factory=dict)  # graph -> w[b, i, j]: i teaches j
    fused: Vector | None = None  # the vector of each clip that the prediction is made from

    def with_losses(self, terms: dict[str, Loss], weights: dict[str, float]) -> "ModelOutput":
        """The same output with these terms and their weighted sum, Eq. (11)."""
        return replace(self, losses=terms, loss=total_loss(terms, weights))

    def supervised(self, labels: Labels | None, task: str) -> "ModelOutput":
        """The same output with the task loss of the prediction as the whole loss; without labels there is none."""
        if labels is None:
            return self
        return self.with_losses({"task_final": task_loss(self.prediction, labels, task)}, weights={})

    def to_dict(self) -> dict[str, Any]:
        """All tensors by name, in plain dicts; what is absent, such as the loss without labels, is left out."""
        return _plain(self)

    def __getitem__(self, key: int | slice | str) -> Any:
        both = tuple(x for x in (self.loss, self.prediction) if x is not None)
        return getattr(self, key) if isinstance(key, str) else both[key]

    def __repr__(self) -> str:
        first = ", ".join(f"{x:.3g}" for x in self.prediction.detach().flatten()[:4].tolist())
        more = ", …" if self.prediction.numel() > 4 else ""
        loss = "no loss without labels" if self.loss is None else f"loss {self.loss:.4f}, {len(self.losses)} terms"
        others = ", ".join(name for name in self.to_dict() if name not in ("prediction", "loss", "losses"))
        return f"{type(self).__name__}: prediction {tuple(self.prediction.shape)}: {first}{more}\n{loss}\nwith {others}"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        value = vars(value)
    elif hasattr(value, "_asdict"):  # a NamedTuple
        value = value._asdict()
    if not isinstance(value, dict):
        return value
    return {name: _plain(entry) for name, entry in value.items() if entry is not None and entry != {}}


CARD = """---
{{ card_data }}
---

A model of the family of [DMD](https://arxiv.org/abs/2303.13802), made with dmdlite.
`from_pretrained` of its class reads this folder.
"""
WITH_TWO = "dmd, dhmd, mult, misa, early_fusion, late_fusion, conventional_distillation"  # names of such models
SIZES = ("feature_widths", "lengths", "width", "attention_heads", "layers", "outputs")  # what a model's repr shows
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

    def __init__(self, config: ModelConfig, modalities: Sequence[str] = ()):
        """modalities: those that a prediction needs, if they are fewer than the config's."""
        super().__init__()
        self.reads, (least, why) = tuple(config.modalities), self.needs
        if len(self.reads) < least:
            other = f"one train the model {self.reads[0]!r}" if len(self.reads) == 1 else f"two train one of {WITH_TWO}"
            number = "two or three" if least == 2 else "all three modalities"
            raise ValueError(f"{type(self).__name__} {why} and needs {number}; for {other}")
        if "language" not in (modalities := modalities or self.reads):
            config = config.replace(language_model=None)
        self.config, encoder = resolve_language_model(config)
        self.read = StreamReader(self.config, encoder, modalities)

    @property
    def loss_weights(self) -> dict[str, float]:
        """Those of the config, without the terms of modalities that are not read."""
        weights, unread = self.config.loss_weights, set(MODALITIES) - set(self.reads)
        return {term: weight for term, weight in weights.items() if term.rpartition("_")[2] not in unread}

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self.config, name)!r}" for name in SIZES)

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
        saved, own = read_config(Path(folder) / CONFIG_NAME), json.loads(json.dumps(self.saved_fields()))
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
        model = cls(**saved_arguments(folder / CONFIG_NAME, cls) | options)
        load_saved_weights(model, folder / WEIGHTS_NAME)
        return model.to(map_location).eval()


def downloaded(name: str, hub: dict[str, Any]) -> Path:
    """The folder of a model on the Hub, "owner/model". Raises ValueError for a mistyped path, and without a network."""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) or Path(name).parent.is_dir():
        raise ValueError(no_such_folder(name))
    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG_NAME, WEIGHTS_NAME], **hub))
    except Exception as error:  # the Hub has many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{name} is no folder here, and the Hub gives no such model: {reason}") from error


def no_such_folder(name: str, kind: str = "folder") -> str:
    """What to say of a path that is not there, with its closest neighbour."""
    path = Path(name)
    around = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    return f"there is no {kind} {name}{suggestion(path.name, around)}"


def saved_arguments(file: Path, kind: type[SavedModel]) -> dict[str, Any]:
    """What the constructor was called with: a config, and further arguments of some kinds of models.

    Raises ValueError unless the file describes a model of this kind, with every field of its config and no other.
    """
    saved = read_config(file)
    if own := ", ".join(saved.get("own_parts", ())):
        raise ValueError(f"{file} describes a model with its own {own}: make it with them, then `load_saved`")
    if (name := saved.pop("model", None)) != kind.__name__:
        raise ValueError(f"{file} describes the model {name!r}, not {kind.__name__}")
    parameters = inspect.signature(kind).parameters
    config = parameters["config"].annotation
    further = {name for name, x in parameters.items() if x.kind is x.POSITIONAL_OR_KEYWORD} - {"config"}
    needed = {f.name for f in fields(config)} | further
    if odd := sorted(needed ^ saved.keys()):
        raise ValueError(f"{file} {'lacks' if odd[0] in needed else 'has the unknown'} field {odd[0]!r}")
    arguments = {name: saved.pop(name) for name in further}
    return arguments | {"config": config(**saved)}


def read_config(file: Path) -> dict:
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is not a readable config: {error}") from error
    if not isinstance(saved, dict):
        raise ValueError(f"{file} is not a readable config: it holds a {type(saved).__name__}, not named fields")
    return saved


def name_of(part: object) -> str:
    """The full name of a class or a function, or of the class of anything else."""
    kind = part if inspect.isclass(part) or inspect.isroutine(part) else type(part)
    return f"{kind.__module__}.{kind.__qualname__}"


def load_saved_weights(model: nn.Module, file: Path) -> None:
    try:
        weights = load_file(file)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is not a readable safetensors file: {error}") from error
    load_weights(model, weights, str(file))


def load_weights(model: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    """Copies every weight; a missing, unknown or differently shaped one is a ValueError that names it.

    A shared weight has several names in the model; one of them is enough.
    """
    own = model.state_dict()
    shared = {(x.data_ptr(), x.shape): weights[name] for name, x in own.items() if name in weights and x.numel()}
    weights = {name: shared[key] for name, x in own.items() if (key := (x.data_ptr(), x.shape)) in shared} | weights
    for name in sorted(own.keys() | weights.keys()):
        if name not in weights:
            raise ValueError(f"{source} has no weight {name!r}, which the model needs")
        if name not in own:
            raise ValueError(f"{source} has the weight {name!r}, which the model does not know")
        if weights[name].shape != own[name].shape:
            shapes = f"{tuple(weights[name].shape)}, the model needs {tuple(own[name].shape)}"
            raise ValueError(f"{source} was made for another shape: {name!r} is {shapes}")
    model.load_state_dict(weights)
