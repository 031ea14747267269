"""Reading the three streams: the language encoder, the check against the config, padding, temporal convolutions."""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dmdlite.components.dropout import Dropout
from dmdlite.components.language import LanguageEncoder
from dmdlite.config import MODALITIES, DMDConfig

Streams = dict[str, Float[Tensor, "batch _ width"]]  # modality -> (batch, its own time, width)
Masks = dict[str, Bool[Tensor, "batch _"]]  # modality -> (batch, its own time), True at real steps


class StreamReader(nn.Module):
    """The streams as the model wants them. With a language model, language comes as token ids and leaves as features.

    `config` is the given one, with the language model described in full: a saved model loads without a download.
    """

    def __init__(self, config: DMDConfig):
        super().__init__()
        self.language_encoder = None
        if config.language_model is not None:
            self.language_encoder = encoder = LanguageEncoder(config.language_model, config.language_model_trainable)
            config = config.replace(language_model=encoder.description, feature_widths={"language": encoder.width})
        self.config = config
        self.language_dropout = Dropout(config.language_dropout)

    def forward(self, streams: dict[str, Tensor], mask: Masks | None) -> Streams:
        """Zero at padding if there is a mask. Raises ValueError where a stream does not fit the config."""
        if self.language_encoder is not None and "language" in streams:
            streams = streams | {"language": self.language_encoder(streams["language"])}
        for m, x in streams.items():
            expected = (self.config.lengths[m], self.config.feature_widths[m])
            if tuple(x.shape[1:]) != expected:
                raise ValueError(f"{m} has (time, width) {tuple(x.shape[1:])}, the model was made for {expected}")
        if mask is not None:
            streams = {m: x * mask[m][..., None] for m, x in streams.items()}
        return {m: self.language_dropout(x) if m == "language" else x for m, x in streams.items()}


class TemporalConvolution(nn.Conv1d):
    """A bias-free 1-D convolution over time that brings each modality to the common width d (X̃_m of the paper)."""

    def __init__(self, feature_width: int, width: int, kernel_size: int, padding: str):
        super().__init__(feature_width, width, kernel_size, padding=padding, bias=False)

    @classmethod
    def from_config(cls, config: DMDConfig, modality: str) -> "TemporalConvolution":
        sizes = config.feature_widths[modality], config.width, config.kernel_sizes[modality]
        return cls(*sizes, padding=config.convolution_padding)

    def forward(self, x: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch kept width"]:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)

    def kept_mask(self, mask: Bool[Tensor, "batch time"]) -> Bool[Tensor, "batch kept"]:
        """An output step is real when its window touches a real input step."""
        lost = self.kernel_size[0] - 1 if self.padding == "same" else 0
        padded = F.pad(mask.float(), (lost // 2, lost - lost // 2))
        return F.max_pool1d(padded[:, None], self.kernel_size[0], stride=1)[:, 0] > 0


class TemporalConvolutions(nn.ModuleDict):
    """X̃_m of each modality, and which of its steps are real."""

    def __init__(self, config: DMDConfig, modalities: Sequence[str] = MODALITIES):
        super().__init__({m: TemporalConvolution.from_config(config, m) for m in modalities})

    def forward(
        self, streams: dict[str, Float[Tensor, "batch _ _"]], mask: Masks | None
    ) -> tuple[Streams, Masks | None]:
        masks = mask and {m: self[m].kept_mask(mask[m]) for m in streams}
        return {m: self[m](x) for m, x in streams.items()}, masks
