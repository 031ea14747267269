"""Every loss that is not about graphs: the task's, Eqs. (2) to (5) of decoupling, and their weighted sum, Eq. (11).

`config.task` and `config.outputs` say what the `config.num_logits` numbers of a head mean for each clip. A single one
has no axis of its own: (batch,), otherwise (batch, logits).

regression        `outputs` numbers (sentiment; valence and arousal), which are the prediction itself
classification    one logit for each of `outputs` classes
ordinal           outputs − 1 logits for `outputs` ordered levels, the k-th for "above level k" (Frank and Hall, 2001)
multilabel        one logit for each of `outputs` labels, of which several may hold at once
"""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from dmdlite.components.streams import Streams, Vectors
from dmdlite.config import DMDConfig

Logits = Float[Tensor, "batch *logits"]
Labels = Num[Tensor, "batch *outputs"]
Loss = Float[Tensor, ""]
Margins = Callable[[Tensor, DMDConfig], Float[Tensor, "clip clip"]]  # labels of the clips, config -> of clips i and k


def task_loss(
    prediction: Logits, labels: Labels, task: str, weights: Sequence[float] = (), error: str = "absolute"
) -> Loss:
    """L_task: the L1 distance of the paper, the cross-entropy, or the binary cross-entropy of each level or label.

    labels: numbers of the same shape as the prediction; 0 or 1 for each label; the index of a class or level from 0.
    weights: of the clips of each class or level, by which their loss is multiplied; of several labels at once, of those
    that hold. error: of a regression, "absolute" or "squared" (the L2 distance of some ancestors). Raises ValueError if
    the shapes do not fit, and for classes that are not whole numbers.
    """
    single = task in ("classification", "ordinal")
    if task == "multilabel":
        labels = labels.squeeze(-1) if labels.ndim > prediction.ndim else labels  # a single label has no axis
    expected = prediction.shape[:1] if single else prediction.shape
    if labels.shape != expected:
        raise ValueError(f"labels have shape {tuple(labels.shape)}, expected {tuple(expected)}")
    if single and labels.is_floating_point():
        raise ValueError(f"the labels of the task {task!r} must be whole numbers from 0, not {labels.dtype}")
    if task == "regression":
        distance = {"absolute": F.l1_loss, "squared": F.mse_loss}[error]
        return distance(prediction, labels.to(prediction.dtype))
    factors = prediction.new_tensor(weights) if weights else None
    if task == "multilabel":
        return F.binary_cross_entropy_with_logits(prediction, labels.to(prediction.dtype), pos_weight=factors)
    if task == "classification":
        each = F.cross_entropy(prediction, labels.long(), reduction="none")
    else:
        above = prediction.reshape(len(prediction), -1)
        exceeded = (labels[:, None] > torch.arange(above.shape[1], device=labels.device)).to(above.dtype)
        each = F.binary_cross_entropy_with_logits(above, exceeded, reduction="none").mean(dim=1)
    return each.mean() if factors is None else (factors[labels.long()] * each).mean()


def task_loss_where_known(prediction: Logits, labels: Labels, task: str, weights: Sequence[float] = ()) -> Loss:
    """L_task over the labelled clips, 0 if there are none. A missing label is NaN, so that classes may be floats."""
    known = ~labels.isnan().reshape(len(labels), -1).any(dim=1)
    found = labels[known].long() if task in ("classification", "ordinal") else labels[known]
    return task_loss(prediction[known], found, task, weights) if known.any() else 0 * prediction.sum()


def decide(prediction: Logits, task: str) -> Labels:
    """The answer: the numbers, the likeliest class, how many levels are probably exceeded, or which labels hold."""
    if task == "regression":
        return prediction
    if task == "classification":
        return prediction.argmax(dim=1)
    if task == "multilabel":
        return (prediction > 0).long()
    return (prediction.reshape(len(prediction), -1) > 0).sum(dim=1)


def total_loss(terms: dict[str, Loss], weights: dict[str, float]) -> Loss:
    """Eq. (11): the weighted sum; a term without weight counts fully. Raises ValueError for a weight without a term."""
    if absent := [name for name, weight in weights.items() if weight and name not in terms]:
        raise ValueError(f"nothing gives the term {absent[0]!r} of the loss; set its weight in loss_weights to 0")
    weights = weights | {name: 1.0 for name in terms if name not in weights}
    return sum(weight * terms[name] for name, weight in weights.items() if weight)


def reconstruction_loss(streams: Streams, reconstruction: Streams, norm: str) -> Loss:
    """Eq. (2), and Eq. (3) when given private features and their self-regression: Σ_m ‖X_m − X̂_m‖².

    norm: "mean_square", the mean over all entries (published code), or "frobenius", the sum over time and
    channel, averaged over the batch (paper).
    """
    squares = [(streams[m] - reconstruction[m]).square() for m in streams]
    if norm == "frobenius":
        return sum(square.sum(dim=(1, 2)).mean() for square in squares)
    return sum(square.mean() for square in squares)


