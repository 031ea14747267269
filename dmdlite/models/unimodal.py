"""One modality on its own: the baseline that every multimodal model has to beat."""

from jaxtyping import Float, Int, Num
from torch import Tensor

from dmdlite.components.heads import ResidualHead
from dmdlite.components.streams import Masks, StreamReader, TemporalConvolution
from dmdlite.components.transformer import SelfAttentionEncoders, encode_each
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.base import ModelOutput, SavedModel


class Unimodal(SavedModel):
    """A temporal convolution, a self-attention encoder, its last step, a residual head: DMD's pieces, for one stream.

    It is called like DMD; the other two streams are ignored and may be left out. Its widths, depths and rates are those
    of the config.
    """

    def __init__(self, config: DMDConfig, modality: str):
        super().__init__()
        if modality not in MODALITIES:
            raise ValueError(f"modality must be one of {', '.join(MODALITIES)}, got {modality!r}")
        self.modality, self.reads = modality, (modality,)
        self.read = StreamReader(config if modality == "language" else config.replace(language_model=None))
        self.config = config = self.read.config
        self.temporal = TemporalConvolution.from_config(config, modality)
        self.encoder = SelfAttentionEncoders(config, config.width, config.layers, [config.attention_rates[modality]])
        self.head = ResidualHead(config.width, config.width, config.output_dropout, config.logits)

    def saved_fields(self) -> dict:
        return super().saved_fields() | {"modality": self.modality}

    def forward(
        self,
        language: Float[Tensor, "batch _ _"] | Int[Tensor, "batch 3 _"] | None = None,
        vision: Float[Tensor, "batch _ _"] | None = None,
        audio: Float[Tensor, "batch _ _"] | None = None,
        labels: Num[Tensor, "batch *outputs"] | None = None,
        mask: Masks | None = None,
    ) -> ModelOutput:
        m = self.modality
        stream = self.read({m: {"language": language, "vision": vision, "audio": audio}[m]}, mask)[m]
        kept = None if mask is None else self.temporal.kept_mask(mask[m])
        (read,) = encode_each(self.encoder, [self.temporal(stream)], masks=None if kept is None else [kept])
        return ModelOutput(self.head(read.squeeze(1)).prediction).supervise(labels, self.config.task)
