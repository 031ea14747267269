"""The same losses and gradients on every device: this machine's accelerator (or CPU) beside double precision."""

import copy

import pytest
import torch
from test_models import small_batch, small_config

from dmdlite.models.registry import NAMES, build
from dmdlite.training.loop import seed_everything

DEVICE = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def terms_and_gradients(model, batch) -> dict[str, torch.Tensor]:
    """Every loss term and the gradient of every weight, in double precision on the CPU."""
    out = model(**batch)
    out.loss.backward()
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: x.detach().cpu().double() for name, x in (out.losses | gradients).items()}


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradients_agree_with_double_precision(name, without_shape_checks):
    seed_everything(0)
    model, batch = build(name, small_config()), small_batch()
    exact = copy.deepcopy(model).double()
    expected = terms_and_gradients(exact, {key: x.double() for key, x in batch.items()})
    found = terms_and_gradients(model.to(DEVICE), {key: x.to(DEVICE) for key, x in batch.items()})
    assert len(found) > 10
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-5)
