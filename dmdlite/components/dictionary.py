"""Cross-modal dictionary matching: what DHMD adds to DMD.

We could not obtain its paper; its abstract mentions a shared dictionary space, activations, and matching across
modalities, the words of FDT (Chen et al., CVPR 2023; `prototype/model/clip_fdt.py`), which the lookup follows.
"""

import math
from collections.abc import Sequence
from itertools import combinations, permutations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dmdlite.components.losses import Labels, Loss, margin_contrastive_loss, whole_batch
from dmdlite.components.streams import Masks, Streams, time_mean
from dmdlite.config import MODALITIES, DMDConfig

Scores = Float[Tensor, "*batch atom"]
LEAST_CONTRAST = 0.01  # lower bound on the temperature of the contrastive loss, as in FDT


class Lookup(NamedTuple):
    scores: Float[Tensor, "batch atom"]  # r
    activations: Float[Tensor, "batch atom"]  # w: none negative, sum 1
    features: Float[Tensor, "batch width"]  # z = Σ_i w_i c_i, or its direction


Found = dict[str, Lookup]  # by modality


class Dictionary(nn.Module):
    """Learned atoms c_i, shared by all modalities; each modality looks them up through its own query map q_m.

    FDT: s_ti = ⟨q_m(x_t), c_i⟩ / (√d τ), r_i = max_t s_ti, w = sparsemax(r), z = Σ_i w_i c_i; atoms start at N(0, 1).
    Ours: pooling leaves padding out, where FDT scores it 0; top-k as a third activation.
    start: "normal", or "xavier" for N(0, 2 / (size + width)). normalised: z is divided by its length.
    """

    def __init__(
        self, width: int, size: int, pooling: str, activation: str, temperature: float = 1.0, top_k: int = 8,
        modalities: Sequence[str] = MODALITIES, start: str = "normal", normalised: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.atoms = nn.Parameter(torch.randn(size, width))
        if start == "xavier":
            nn.init.xavier_normal_(self.atoms)
        self.queries = nn.ModuleDict({m: query_map(width) for m in modalities})
        self.pooling, self.activation, self.top_k, self.normalised = pooling, activation, top_k, normalised
        self.scale = 1 / (math.sqrt(width) * temperature)

    def forward(self, streams: Streams, masks: Masks | None = None) -> Found:
        """A vector counts as a stream of one step. masks[m] is True at the real steps of modality m."""
        return {m: self.look_up(self.step_scores(m, x), masks and masks[m]) for m, x in streams.items()}

    def step_scores(self, modality: str, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time atom"]:
        """s_ti: how well each step fits each atom."""
        return self.scale * torch.einsum("btd,nd->btn", self.queries[modality](x), self.atoms)

    def look_up(self, steps: Float[Tensor, "batch time atom"], mask: Bool[Tensor, "batch time"] | None) -> Lookup:
        scores = pool(steps, mask, self.pooling)
        activations = activate(scores, self.activation, self.top_k)
        features = activations @ self.atoms
        return Lookup(scores, activations, F.normalize(features, dim=-1) if self.normalised else features)

    def extra_repr(self) -> str:
        return "atoms={}, width={}".format(*self.atoms.shape)


def query_map(width: int) -> nn.Sequential:
    """q of FDT."""
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, width)
    )


def pool(steps: Float[Tensor, "batch time atom"], mask: Bool[Tensor, "batch time"] | None, pooling: str) -> Scores:
    """One score for each atom: "max", "mean" or "sum" over the real steps, and 0 where no step is real."""
    if pooling == "mean":
        return time_mean(steps, mask)
    real = torch.ones_like(steps[..., :1], dtype=torch.bool) if mask is None else mask[..., None]
    if pooling == "sum":
        return (steps * real).sum(dim=1)
    return steps.masked_fill(~real, -torch.inf).amax(dim=1).where(real.any(dim=1), 0.0)


def activate(scores: Scores, activation: str, top_k: int = 8) -> Scores:
    """Shares of the atoms, none negative, sum 1: "sparsemax", "softmax", or "top_k", the softmax of the k highest."""
    if activation == "sparsemax":
        return sparsemax(scores)
    if activation == "top_k":
        highest, places = scores.topk(min(top_k, scores.shape[-1]), dim=-1)
        return torch.zeros_like(scores).scatter(-1, places, highest.softmax(dim=-1))
    return scores.softmax(dim=-1)


