import math

import torch
import torch.nn.functional as F


def step(cost, g, epsilon, sign=-1, factor=None, weight=None, dim=1):
    factor = epsilon if factor is None else factor
    weight = -math.log(cost.shape[1]) if weight is None else weight
    return sign * factor * (torch.logsumexp((g - cost) / epsilon, dim=dim) + weight)


WRONG = {
    "row_step": [
        lambda cost, g, epsilon: step(cost, g, epsilon, sign=1),
        lambda cost, g, epsilon: step(cost, g, epsilon, factor=1.0),
        lambda cost, g, epsilon: step(cost, g, epsilon, weight=0.0),  # b forgotten
        lambda cost, g, epsilon: step(cost, g, epsilon, weight=-math.log(cost.shape[0])),
        lambda cost, g, epsilon: step(cost, g, epsilon, dim=0),
        lambda cost, g, epsilon: step(cost, -g, epsilon),
        lambda cost, g, epsilon: step(cost, 0 * g, epsilon),
        lambda cost, g, epsilon: step(-cost, g, epsilon),
        lambda cost, g, epsilon: -epsilon * torch.exp((g - cost) / epsilon).mean(dim=1).log(),  # underflows
    ],
    "similarities": [
        lambda z: z @ z.T,
        lambda z: z @ z.T - (z @ z.T).min(),
        lambda z: F.normalize(z, dim=1) @ F.normalize(z, dim=1).T,  # not shifted
        lambda z: F.normalize(z, dim=0) @ F.normalize(z, dim=0).T,
        lambda z: F.normalize(z, dim=1) @ F.normalize(z, dim=1).T + 1,
        lambda z: (F.normalize(z, dim=1) @ F.normalize(z, dim=1).T).clamp_min(0),
        lambda z: (s := F.normalize(z, dim=1) @ F.normalize(z, dim=1).T) - s.min(dim=1, keepdim=True).values,
        lambda z: F.cosine_similarity(z[:-1], z[1:]),
    ],
}
