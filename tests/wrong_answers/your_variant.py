"""For each check wrong answers that it has to see through; one file for each notebook, by its name."""

import torch
import torch.nn.functional as F
from scipy.stats import norm
from scipy.stats import t as student
from torch import nn

from dmdlite.components.decoupling import FeatureDecoupler
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


class FixedSizes(Fusion):
    def __init__(self, *_):
        super().__init__(4, 6)


class Mended(FeatureDecoupler):
    """A right one; the wrong ones below each centre otherwise."""

    def forward(self, projected):
        return super().forward({m: self.centre(m, x) for m, x in projected.items()})

    def centre(self, m, x):
        return x - x.mean(dim=1, keepdim=True)


def centring(how):
    """A class whose streams are centred by how(x)."""
    return type("Centring", (Mended,), {"centre": lambda self, m, x: how(x)})


class Remembers(Mended):
    """As the notebook's, with or without one of its bugs."""

    detached = True

    def centre(self, m, x):
        means = self.__dict__.setdefault("means", {})
        if m not in means:
            means[m] = x.mean(dim=(0, 1)).detach() if self.detached else x.mean(dim=(0, 1))
        return x - means[m]


class RemembersAttached(Remembers):
    detached = False


class RunningMean(Mended):
    def centre(self, m, x):
        means = self.__dict__.setdefault("means", {})
        means[m] = 0.5 * means.get(m, x.mean(dim=(0, 1))) + 0.5 * x.mean(dim=(0, 1)).detach()
        return x - means[m]


class RemembersInEvaluation(Mended):
    def centre(self, m, x):
        means = self.__dict__.setdefault("means", {})
        if self.training:
            means[m] = x.mean(dim=(0, 1))
            return super().centre(m, x)
        return x - means[m]


class RemembersTheFirstShape(Mended):
    def centre(self, m, x):
        means = self.__dict__.setdefault("means", {})
        if len(means.get(m, ())) != len(x):
            means[m] = x.mean(dim=1, keepdim=True)
        return x - means[m]


class InPlace(Mended):
    def centre(self, m, x):
        x -= x.mean(dim=1, keepdim=True)
        return x


class Buffered(Mended):
    def __init__(self, width):
        super().__init__(width)
        self.level = nn.Buffer(torch.zeros(width))


class Forgetful(Mended):
    def forward(self, projected):
        super().forward(projected)


class Streams(Mended):
    def forward(self, projected):
        return super().forward(projected).common


class PrivateAsItWas(Mended):
    def forward(self, projected):
        out, as_it_was = super().forward(projected), FeatureDecoupler.forward(self, projected)
        out.private = as_it_was.private
        return out


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
        lambda out, labels: missing(out, which="common").mean(),
    ],
    "mended": [
        Remembers,
        RemembersAttached,
        RunningMean,
        RemembersInEvaluation,
        RemembersTheFirstShape,
        InPlace,
        Buffered,
        Forgetful,
        Streams,
        PrivateAsItWas,
        FeatureDecoupler,
        centring(lambda x: x - x.mean(dim=1, keepdim=True).detach()),
        centring(lambda x: (x - x.mean(dim=1, keepdim=True)).detach()),
        centring(lambda x: x - x.mean(dim=(0, 1)).detach()),
        centring(lambda x: x - x.mean(dim=(0, 1))),
        centring(lambda x: x - x.mean(dim=0)),
        centring(lambda x: x - x.mean(dim=2, keepdim=True)),
        centring(lambda x: x - x.mean(dim=(1, 2), keepdim=True)),
        centring(lambda x: x - x.mean(dim=1)[:1, None]),
        centring(lambda x: x + x.mean(dim=1, keepdim=True)),
    ],
    "seeds_needed": [
        lambda d, s: smallest(d, s, lambda t, n: 2 * norm.sf(t) < 0.05),
        lambda d, s: smallest(d, s, lambda t, n: student.sf(t, n - 1) < 0.05),
        lambda d, s: smallest(d, s, lambda t, n: 2 * student.sf(t, n) < 0.05),
        lambda d, s: smallest(d, s, right) + 1,
        lambda d, s: (1.96 * s / d) ** 2,
        lambda d, s: smallest(d, s, right) if d > 0 else 2,
        lambda d, s: 12,
    ],
}
