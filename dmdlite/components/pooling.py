"""From a stream to one vector: the last step, the mean over time, a projection of all steps."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dmdlite.components.streams import Masks, Streams
from dmdlite.config import MODALITIES, DMDConfig

Vector = Float[Tensor, "batch _"]
Vectors = dict[str, Vector]  # modality -> (batch, width)


def last_step(
    x: Float[Tensor, "*batch time width"], mask: Bool[Tensor, "*#batch time"] | None = None
) -> Float[Tensor, "*batch 1 width"]:
    """The last time step, or with a mask each clip's last real one (the very last where none is real).

    The published code takes step −1 always, which is padding for short clips.
    """
    if mask is None:
        return x[..., -1:, :]
    last = torch.where(mask, torch.arange(x.shape[-2], device=x.device), -1).amax(dim=-1) % x.shape[-2]
    return x.take_along_dim(last[..., None, None], dim=-2)


def time_mean(
    x: Float[Tensor, "batch time width"], mask: Bool[Tensor, "batch time"] | None = None
) -> Float[Tensor, "batch width"]:
    """The mean over time, or with a mask over real steps (zero where none is real)."""
    if mask is None:
        return x.mean(dim=1)
    return (x * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp_min(1)


class TimeMeans(nn.Module):
    """The mean over time of each stream."""

    def forward(self, streams: Streams, masks: Masks | None) -> Vectors:
        return {m: time_mean(x, masks and masks[m]) for m, x in streams.items()}


class FlattenedProjections(nn.Module):
    """One linear map for each modality of all its time steps in a row; it ties the model to their number."""

    def __init__(self, config: DMDConfig):
        super().__init__()
        width, times = config.width, config.kept_lengths
        self.linear = nn.ModuleDict({m: nn.Linear(times[m] * width, width) for m in MODALITIES})

    def forward(self, streams: Streams, masks: Masks | None) -> Vectors:
        return {m: linear(streams[m].flatten(1)) for m, linear in self.linear.items()}
