"""DLF: who hears whom, what its orthogonality compares, and padding in its transformers."""

import pytest
import torch
from test_models import right_padding, small_batch, small_config

from dmdlite.components.losses import orthogonality_loss
from dmdlite.config import MODALITIES
from dmdlite.models.dlf import in_rows
from dmdlite.models.registry import build


@pytest.mark.parametrize(
    ("modalities", "focus", "leader"),
    [
        (MODALITIES, "language", "language"),
        (MODALITIES, "audio", "audio"),
        (("vision", "audio"), "language", "vision"),  # language is not read, so the first that is leads
        (("language", "audio"), "audio", "audio"),
    ],
)
def test_one_modality_hears_the_others(modalities, focus, leader):
    """Its own head depends on it alone, that of another on both."""
    model = build("dlf", small_config(modalities=list(modalities)), focus=focus)
    batch = {m: x.requires_grad_() for m, x in small_batch().items() if m in modalities}
    out = model(**batch)
    assert out.reinforced.keys() == set(modalities)
    for m in modalities:
        gradients = torch.autograd.grad(
            out.predictions[f"heterogeneous_{m}"].sum(), list(batch.values()), retain_graph=True, allow_unused=True
        )
        heard = {n for n, gradient in zip(batch, gradients) if gradient is not None and gradient.any()}
        assert heard == {m, leader}


def test_a_cosine_of_one_step_of_a_part_and_of_several_steps():
    common, private = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    cosine = lambda x, y: (x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1))

    def measured(span):
        rows = ({"language": in_rows(x, span)} for x in (common, private))
        return orthogonality_loss(*rows, "over_channels", clamped=False)

    torch.testing.assert_close(measured(4), cosine(common, private).mean())
    halves = cosine(common.unflatten(2, (2, 2)), private.unflatten(2, (2, 2)))
    torch.testing.assert_close(measured(2), halves.mean())
    clips = cosine(*(x.transpose(0, 1).flatten(1) for x in (common, private)))  # a step of both clips
    torch.testing.assert_close(measured(8), clips.mean())
    assert measured(7).isfinite() and in_rows(common, 7).shape == (1, 4, 7)


def test_padding_is_zero_in_every_decoupled_stream():
    config = small_config()
    mask = right_padding(dict(language=[1, 4, 9, 7], vision=[2, 12, 6, 1], audio=[10, 1, 3, 8]), config)
    out = build("dlf", config)(**small_batch(), mask=mask)
    for streams in vars(out.decoupled).values():
        assert all(not x[~out.masks[m]].any() and x[out.masks[m]].any(dim=1).all() for m, x in streams.items())


def test_every_term_has_its_published_weight():
    terms = build("dlf", small_config())(**small_batch()).losses
    weights = build("dlf", small_config()).loss_weights
    assert weights.keys() == terms.keys() and len(terms) == 9
    assert weights["task_heterogeneous_language"] == 3 and weights["task_heterogeneous_vision"] == 1
    assert (
        weights["reconstruction"] == weights["cycle"] == 0.1 and weights["margin"] == weights["orthogonality"] == 0.01
    )
