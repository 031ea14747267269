"""MulT: the Multimodal Transformer (Tsai et al., ACL 2019), DMD's parent: cross-modal attention without decoupling."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from dmdlite.checking import known
from dmdlite.components.heads import ResidualHead
from dmdlite.components.losses import Labels
from dmdlite.components.reinforcement import CrossModalReinforcement
from dmdlite.components.streams import Language, Masks, Stream, TemporalConvolutions, Unconvolved, Vectors, concatenate
from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.models.base import ModelOutput, SavedModel
from dmdlite.models.official import mult as official

# fmt: off
OFFICIAL: dict[str, Any] = dict(  # main.py:29-50, src/models.py:15,41-43
    width=30, heads=5, layers=5, kernel_sizes=dict.fromkeys(MODALITIES, 1), convolve_equal_widths=False,
    language_dropout=0.25, embedding_dropout=0.25, feed_forward_dropout=0.1, residual_dropout=0.1, output_dropout=0.0,
    language_attention_dropout=0.1, audio_attention_dropout=0.0, memory_attention_dropout=0.1,
)
FILES: dict[str, dict[str, Any]] = {  # shapes of the unaligned features that the authors share, beside our defaults
    "mosi": dict(feature_widths=dict(language=300), lengths=dict(vision=500, audio=375)),
    "mosei": dict(feature_widths=dict(language=300, vision=35, audio=74), lengths=dict(vision=500, audio=500)),
}
# fmt: on


@dataclass(kw_only=True)
class MulTConfig(ModelConfig):
    """MulT's own choices, beside those that all models share."""

    later: ClassVar = "convolve_equal_widths"
    reinforcement: Literal["crossmodal", "none"] = "crossmodal"  # none: there is no cross-modal attention at all
    # Published: a stream whose features have the common width already stays as it is. Ours convolves every stream,
    # so that whether there is a convolution does not hang on a coincidence.
    convolve_equal_widths: bool = True

    @classmethod
    def official(cls, dataset: str = "mosei", **changes: Any) -> "MulTConfig":
        """What the published code computes with the options that `main.py` has when none is given.

        It sets `width`, `heads`, `layers`, `kernel_sizes`, the dropout rates and `convolve_equal_widths`; what else
        matters is our default already. For "mosi" and "mosei" these are the same: the data set decides only
        `feature_widths` and `lengths`, here those of the authors' unaligned files with 300 GloVe features for a word.
        The paper's Table 5 has other sizes for each data set, e.g. `width` 40, which the code nowhere sets.
        """
        shapes = FILES[known("dataset", dataset, FILES)]
        return cls().replace(**OFFICIAL, **shapes).replace(**changes)


@dataclass(repr=False)
class MulTOutput(ModelOutput):
    """The prediction, and the vectors that it is made from."""

    reinforced: Vectors = field(default_factory=dict)  # Z_{→m}: modality -> (batch, 2 · width), of two: (batch, width)


class MulT(SavedModel):
    """Temporal convolutions, six cross-modal encoders, a memory encoder for each modality, one residual head.

    With `MulTConfig.official` it is the published code (`yaohungt/Multimodal-Transformer`, src/models.py): predictions,
    L1 loss and gradients agree (tests/test_parity_mult.py), causal order, positions and dropouts are as there. By
    default it has the sizes, rates and kernels that all models share, so that a comparison is of ideas and not of
    sizes, and it convolves a stream of the common width, too (`convolve_equal_widths`).

    Ours alone: masks, with which the last step is the last real one (published: always step −1, which is real in the
    authors' files, padded on the left); models of two modalities; other tasks. Theirs alone: `--lonly` and its like,
    which enrich one modality only, and IEMOCAP's 8 outputs, a two-class softmax for each of four emotions; our
    "multilabel" task has one logit for each. Their recipe: Adam at 1e-3, batches of 24, at most 40 epochs, a gradient
    whose *norm* is clipped at 0.8 (ours clips entries), a tenth of the rate after 20 epochs without progress, and the
    epoch with the lowest validation loss.
    """

    published = official
    needs = 2, "attends across modalities"

    def __init__(self, config: MulTConfig):
        super().__init__(config)
        config = self.config
        self.temporal = TemporalConvolutions(config)
        if not config.convolve_equal_widths:
            same = [m for m in self.reads if config.feature_widths[m] == config.width]
            self.temporal.update({m: Unconvolved() for m in same})
        self.reinforce = CrossModalReinforcement(config, config.reinforcement == "crossmodal")
        joined = len(self.reads) * self.reinforce.width
        self.head = ResidualHead(joined, joined, config.output_dropout, config.num_logits)

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> MulTOutput:  # fmt: skip
        projected, masks = self.temporal(self.read(language, vision, audio, mask), mask)
        reinforced = self.reinforce(projected, masks)
        head = self.head(concatenate(reinforced))
        out = MulTOutput(head.prediction, fused=head.features, reinforced=reinforced)
        return self.supervised(out, labels)
