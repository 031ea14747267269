"""For each check wrong answers that it has to see through; one file for each notebook, by its name."""

import torch
import torch.nn.functional as F
from scipy.stats import norm
from scipy.stats import t as student
from torch import nn

from dmdlite.components.heads import ResidualHead
from dmdlite.config import MODALITIES


class Fusion(nn.Module):
    """A right one; the wrong ones below each change a line of it."""

    def __init__(self, private_width, common_width):
        super().__init__()
        self.head = ResidualHead(3 * private_width + common_width, 32, dropout=0.0)

    def forward(self, private, common):
        return self.head(self.joined(private, common))

    def joined(self, private, common):
        return torch.cat([*(private[m] for m in MODALITIES), common], dim=1)


class TensorAlone(Fusion):
    def forward(self, private, common):
        return super().forward(private, common).prediction


class Nothing(Fusion):
    def forward(self, private, common):
        super().forward(private, common)


class AxisLeft(Fusion):
    def forward(self, private, common):
        out = super().forward(private, common)
        return out._replace(prediction=out.prediction[:, None])


class WithoutAudio(Fusion):
    def joined(self, private, common):
        return super().joined(private | {"audio": 0 * private["audio"]}, common)


class WithoutCommon(Fusion):
    def joined(self, private, common):
        return super().joined(private, common.detach())


class MixedClips(Fusion):
    def joined(self, private, common):
        return super().joined(private, common).softmax(dim=0)


class HiddenWeights(Fusion):
    def __init__(self, private_width, common_width):
        super().__init__(private_width, common_width)
        self.layers = [self.head]
        del self.head

    def forward(self, private, common):
        return self.layers[0](self.joined(private, common))


class IdleWeights(Fusion):
    def __init__(self, private_width, common_width):
        super().__init__(private_width, common_width)
        self.gate = nn.Linear(common_width, common_width)


class Gated(Fusion):
    def joined(self, private, common):
        joined = super().joined(private, common)
        return joined.sigmoid() * joined


class Added(Fusion):
    def __init__(self, private_width, common_width):
        super().__init__(private_width, common_width)
        self.head = ResidualHead(private_width + common_width, 32, dropout=0.0)

    def joined(self, private, common):
        return torch.cat([sum(private[m] for m in MODALITIES), common], dim=1)


class FixedSizes(Fusion):
    def __init__(self, *_):
        super().__init__(4, 6)


def centring(dim, detached=False, keepdim=True):
    def centre(x):
        mean = x.mean(dim=dim, keepdim=keepdim)
        return x - (mean.detach() if detached else mean)

    return centre


def remembering(dim=(0, 1), detached=True, share=0.0):
    """As the notebook's, with or without one of its bugs. share: how much of a new batch enters a running mean."""
    means = {}

    def centre(x):
        new = x.mean(dim=dim, keepdim=True)
        new = new.detach() if detached else new
        old = means.get(x.shape if dim == 1 else None, new)
        means[x.shape if dim == 1 else None] = (1 - share) * old + share * new
        return x - old

    return centre


def in_place(x):
    x -= x.mean(dim=1, keepdim=True)
    return x


def missing(out, dim=0, correction=0, time=True, limit=lambda s: F.relu(1 - s), which="private"):
    streams = getattr(out.decoupled, which).values()
    spreads = [(x.mean(dim=1) if time else x.flatten(0, 1)).std(dim=dim, correction=correction) for x in streams]
    return torch.stack([limit(s).mean() for s in spreads])


def smallest(difference, deviation, crosses):
    n = 2
    while not crosses(abs(difference) * n**0.5 / deviation, n):
        n += 1
    return n


def right(t, n):
    return 2 * student.sf(t, n - 1) < 0.05


WRONG = {
    "fusion": [
        TensorAlone,
        Nothing,
        AxisLeft,
        WithoutAudio,
        WithoutCommon,
        MixedClips,
        HiddenWeights,
        IdleWeights,
        FixedSizes,
        Gated,
        Added,
    ],
    "silence": [
        lambda out, labels: missing(out).sum(),
        lambda out, labels: missing(out),
        lambda out, labels: 2 * missing(out).sum(),
        lambda out, labels: missing(out).mean().item(),
        lambda out, labels: missing(out, limit=lambda s: 1 - s).mean(),
        lambda out, labels: missing(out, limit=lambda s: F.relu(s - 1)).mean(),
        lambda out, labels: missing(out, correction=1).mean(),
        lambda out, labels: missing(out, time=False).mean(),
        lambda out, labels: missing(out, limit=lambda s: s).mean(),
        lambda out, labels: -missing(out).mean(),
        lambda out, labels: missing(out, limit=lambda s: F.relu(1 - s**2)).mean(),
        lambda out, labels: missing(out, which="common").mean(),
    ],
    "centre": [
        remembering(),
        remembering(detached=False),
        remembering(dim=1),
        remembering(share=0.5),
        in_place,
        lambda x: x,
        centring(1, detached=True),
        centring((0, 1), detached=True),
        centring((0, 1)),
        centring(0),
        centring(2),
        centring((1, 2)),
        lambda x: x - x.mean(dim=1)[:1, None],
        lambda x: x + x.mean(dim=1, keepdim=True),
        lambda x: x.mean(dim=1, keepdim=True) - x,
        lambda x: x - x.mean(dim=1),
        lambda x: x - x.median(dim=1, keepdim=True).values,
        lambda x: (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True),
        lambda x: x.mean(dim=1),
    ],
    "seeds_needed": [
        lambda d, s: smallest(d, s, lambda t, n: 2 * norm.sf(t) < 0.05),
        lambda d, s: smallest(d, s, lambda t, n: student.sf(t, n - 1) < 0.05),
        lambda d, s: smallest(d, s, lambda t, n: 2 * student.sf(t, n) < 0.05),
        lambda d, s: smallest(d, s, right) + 1,
        lambda d, s: smallest(d, s, lambda t, n: right(t * n**0.5, n)),
        lambda d, s: (1.96 * s / d) ** 2,
        lambda d, s: smallest(d, s, right) if d > 0 else 2,
        lambda d, s: 12,
    ],
}
