import torch
import torch.nn.functional as F


def losses(similarity):
    partner = torch.arange(len(similarity))
    return F.cross_entropy(similarity, partner), F.cross_entropy(similarity.T, partner)


WRONG = {
    "threshold": [
        lambda s, k: s.sort(descending=True).values[:k].sum() / k,
        lambda s, k: (s.sort(descending=True).values[:k].sum() + 1) / k,
        lambda s, k: (s[:k].sum() - 1) / k,
        lambda s, k: (s.sort().values[:k].sum() - 1) / k,
        lambda s, k: (s.sort(descending=True).values[:k].sum() - 1) / len(s),
        lambda s, k: s.sort(descending=True).values[k - 1],
        lambda s, k: (s.sum() - 1) / len(s),
        lambda s, k: torch.tensor(0.3),
        lambda s, k: s.max() - 1 / k,
    ],
    "symmetric_info_nce": [
        lambda s: losses(s)[0],
        lambda s: losses(s)[1],
        lambda s: sum(losses(s)),
        lambda s: len(s) * sum(losses(s)) / 2,
        lambda s: len(s) * sum(losses(s)),
        lambda s: -sum(losses(s)) / 2,
        lambda s: -s.flatten().log_softmax(dim=0).view_as(s).diagonal().mean(),
        lambda s: (s.softmax(dim=1).diagonal().mean() + s.softmax(dim=0).diagonal().mean()) / 2,
        lambda s: -s.log_softmax(dim=1).diagonal(),
        lambda s: -s.diagonal().mean(),
        lambda s: -(s.log_softmax(dim=1).mean() + s.log_softmax(dim=0).mean()) / 2,
        lambda s: (1 - s.diagonal()).mean(),
    ],
}
