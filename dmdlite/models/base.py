"""What every model has in common: its output, and checkpoints that are read strictly and without trust."""

import inspect
import json
from dataclasses import dataclass, field, fields
from pathlib import Path

from huggingface_hub import PyTorchModelHubMixin
from huggingface_hub.constants import CONFIG_NAME
from huggingface_hub.errors import HFValidationError
from jaxtyping import Float, Num
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dmdlite.components.tasks import Logits, task_loss
from dmdlite.config import MODALITIES, DMDConfig


@dataclass
class ModelOutput:
    """What every model returns."""

    prediction: Logits
    loss: Float[Tensor, ""] | None = None  # None without labels
    losses: dict[str, Float[Tensor, ""]] = field(default_factory=dict)  # every term by name, before its weight
    edges: dict[str, Float[Tensor, "batch 3 3"]] = field(default_factory=dict)  # graph -> w[b, i, j]: i teaches j

    def add_up(self, weights: dict[str, float]) -> "ModelOutput":
        """The weighted sum of the terms becomes the loss. Weight zero leaves a term out; one without a weight counts 1.

        Raises ValueError for a weight whose term is not there.
        """
        if absent := [name for name, weight in weights.items() if weight and name not in self.losses]:
            raise ValueError(f"nothing gives the term {absent[0]!r} of the loss; set its weight in loss_weights to 0")
        weights = weights | {name: 1.0 for name in self.losses if name not in weights}
        self.loss = sum(weight * self.losses[name] for name, weight in weights.items() if weight)
        return self

    def supervise(self, labels: Num[Tensor, "batch *outputs"] | None, task: str) -> "ModelOutput":
        """The task loss of the prediction, and nothing else, becomes the loss; without labels there is none."""
        if labels is None:
            return self
        self.losses = {"task_final": task_loss(self.prediction, labels, task)}
        return self.add_up({"task_final": 1.0})


MODEL_CARD = """---
{{ card_data }}
---

A model of the family of [DMD](https://arxiv.org/abs/2303.13802), made with dmdlite.
`from_pretrained` of its class reads this folder.
"""


class SavedModel(
    nn.Module, PyTorchModelHubMixin, library_name="dmdlite", license="mit", model_card_template=MODEL_CARD
):
    """`save_pretrained`, `from_pretrained` and `push_to_hub` for a model that keeps its config as `config`.

    The annotation of the constructor's `config` says of which kind it is.
    """

    config: DMDConfig
    reads: tuple[str, ...] = MODALITIES  # the streams that `forward` needs

    def update_evidence(self, out: ModelOutput, labels: Num[Tensor, "batch *outputs"]) -> None:
        """Called after each forward pass in training, for a model that keeps statistics of its batches."""

    def saved_fields(self) -> dict:
        """What config.json holds: the fields of the config and further arguments of the constructor, if any."""
        return {"model": type(self).__name__, **self.config.to_dict()}

    def save_pretrained(self, save_directory: str | Path, **options) -> str | None:
        return super().save_pretrained(save_directory, config=self.saved_fields(), **options)

    def load_saved(self, folder: str | Path) -> None:
        """Takes over saved weights. For a model with parts of somebody's own, which `from_pretrained` cannot make.

        Raises ValueError in one sentence if the folder holds another model, or weights that do not fit.
        """
        saved, own = read_config(Path(folder) / CONFIG_NAME), json.loads(json.dumps(self.saved_fields()))
        if other := sorted(name for name in saved.keys() | own.keys() if saved.get(name) != own.get(name)):
            raise ValueError(f"{folder} holds another model: {other[0]!r} is not as in this one")
        file = Path(folder) / "model.safetensors"
        load_weights(self, read_safetensors(file), str(file))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options):
        """The saved model in evaluation mode, from a folder or from the Hub.

        Raises ValueError in one sentence for a config that cannot be read, or weights that do not fit it.
        """
        folder = Path(pretrained_model_name_or_path)
        if folder.is_dir():
            for name in (CONFIG_NAME, "model.safetensors"):
                if not (folder / name).is_file():
                    raise ValueError(f"{folder} holds no saved model: {name} is missing")
            check_saved_config(folder / CONFIG_NAME, cls)
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **options)
        except HFValidationError as error:
            raise ValueError(f"{folder} is neither a folder nor the name of a model on the Hub") from error

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options):
        # The mixin's own would print, and would leave absent weights at random without a word (strict=False).
        hub_options = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        hub = {name: options.pop(name) for name in hub_options if name in options}
        device = options.pop("map_location", "cpu")
        if Path(model_id).is_dir():
            file = Path(model_id) / "model.safetensors"
        else:
            from huggingface_hub import hf_hub_download

            file = hf_hub_download(model_id, "model.safetensors", **hub)
        model = cls(**options)
        load_weights(model, read_safetensors(file, device), str(file))
        return model.to(device).eval()


def config_kind(kind: type[SavedModel]) -> type[DMDConfig]:
    """The config that a model is made from: DMDConfig, or one that adds the model's own numbers to it."""
    return inspect.signature(kind).parameters["config"].annotation


def check_saved_config(file: Path, kind: type[SavedModel]) -> None:
    """Raises ValueError unless the file holds each field of its config, nothing unknown, and a model of this kind."""
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

    Of a shared weight, which has several names in the model, one name is enough.
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
