import numpy as np
import torch


def cmd(x, y, ks, centre=True, norm=torch.linalg.vector_norm, means=True):
    total = norm(x.mean(0) - y.mean(0)) if means else 0.0
    if centre:
        x, y = x - x.mean(0), y - y.mean(0)
    return total + sum(norm((x**k).mean(0) - (y**k).mean(0)) for k in ks)


WRONG = {
    "central_moment_discrepancy": [
        lambda x, y, moments: cmd(x, y, range(2, moments + 1), centre=False),  # moments about zero
        lambda x, y, moments: cmd(x, y, range(2, moments + 1), norm=lambda v: v.square().sum()),
        lambda x, y, moments: cmd(x, y, range(2, moments + 1), norm=lambda v: v.abs().sum()),
        lambda x, y, moments: cmd(x, y, range(2, moments + 1), means=False) + torch.zeros(()),
        lambda x, y, moments: cmd(x, y, range(2, moments)),  # the last one left out
        lambda x, y, moments: cmd(x, y, range(2, moments + 2)),
        lambda x, y, moments: cmd(x, y, range(2, moments + 1)) / moments,
        lambda x, y, moments: cmd(x, y, range(2, moments + 1)).item(),
        lambda x, y, moments: cmd(x.detach(), y, range(2, moments + 1)),
        lambda x, y, moments: cmd(x, y, range(2, 6)),  # always five
        lambda x, y, moments: cmd(x, y, range(2, moments + 1)) * len(x),  # sums instead of means
    ],
    "share_won": [
        lambda ours, theirs: (ours[:, None] > theirs).mean(),
        lambda ours, theirs: (ours[:, None] < theirs).sum(),
        lambda ours, theirs: float(ours.mean() < theirs.mean()),
        lambda ours, theirs: (ours[:, None] < theirs).mean(axis=1),
        lambda ours, theirs: (ours[:, None] <= theirs).mean(),  # a tie counts as won
        lambda ours, theirs: np.mean(ours < theirs.mean()),
        lambda ours, theirs: np.mean(ours[: len(theirs)] < theirs[: len(ours)]),  # seed by seed
        lambda ours, theirs: sum(a < b for a, b in zip(ours, theirs, strict=False)) / min(len(ours), len(theirs)),
    ],
}
