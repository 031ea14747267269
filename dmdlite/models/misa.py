"""MISA: modality-invariant and -specific representations (Hazarika, Zimmermann, Poria; ACM Multimedia 2020)."""

from dataclasses import dataclass, field
from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from dmdlite.components.fast import Dropout
from dmdlite.components.losses import Labels, Loss, task_loss, whole_batch
from dmdlite.components.streams import Language, Masks, Stream, Streams, Vector, Vectors, time_mean
from dmdlite.config import ModelConfig
from dmdlite.models.base import ModelOutput, SavedModel

PUBLISHED = dict(similarity=1.0, difference=0.3, reconstruction=1.0)
TUNED = dict(similarity=0.3, difference=0.1, reconstruction=1.0)  # by MMSA, for CMU-MOSI
PUBLISHED_CLIPS, PUBLISHED_WIDTH = 64, 128  # of a batch, for CMU-MOSI; see `soft_orthogonality`


def constraint_weights(weights: dict[str, float] = TUNED) -> dict[str, float]:
    """The same weights, for losses whose size depends on neither batch nor width."""
    return weights | {"difference": weights["difference"] * (PUBLISHED_CLIPS / PUBLISHED_WIDTH) ** 2}


@dataclass(kw_only=True)
class MISAConfig(ModelConfig):
    """MISA's own numbers: the moments as published, the weights as tuned by MMSA."""

    moments: int = 5  # of the central moment discrepancy
    loss_weights: dict[str, float] = field(default_factory=lambda: {"task_final": 1.0} | constraint_weights())


@dataclass(repr=False)
class MISAOutput(ModelOutput):
    """The prediction, and the vectors that led to it: modality -> (batch, width)."""

    projected: Vectors = field(default_factory=dict)
    private: Vectors = field(default_factory=dict)  # modality-specific
    shared: Vectors = field(default_factory=dict)  # modality-invariant
    reconstruction: Vectors = field(default_factory=dict)


