import torch

LOOPS = torch.eye(3, dtype=torch.bool)

WRONG = {
    "main_teacher": [
        lambda w: int(w.sum(dim=0).argmax()),
        lambda w: int(w.max(dim=1).values.argmax()),
        lambda w: float(w.sum(dim=1).max()),
        lambda w: w.sum(dim=1),
        lambda w: int(w.argmax()) // 3,
        lambda w: int(w.argmax()),  # a place among nine
        lambda w: int(w.sum(dim=1).argmin()),
    ],
    "distance": [
        lambda w, prior: (w - prior).sum(),
        lambda w, prior: (w - prior).abs().sum(),
        lambda w, prior: (w - prior).square().sum(),
        lambda w, prior: (w - prior).abs().mean(),
        lambda w, prior: (w - prior).abs().sum() / 6,
        lambda w, prior: (w - prior).abs().max(),
        lambda w, prior: 1 - torch.minimum(w, prior).max(),
    ],
    "edges_with_nobody": [
        lambda s: s.masked_fill(LOOPS, 0.0).softmax(dim=0),
        lambda s: s.masked_fill(LOOPS, -torch.inf).softmax(dim=0),
        lambda s: s.masked_fill(LOOPS, 0.0).softmax(dim=1).masked_fill(LOOPS, 0.0),
        lambda s: s.softmax(dim=0).masked_fill(LOOPS, 0.0),
        lambda s: s.masked_fill(LOOPS, -torch.inf).flatten().softmax(dim=0).view(3, 3),
        lambda s: s.masked_fill(LOOPS, 0.0).softmax(dim=0)[:, 0],
        lambda s: s.masked_fill(LOOPS, 0.0).flatten().softmax(dim=0).view(3, 3).masked_fill(LOOPS, 0.0),
        lambda s: torch.ones(3, 3).masked_fill(LOOPS, 0.0) / 3,
    ],
}
