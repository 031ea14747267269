import torch

DIAGONAL = torch.eye(3, dtype=torch.bool)


def masked(scores, value=-torch.inf):
    return scores.masked_fill(DIAGONAL, value)


def normalised(scores):
    positive = masked(scores - scores.amin(dim=(1, 2), keepdim=True) + 1, 0.0)
    return positive / positive.sum(dim=(1, 2), keepdim=True)


def in_place(scores):
    return scores.masked_fill_(DIAGONAL, -torch.inf).flatten(1).softmax(dim=1).view(-1, 3, 3)


def zeta(edges, teacher, student):
    return (edges * (student[:, None, :] - teacher[:, :, None]).abs()).sum(dim=1)


WRONG = {
    "weighted_losses": [
        lambda w, e: (w * e).sum(),
        lambda w, e: (w * e).sum(dim=1),
        lambda w, e: e.sum(dim=0),
        lambda w, e: w.sum(dim=0),
        lambda w, e: (w * e).mean(dim=0),
        lambda w, e: (w * e).sum(dim=0) / 2,
        lambda w, e: w @ e,
        lambda w, e: (w @ e).diagonal().flip(0),
        lambda w, e: (w * e.square()).sum(dim=0),
    ],
    "softmax_over_edges": [
        lambda s: masked(s).softmax(dim=2),
        lambda s: masked(s).softmax(dim=1),
        lambda s: s.flatten(1).softmax(dim=1).view_as(s),
        lambda s: masked(s.flatten(1).softmax(dim=1).view_as(s), 0.0),
        lambda s: masked(s, 0.0).flatten(1).softmax(dim=1).view_as(s),
        lambda s: masked(s.softmax(dim=0), 0.0),
        lambda s: masked(s).flatten().softmax(dim=0).view_as(s),
        lambda s: masked(s).flatten(1).softmax(dim=1),
        lambda s: masked(s).exp(),
        lambda s: masked(s).flatten(1).log_softmax(dim=1).view_as(s),
        lambda s: masked(-s, -torch.inf).flatten(1).softmax(dim=1).view_as(s),
        normalised,
        in_place,
    ],
    "students_only": [
        lambda w, y: zeta(w, y.detach(), y).sum(dim=1).mean(),
        lambda w, y: zeta(w.detach(), y, y).sum(dim=1).mean(),
        lambda w, y: zeta(w, y, y).sum(dim=1).mean(),
        lambda w, y: zeta(w.detach(), y, y.detach()).sum(dim=1).mean(),
        lambda w, y: zeta(w.detach(), y.detach(), y.detach()).sum(dim=1).mean(),
        lambda w, y: zeta(w.detach(), y.detach(), y).sum(dim=1),
        lambda w, y: zeta(w.detach(), y.detach(), y).sum(),
        lambda w, y: zeta(w.detach(), y.detach(), y).mean(),
        lambda w, y: zeta(w.detach().mT, y.detach(), y).sum(dim=1).mean(),
        lambda w, y: zeta(torch.ones_like(w), y.detach(), y).sum(dim=1).mean(),
        lambda w, y: (w.detach() * (y[:, None, :] - y.detach()[:, :, None]).square()).sum(dim=(1, 2)).mean(),
    ],
}
