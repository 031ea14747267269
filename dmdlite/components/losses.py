"""The decoupling losses, Eqs. (2) to (5)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dmdlite.components.gathering import whole_batch
from dmdlite.components.streams import Streams
from dmdlite.config import DMDConfig


def reconstruction_loss(streams: Streams, reconstruction: Streams, norm: str) -> Float[Tensor, ""]:
    """Eq. (2), and Eq. (3) when given private features and their self-regression: Σ_m ‖X_m − X̂_m‖².

    norm: "mean_square", the mean over all entries (published code), or "frobenius", the sum over time and
    channel, averaged over the batch (paper).
    """
    squares = [(streams[m] - reconstruction[m]).square() for m in streams]
    if norm == "frobenius":
        return sum(square.sum(dim=(1, 2)).mean() for square in squares)
    return sum(square.mean() for square in squares)


def orthogonality_loss(common: Streams, private: Streams, over: str, clamped: bool) -> Float[Tensor, ""]:
    """Eq. (5): Σ_m cos(X^com_m, X^prt_m), clamped at zero in the published code.

    over: what one cosine runs over. "per_sample": all entries of a clip. "over_channels": one time step of one clip.
    "over_batch": one entry of all clips, which is what the published call computed on PyTorch 1.9; it fails today.
    """
    total = 0.0
    for m in common:
        pair = common[m], private[m]
        if over == "per_sample":
            cosine = F.cosine_similarity(*(x.flatten(1) for x in pair), dim=1)
        elif over == "over_channels":
            cosine = F.cosine_similarity(*pair, dim=2)
        else:
            cosine = F.cosine_similarity(*(whole_batch(x) for x in pair), dim=0)
        total = total + (cosine.clamp_min(0) if clamped else cosine).mean()
    return total


def margin_contrastive_loss(
    features: dict[str, Float[Tensor, "batch width"]], labels: Float[Tensor, "batch *outputs"], config: DMDConfig
) -> Float[Tensor, ""]:
    """Eq. (4): max(0, margin − cos(x_i, x_j) + cos(x_i, x_k)) over triplets of anchor i, positive j and negative k.

    A *sample* is one modality of one clip, so B clips give 3B samples. The `margin_…` fields of the config say which
    triplets count, what the margin is (published: 0.15 |y_i − y_k|; paper: a constant α) and how it is averaged.
    Memory: a few tensors of samples² entries, no triplet is written down. A batch without any triplet gives zero.
    Of several processes each sees the samples of all. Beyond the paper: the distance of several labels is their mean
    distance, that of two different classes is 1.
    """
    features, labels = {m: whole_batch(x) for m, x in features.items()}, whole_batch(labels)
    modality = torch.arange(len(features), device=labels.device).repeat_interleave(len(labels))
    labels = labels.reshape(len(labels), -1).repeat(len(features), 1)
    cosine = _cosines(torch.cat(list(features.values())))
    classes = labels if config.margin_classes == "label" else labels.clamp(-3, 3).round()
    positive, negative = _pairs(classes, modality, config.margin_triplets)
    margin = config.margin_constant + config.margin_per_label_distance * _label_distance(labels, config.task)
    total = torch.einsum("ik,ik->i", _sums_of_hinges(cosine, positive, margin + cosine), negative.to(cosine.dtype))
    count = positive.sum(dim=1) * negative.sum(dim=1)
    if config.margin_average == "triplets":
        return total.sum() / count.sum().clamp_min(1)
    return (total / count.clamp_min(1)).sum() / (count > 0).sum().clamp_min(1)


def _cosines(x: Float[Tensor, "sample width"]) -> Float[Tensor, "sample sample"]:
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    unit = x / (x.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()
    with torch.autocast(x.device.type, enabled=False):
        return unit @ unit.T


def _label_distance(labels: Float[Tensor, "sample outputs"], task: str) -> Float[Tensor, "sample sample"]:
    difference = (labels[:, None] - labels[None, :]).abs()
    return (difference if task != "classification" else (difference > 0).to(labels.dtype)).mean(dim=2)


def _sums_of_hinges(
    cosine: Float[Tensor, "anchor sample"],
    positive: Bool[Tensor, "anchor sample"],
    bound: Float[Tensor, "anchor sample"],
) -> Float[Tensor, "anchor sample"]:
    """Σ_j max(0, bound_ik − cos_ij) over the positives j of anchor i, for each k.

    Only positives below the bound count: there are n, which sum to s, so the sum is n · bound − s. With the positives
    of an anchor in order, a binary search finds n, and running sums hold s.
    """
    ordered = cosine.masked_fill(~positive, torch.inf).sort(dim=1).values
    below = torch.searchsorted(ordered.detach(), bound.detach().contiguous())
    running = F.pad(ordered.masked_fill(ordered == torch.inf, 0).cumsum(dim=1), (1, 0))
    return below.to(bound.dtype) * bound - running.gather(1, below)


def _pairs(
    classes: Float[Tensor, "sample *outputs"], modality: Int[Tensor, " sample"], triplets: str
) -> tuple[Bool[Tensor, "anchor sample"], Bool[Tensor, "anchor sample"]]:
    """Where j is a positive, and where k is a negative, of anchor i.

    "across_modalities" (paper): positives are of the same class and another modality, negatives of another class and
    the same modality. "any_modality" (published code): the modality does not matter.
    """
    classes = classes.reshape(len(classes), -1)
    same_class = (classes[:, None] == classes[None, :]).all(dim=2)
    same_modality = modality[:, None] == modality[None, :]
    positive, negative = same_class, ~same_class
    if triplets == "across_modalities":
        positive, negative = positive & ~same_modality, negative & same_modality
    itself = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    return positive & ~itself, negative
