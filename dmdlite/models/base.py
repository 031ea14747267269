"""What every model has in common: its output, and checkpoints that are read strictly and without trust."""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin
from huggingface_hub.constants import CONFIG_NAME
from huggingface_hub.errors import HFValidationError
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dmdlite.components.language import resolve_language_model
from dmdlite.components.losses import Labels, Logits, Loss, task_loss, total_loss
from dmdlite.components.streams import StreamReader, Vector
from dmdlite.config import MODALITIES, ModelConfig

WEIGHTS_NAME = "model.safetensors"


@dataclass(repr=False)
class ModelOutput:
    """What every model returns: fields by name, or out[0] (loss) and out[1] (prediction), as other libraries expect."""

    prediction: Logits
    loss: Loss | None = None  # None without labels
    losses: dict[str, Loss] = field(default_factory=dict)  # every term by name, before its weight
    edges: dict[str, Float[Tensor, "batch 3 3"]] = field(default_factory=dict)  # graph -> w[b, i, j]: i teaches j
    fused: Vector | None = None  # the vector of each clip that the prediction is made from

    def with_losses(self, terms: dict[str, Loss], weights: dict[str, float]) -> "ModelOutput":
        """The same output with the terms of the loss and their weighted sum."""
        return replace(self, losses=terms, loss=total_loss(terms, weights))

    def supervised(self, labels: Labels | None, task: str) -> "ModelOutput":
        """The same output with the task loss of the prediction as the whole loss; without labels there is none."""
        return (
            self if labels is None else self.with_losses({"task_final": task_loss(self.prediction, labels, task)}, {})
        )

    def to_dict(self) -> dict[str, Any]:
        """Nested dicts of tensors."""
        return _plain(self)

    def __getitem__(self, key: int | slice | str) -> Any:
        both = tuple(x for x in (self.loss, self.prediction) if x is not None)
        return getattr(self, key) if isinstance(key, str) else both[key]

    def __repr__(self) -> str:
        first = ", ".join(f"{x:.3g}" for x in self.prediction.detach().flatten()[:4].tolist())
        more = ", …" if self.prediction.numel() > 4 else ""
        loss = "no loss without labels" if self.loss is None else f"loss {self.loss:.4f}, {len(self.losses)} terms"
        others = [f.name for f in fields(self) if f.name not in ("prediction", "loss", "losses")]
        present = [name for name in others if getattr(self, name) is not None and getattr(self, name) != {}]
        shape = tuple(self.prediction.shape)
        return f"{type(self).__name__}: prediction {shape}: {first}{more}\n{loss}\nwith {', '.join(present)}"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if hasattr(value, "_asdict"):  # a NamedTuple
        value = value._asdict()
    return {name: _plain(entry) for name, entry in value.items()} if isinstance(value, dict) else value


MODEL_CARD = """---
{{ card_data }}
---

A model of the family of [DMD](https://arxiv.org/abs/2303.13802), made with dmdlite.
`from_pretrained` of its class reads this folder.
"""


class SavedModel(
    nn.Module, PyTorchModelHubMixin, library_name="dmdlite", license="mit", model_card_template=MODEL_CARD
):
    """A model that keeps its config as `config`, with `save_pretrained`, `from_pretrained` and `push_to_hub`.

    The annotation of the constructor's `config` says of which kind it is. `read` checks the streams, and encodes tokens
    if there is a language model: `config` then describes that model in full.
    """

    config: ModelConfig
    reads: tuple[str, ...] = MODALITIES  # the streams that `forward` needs

    def __init__(self, config: ModelConfig, modalities: Sequence[str] = MODALITIES):
        super().__init__()
        if "language" not in modalities:
            config = config.replace(language_model=None)
        self.config, encoder = resolve_language_model(config)
        self.read = StreamReader(self.config, encoder, modalities)

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
        file = Path(folder) / WEIGHTS_NAME
        load_weights(self, read_safetensors(file), str(file))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options):
        """The saved model in evaluation mode, from a folder or from the Hub.

        Raises ValueError in one sentence for a config that cannot be read, or weights that do not fit it.
        """
        folder = Path(pretrained_model_name_or_path)
        if folder.is_dir():
            for name in (CONFIG_NAME, WEIGHTS_NAME):
                if not (folder / name).is_file():
                    raise ValueError(f"{folder} holds no saved model: {name} is missing")
            check_saved_config(folder / CONFIG_NAME, cls)
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **options)
        except HFValidationError as error:
            raise ValueError(f"{folder} is neither a folder nor the name of a model on the Hub") from error

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options):
        # The mixin's own prints, and silently leaves missing weights at random (strict=False).
        hub_options = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        hub = {name: options.pop(name) for name in hub_options if name in options}
        device = options.pop("map_location", "cpu")
        if Path(model_id).is_dir():
            file = Path(model_id) / WEIGHTS_NAME
        else:
            from huggingface_hub import hf_hub_download

            file = hf_hub_download(model_id, WEIGHTS_NAME, **hub)
        model = cls(**options)
        load_weights(model, read_safetensors(file, device), str(file))
        return model.to(device).eval()


def config_kind(kind: type[SavedModel]) -> type[ModelConfig]:
    """The config that a model is made from: ModelConfig, or one that adds the numbers of the model."""
    return inspect.signature(kind).parameters["config"].annotation


def check_saved_config(file: Path, kind: type[SavedModel]) -> None:
    """Raises ValueError unless the file describes a model of this kind with every field of its config and no other."""
    saved = read_config(file)
    if own := saved.get("own_parts"):
        raise ValueError(
            f"{file} describes a model with its own {', '.join(own)}: make it with them, then `load_saved`"
        )
    if saved.get("model") != kind.__name__:
        raise ValueError(f"{file} describes the model {saved.get('model')!r}, not {kind.__name__}")
    arguments = inspect.signature(kind).parameters.values()
    needed = {f.name for f in fields(config_kind(kind))} | {"model"}
    needed |= {x.name for x in arguments if x.kind is x.POSITIONAL_OR_KEYWORD and x.name != "config"}
    if odd := sorted(needed ^ set(saved)):
        what = "lacks" if odd[0] in needed else "has the unknown"
        raise ValueError(f"{file} {what} field {odd[0]!r}")


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


def read_safetensors(file: str | Path, device: str = "cpu") -> dict[str, Tensor]:
    try:
        return load_file(file, device=device)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} is not a readable safetensors file: {error}") from error


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
