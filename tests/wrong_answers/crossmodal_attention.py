import torch


def scores(questions, keys):
    return questions @ keys.T


def grid(targets, sources):
    return torch.arange(targets)[:, None], torch.arange(sources), abs(sources - targets)


def seen(rule):
    return lambda targets, sources: rule(*grid(targets, sources))


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
        lambda weights, counted: weights[counted],
        overwritten,
    ],
}
