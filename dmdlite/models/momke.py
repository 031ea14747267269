"""MoMKE: Leveraging Knowledge of Modality Experts for Incomplete Multimodal Learning (Xu et al., ACM MM 2024)."""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmdlite.checking import known
from dmdlite.components import fast
from dmdlite.components.attention import AttentionMask, Linear, Target
from dmdlite.components.losses import Labels, Loss
from dmdlite.components.streams import Language, Masks, Stream, Streams, concatenate, time_mean
from dmdlite.components.transformer import encode_each
from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.models.base import ModelOutput, SavedModel
from dmdlite.models.official import momke as official
from dmdlite.models.saving import load_weights

MIXTURE = {"task_final": 1.0} | {f"task_{m}": 0.0 for m in MODALITIES}
EXPERTS = {"task_final": 0.0} | {f"task_{m}": 1.0 for m in MODALITIES}  # the weights of the losses in stage one
DATASETS: dict[str, dict[str, Any]] = {
    "mosi": {},
    "mosei": {},
    "iemocap_four": dict(task="classification", outputs=4),
    "iemocap_six": dict(task="classification", outputs=6),
}


@dataclass(kw_only=True)
class MoMKEConfig(ModelConfig):
    """MoMKE's own choices. `momke_experts` in the registry is stage one, `momke` goes on from its weights."""

    # experts: each expert reads its own modality, and its own head predicts; mixture: every expert reads every stream
    stage: Literal["experts", "mixture"] = "mixture"
    # What attention runs over. Published: the utterances of a dialogue, each a mean of its features and with a label of
    # its own. A clip here has one label, and streams of different lengths. time_steps: over the steps of a stream, and
    # the clip is the mean of their experts' outputs. time_mean: over a single step, the mean of the features, as a
    # published dialogue of one utterance; six times as fast, but its toy error is 10 and 19 % larger (two seeds).
    clip_reader: Literal["time_steps", "time_mean"] = "time_steps"
    regression_error: Literal["absolute", "squared"] = "absolute"  # as in all models here; published: squared
    loss_weights: dict[str, float] = field(default_factory=lambda: dict(MIXTURE))

    @classmethod
    def official(cls, dataset: str = "mosi", **changes: Any) -> "MoMKEConfig":
        """What the published code computes on "mosi", "mosei", "iemocap_four" or "iemocap_six", clip by clip.

        Not the default are `clip_reader` "time_mean", `regression_error`, `width` 256 and `heads` 2 (from its
        run_MoMKE_cmumosi.sh; train_MoMKE.py:203-207 has other defaults); dropout of 0.5 behind the first linear maps
        (`embedding_dropout`) and in experts and routers (`feed_forward_dropout`), as before the head, and none of the
        attention maps (`memory_attention_dropout`); `feature_widths`, those of GCNet's features, which it takes from
        the data; `kernel_sizes` of 1, because nothing is convolved; and for IEMOCAP `task` and `outputs`.

        The published recipe is `TrainingConfig(epochs=150, batch_size=32, learning_rate=1e-4, weight_decay=1e-5,
        gradient_clip=0)` for each stage, on CMU-MOSEI 50 epochs, on IEMOCAP 100 with batches of 16.
        """
        published = dict(clip_reader="time_mean", regression_error="squared", width=256, heads=2)
        published |= dict(embedding_dropout=0.5, feed_forward_dropout=0.5, memory_attention_dropout=0.0)
        published |= dict(feature_widths=dict(language=1024, vision=1024, audio=512))
        published |= dict(kernel_sizes=dict.fromkeys(MODALITIES, 1)) | DATASETS[known("dataset", dataset, DATASETS)]
        return cls().replace(**published).replace(**changes)


@dataclass(repr=False)
class MoMKEOutput(ModelOutput):
    """The prediction, and what it is made from; the dicts are by modality, and those of the other stage empty.

    Stage one has the predictions of each expert alone, stage two the fields below.
    """

    mixtures: Streams = field(default_factory=dict)  # the experts' output for each step, zero where there is nothing
    shares: dict[str, Float[Tensor, "batch _ expert"]] = field(default_factory=dict)  # of the experts in it, sum 1


