import torch

ORDER = [(1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2)]


def matrix(six, order):
    edges = torch.zeros(six.shape[1], 3, 3)
    for edge, (i, j) in enumerate(order):
        edges[:, i, j] = six[edge]
    return edges


WRONG = {
    "weighted_total": [
        lambda losses, weights: sum(losses.values()),
        lambda losses, weights: sum(losses.values()) / len(losses),
        lambda losses, weights: sum(weights.get(name, 1.0) * loss for name, loss in losses.items()),
        lambda losses, weights: sum(weights[name] for name in weights),
        lambda losses, weights: sum(a * b for a, b in zip(losses.values(), weights.values())),
        lambda losses, weights: sum(weights[name] * losses[name].detach() for name in weights),
    ],
    "edge_matrix": [
        lambda six: matrix(six, ORDER).transpose(1, 2),
        lambda six: matrix(six, [(i, j) for i in range(3) for j in range(3) if i != j]),
        lambda six: matrix(six, ORDER)[0],
        lambda six: matrix(six, ORDER) + torch.eye(3),
        lambda six: matrix(six, ORDER[:-1]),
        lambda six: matrix(torch.arange(1.0, 13.0).view(6, 2), ORDER),
        lambda six: matrix(six.detach(), ORDER),
        lambda six: torch.tensor(matrix(six, ORDER).tolist()),
    ],
}
