"""The three streams: read (words by a language model), brought to one width, and pooled to one vector each."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dmdlite.components.fast import Dropout
from dmdlite.config import MODALITIES, ModelConfig

Stream = Float[Tensor, "batch _ _"]  # (batch, time, feature)
Language = Stream | Int[Tensor, "batch 3 _"]  # features, or (batch, 3, time): token ids, attention mask, segment ids
Streams = dict[str, Float[Tensor, "batch _ width"]]  # modality -> (batch, its own time, width)
Masks = dict[str, Bool[Tensor, "batch _"]]  # modality -> (batch, its own time), True at real steps
Vector = Float[Tensor, "batch _"]
Vectors = dict[str, Vector]  # modality -> (batch, width)


class LanguageEncoder(nn.Module):
    """Any encoder that transformers' AutoModel knows, fine-tuned or frozen (published: bert-base-uncased, fine-tuned).

    model: a name on the Hub or a local folder, whose weights are loaded; or the fields of a transformers config with
    its "model_type", for an untrained model without a download. Of an encoder and a decoder (BART, T5) only the encoder
    is used. Raises ValueError for what cannot be loaded or built, and for models that do not read words.
    """

    def __init__(self, model: str | dict[str, Any], trainable: bool):
        super().__init__()
        from transformers import AutoConfig, AutoModel  # 4 s of import, which ready-made features do not need

        try:
            if isinstance(model, str):
                self.model = AutoModel.from_pretrained(model, dtype=torch.float32)  # it may be stored in half precision
            else:
                self.model = AutoModel.from_config(AutoConfig.for_model(**model | {"dtype": "float32"}))
        except OSError as problem:
            text = f"language model {model!r} is neither a local folder nor a downloadable Hub model"
            raise ValueError(text) from problem
        except Exception as problem:  # transformers has many kinds
            reason = " ".join(str(problem).split())
            raise ValueError(f"language_model {model!r} cannot be built: {reason}") from problem
        self.fields = self.model.config.to_diff_dict()
        if self.model.config.is_encoder_decoder:
            self.model = self.model.get_encoder()
        self.trainable, mode = trainable, self.model.training
        self.model.requires_grad_(trainable)
        try:
            self.model.eval()  # no dropout, which would use up random numbers
            self.width = self(torch.tensor([[[1], [1], [0]]])).shape[2]
        except Exception as problem:
            raise ValueError(f"language_model {model!r} does not turn token ids into features") from problem
        self.model.train(mode)

    def train(self, mode: bool = True) -> "LanguageEncoder":
        """A frozen encoder stays in evaluation mode, so that its dropout is off."""
        return super().train(mode and self.trainable)

    def freeze(self, layers: int) -> None:
        """Keeps the weights of the first layers as they are; the embeddings go on learning."""
        for name, weight in self.named_parameters():
            if (layer := re.search(r"\blayers?\.(\d+)\.", name)) and int(layer[1]) < layers:
                weight.requires_grad_(False)

    def forward(self, tokens: Int[Tensor, "batch 3 time"]) -> Float[Tensor, "batch time feature"]:
        """tokens[:, 0] are ids, [:, 1] the attention mask, [:, 2] segment ids (MMSA's `text_bert`)."""
        ids, attention_mask, segments = tokens.unbind(dim=1)
        extra = {"token_type_ids": segments} if getattr(self.model.config, "type_vocab_size", 0) > 1 else {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trainable):
            return self.model(input_ids=ids, attention_mask=attention_mask, **extra).last_hidden_state


def resolve_language_model(config: ModelConfig) -> tuple[ModelConfig, LanguageEncoder | None]:
    """The encoder that `config.language_model` asks for, and the config with its architecture described in full.

    So a saved model loads without a download, and the width of the language features is the encoder's.
    """
    if config.language_model is None:
        return config, None
    encoder = LanguageEncoder(config.language_model, config.language_model_trainable)
    return config.replace(language_model=encoder.fields, feature_widths={"language": encoder.width}), encoder


class Scale(nn.Module):
    """(x − mean) / standard deviation of each feature; an all-zero step is padding and stays zero."""

    def __init__(self, width: int):
        super().__init__()
        self.mean, self.deviation = nn.Buffer(torch.zeros(width)), nn.Buffer(torch.ones(width))

    def forward(self, x: Stream) -> Stream:
        return (x - self.mean) / self.deviation * x.any(dim=2, keepdim=True)

    def learn(self, clips: Iterable[Float[np.ndarray, "time width"]]) -> None:
        """Takes both from all steps of these clips, read one by one; a constant feature becomes 0 everywhere."""
        from sklearn.preprocessing import StandardScaler  # 1 s of import

        scaler = StandardScaler()
        for steps in (x[x.any(axis=1)] for x in clips):
            if len(steps):
                scaler.partial_fit(steps.astype(np.float64))
        if hasattr(scaler, "mean_"):
            self.mean.copy_(torch.from_numpy(scaler.mean_))
            varies = np.isclose(scaler.scale_**2, scaler.var_, atol=0)  # scikit-learn gives a constant the scale 1
            self.deviation.copy_(torch.from_numpy(np.where(varies, scaler.scale_, np.inf)))


class StreamReader(nn.Module):
    """Checks the streams, encodes tokens if there is a language model, sets padding to zero if there is a mask, scales.

    scales: one for each modality with features, if `config.standardise`. They are saved with the weights.
    """

    def __init__(self, config: ModelConfig, encoder: LanguageEncoder | None, modalities: Sequence[str]):
        super().__init__()
        self.language_encoder, self.modalities = encoder, tuple(modalities)
        self.expected = {m: (config.lengths[m], config.feature_widths[m]) for m in modalities}
        self.language_dropout = Dropout(config.language_dropout)
        scaled = [m for m in modalities if config.standardise and not (m == "language" and encoder)]
        self.scales = nn.ModuleDict({m: Scale(config.feature_widths[m]) for m in scaled})

    def learn_scale(self, split: Any) -> None:
        """Takes the scales, if there are any, from a FeatureSplit: the training split."""
        for m, scale in self.scales.items():
            there = np.flatnonzero(split.present.get(m, np.ones(len(split))))
            scale.learn(split.stream(m)[i] for i in there)

    def forward(
        self, language: Language | None, vision: Stream | None, audio: Stream | None, mask: Masks | None
    ) -> dict[str, Stream]:
        """Raises ValueError for a stream that is missing or does not fit the config."""
        given = {"language": language, "vision": vision, "audio": audio}
        if absent := [m for m in self.modalities if given[m] is None]:
            raise ValueError(f"{absent[0]} is missing; this model reads {', '.join(self.modalities)}")
        streams = {m: given[m] for m in self.modalities}
        if self.language_encoder is not None:
            streams["language"] = self.language_encoder(language)
        for m, x in streams.items():
            if (size := tuple(x.shape[1:])) != self.expected[m]:
                raise ValueError(f"{m} has (time, width) {size}, the model was made for {self.expected[m]}")
        if mask is not None:
            streams = {m: x * mask[m][..., None] for m, x in streams.items()}
        streams |= {m: scale(streams[m]) for m, scale in self.scales.items()}
        return {m: self.language_dropout(x) if m == "language" else x for m, x in streams.items()}


class TemporalConvolution(nn.Conv1d):
    """A bias-free 1-D convolution over time that brings each modality to the common width d (X̃_m of the paper)."""

    def __init__(self, feature_width: int, width: int, kernel_size: int, padding: str):
        super().__init__(feature_width, width, kernel_size, padding=padding, bias=False)

    @classmethod
    def from_config(cls, config: ModelConfig, modality: str) -> "TemporalConvolution":
        feature_width, kernel_size = config.feature_widths[modality], config.kernel_sizes[modality]
        return cls(feature_width, config.width, kernel_size, config.convolution_padding)

    def forward(self, x: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch kept width"]:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)

    def kept_mask(self, mask: Bool[Tensor, "batch time"]) -> Bool[Tensor, "batch kept"]:
        """An output step is real when its window touches a real input step."""
        lost = self.kernel_size[0] - 1 if self.padding == "same" else 0
        padded = F.pad(mask.float(), (lost // 2, lost - lost // 2))
        return F.max_pool1d(padded[:, None], self.kernel_size[0], stride=1)[:, 0] > 0


class Unconvolved(nn.Identity):
    """Takes the convolution's place for a stream that has the common width already."""

    def kept_mask(self, mask: Bool[Tensor, "batch time"]) -> Bool[Tensor, "batch time"]:
        return mask


class TemporalConvolutions(nn.ModuleDict):
    """X̃_m of each modality, and which of its steps are real."""

    def __init__(self, config: ModelConfig, modalities: Sequence[str] = ()):
        super().__init__({m: TemporalConvolution.from_config(config, m) for m in modalities or config.modalities})

    def forward(self, streams: dict[str, Stream], mask: Masks | None) -> tuple[Streams, Masks | None]:
        masks = mask and {m: self[m].kept_mask(mask[m]) for m in streams}
        return {m: self[m](x) for m, x in streams.items()}, masks


def time_mean(x: Float[Tensor, "batch time width"], mask: Bool[Tensor, "batch time"] | None = None) -> Vector:
    """The mean over time, (batch, width); with a mask over the real steps (zero where none is real)."""
    if mask is None:
        return x.mean(dim=1)
    return (x * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp_min(1)


class TimeMeans(nn.Module):
    """The mean over time of each stream."""

    def forward(self, streams: Streams, masks: Masks | None) -> Vectors:
        return {m: time_mean(x, masks and masks[m]) for m, x in streams.items()}


class FlattenedProjections(nn.Module):
    """One linear map for each modality of all its time steps in a row; it ties the model to their number."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        width, times = config.width, config.lengths_after_convolution
        self.linear = nn.ModuleDict({m: nn.Linear(steps * width, width) for m, steps in times.items()})

    def forward(self, streams: Streams, masks: Masks | None) -> Vectors:
        return {m: linear(streams[m].flatten(1)) for m, linear in self.linear.items()}


def concatenate(vectors: Vectors) -> Vector:
    """One vector for each clip: language, vision and audio side by side, as far as they are there."""
    return torch.cat([vectors[m] for m in MODALITIES if m in vectors], dim=1)