def orthogonality_loss(common: Streams, private: Streams, over: str, clamped: bool) -> Loss:
    """Eq. (5): Σ_m cos(X^com_m, X^prt_m), clamped at zero in the published code.

    over: what one cosine runs over. "per_sample": all entries of a clip. "over_channels": one time step of one clip.
    "over_batch": one entry of all clips, which is what the published call computed on PyTorch 1.9; it fails today.
    """
    views = {"per_sample": lambda x: x.flatten(1), "over_channels": lambda x: x, "over_batch": whole_batch}
    view, axis = views[over], {"per_sample": 1, "over_channels": 2, "over_batch": 0}[over]
    cosines = [F.cosine_similarity(view(common[m]), view(private[m]), dim=axis) for m in common]
    return sum((cosine.clamp_min(0) if clamped else cosine).mean() for cosine in cosines)


def label_margins(labels: Float[Tensor, "clip *outputs"], config: DMDConfig) -> Float[Tensor, "clip clip"]:
    """The margin of an anchor of clip i and a negative of clip k: published 0.15 |y_i − y_k|, paper a constant α.

    Beyond the paper: the distance of several labels is their mean distance, that of two different classes is 1.
    """
    labels = labels.reshape(len(labels), -1)
    apart = (labels[:, None] - labels[None, :]).abs()
    apart = (apart > 0).to(labels.dtype) if config.task == "classification" else apart
    return config.margin_constant + config.margin_per_label_distance * apart.mean(dim=2)


def margin_contrastive_loss(
    features: Vectors, labels: Float[Tensor, "batch *outputs"], config: DMDConfig, margins: Margins = label_margins
) -> Loss:
    """Eq. (4): max(0, margin − cos(x_i, x_j) + cos(x_i, x_k)) over triplets of anchor i, positive j and negative k.

    A *sample* is one modality of one clip, so B clips give 3B samples. The `margin_…` fields of the config choose the
    triplets and the average; `margins` may be a function of your own. A batch without any triplet gives zero.
    Memory: a few tensors of samples² entries, because no triplet is written down; so no margin depends on j.
    With several processes each sees the samples of all.
    """
    features, labels = {m: whole_batch(x) for m, x in features.items()}, whole_batch(labels)
    count = len(features)
    margin = margins(labels, config).repeat(count, count)
    modality = torch.arange(count, device=labels.device).repeat_interleave(len(labels))
    labels = labels.reshape(len(labels), -1).repeat(count, 1)
    cosine = _cosines(torch.cat(list(features.values())))
    classes = labels if config.margin_classes == "label" else labels.clamp(-3, 3).round()
    positive, negative = _pairs(classes, modality, config.margin_triplets)
    total = torch.einsum("ik,ik->i", _sums_of_hinges(cosine, positive, margin + cosine), negative.to(cosine.dtype))
    triplets = positive.sum(dim=1) * negative.sum(dim=1)  # of each anchor
    if config.margin_average == "triplets":
        return total.sum() / triplets.sum().clamp_min(1)
    return (total / triplets.clamp_min(1)).sum() / (triplets > 0).sum().clamp_min(1)


def _cosines(x: Float[Tensor, "sample width"]) -> Float[Tensor, "sample sample"]:
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    unit = x / (x.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()
    with torch.autocast(x.device.type, enabled=False):
        return unit @ unit.T


def _sums_of_hinges(
    cosine: Float[Tensor, "anchor other"], positive: Bool[Tensor, "anchor other"], bound: Float[Tensor, "anchor other"]
) -> Float[Tensor, "anchor other"]:
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
) -> tuple[Bool[Tensor, "anchor other"], Bool[Tensor, "anchor other"]]:
    """Where j is a positive, and where k is a negative, of anchor i.

    "across_modalities" (paper): positives are of the same class and another modality, negatives of another class and
    the same modality. "any_modality" (published code): the modality does not matter.
    """
    classes = classes.reshape(len(classes), -1)
    same_class = (classes[:, None] == classes[None, :]).all(dim=2)
    if triplets == "any_modality":
        return same_class.clone().fill_diagonal_(False), ~same_class  # no sample is its own positive
    same_modality = modality[:, None] == modality[None, :]
    return same_class & ~same_modality, ~same_class & same_modality


def whole_batch(x: Num[Tensor, "clips *rest"]) -> Num[Tensor, "all_clips *rest"]:
    """The clips of all processes, of which each must bring equally many; x itself in a single process.

    Most terms are means over clips, and DistributedDataParallel averages them over processes. A term that compares
    clips, or multiplies means of them, needs all clips. Its backward pass adds up what the losses of all processes ask
    of a clip, so the averaged gradients are those of the whole batch. Evaluation, without gradients, gathers nothing.
    """
    together = dist.is_available() and dist.is_initialized() and torch.is_grad_enabled()
    return _Gather.apply(x) if together and dist.get_world_size() > 1 else x


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(_, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]
