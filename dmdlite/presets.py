"""The values that the configs are made of: names, published sizes, the paper's choices, the toy's."""

import math
from typing import Any, Literal, get_args

MODALITIES = ("language", "vision", "audio")
SPACES = ("homogeneous", "heterogeneous")
SENTIMENT_RANGE = (-3.0, 3.0)
EDGES = [f"{source}->{target}" for source in MODALITIES for target in MODALITIES if source != target]
Matrix = list[list[float]]
TUNING_SEED = 1000  # of trials: one that no comparison is likely to use
Task = Literal["regression", "classification", "ordinal", "multilabel"]
TASKS: tuple[str, ...] = get_args(Task)


def graph_prior(*edges: str, temperature: float = 0.25) -> Matrix:
    """Softmax over the six edges with 1 at the named ones, e.g. graph_prior("language->vision").

    Row is source, column is target; the diagonal is zero. Published code: run.py:143,155 (hand-set, not in the paper).
    """
    if unknown := set(edges) - set(EDGES):
        raise ValueError(f"unknown edge {sorted(unknown)[0]!r}; an edge is one of {EDGES}")
    strength = {edge: math.exp((edge in edges) / temperature) for edge in EDGES}
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


PUBLISHED_PRIORS: dict[str, Matrix | None] = {
    "homogeneous": graph_prior("language->vision", "language->audio"),
    "heterogeneous": graph_prior("language->vision", "language->audio", "vision->audio"),
}

# fmt: off
MOSEI: dict[str, Any] = dict(
    width=30, heads=6, feature_widths=dict(vision=35, audio=74), kernel_sizes=dict(vision=3, audio=1),
    language_dropout=0.3, embedding_dropout=0.0,
    language_attention_dropout=0.4, audio_attention_dropout=0.0, memory_attention_dropout=0.4,
)
DATASETS: dict[str, dict[str, Any]] = {"mosi": {}, "mosei": MOSEI}
PAPER: dict[str, Any] = dict(
    convolution_padding="same", causal_attention=False, positions_skip_zeros=False,
    common_branch="time_mean", fusion_gate="scales", reconstruction_norm="frobenius", orthogonality_clamped=False,
    margin_features="time_mean", margin_constant=0.1, margin_per_label_distance=0.0,
    margin_classes="seven", margin_triplets="across_modalities", margin_average="triplets",
    graph_nodes="features", graph_inputs="raw", graph_sharpness=1.0, graph_priors=dict.fromkeys(SPACES),
    loss_weights=loss_weights(every_head=False, only_logits=True),
)
TOY: dict[str, Any] = dict(
    width=24, heads=4, layers=2, minimum_memory_layers=2, kernel_sizes=dict(language=1, vision=5, audio=5),
    feature_widths=dict(language=16, vision=10, audio=6), lengths=dict(language=16, vision=60, audio=50),
    language_dropout=0.2, embedding_dropout=0.1, output_dropout=0.2,
    language_attention_dropout=0.1, audio_attention_dropout=0.1, memory_attention_dropout=0.1,
)
SMALL: dict[str, Any] = TOY | dict(
    width=64, layers=1, minimum_memory_layers=1, kernel_sizes=dict.fromkeys(MODALITIES, 1),
    convolution_padding="same", causal_attention=False, positions_skip_zeros=False, reinforcement="none",
    common_branch="time_mean", fusion_gate="scales", margin_features="time_mean",
    standardise=True, members=5, line_share=0.75,
)
SVLIY: dict[str, Any] = dict(  # svliy/mmsa; fields of DHMDConfig
    dictionary_spaces=["heterogeneous"], dictionary_size=512, dictionary_start="xavier", dictionary_temperature=2.0,
    dictionary_input="sequence", dictionary_detached=True, dictionary_normalised=True, dictionary_in_fusion=True,
    common_in_fusion=False, common_branch="time_mean", margin_features="time_mean",
    lengths=dict(language=50, vision=500, audio=375),
)
SVLIY_SIMS: dict[str, Any] = dict(
    layers=2, feature_widths=dict(vision=177, audio=25), kernel_sizes=dict(vision=1, audio=1),
    lengths=dict(vision=232, audio=925), language_dropout=0.3, embedding_dropout=0.1, residual_dropout=0.2,
    output_dropout=0.1, language_attention_dropout=0.2, memory_attention_dropout=0.2, label_scale="sims",
)
SVLIY_DATASETS: dict[str, dict[str, Any]] = {
    "mosi": {}, "mosei": MOSEI | dict(width=50, heads=10, lengths=dict(audio=500)), "sims": SVLIY_SIMS,
}
# fmt: on