class MISA(SavedModel):
    """Each clip is three vectors from the start; each splits into a private and a shared one, and all are fused.

    As published (`src/models.py`, `src/solver.py`): every layer and the three losses. Not as published: the weights of
    the losses are MMSA's; width, heads and rates are those of the config that all models share (MISA: 128, 2 heads,
    0.1 in the transformer layer, 0.5 before the prediction); the inner layer of the transformer is four widths wide
    (2048); the task loss is L1 as in all models here, not the squared error; without a mask the recurrent layers read
    the padding as well.
    """

    needs = 2, "compares modalities"

    def __init__(self, config: MISAConfig):
        super().__init__(config.replace(language_dropout=0.0))
        config = self.config
        width, own = config.width, config.feature_widths
        sources = {m: own[m] if m == "language" else 4 * own[m] for m in config.modalities}
        self.recurrent = nn.ModuleDict({m: StackedLSTM(own[m]) for m in sources if m != "language"})
        self.project = nn.ModuleDict(
            {m: nn.Sequential(nn.Linear(x, width), nn.ReLU(), nn.LayerNorm(width)) for m, x in sources.items()}
        )
        self.private = nn.ModuleDict({m: nn.Sequential(nn.Linear(width, width), nn.Sigmoid()) for m in sources})
        self.shared = nn.Sequential(nn.Linear(width, width), nn.Sigmoid())
        self.reconstruct = nn.ModuleDict({m: nn.Linear(width, width) for m in sources})
        rate, six = config.memory_attention_dropout, 2 * len(sources) * width
        self.fuse = nn.TransformerEncoderLayer(width, config.heads, 4 * width, rate, batch_first=True)
        self.head = nn.Sequential(
            nn.Linear(six, six // 2), Dropout(config.output_dropout), nn.ReLU(), nn.Linear(six // 2, config.num_logits)
        )

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> MISAOutput:  # fmt: skip
        streams = self.read(language, vision, audio, mask)
        projected = {m: self.project[m](x) for m, x in self.utterances(streams, mask).items()}
        private = {m: self.private[m](x) for m, x in projected.items()}
        shared = {m: self.shared(x) for m, x in projected.items()}
        six = torch.stack([*private.values(), *shared.values()], dim=1)  # (batch, 6, width): a sequence of six steps
        fused = self.fuse(six).flatten(1)
        prediction = self.head(fused).squeeze(-1)  # a single number has no axis
        reconstruction = {m: self.reconstruct[m](private[m] + shared[m]) for m in shared}
        vectors = dict(projected=projected, private=private, shared=shared, reconstruction=reconstruction)
        out = MISAOutput(prediction, fused=fused, **vectors)
        return out if labels is None else out.with_losses(self.loss_terms(out, labels), self.config.loss_weights)

    def utterances(self, streams: Streams, mask: Masks | None) -> Vectors:
        """One vector for each stream: the mean of the word vectors, the final states of two recurrent layers."""
        readers = {"language": time_mean, **self.recurrent}
        return {m: readers[m](x, mask and mask[m]) for m, x in streams.items()}

    def loss_terms(self, out: MISAOutput, labels: Labels) -> dict[str, Loss]:
        return {
            "task_final": task_loss(out.prediction, labels, self.config.task, self.config.class_weights),
            "difference": difference_loss(out.private, out.shared),
            "similarity": similarity_loss(out.shared, self.config.moments),
            "reconstruction": reconstruction_loss(out.projected, out.reconstruction),
        }


class StackedLSTM(nn.Module):
    """Two bidirectional LSTM layers with a layer norm between; the final states of both layers, in both directions."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(2 * width)
        self.second = nn.LSTM(2 * width, width, batch_first=True, bidirectional=True)
        for name, weight in self.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(weight)  # as published

    def forward(
        self, x: Float[Tensor, "batch time width"], mask: Bool[Tensor, "batch time"] | None = None
    ) -> Float[Tensor, "batch 4*width"]:
        """With a mask the layers read the real steps alone; a stream without any is one step of zeros."""
        if mask is None:
            mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        real_first = mask.int().argsort(dim=1, descending=True, stable=True)
        x = (x * mask[..., None]).take_along_dim(real_first[..., None], dim=1)
        lengths = mask.sum(dim=1).clamp_min(1).cpu()
        steps, (first, _) = self.first(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        _, (second, _) = self.second(steps._replace(data=self.norm(steps.data)))
        return torch.cat([*first, *second], dim=1)


def similarity_loss(shared: Vectors, moments: int) -> Loss:
    """The central moment discrepancy of the shared vectors, averaged over the pairs of modalities."""
    pairs = list(combinations(shared.values(), 2))
    return sum(central_moment_discrepancy(x, y, moments) for x, y in pairs) / len(pairs)


def central_moment_discrepancy(x: Vector, y: Vector, moments: int) -> Loss:
    """CMD: ‖mean x − mean y‖ + Σ_{k=2..moments} ‖c_k(x) − c_k(y)‖, with the central moments c_k of each channel.

    It is zero when both batches have the same moments, whichever clip has which value. After a sigmoid all values lie
    in an interval of length 1, so the powers of that length by which CMD divides (Zellinger et al., 2017) are 1.
    """
    x, y = whole_batch(x), whole_batch(y)
    means = x.mean(dim=0), y.mean(dim=0)
    x, y = x - means[0], y - means[1]
    differences = [means[0] - means[1]] + [(x**k).mean(dim=0) - (y**k).mean(dim=0) for k in range(2, moments + 1)]
    return sum(torch.linalg.vector_norm(difference) for difference in differences)


def difference_loss(private: Vectors, shared: Vectors) -> Loss:
    """Soft orthogonality, summed over pairs: private and shared of each modality, and private of any two modalities."""
    pairs = [(private[m], shared[m]) for m in private] + list(combinations(private.values(), 2))
    return sum(soft_orthogonality(x, y) for x, y in pairs)


def soft_orthogonality(x: Vector, y: Vector) -> Loss:
    """‖Xᵀ Y / B‖²_F over B clips, which are centred and then of length 1 (the length held fixed); from 0 to 1.

    It is zero when no channel of one varies together with a channel of the other. The published code takes the mean of
    the squared entries of Xᵀ Y, which is (B / width)² times this: its weight of 0.3 means another thing for each size.
    """
    x, y = (clips - clips.mean(dim=0) for clips in (whole_batch(x), whole_batch(y)))
    x, y = (clips / (torch.linalg.vector_norm(clips, dim=1, keepdim=True).detach() + 1e-6) for clips in (x, y))
    return (x.mT @ y / len(x)).square().sum()


def reconstruction_loss(vectors: Vectors, reconstruction: Vectors) -> Loss:
    """The mean squared error of what private and shared vector together give back, averaged over the modalities."""
    return sum((vectors[m] - reconstruction[m]).square().mean() for m in vectors) / len(vectors)
