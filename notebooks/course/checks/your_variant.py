"""Notebook 15."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from scipy.stats import t as student_t
from torch import Tensor, nn

from course.checks.answers import NotAttempted, describe
from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of
from dmdlite.components.decoupling import Decoupled, FeatureDecoupler
from dmdlite.components.dropout import Dropout
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.dmd import DMD

Clips = dict[str, Tensor]  # modality -> (clips, steps, width)


def _private_streams(dice: Dice) -> tuple:
    clips, width = dice.whole(3, 5), dice.whole(1, 3)
    private, common = (
        {m: dice.tensor(clips, dice.whole(1, 4), width, scale=dice.pick([0.5, 1.0, 2.0])) for m in MODALITIES}
        for _ in range(2)
    )
    return SimpleNamespace(decoupled=SimpleNamespace(private=private, common=common)), torch.zeros(clips)


def _silence(out: SimpleNamespace, labels: Tensor) -> Tensor:
    """Channel by channel."""
    short = []
    for x in out.decoupled.private.values():
        for channel in (x.sum(dim=1) / x.shape[1]).T:
            spread = ((channel - channel.mean()) ** 2).mean().sqrt()
            short.append(1 - spread if spread < 1 else 0 * spread)
    return torch.stack(short).mean()


def _effect(dice: Dice) -> tuple:
    return dice.pick([-1, 1]) * dice.whole(2, 30) / 100, dice.whole(1, 60) / 1000


def _seeds_needed(difference: float, deviation: float) -> int:
    """From the other side: the critical value of t, by its quantile."""
    seeds = 2
    while abs(difference) * seeds**0.5 / deviation <= student_t.ppf(0.975, seeds - 1):
        seeds += 1
    return seeds


@exercise("15.1")
def fusion(answer: type[nn.Module]) -> None:
    """answer(private_width, common_width): a module that predicts from three private vectors and a common one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        part = answer(4, 6)
        expect(isinstance(part, nn.Module), f"the class should be a torch.nn.Module, not {describe(part)}")
        part.eval()
        private = {m: torch.randn(5, 4, requires_grad=True) for m in MODALITIES}
        common = torch.randn(5, 6, requires_grad=True)
        prediction = _prediction(part(private, common))
        _reads_everything(part, prediction, private | {"the common vector": common})
        training = _prediction(part.train()(private, common))
        rates = [layer.rate for layer in part.modules() if isinstance(layer, Dropout)]
        expect(all(0 <= rate < 1 for rate in rates), f"a dropout rate lies between 0 and 1, below 1; got {rates}")
        _reads_everything(part, training, private | {"the common vector": common}, "in training mode ")
        part.eval()
        _keeps_clips_apart(part, prediction, private, common)
        config = DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)
        try:
            model = DMD(config, fusion=answer(16, 24)).eval()
            out = model(**_clips(config), labels=torch.zeros(2))
        except NotImplementedError:
            raise
        except Exception as problem:
            raise AssertionError(f"right on its own, but not in a DMD of width 8: {problem}") from problem
        expect(bool(out.loss.isfinite()), "in a DMD of width 8 its loss is not finite")


def _prediction(out: object) -> Tensor:
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


def _reads_everything(part: nn.Module, prediction: Tensor, inputs: dict[str, Tensor], when: str = "") -> None:
    expect(
        prediction.requires_grad, "no gradient flows through the prediction; was it detached or turned into a number?"
    )
    weights = dict(part.named_parameters())
    expect(weights, "an optimizer finds no weights in the module; keep layers as attributes, not in a list")
    found = torch.autograd.grad(prediction.sum(), [*inputs.values(), *weights.values()], allow_unused=True)
    still = [name for name, x in zip([*inputs, *weights], found, strict=True) if x is None or not x.any()]
    what = still[0] if still else ""
    expect(not still, f"{when}the prediction does not depend on {what}; all four vectors and all weights must count")


