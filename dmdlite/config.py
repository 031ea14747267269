"""Every number a run depends on: what the model is (DMDConfig) and how it is trained (TrainingConfig).

Where the paper (CVPR 2023) and the published code disagree, the difference is one field of DMDConfig,
so that `official` and `paper` are two sets of values and never two branches of code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

MODALITIES = ("language", "vision", "audio")
SPACES = ("homogeneous", "heterogeneous")
SENTIMENT_RANGE = (-3.0, 3.0)

Matrix = list[list[float]]


def graph_prior(*edges: str, temperature: float = 0.25) -> Matrix:
    """Softmax over the six edges with 1 at the named ones, e.g. graph_prior("language->vision").

    Row is source, column is target; the diagonal is zero. Published code: run.py:143,155 (hand-set, not in the paper).
    """
    known = [f"{source}->{target}" for source in MODALITIES for target in MODALITIES if source != target]
    if unknown := set(edges) - set(known):
        raise ValueError(f"unknown edge {sorted(unknown)[0]!r}; an edge is one of {known}")
    strength = {edge: math.exp((edge in edges) / temperature) for edge in known}
    total = sum(strength.values())
    return [[strength.get(f"{source}->{target}", 0.0) / total for target in MODALITIES] for source in MODALITIES]


def loss_weights(
    lambda_1: float = 0.1, lambda_2: float = 0.05, gamma: float = 0.1, *, every_head: bool, only_logits: bool
) -> dict[str, float]:
    """Eq. (11) with Eq. (6) put in: L_task + λ1 (L_rec + L_cyc + γ (L_mar + L_ort)) + λ2 L_dtl, term by term.

    every_head: each of the eight predictions is supervised (published code), or the final one alone (paper).
    only_logits: L_dtl distils logits and nothing else (paper).
    """
    heads = {f"task_{space}_{modality}": float(every_head) for space in SPACES for modality in MODALITIES}
    decoupling = {"reconstruction": lambda_1, "cycle": lambda_1}
    decoupling |= {"margin": lambda_1 * gamma, "orthogonality": lambda_1 * gamma}
    extra = 0.0 if only_logits else lambda_2
    distillation = {f"gd_{space}_logit": lambda_2 for space in SPACES}
    distillation |= {f"gd_{space}_prior_penalty": extra for space in SPACES}
    distillation |= {"gd_homogeneous_representation": 0.0, "gd_heterogeneous_representation": extra}
    return {"task_final": 1.0, "task_common": float(every_head)} | heads | decoupling | distillation


@dataclass(frozen=True, kw_only=True)
class DMDConfig:
    """What the model is. Defaults are the published code's for CMU-MOSI, word-aligned.

    Make one with `official`, `paper` or `toy`; every field can be overridden by keyword there.
    A dict given for a dict field updates it: `official("mosi", loss_weights={"margin": 0.0})`.
    """

    # The data. `language` features may come from outside or from a language model (below).
    feature_widths: dict[str, int] = field(default_factory=lambda: dict(language=768, vision=20, audio=5))
    lengths: dict[str, int] = field(default_factory=lambda: dict(language=50, vision=50, audio=50))
    language_model: str | dict[str, Any] | None = None  # a Hub name, or the fields of its transformers config
    language_model_trainable: bool = True

    # The architecture.
    width: int = 50
    heads: int = 10
    layers: int = 4
    minimum_memory_layers: int = 3  # memory encoders have max(layers, this)
    kernel_sizes: dict[str, int] = field(default_factory=lambda: dict(language=5, vision=5, audio=5))
    convolution_padding: Literal["valid", "same"] = "valid"  # paper: time length is preserved
    causal_attention: bool = True  # paper, Eq. (10): no mask
    positions_skip_zeros: bool = True  # a step whose channel 0 is exactly zero gets no position; paper: every step has one
    common_branch: Literal["transformer", "time_mean"] = "transformer"  # paper: X^com is fused as it is
    fusion_gate: Literal["replaces", "scales"] = "replaces"  # σ(W h) in place of h; paper: an adaptive weight, σ(W h) ⊙ h

    # Dropout rates. The source modality decides the rate of a cross-modal attention.
    language_dropout: float = 0.5
    embedding_dropout: float = 0.2
    language_attention_dropout: float = 0.3
    vision_attention_dropout: float = 0.0
    audio_attention_dropout: float = 0.2
    memory_attention_dropout: float = 0.3
    feed_forward_dropout: float = 0.0
    residual_dropout: float = 0.0
    output_dropout: float = 0.5

    # The decoupling losses, Eqs. (2) to (5).
    reconstruction_norm: Literal["mean_square", "frobenius"] = "mean_square"  # paper: squared Frobenius norm
    orthogonality_over: Literal["per_sample", "over_channels", "over_batch"] = "per_sample"
    orthogonality_clamped: bool = True  # max(0, cos); paper: cos itself
    margin_features: Literal["aligned", "time_mean"] = "aligned"  # a linear map of the flattened X^com; paper: X^com itself
    margin_constant: float = 0.0  # paper: a constant α, whose value it does not give
    margin_per_label_distance: float = 0.15  # margin grows by this times |y_i − y_k|
    margin_classes: Literal["label", "seven"] = "label"  # same class: the same float label, or the same of 7 rounded ones
    margin_triplets: Literal["any_modality", "across_modalities"] = "any_modality"  # paper: S of Eq. (4)
    margin_average: Literal["anchors", "triplets"] = "anchors"  # paper: 1/|S| over all triplets

    # The graph distillation units, Eqs. (7) to (9); each dict has one entry for each space.
    graph_nodes: Literal["head", "features"] = "head"  # X_i of Eq. (8): a layer of the head, or the node feature itself
    graph_inputs: Literal["projected", "raw"] = "projected"  # [f(X), X] through a linear map first; paper: raw
    graph_widths: dict[str, int] = field(default_factory=lambda: dict(homogeneous=64, heterogeneous=32))
    graph_sharpness: float = 0.125  # factor on the edge scores before their softmax; paper: none
    graph_priors: dict[str, Matrix | None] = field(
        default_factory=lambda: dict(
            homogeneous=graph_prior("language->vision", "language->audio"),
            heterogeneous=graph_prior("language->vision", "language->audio", "vision->audio"),
        )
    )  # added to the learned edges; paper: none
    graph_prior_penalty: float = 10.0
    graph_representations: dict[str, Literal["attract", "repel"]] = field(
        default_factory=lambda: dict(homogeneous="attract", heterogeneous="repel")
    )
    graph_representation_scale: float = 10.0

    # The weight of every term in the total, Eq. (11).
    loss_weights: dict[str, float] = field(default_factory=lambda: loss_weights(every_head=True, only_logits=False))

    def __post_init__(self):
        check_config(self)

    def replace(self, **changes: Any) -> DMDConfig:
        """A copy with some fields changed; a dict updates a dict field."""
        names = {f.name for f in fields(self)}
        if unknown := set(changes) - names:
            raise ValueError(f"DMDConfig has no field {sorted(unknown)[0]!r}; it has {', '.join(sorted(names))}")
        merged = {
            name: {**getattr(self, name), **value}
            if isinstance(value, Mapping) and isinstance(getattr(self, name), dict)
            else value
            for name, value in changes.items()
        }
        return replace(self, **merged)

    def without_dropout(self) -> DMDConfig:
        """The same model with every dropout rate at 0, for demonstrations and exact comparisons."""
        return self.replace(**{f.name: 0.0 for f in fields(self) if f.name.endswith("_dropout")})

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, ready for JSON."""
        return asdict(self)

    @property
    def memory_layers(self) -> int:
        return max(self.layers, self.minimum_memory_layers)

    @property
    def kept_lengths(self) -> dict[str, int]:
        """Time steps that are left after the temporal convolution of each modality."""
        lost = {m: self.kernel_sizes[m] - 1 if self.convolution_padding == "valid" else 0 for m in MODALITIES}
        return {m: self.lengths[m] - lost[m] for m in MODALITIES}

    @classmethod
    def official(cls, dataset: str = "mosi", **changes: Any) -> DMDConfig:
        """What the published code computes on "mosi" or "mosei" (config/config.json:41-97), orthogonality repaired.

        The published orthogonality call fails on current PyTorch; `orthogonality_over="per_sample"` is its author's repair.
        """
        return cls().replace(**_DATASETS[_known("dataset", dataset, _DATASETS)]).replace(**changes)

    @classmethod
    def paper(cls, dataset: str = "mosi", **changes: Any) -> DMDConfig:
        """What the paper's equations say. Sizes, rates and kernels, which it leaves to a supplement, are `official`'s.

        Our readings where the paper is silent: X^com is averaged over time wherever a vector is needed (Eqs. 4, 8, fusion),
        α = 0.1, and classes are the seven rounded sentiments.
        """
        return cls.official(dataset).replace(**_PAPER).replace(**changes)

    @classmethod
    def toy(cls, **changes: Any) -> DMDConfig:
        """A small `official` for the toy world: trains on a laptop CPU in about a minute."""
        return cls().replace(**_TOY).replace(**changes)


