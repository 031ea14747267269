"""Every number a run depends on: what the model is (ModelConfig, DMDConfig) and how it is trained (TrainingConfig).

Where the paper (CVPR 2023) and the published code disagree, the difference is one field of DMDConfig,
so that `official` and `paper` are two sets of values and never two branches of code.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Self

from dmdlite import presets
from dmdlite.checking import Config, known
from dmdlite.presets import MODALITIES, SENTIMENT_RANGE, SPACES, Matrix, Task, graph_prior, loss_weights

__all__ = ["MODALITIES", "SENTIMENT_RANGE", "SPACES", "DMDConfig", "ModelConfig", "TrainingConfig", "graph_prior"]


@dataclass(kw_only=True)
class ModelConfig(Config):
    """What every system needs: the data, the task, the sizes, the dropout rates. A system's own numbers come on top.

    Defaults are the published code's for CMU-MOSI, word-aligned.
    """

    later: ClassVar = "modalities extractor label_scale class_names class_weights members line_share standardise"

    # The data. `language` features come from a file or from a language model (below).
    modalities: list[str] = field(default_factory=lambda: list(MODALITIES))  # those that are read
    feature_widths: dict[str, int] = field(default_factory=lambda: dict(language=768, vision=20, audio=5))
    lengths: dict[str, int] = field(default_factory=lambda: dict(language=50, vision=50, audio=50))
    extractor: str = ""  # what made the features from raw clips; those of another one are refused
    language_model: str | dict[str, Any] | None = None  # a Hub name, or the fields of its transformers config
    language_model_trainable: bool = True

    # The task. `outputs` counts classes or ordered levels, or the numbers of a regression; see components/losses.py.
    task: Task = "regression"
    outputs: int = 1
    label_scale: Literal["mosi", "sims", "other"] = "mosi"  # whose scores make sense; see training/metrics.py
    class_names: list[str] = field(default_factory=list)  # empty: classes are called by their numbers
    class_weights: list[float] = field(default_factory=list)  # of each class in the task loss; empty: all 1
    members: int = 1  # of an ensemble: models whose mean prediction counts
    line_share: float = 0.0  # of the prediction: how much of it a linear model of the time means says
    standardise: bool = False  # streams get mean 0 and standard deviation 1, those of the training split

    # The architecture. A comment "paper:" gives the paper's choice; the default is that of the published code.
    width: int = 50
    heads: int = 10  # of each attention
    layers: int = 4
    minimum_memory_layers: int = 3  # memory encoders have max(layers, this)
    kernel_sizes: dict[str, int] = field(default_factory=lambda: dict(language=5, vision=5, audio=5))
    convolution_padding: Literal["valid", "same"] = "valid"  # paper: the number of time steps is preserved
    causal_attention: bool = True  # no step sees a later one; paper, Eq. (10): no mask
    positions_skip_zeros: bool = True  # no position for a step whose channel 0 is exactly 0; paper: for every step

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
    loss_weights: dict[str, float] = field(default_factory=lambda: {"task_final": 1.0})  # of all terms in the loss

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "modalities", [m for m in MODALITIES if m in self.modalities])  # in one order
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, got width {self.width} and {self.heads} heads")
        if self.width < 4:
            raise ValueError(f"width must be at least 4 (two sine and two cosine positions), got {self.width}")
        if self.task in ("classification", "ordinal") and self.outputs < 2:
            raise ValueError(f"outputs must be at least 2 for {self.task}, got {self.outputs}")
        if self.class_weights and (self.task == "regression" or min(self.class_weights) < 0):
            raise ValueError("class_weights are for tasks with classes, and none is negative")
        for name in ("class_names", "class_weights"):
            if (count := len(getattr(self, name))) not in (0, self.outputs):
                raise ValueError(f"{name} has {count} entries, but there are {self.outputs} outputs")
        if not any(self.loss_weights.values()):
            raise ValueError("loss_weights are all zero: there is nothing to learn from")
        if short := {m: self.lengths[m] for m, steps in self.lengths_after_convolution.items() if steps < 1}:
            m, steps = next(iter(short.items()))
            advice = f"in Python kernel_sizes={short}, as an option --set 'kernel_sizes={json.dumps(short)}'"
            raise ValueError(f"lengths[{m!r}] is {steps}, shorter than its kernel of {self.kernel_sizes[m]}; {advice}")

    @classmethod
    def of(cls, config: "ModelConfig", **changes: Any) -> Self:
        """A config of this kind with the fields that both kinds share, and changes on top.

        Each system has its own loss terms: the weights of `config` are taken only if it has all of them.
        """
        own = cls()
        shared = {f.name: getattr(config, f.name) for f in fields(cls) if hasattr(config, f.name)}
        if not own.loss_weights.keys() >= shared["loss_weights"].keys():
            del shared["loss_weights"]
        return own.replace(**shared).replace(**changes)

    def without_dropout(self) -> Self:
        """The same model with every dropout rate at 0, for demonstrations and exact comparisons."""
        return self.replace(**{f.name: 0.0 for f in fields(self) if f.name.endswith("_dropout")})

    @property
    def num_logits(self) -> int:
        """The size of a head's output for one clip; see components/losses.py."""
        return self.outputs - (self.task == "ordinal")

    @property
    def memory_layers(self) -> int:
        return max(self.layers, self.minimum_memory_layers)

    @property
    def attention_rates(self) -> dict[str, float]:
        """The attention dropout of each modality as a source."""
        return {m: getattr(self, f"{m}_attention_dropout") for m in MODALITIES}

    @property
    def lengths_after_convolution(self) -> dict[str, int]:
        """Time steps that the temporal convolution of each modality leaves."""
        lost = {m: self.kernel_sizes[m] - 1 if self.convolution_padding == "valid" else 0 for m in self.modalities}
        return {m: self.lengths[m] - steps for m, steps in lost.items()}

    @classmethod
    def official(cls, dataset: str = "mosi", **changes: Any) -> Self:
        """What the published code computes on "mosi" or "mosei" (config/config.json:41-97), orthogonality repaired.

        The published orthogonality call fails on current PyTorch; "per_sample" is its author's repair.
        """
        return cls().replace(**presets.DATASETS[known("dataset", dataset, presets.DATASETS)]).replace(**changes)

    @classmethod
    def toy(cls, **changes: Any) -> Self:
        """A small `official` for the toy world: trains on a laptop CPU in about two minutes."""
        return cls().replace(**presets.TOY).replace(**changes)


