"""One modality on its own: the baseline that every multimodal model has to beat."""

from dmdlite.components import fast
from dmdlite.components.heads import ResidualHead
from dmdlite.components.losses import Labels
from dmdlite.components.streams import Language, Masks, Stream, TemporalConvolution
from dmdlite.components.transformer import SelfAttentionEncoders, encode_each
from dmdlite.config import ModelConfig
from dmdlite.models.base import ModelOutput, SavedModel


class Unimodal(SavedModel):
    """A temporal convolution, a self-attention encoder, its last step, a residual head: DMD's parts, for one stream.

    It is called like DMD; the other two streams are ignored and may be left out.
    """

    def __init__(self, config: ModelConfig, modality: str):
        if modality not in config.modalities:
            raise ValueError(f"modality must be one of {', '.join(config.modalities)}, got {modality!r}")
        super().__init__(config.replace(modalities=[modality]))
        self.modality, config = modality, self.config
        self.temporal = TemporalConvolution.from_config(config, modality)
        rates = [config.attention_rates[modality]]
        self.encoder = SelfAttentionEncoders(config, config.width, config.layers, rates, fast.TransformerLayer)
        self.head = ResidualHead(config.width, config.width, config.output_dropout, config.num_logits)

    def saved_fields(self) -> dict:
        return super().saved_fields() | {"modality": self.modality}

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> ModelOutput:  # fmt: skip
        stream = self.read(language, vision, audio, mask)[self.modality]
        real = None if mask is None else [self.temporal.kept_mask(mask[self.modality])]
        (read,) = encode_each(self.encoder, [self.temporal(stream)], masks=real)
        head = self.head(read.squeeze(1))
        out = ModelOutput(head.prediction, fused=head.features)
        return self.supervised(out, labels)
