"""What a model is asked for: a number (sentiment), several (valence, arousal), a class, or a level of an ordered scale.

`config.task` and `config.outputs` say which. A head gives `config.logits` numbers for each clip:

regression        `outputs` numbers, which are the prediction itself
classification    one logit for each of `outputs` classes
ordinal           outputs − 1 logits for `outputs` ordered levels, the k-th for "above level k" (Frank and Hall, 2001)

A single number has no axis of its own: (batch,), otherwise (batch, logits).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Num
from torch import Tensor

Logits = Float[Tensor, "batch *logits"]


def task_loss(prediction: Logits, labels: Num[Tensor, "batch *outputs"], task: str) -> Float[Tensor, ""]:
    """L_task: the L1 distance of the paper, the cross-entropy, or the binary cross-entropy of every "above level k".

    labels: numbers of the same shape as the prediction, or for classes and levels their places (batch,) from 0.
    Raises ValueError if the shapes do not fit.
    """
    expected = prediction.shape if task == "regression" else prediction.shape[:1]
    if labels.shape != expected:
        raise ValueError(f"labels have shape {tuple(labels.shape)}, expected {tuple(expected)}")
    if task == "regression":
        return F.l1_loss(prediction, labels.to(prediction.dtype))
    if task == "classification":
        return F.cross_entropy(prediction, labels.long())
    above = prediction.reshape(len(prediction), -1)
    levels = torch.arange(above.shape[1], device=labels.device)
    return F.binary_cross_entropy_with_logits(above, (labels[:, None] > levels).to(above.dtype))


def task_loss_where_known(prediction: Logits, labels: Num[Tensor, "batch *outputs"], task: str) -> Float[Tensor, ""]:
    """L_task over the clips that have a label, 0 if there is none. A label that is not known is NaN."""
    known = ~labels.isnan().reshape(len(labels), -1).any(dim=1)
    return task_loss(prediction[known], labels[known], task) if known.any() else 0 * prediction.sum()


def decide(prediction: Logits, task: str) -> Num[Tensor, "batch *outputs"]:
    """The answer: the numbers as they are, the likeliest class, or how many levels are more likely passed than not."""
    if task == "regression":
        return prediction
    if task == "classification":
        return prediction.argmax(dim=1)
    return (prediction.reshape(len(prediction), -1) > 0).sum(dim=1)