class MoMKE(SavedModel):
    """One expert for each modality, trained alone; then all of them read every stream, and routers mix their answers.

    So the expert of a missing modality still has a say, about the other streams. A missing stream itself is zero in the
    mixture: one whose mask is false everywhere or, without masks, one of zeros alone.

    As published (MoMKE/model_expert_softmoe.py, modules/Attention_softmoe.py): every layer and its fresh weights, where
    dropout acts, the losses of both stages, and that stage two trains all weights further. Not as published are sizes
    and rates, which all models here share, and the fields of `MoMKEConfig`; `official` makes them so, but no clip
    attends to others of its dialogue. Three differences no field switches. Stage two starts from the best epoch of
    stage one, by the mean prediction of the heads on validation clips, with a fresh optimizer; the published code goes
    on from the last one (copying from better ones has no effect there, train_MoMKE.py:336-358). It chooses its final
    epoch by the test clips (370-378). And it trains seven models, one for each set of modalities at test time, which
    alone stage two gets in training, too (utils.py:134-150); ours is one for all, trained with a `missing_rate`.
    """

    published = official
    needs = 2, "mixes the experts of several modalities"

    def __init__(self, config: MoMKEConfig):
        super().__init__(config.replace(language_dropout=0.0))
        config = self.config
        width, rate, count = config.width, config.feed_forward_dropout, len(self.reads)
        self.project = nn.ModuleDict({m: nn.Linear(config.feature_widths[m], width) for m in self.reads})
        self.embedding_dropout = fast.Dropout(config.embedding_dropout)
        self.experts = Experts(config, count)
        self.heads = nn.ModuleDict({m: nn.Linear(width, config.num_logits) for m in self.reads})  # of stage one
        self.routers = nn.ModuleDict({m: Router(width, count, rate) for m in self.reads})
        self.join, self.output_dropout = nn.Linear(count * width, count * width), fast.Dropout(config.output_dropout)
        self.head = nn.Linear(count * width, config.num_logits)

    def learn_from(self, teacher: "MoMKE") -> "MoMKE":
        """Takes over the weights of stage one. Raises ValueError if they do not fit."""
        load_weights(self, teacher.state_dict(), "the model of stage one")
        return self

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> MoMKEOutput:  # fmt: skip
        streams = self.read(language, vision, audio, mask)
        real = {m: mask[m] for m in streams} if mask else self.not_zero(streams, language)
        if self.config.clip_reader == "time_mean":
            streams = {m: time_mean(x, real[m])[:, None] for m, x in streams.items()}
            real = {m: steps.any(dim=1, keepdim=True) for m, steps in real.items()}
        x = {m: self.embedding_dropout(self.project[m](x)) for m, x in streams.items()}
        out = self.ask_own(x, real) if self.config.stage == "experts" else self.ask_all(x, real)
        return out if labels is None else out.with_losses(self.loss_terms(out, labels, real), self.loss_weights)

    def not_zero(self, streams: Streams, language: Language) -> Masks:
        """The steps that hold anything; of token ids those that are attended to."""
        found = {m: x.any(dim=2) for m, x in streams.items()}
        return found if self.read.language_encoder is None else found | {"language": language[:, 1] > 0}

    def ask_own(self, x: Streams, real: Masks) -> MoMKEOutput:
        """Stage one: each expert reads its own stream. The prediction is the mean of those that there are."""
        answers = dict(zip(x, encode_each(self.experts, list(x.values()), masks=list(real.values()))))
        vectors = {m: time_mean(answer, real[m]) for m, answer in answers.items()}
        each = torch.stack([self.heads[m](vector) for m, vector in vectors.items()], dim=1)
        there = torch.stack([steps.any(dim=1) for steps in real.values()], dim=1)
        predictions = dict(zip(x, each.squeeze(-1).unbind(dim=1)))  # a single number has no axis
        return MoMKEOutput(time_mean(each, there).squeeze(-1), fused=concatenate(vectors), predictions=predictions)

    def ask_all(self, x: Streams, real: Masks) -> MoMKEOutput:
        """Stage two: all experts read each stream, and its router mixes what they say, step by step."""
        shares = {m: self.routers[m](steps).softmax(dim=2) for m, steps in x.items()}
        mixtures = {}
        for m, steps in x.items():
            answers = encode_each(self.experts, [steps] * len(x), masks=[real[m]] * len(x))
            mixtures[m] = torch.einsum("ebtd,bte->btd", torch.stack(list(answers)), shares[m]) * real[m][..., None]
        hidden = self.fuse(concatenate({m: time_mean(mixture, real[m]) for m, mixture in mixtures.items()}))
        return MoMKEOutput(self.head(hidden).squeeze(-1), fused=hidden, mixtures=mixtures, shares=shares)

    def fuse(self, joint: Float[Tensor, "batch *time joint"]) -> Float[Tensor, "batch *time joint"]:
        """x + ReLU(W x) of the mixtures side by side."""
        return joint + self.output_dropout(F.relu(self.join(joint)))

    def loss_terms(self, out: MoMKEOutput, labels: Labels, real: Masks) -> dict[str, Loss]:
        """The task losses by name. An expert learns from the clips that have its modality."""
        terms = {"task_final": self.task_loss(out.prediction, labels)}
        for m, prediction in out.predictions.items():
            there = real[m].any(dim=1)
            nothing = 0 * prediction.sum()
            terms[f"task_{m}"] = self.task_loss(prediction[there], labels[there]) if there.any() else nothing
        return terms


class Experts(nn.Module):
    """Stacks of attention layers, one for each modality, side by side: `encode_each` gives each a stream."""

    causal = False  # every step sees every real one

    def __init__(self, config: ModelConfig, count: int):
        super().__init__()
        self.layers = nn.ModuleList(ExpertLayer(config, count) for _ in range(config.layers))
        for weight in self.parameters():
            nn.init.uniform_(weight, -(config.width**-0.5), config.width**-0.5)  # as published: those of nn.Linear

    def forward(self, x: Target, mask: AttentionMask) -> Target:
        for layer in self.layers:
            x = layer(x, mask)
        return x


class ExpertLayer(nn.Module):
    """x + a + W₂ GELU(W₁ a) with the answer a of the attention: no layer norm, and no linear map of a."""

    def __init__(self, config: ModelConfig, count: int):
        super().__init__()
        width = config.width
        self.attention = fast.MultiHeadAttention(width, config.heads, [config.memory_attention_dropout] * count)
        self.attention.output = nn.Identity()
        self.expand, self.contract = Linear(width, width, count), Linear(width, width, count)
        self.dropout = fast.Dropout(config.feed_forward_dropout)

    def forward(self, x: Target, mask: AttentionMask) -> Target:
        answer = self.attention(x, x, x, mask)
        return x + answer + self.dropout(self.contract(self.dropout(F.gelu(self.expand(answer)))))


class Router(nn.Sequential):
    """The scores of the experts for each step of a stream; their softmax are the shares."""

    def __init__(self, width: int, experts: int, rate: float):
        scores = nn.Linear(width, experts)
        super().__init__(nn.Linear(width, width), nn.GELU(), fast.Dropout(rate), scores, fast.Dropout(rate))