def sparsemax(scores: Scores) -> Scores:
    """The point of the simplex that is nearest to the scores (Martins and Astudillo, ICML 2016, Algorithm 1).

    max(0, score − τ), with the τ that makes the sum 1; most entries are exactly 0.
    """
    ordered = scores.sort(dim=-1, descending=True).values
    excess = ordered.cumsum(dim=-1) - 1
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device)
    support = (count * ordered > excess).sum(dim=-1, keepdim=True)  # how many of the highest stay above τ
    threshold = excess.gather(-1, support - 1) / support
    return (scores - threshold).clamp_min(0)


class ContrastiveMatching(nn.Module):
    """FDT: the dictionary features of one clip should fit each other better than those of other clips.

    A symmetric InfoNCE for each pair of modalities, averaged over the pairs, which is ours; FDT has one pair.
    """

    def __init__(self, temperature: float, learned: bool):
        super().__init__()
        start = torch.tensor(-math.log(temperature))
        self.log_scale = nn.Parameter(start) if learned else nn.Buffer(start)

    def extra_repr(self) -> str:
        return f"temperature={(-self.log_scale).exp():.3g}"

    def forward(self, found: Found, _: Labels) -> Loss:
        unit = [F.normalize(whole_batch(lookup.features), dim=-1) for lookup in found.values()]
        scale = self.log_scale.clamp_max(-math.log(LEAST_CONTRAST)).exp()
        pairs = list(combinations(unit, 2))
        return sum(info_nce(scale * one @ other.T) for one, other in pairs) / len(pairs)


def info_nce(similarity: Float[Tensor, "clip clip"]) -> Float[Tensor, ""]:
    """The cross-entropy of finding each clip's partner, which is on the diagonal, along rows and along columns."""
    partner = torch.arange(len(similarity), device=similarity.device)
    return (F.cross_entropy(similarity, partner) + F.cross_entropy(similarity.T, partner)) / 2


class MarginMatching(nn.Module):
    """DMD's margin loss, Eq. (4), on dictionary features: clips of one sentiment fit, others do not (svliy/mmsa, B)."""

    def __init__(self, config: DMDConfig):
        super().__init__()
        self.config = config

    def forward(self, found: Found, labels: Labels) -> Loss:
        features = {m: lookup.features for m, lookup in found.items()}
        return margin_contrastive_loss(features, labels.to(next(iter(features.values())).dtype), self.config)


class DivergenceMatching(nn.Module):
    """Ours: activations teach each other, the teacher held fixed; the mean over clips and ordered pairs."""

    def __init__(self, activation: str):
        super().__init__()
        self.activation = activation

    def forward(self, found: Found, _: Labels) -> Loss:
        pairs = permutations(found.values(), 2)
        lessons = [divergence(student, teacher.activations, self.activation).mean() for teacher, student in pairs]
        return sum(lessons) / len(lessons)


def divergence(student: Lookup, teacher: Float[Tensor, "batch atom"], activation: str) -> Float[Tensor, " batch"]:
    """How far the student's activations w are from the teacher's v, both possibly zero at many atoms.

    The Fenchel-Young loss of the activation (Blondel et al., JMLR 2020): ⟨r, w − v⟩ − Ω(w) + Ω(v), where Ω is half the
    squared norm for sparsemax and the negative entropy for softmax and top-k. It is never negative, zero where w = v,
    finite whatever the zeros, and its gradient with respect to the scores r is w − v. For softmax it is KL(v ‖ w).
    """
    teacher, own = teacher.detach(), student.activations.detach()  # r alone carries the gradient
    difference = torch.einsum("bn,bn->b", student.scores, own - teacher)
    return difference - regulariser(own, activation) + regulariser(teacher, activation)


def regulariser(shares: Float[Tensor, "batch atom"], activation: str) -> Float[Tensor, " batch"]:
    """Ω, whose conjugate's gradient is the activation."""
    if activation == "sparsemax":
        return shares.square().sum(dim=-1) / 2
    return torch.special.xlogy(shares, shares).sum(dim=-1)