@dataclass(kw_only=True)
class MarginConfig(ModelConfig):
    """The margin loss of Eq. (4), which DLF shares."""

    margin_constant: float = 0.0  # paper: a constant α, whose value it does not give
    margin_per_label_distance: float = 0.15  # the margin grows by this times |y_i − y_k|; paper: it does not
    margin_classes: Literal["label", "seven"] = "label"  # equal float labels are one class; paper: emotion classes
    margin_triplets: Literal["any_modality", "across_modalities"] = "any_modality"  # paper: the set S of Eq. (4)
    margin_average: Literal["anchors", "triplets"] = "anchors"  # a mean of each anchor's mean; paper: 1/|S|


@dataclass(kw_only=True)
class DMDConfig(MarginConfig):
    """What DMD is. Make one with `official`, `paper` or `toy`; keywords override single fields.

    A dict given for a dict field updates it: `official("mosi", loss_weights={"margin": 0.0})`.
    """

    decoupling: Literal["encoders", "none"] = "encoders"  # none: X^com = X^prt = X̃, the last row of the paper's Table 3
    reinforcement: Literal["crossmodal", "none"] = "crossmodal"  # none: no cross-modal attention, "w/o CA" of Table 3
    common_branch: Literal["transformer", "time_mean"] = "transformer"  # paper: X^com is fused as it is
    fusion_gate: Literal["replaces", "scales"] = "replaces"  # σ(W h) in place of h; paper: as a weight, σ(W h) ⊙ h

    # The decoupling losses, Eqs. (2) to (5), beside the margin's.
    reconstruction_norm: Literal["mean_square", "frobenius"] = "mean_square"  # paper: squared Frobenius norm
    orthogonality_over: Literal["per_sample", "over_channels", "over_batch"] = "per_sample"  # axes of one cosine
    orthogonality_clamped: bool = True  # max(0, cos); paper: cos itself
    margin_features: Literal["aligned", "time_mean"] = "aligned"  # X^com flattened and projected; paper: X^com itself

    # The graph distillation units, Eqs. (7) to (9); each dict has one entry for each space.
    graph_nodes: Literal["head", "features"] = "head"  # X_i is a layer of the head; paper: the feature itself
    graph_inputs: Literal["projected", "raw"] = "projected"  # linear maps of [f(X), X] first; paper: [f(X), X] itself
    graph_widths: dict[str, int] = field(default_factory=lambda: dict(homogeneous=64, heterogeneous=32))  # of the maps
    graph_sharpness: float = 0.125  # factor on the edge scores before their softmax; paper: 1
    # errors: no score, no prior; edges follow the task errors of the heads, our own rule (`EvidenceUnit`)
    edge_learning: Literal["published", "errors"] = "published"
    edge_sharpness: float = 16.0  # for "errors": the odds of a teacher against none are the error ratio to this power
    # Added to the learned edges, which are pulled towards it; row teaches column. Paper: none.
    graph_priors: dict[str, Matrix | None] = field(default_factory=lambda: deepcopy(presets.PUBLISHED_PRIORS))
    graph_prior_penalty: float = 10.0  # factor on ‖mean edges − prior‖²; paper: no such term (see loss_weights)
    # Whether the graph pulls representations together or pushes them apart, beside the logits. Paper: neither.
    graph_representations: dict[str, Literal["attract", "repel"]] = field(
        default_factory=lambda: dict(homogeneous="attract", heterogeneous="repel")
    )
    graph_representation_scale: float = 10.0

    # Eq. (11). Paper: one task loss, and only logits are distilled.
    loss_weights: dict[str, float] = field(default_factory=lambda: loss_weights(every_head=True, only_logits=False))

    @classmethod
    def small(cls, **changes: Any) -> Self:
        """For a few hundred clips: a line, corrected by five models; docs/own_data.md has what it reaches."""
        return cls().replace(**presets.SMALL).replace(**changes)

    @classmethod
    def paper(cls, dataset: str = "mosi", **changes: Any) -> Self:
        """What the paper's equations say. Sizes, rates and kernels, which it leaves to a supplement, are `official`'s.

        Our readings where the paper is silent: X^com is averaged over time wherever a vector is needed (Eqs. 4, 8,
        fusion), α = 0.1, and classes are the seven rounded sentiments.
        """
        return cls.official(dataset).replace(**presets.PAPER).replace(**changes)


