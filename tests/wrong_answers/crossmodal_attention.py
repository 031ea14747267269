import torch


def scores(questions, keys):
    return questions @ keys.T


def grid(targets, sources):
    return torch.arange(targets)[:, None], torch.arange(sources), abs(sources - targets)


def seen(rule):
    return lambda targets, sources: rule(*grid(targets, sources))


def scaled(questions, keys):
    return scores(questions, keys) / questions.shape[1] ** 0.5


def told(make):
    """An answer that makes its map from the scores and the mask."""
    return lambda q, k, v, visible: make(scaled(q, k), visible) @ v


def overwritten(weights, counted):
    weights *= counted
    weights /= weights.sum(dim=1, keepdim=True)
    return weights * counted.sum(dim=1, keepdim=True)


WRONG = {
    "attention_weights": [
        lambda q, k: scores(q, k).softmax(dim=1),
        lambda q, k: (scores(q, k) / q.shape[1]).softmax(dim=1),
        lambda q, k: (scores(q, k) / q.shape[1] ** 0.5).softmax(dim=0),
        lambda q, k: scores(q, k).softmax(dim=0),
        lambda q, k: scores(q, k) / q.shape[1] ** 0.5,
        lambda q, k: scores(q, k) / scores(q, k).sum(dim=1, keepdim=True),
        lambda q, k: (scores(q, k) * q.shape[1] ** 0.5).softmax(dim=1),
        lambda q, k: (scores(k, q) / q.shape[1] ** 0.5).softmax(dim=0),
        lambda q, k: (scores(q, k) / len(k) ** 0.5).softmax(dim=1),
        lambda q, k: (scores(q, k) / len(q) ** 0.5).softmax(dim=1),
        lambda q, k: scores(q, k).softmax(dim=1) / q.shape[1] ** 0.5,
    ],
    "may_look": [
        seen(lambda t, s, ahead: s <= t),
        seen(lambda t, s, ahead: s <= t + 1 + ahead),
        seen(lambda t, s, ahead: s < t + ahead),
        seen(lambda t, s, ahead: s > t + ahead),
        seen(lambda t, s, ahead: s <= t + len(s) - len(t)),
        seen(lambda t, s, ahead: s >= 0 * t),
        seen(lambda t, s, ahead: (s <= t + ahead).T),
        seen(lambda t, s, ahead: (s <= t + ahead).float()),
        seen(lambda t, s, ahead: s >= t + ahead),
    ],
    "mended_attention": [
        told(lambda s, visible: s.softmax(dim=1) * visible),
        told(lambda s, visible: s.softmax(dim=1)),
        told(lambda s, visible: (s * visible).softmax(dim=1)),
        told(lambda s, visible: s.masked_fill(~visible, 0.0).softmax(dim=1)),
        told(lambda s, visible: s.masked_fill(~visible, -1.0).softmax(dim=1)),
        told(lambda s, visible: s.masked_fill(~visible, 1e-9).softmax(dim=1)),
        told(lambda s, visible: s.masked_fill(visible, -torch.inf).softmax(dim=1)),
        told(lambda s, visible: s.masked_fill(~visible, -torch.inf).softmax(dim=0)),
        told(lambda s, visible: s.masked_fill(~visible, -1e9).softmax(dim=0)),
        told(lambda s, visible: s.masked_fill(~visible, -torch.inf)),
        told(lambda s, visible: s + visible),
        told(lambda s, visible: (s + visible).softmax(dim=1)),
        told(lambda s, visible: (s - torch.inf * ~visible).softmax(dim=1)),
        told(lambda s, visible: s.softmax(dim=1).masked_fill(~visible, -torch.inf)),
        told(lambda s, visible: s.softmax(dim=1) * visible / (s.softmax(dim=1) * visible).sum()),
        told(lambda s, visible: s.softmax(dim=1) * visible * len(s) / (s.softmax(dim=1) * visible).sum()),
        lambda q, k, v, visible: scores(q, k).masked_fill(~visible, -torch.inf).softmax(dim=1) @ v,
        lambda q, k, v, visible: scaled(q, k).masked_fill(~visible, -torch.inf).softmax(dim=1),
    ],
    "in_fair_shares": [
        lambda weights, counted: weights * counted / (weights * counted).sum(dim=1, keepdim=True),
        lambda weights, counted: weights * weights.shape[1],
        lambda weights, counted: weights * counted * counted.sum(dim=1, keepdim=True),
        lambda weights, counted: weights * counted / (weights * counted).sum(dim=1, keepdim=True) * counted.shape[1],
        lambda weights, counted: (
            weights * counted / (weights * counted).sum(dim=1, keepdim=True) / counted.sum(dim=1, keepdim=True)
        ),
        lambda weights, counted: weights * counted.sum(dim=1, keepdim=True),
        lambda weights, counted: weights * counted / (weights * counted).sum() * counted.sum(),
        lambda weights, counted: (
            weights * counted / (weights * counted).sum(dim=0, keepdim=True) * counted.sum(dim=1, keepdim=True)
        ),
        lambda weights, counted: weights[counted],
        overwritten,
    ],
}
