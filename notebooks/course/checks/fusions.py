"""What every fusion has to do, for exercise 15.1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course.checks.answers import NotAttempted
from course.checks.marking import expect
from dmdlite.components.heads import ResidualHead
from dmdlite.config import MODALITIES


def prediction_of(out: object) -> Tensor:
    if out is ... or out is NotImplemented:
        raise NotAttempted
    expect(out is not None, "`forward` returns nothing; is a `return` missing?")
    expect(
        hasattr(out, "prediction"),
        f"DMD reads `.prediction` of what a fusion returns; a {type(out).__name__} has none. ResidualHead returns one",
    )
    shape = tuple(out.prediction.shape)
    expect(shape == (5,), f"five clips have five predictions, of shape (5,); yours has shape {shape}")
    return out.prediction


def reads_everything(part: nn.Module, prediction: Tensor, inputs: dict[str, Tensor], when: str = "") -> None:
    expect(
        prediction.requires_grad, "no gradient flows through the prediction; was it detached or turned into a number?"
    )
    weights = dict(part.named_parameters())
    expect(weights, "an optimizer finds no weights in the module; keep layers as attributes, not in a list")
    found = torch.autograd.grad(prediction.sum(), [*inputs.values(), *weights.values()], allow_unused=True)
    still = [name for name, x in zip([*inputs, *weights], found, strict=True) if x is None or not x.any()]
    what = still[0] if still else ""
    expect(not still, f"{when}the prediction does not depend on {what}; all four vectors and all weights must count")


def keeps_clips_apart(part: nn.Module, prediction: Tensor, private: dict[str, Tensor], common: Tensor) -> None:
    alone = part({m: x[:1] for m, x in private.items()}, common[:1]).prediction
    expect(
        torch.allclose(alone, prediction[:1], atol=1e-5),
        "the prediction of a clip changes with the other clips of its batch; concatenate along dim=1, the features",
    )


def takes_vectors_as_they_are(part: nn.Module) -> None:
    """Judged by results alone, which is all that the marking sees: private vectors side by side, and no gate.

    A residual head is linear between the kinks of its ReLUs, so a small step leaves the slope of most clips unchanged.
    """
    vectors = {m: torch.randn(64, 4) for m in MODALITIES} | {"common": torch.randn(64, 6)}
    predict = lambda x: part({m: x[m] for m in MODALITIES}, x["common"]).prediction
    moved = torch.randn(64, 4)
    shifted = vectors | {"language": vectors["language"] + moved, "vision": vectors["vision"] - moved}
    with torch.no_grad():
        added = torch.allclose(predict(vectors), predict(shifted), atol=1e-5)
    expect(not added, "only the sum of the private vectors counts: concatenate them, do not add")

    def slopes(scale: float) -> Tensor:
        leaves = {name: (scale * x).requires_grad_() for name, x in vectors.items()}
        return torch.cat(torch.autograd.grad(predict(leaves).sum(), list(leaves.values())), dim=1)

    unchanged = torch.isclose(slopes(1.0), slopes(1.005), rtol=1e-5, atol=1e-6).all(dim=1)
    gate = "the four vectors should reach the head as they are; does a gate or another layer change them?"
    expect(unchanged.any(), gate)


def head_reads_the_vectors(part: nn.Module, private: dict[str, Tensor], common: Tensor) -> None:
    if not any(part.children()):  # in the marking, where only the results are seen
        return
    heads = [layer for layer in part.modules() if isinstance(layer, ResidualHead)]
    expect(len(heads) == 1, f"one `ResidualHead` should predict; yours has {len(heads)}")
    read = []
    hook = heads[0].register_forward_pre_hook(
        lambda _, given, named: read.extend([*given, *named.values()]), with_kwargs=True
    )
    part(private, common)
    hook.remove()
    joined = torch.cat([*private.values(), common], dim=1)
    shape, due = tuple(read[0].shape), tuple(joined.shape)
    expect(
        shape == due,
        f"for private vectors of width 4 and a common one of width 6, the head should read {due}; "
        f"yours reads {shape}. Are vectors added? Concatenate them",
    )
    expect(
        torch.allclose(read[0].sort(dim=1).values, joined.sort(dim=1).values, atol=1e-6),
        "the four vectors should reach the head as they are; does a gate or another layer change them?",
    )