_DATASETS: dict[str, dict[str, Any]] = {
    "mosi": {},
    "mosei": dict(
        feature_widths=dict(vision=35, audio=74),
        width=30,
        heads=6,
        kernel_sizes=dict(vision=3, audio=1),
        language_dropout=0.3,
        embedding_dropout=0.0,
        language_attention_dropout=0.4,
        audio_attention_dropout=0.0,
        memory_attention_dropout=0.4,
    ),
}

_PAPER: dict[str, Any] = dict(
    convolution_padding="same",
    causal_attention=False,
    positions_skip_zeros=False,
    common_branch="time_mean",
    fusion_gate="scales",
    reconstruction_norm="frobenius",
    orthogonality_clamped=False,
    margin_features="time_mean",
    margin_constant=0.1,
    margin_per_label_distance=0.0,
    margin_classes="seven",
    margin_triplets="across_modalities",
    margin_average="triplets",
    graph_nodes="features",
    graph_inputs="raw",
    graph_sharpness=1.0,
    graph_priors=dict(homogeneous=None, heterogeneous=None),
    loss_weights=loss_weights(every_head=False, only_logits=True),
)

_TOY: dict[str, Any] = dict(
    feature_widths=dict(language=16, vision=10, audio=6),
    lengths=dict(language=16, vision=60, audio=50),
    width=24,
    heads=4,
    layers=2,
    minimum_memory_layers=2,
    kernel_sizes=dict(language=1, vision=5, audio=5),
    language_dropout=0.2,
    embedding_dropout=0.1,
    language_attention_dropout=0.1,
    audio_attention_dropout=0.1,
    memory_attention_dropout=0.1,
    output_dropout=0.2,
)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained. Defaults suit the toy world; `official` is the published recipe."""

    epochs: int = 40  # at most
    batch_size: int = 32  # samples of one forward pass
    gradient_accumulation: int = 1  # forward passes for one optimizer step
    learning_rate: float = 2e-3  # Adam
    weight_decay: float = 0.0
    gradient_clip: float = 0.6  # largest absolute value of one gradient entry; 0 switches it off
    plateau_patience: int = 5  # epochs without a better validation MAE before the learning rate is halved
    plateau_factor: float = 0.5
    early_stopping_patience: int = 10  # epochs without a better validation MAE before training stops
    seed: int = 0
    bf16: bool = False
    padding_mask: bool = False  # tell the model which time steps are padding

    def __post_init__(self):
        for f in fields(self):
            value, kind = getattr(self, f.name), type(f.default)
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise ValueError(f"{f.name} must be of type {kind.__name__}, got {value!r}")
        for name in ("epochs", "batch_size", "gradient_accumulation", "plateau_patience", "early_stopping_patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("weight_decay", "gradient_clip", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if not 0 < self.plateau_factor < 1:
            raise ValueError(f"plateau_factor must be between 0 and 1, got {self.plateau_factor}")

    def replace(self, **changes: Any) -> TrainingConfig:
        """A copy with some fields changed."""
        names = {f.name for f in fields(self)}
        if unknown := set(changes) - names:
            raise ValueError(f"TrainingConfig has no field {sorted(unknown)[0]!r}; it has {', '.join(sorted(names))}")
        return replace(self, **changes)

    @classmethod
    def official(cls, **changes: Any) -> TrainingConfig:
        """The published recipe (config/config.json, trains/singleTask/DMD.py).

        It clips the sum of 10 micro-batch gradients at 0.6, which is 0.06 on their mean; it has no limit of epochs.
        Its bug of dropping the left-over micro-batches of each epoch is not copied.
        """
        recipe = dict(epochs=100, batch_size=16, gradient_accumulation=10, learning_rate=1e-4, gradient_clip=0.06)
        return cls(**(recipe | changes))


def check_config(config: DMDConfig) -> None:
    """Raises ValueError with one sentence on the first field that cannot be."""
    hints, defaults = get_type_hints(DMDConfig), DMDConfig.__dataclass_fields__
    for name, hint in hints.items():
        value, make = getattr(config, name), defaults[name].default_factory
        if make is not MISSING:
            _check_dict(name, value, set(make()))
            for key, entry in value.items():
                _check_value(f"{name}[{key!r}]", entry, get_args(hint)[1])
        else:
            _check_value(name, value, hint)
    if config.width % config.heads:
        raise ValueError(f"width must be a multiple of heads, got width {config.width} and {config.heads} heads")
    if config.width < 4:
        raise ValueError(f"width must be at least 4 (two sine and two cosine positions), got {config.width}")
    for m, kept in config.kept_lengths.items():
        if kept < 1:
            raise ValueError(f"lengths[{m!r}] is {config.lengths[m]}, shorter than its kernel of {config.kernel_sizes[m]}")


def _check_dict(name: str, value: Any, keys: set[str]) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a dict, got {value!r}")
    if odd := sorted(set(value) ^ keys):
        raise ValueError(f"{name} needs exactly the keys {', '.join(sorted(keys))}; {odd[0]!r} is off")


def _check_value(name: str, value: Any, hint: Any) -> None:
    if get_origin(hint) is Literal:
        _known(name, value, get_args(hint))
    elif hint is int:
        if type(value) is not int:
            raise ValueError(f"{name} must be a whole number, got {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    elif hint is float:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"{name} must be a number, got {value!r}")
        if name.endswith("_dropout") and not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value}")
    elif hint is bool and type(value) is not bool:
        raise ValueError(f"{name} must be true or false, got {value!r}")
    elif hint == Matrix | None and value is not None:
        if not isinstance(value, list) or [len(row) for row in value] != [3, 3, 3]:
            raise ValueError(f"{name} must be a 3 by 3 matrix, got {value!r}")


def _known(what: str, value: Any, choices: Iterable[Any]) -> Any:
    if value not in (choices := list(choices)):
        raise ValueError(f"{what} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value