@dataclass(kw_only=True)
class TrainingConfig(Config):
    """How a model is trained. Defaults suit the toy world; `official` is the published recipe."""

    epochs: int = 40  # at most
    batch_size: int = 32  # samples of one forward pass of one process
    gradient_accumulation: int = 1  # forward passes for one optimizer step
    optimizer: Literal["adam", "adamw"] | Callable = "adam"  # or a function from the model to an optimizer
    learning_rate: float = 2e-3
    learning_rates: dict[str, float] = field(default_factory=dict)  # other ones, by a part of a parameter's name
    weight_decay: float = 0.0
    scheduler: Literal["plateau", "cosine", "linear", "constant"] | Callable = "plateau"  # likewise of the optimizer
    warmup_epochs: int = 0  # in which the learning rates rise to their full values, in equal steps
    gradient_clip: float = 0.6  # largest absolute value of one gradient entry; 0 switches it off
    select_by: str = "error"  # what selects the best epoch on the validation split: the error, or a score of the task
    plateau_patience: int = 5  # epochs without a better one before the learning rate is halved
    plateau_factor: float = 0.5
    early_stopping_patience: int = 10  # epochs without a better one before training stops
    log_test: bool = False  # score the test split after each epoch, too: for `compare --audit`, never for choosing
    missing_rate: float = 0.0  # share of training clips that lack a modality; each keeps at least one
    seed: int = 0  # of the weights, of dropout and of the order of the clips
    bf16: bool = False
    compile: bool = False  # by torch.compile, with CUDA graphs on a GPU: pays off in long runs
    padding_mask: bool = False  # tell the model which time steps are padding

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("weight_decay", "gradient_clip"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 < self.plateau_factor < 1:
            raise ValueError(f"plateau_factor must be between 0 and 1, got {self.plateau_factor}")

    @classmethod
    def official(cls, **changes: Any) -> Self:
        """The published recipe (config/config.json, trains/singleTask/DMD.py).

        It adds up the gradients of 10 micro-batches and clips the running sum at 0.6 after each; here their mean is
        clipped once, at 0.06. It has no limit of epochs and drops the left-over micro-batches of each; ours keeps them.
        """
        recipe = dict(epochs=100, batch_size=16, gradient_accumulation=10, learning_rate=1e-4, gradient_clip=0.06)
        return cls(**(recipe | changes))

    @classmethod
    def small(cls, **changes: Any) -> Self:
        """The recipe that goes with `DMDConfig.small`."""
        return cls(**(dict(epochs=60, learning_rate=1e-3, weight_decay=1e-3, padding_mask=True) | changes))
