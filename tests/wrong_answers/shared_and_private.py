import torch
import torch.nn.functional as F


def both(common, private):
    return torch.cat([common, private], dim=-1)


WRONG = {
    "orthogonality": [
        lambda c, p: F.cosine_similarity(c.flatten(1), p.flatten(1), dim=1).mean(),
        lambda c, p: F.cosine_similarity(c.flatten(1), p.flatten(1), dim=1).mean().clamp_min(0),
        lambda c, p: F.cosine_similarity(c, p, dim=2).clamp_min(0).mean(),
        lambda c, p: F.cosine_similarity(c, p).clamp_min(0).mean(),
        lambda c, p: F.cosine_similarity(c, p, dim=0).clamp_min(0).mean(),
        lambda c, p: F.cosine_similarity(c.flatten(), p.flatten(), dim=0).clamp_min(0),
        lambda c, p: F.cosine_similarity(c.flatten(1), p.flatten(1), dim=1).clamp_min(0).sum(),
        lambda c, p: (c * p).sum(dim=(1, 2)).clamp_min(0).mean(),
        lambda c, p: F.cosine_similarity(c.flatten(1), p.flatten(1), dim=1).abs().mean(),
        lambda c, p: 0.0,
    ],
    "cycle_loss": [
        lambda c, p, encode, decode: (p - encode(decode(both(p, c)))).square().mean(),
        lambda c, p, encode, decode: (p - decode(both(c, p))).square().mean(),
        lambda c, p, encode, decode: (p - encode(p)).square().mean(),
        lambda c, p, encode, decode: (c - encode(decode(both(c, p)))).square().mean(),
        lambda c, p, encode, decode: (p - encode(decode(both(c, p)))).square().sum(),
        lambda c, p, encode, decode: (p - encode(decode(both(c, p)))).abs().mean(),
        lambda c, p, encode, decode: (p - encode(decode(both(c, p)))).square().mean().sqrt(),
        lambda c, p, encode, decode: (p - encode(decode(p))).square().mean(),
        lambda c, p, encode, decode: (p - encode(both(c, p))).square().mean(),
        lambda c, p, encode, decode: torch.tensor(0.0),
        lambda c, p, encode, decode: (p - encode(decode(both(c, p)))).square().mean().detach(),
        lambda c, p, encode, decode: (p.detach() - encode(decode(both(c, p)))).square().mean(),
        lambda c, p, encode, decode: (p - encode(decode(both(c.detach(), p)))).square().mean(),
    ],
    "hiding_place": [
        lambda: -torch.eye(4),
        lambda: torch.eye(4),
        lambda: torch.zeros(4, 4),
        lambda: torch.eye(4)[[1, 0, 3, 2]],
        lambda: torch.diag(torch.tensor([0.0, 0.0, 1.0, 1.0])),
        lambda: torch.diag(torch.tensor([1.0, -1.0, 1.0, -1.0])),
        lambda: torch.randn(4, 4, generator=torch.Generator().manual_seed(0)),
        lambda: torch.eye(4)[:2],
    ],
}