def _keeps_clips_apart(part: nn.Module, prediction: Tensor, private: dict[str, Tensor], common: Tensor) -> None:
    alone = part({m: x[:1] for m, x in private.items()}, common[:1]).prediction
    expect(
        torch.allclose(alone, prediction[:1], atol=1e-5),
        "the prediction of a clip changes with the other clips of its batch; concatenate along dim=1, the features",
    )


def _clips(config: DMDConfig) -> dict[str, Tensor]:
    return {m: torch.randn(2, config.lengths[m], config.feature_widths[m]) for m in MODALITIES}


@exercise("15.2", returns="loss", draw=_private_streams, right=_silence, gradient=True)
def silence(answer: Callable) -> None:
    """answer(out, labels) -> (): how far the private streams fall short of a spread of 1 between clips, on average."""
    private = {
        "language": torch.tensor([[[0.5, 9.0], [0.5, 9.0]], [[-0.5, 3.0], [-0.5, 3.0]]]),
        "vision": torch.tensor([[[4.0, 0.2], [-4.0, 0.2]], [[4.0, 0.0], [-4.0, 0.0]]]),
        "audio": torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]]]),
    }
    private = {m: x.requires_grad_() for m, x in private.items()}
    common = {m: torch.zeros_like(x).requires_grad_() for m, x in private.items()}
    decoupled = SimpleNamespace(private=private, common=common)
    term = answer(SimpleNamespace(decoupled=decoupled), torch.zeros(2))
    expect(
        isinstance(term, Tensor) and term.requires_grad,
        "the term has to be a tensor with a gradient; `.item()` and `float()` remove it",
    )
    expect(term.shape == (), f"a loss term is one number, of shape (); yours has shape {tuple(term.shape)}")
    # Spreads over the two clips: 0.5 and 3; 0 and 0.1; 0.5 and 0. Short of 1 by: 0.5, 0, 1, 0.9, 0.5, 1.
    value = term.item()
    mistakes = {
        "that is the sum over channels and modalities; return the mean": 3.9,
        "the mean over channels is right; take the mean over modalities, too, not their sum": 1.95,
        "a spread of 3 counts as −2: clamp at zero, channel by channel (`clamp_min(0)`, `torch.relu`)": (3.9 - 2.0) / 6,
        "that is the excess over 1, max(0, s − 1); return the shortfall, max(0, 1 − s)": 2 / 6,
        "every spread is 0: are those the common streams? The private ones are in out.decoupled.private": 1.0,
        "that is the spread with `correction=1`; use `correction=0`, which divides by the number of clips": 3.4444 / 6,
        "steps are mixed with clips: take the mean over time first, then the spread over the clips": 0.4833,
    }
    rule_out(value, mistakes, 2e-4)
    expect(like(value, 3.9 / 6, 1e-4), f"in a small example the term should be {3.9 / 6:.2f}, got {value:.4f}")


@exercise("15.3", returns="whole", draw=_effect, right=_seeds_needed)
def seeds_needed(answer: Callable) -> None:
    """answer(difference, deviation) -> the smallest number of seeds for which the paired t-test has p < 0.05."""
    found = answer(0.02, 0.03)
    expect(float(found) == int(found), f"a number of seeds is whole, got {found}")
    mistakes = {
        "9 comes from the normal distribution (1.96) or a one-sided test: use t with n − 1 degrees, two tails": 9,
        "11 is one too few: t has n − 1 degrees of freedom, not n, and p must be below 0.05": 11,
        "13 is one too many: with 12, p is below 0.05 already": 13,
    }
    rule_out(found, mistakes)
    expect(found == 12, f"a difference of 0.02 with a deviation of 0.03 takes 12 seeds, got {found}")
    expect(answer(-0.02, 0.03) == 12, "right for +0.02 but not for −0.02; the sign should not matter")
    expect(
        answer(0.5, 0.01) == 2,
        "a difference of 0.5 with a deviation of 0.01 takes 2 seeds; a single seed has no deviation",
    )
    expect(answer(0.02, 0.02) == 7, f"when both are 0.02 it takes 7 seeds, got {answer(0.02, 0.02)}")


