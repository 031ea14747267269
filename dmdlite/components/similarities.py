"""How the clips of a batch lie to each other: their cosines, and the few of them that are compared, the anchors."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from dmdlite.components.streams import Vector


def shifted_similarities(z: Vector) -> Float[Tensor, "batch batch"]:
    """S_ij = cos(z_i, z_j), minus the smallest of them all, so that none is negative (as published)."""
    unit = F.normalize(z, dim=1)
    similarities = unit @ unit.T
    return similarities - similarities.min()


def pick_anchors(similarities: Float[Tensor, "batch batch"], k: int, choice: str) -> Int[Tensor, "batch anchor"]:
    """For each clip the k clips that are the most (or the least) similar to it, in that order."""
    return similarities.topk(min(k, len(similarities)), largest=choice == "highest").indices


@torch.compiler.disable  # NumPy
def partitioned_anchors(z: Vector, k: int, choice: str) -> Int[Tensor, "batch anchor"]:
    """The same clips in the order in which NumPy's argpartition leaves them, as published (PKDOT_kfold.py:255-258).

    The authors' NumPy, 1.22, leaves them unsorted, so that anchor j of one clip is no counterpart of anchor j of
    another; yet the divergence compares them. Today's sorts them on processors with AVX2. z: the teacher's vectors.
    """
    norms = z.norm(dim=1, keepdim=True)
    cosines = (z @ z.T) / (norms @ norms.T)  # in these steps: last bits decide
    cosines = cosines.to(torch.promote_types(cosines.dtype, torch.float32)).numpy(force=True)
    if choice == "highest":
        order = np.argpartition(cosines, -min(k, len(z)), axis=1)[:, -k:]
    else:
        order = np.argpartition(cosines, min(k, len(z) - 1), axis=1)[:, :k]
    return torch.from_numpy(order).to(z.device)
