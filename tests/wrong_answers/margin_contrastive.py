import torch
import torch.nn.functional as F


def cosine(a, b):
    return F.cosine_similarity(a, b, dim=0)


def distance(a, b):
    return (F.normalize(a, dim=0) - F.normalize(b, dim=0)).norm()


def same(x):
    return x[:, None] == x[None, :]


def no_return(a, p, n, margin):
    (margin - F.cosine_similarity(a, p, dim=0) + F.cosine_similarity(a, n, dim=0)).clamp_min(0)


WRONG = {
    "hinge": [
        lambda a, p, n, margin: margin - cosine(a, p) + cosine(a, n),
        lambda a, p, n, margin: (margin + cosine(a, p) - cosine(a, n)).clamp_min(0),
        lambda a, p, n, margin: (margin - a @ p + a @ n).clamp_min(0),
        lambda a, p, n, margin: (-margin - cosine(a, p) + cosine(a, n)).clamp_min(0),
        lambda a, p, n, margin: (cosine(a, n) - cosine(a, p)).clamp_min(0),
        lambda a, p, n, margin: (margin - cosine(a, p) + cosine(a, n)).clamp(0, 1),
        lambda a, p, n, margin: (margin - cosine(a, p) + cosine(p, n)).clamp_min(0),
        lambda a, p, n, margin: margin + (cosine(a, n) - cosine(a, p)).clamp_min(0),
        lambda a, p, n, margin: (margin + (a - p).norm() - (a - n).norm()).clamp_min(0),
        lambda a, p, n, margin: (margin + distance(a, p) - distance(a, n)).clamp_min(0),
        lambda a, p, n, margin: 0.8,
        no_return,
    ],
    "paper_pairs": [
        lambda y, m: (same(y) & ~same(m), ~same(y) & same(m)),
        lambda y, m: (same(y.round()), ~same(y.round()) & same(m)),
        lambda y, m: (same(y.round()) & ~torch.eye(len(y), dtype=bool), ~same(y.round()) & same(m)),
        lambda y, m: (same(y.round()) & ~same(m), ~same(y.round())),
        lambda y, m: (same(y.round()) & ~same(m), same(m)),
        lambda y, m: (same(y.trunc()) & ~same(m), ~same(y.trunc()) & same(m)),
        lambda y, m: (same(y.floor()) & ~same(m), ~same(y.floor()) & same(m)),
        lambda y, m: (same(y.sign()) & ~same(m), ~same(y.sign()) & same(m)),
        lambda y, m: (~same(y.round()) & same(m), same(y.round()) & ~same(m)),
        lambda y, m: same(y.round()) & ~same(m),
        lambda y, m: ((same(y.round()) & ~same(m)).float(), (~same(y.round()) & same(m)).float()),
        lambda y, m: (same(y.round()[:3]), ~same(y.round()[:3])),
        lambda y, m: (same(y.round()) & same(m), ~same(y.round()) & ~same(m)),
    ],
}