@exercise("15.4")
def mended(answer: type[nn.Module]) -> None:
    """answer(width): decouples streams from which each clip's own mean over time has been subtracted."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        part, plain = answer(3), FeatureDecoupler(3)
        expect(isinstance(part, nn.Module), f"the class should be a FeatureDecoupler, not {describe(part)}")
        added = sorted(part.state_dict().keys() ^ plain.state_dict().keys())
        expect(not added, f"{', '.join(added)}: the weights should be those of a FeatureDecoupler; add and remove none")
        plain.load_state_dict(part.state_dict())
        sizes = (2, 4), (2, 4), (3, 4), (1, 5)  # clips, steps
        batches = [{m: torch.randn(*size, 3) + 2 for m in MODALITIES} for size in sizes]
        for place, streams in enumerate(2 * batches):  # training, then evaluation
            _centres(part.train(place < len(batches)), plain, streams, batches[0], place)
        _passes_gradients_on(part, plain, batches[1])


def _centres(part: nn.Module, plain: nn.Module, streams: Clips, first: Clips, place: int) -> None:
    """Does it decouple centred streams, whatever it has read before?"""
    given = {m: x.clone() for m, x in streams.items()}
    out = part(given)
    if out is ... or out is NotImplemented:
        raise NotAttempted
    expect(isinstance(out, Decoupled), f"`forward` should return what FeatureDecoupler's does, not {describe(out)}")
    same = all(torch.equal(given[m], x) for m, x in streams.items())
    expect(same, "it changes the streams that it is given (`x -= …`); others may read them later, so make new ones")
    mistakes = {
        "the streams are not centred: subtract each clip's mean over time": _vector(plain(streams)),
        "the mean is that of all clips of the batch; only a clip's own steps, dim=1, may count": _centred(
            plain, streams, (0, 1)
        ),
        "that is the mean over clips at each step; take the mean over time, dim=1": _centred(plain, streams, 0),
        "that is the mean over channels; take the mean over time, dim=1": _centred(plain, streams, 2),
        "one number is subtracted from a whole clip; each channel has a mean of its own": _centred(
            plain, streams, (1, 2)
        ),
    }
    if place:
        means = {m: x.mean(dim=(0, 1)) for m, x in first.items()}
        shifted = {m: x - means[m] for m, x in streams.items()}
        mistakes["it still subtracts the means of the first batch that it has read"] = _vector(plain(shifted))
    expected = plain({m: x - x.mean(dim=1, keepdim=True) for m, x in streams.items()})
    before = "right for the first batch, but not for the next: does it remember something?" if place else ""
    right = like(_vector(out), _vector(expected))
    if not right:  # of a single clip, several mistakes are none
        rule_out(_vector(out), mistakes)
    expect(right, before or "the common streams are not those of the centred ones")
    for name, x in vars(expected).items():
        right = all(like(getattr(out, name)[m], x[m]) for m in MODALITIES)
        expect(right, f"the common streams are right, but `{name}` is not: pass all centred streams on together")


def _centred(plain: nn.Module, streams: Clips, dim: int | tuple[int, ...]) -> Tensor:
    return _vector(plain({m: x - x.mean(dim=dim, keepdim=True) for m, x in streams.items()}))


def _vector(out: Decoupled) -> Tensor:
    """The common streams in a row, to be compared."""
    return torch.cat([x.flatten() for x in out.common.values()])


def _passes_gradients_on(part: nn.Module, plain: nn.Module, streams: Clips) -> None:
    mine, theirs = ({m: x.clone().requires_grad_() for m, x in streams.items()} for _ in range(2))
    result = _vector(part(mine))
    expect(result.requires_grad, "the values are right, but no gradient passes through the decoupler")
    weights = torch.randn_like(result)
    expected = _centred(plain, theirs, 1)
    found, due = (
        torch.autograd.grad(x, [*inputs.values()], weights, allow_unused=True)
        for x, inputs in ((result, mine), (expected, theirs))
    )
    expect(None not in found, "the values are right, but no gradient reaches the streams; is `x` detached?")
    right = all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, due, strict=True))
    expect(right, "the values are right, but the gradient is not: the mean depends on the stream, so do not detach it")


summary = summary_of(__name__)
