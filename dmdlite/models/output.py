"""What every model returns."""

from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from dmdlite.components.losses import Logits, Loss, total_loss
from dmdlite.components.streams import Vector


@dataclass(repr=False)
class ModelOutput:
    """What every model returns: fields by name, or out[0] (loss) and out[1] (prediction), as other libraries expect."""

    prediction: Logits
    loss: Loss | None = None  # None without labels
    losses: dict[str, Loss] = field(default_factory=dict)  # every term by name, before its weight
    edges: dict[str, Float[Tensor, "batch _ _"]] = field(default_factory=dict)  # graph -> w[b, i, j]: i teaches j
    fused: Vector | None = None  # the vector of each clip that the prediction is made from
    predictions: dict[str, Logits] = field(default_factory=dict)  # of each head, where there are several

    def with_losses(self, terms: dict[str, Loss], weights: dict[str, float]) -> "ModelOutput":
        """The same output with these terms and their weighted sum, Eq. (11)."""
        return replace(self, losses=terms, loss=total_loss(terms, weights))

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
