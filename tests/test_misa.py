"""MISA: its three losses on numbers that fit on a napkin, its recurrent layers, and what is fused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models import small_batch, small_config

from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.misa import (
    CONSTRAINTS,
    PUBLISHED,
    MISAConfig,
    StackedLSTM,
    central_moment_discrepancy,
    difference_loss,
    reconstruction_loss,
    similarity_loss,
    soft_orthogonality,
)
from dmdlite.models.registry import build


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def test_central_moment_discrepancy_by_hand():
    """0 and 1 against 0 and 0: means 1/2 and 0; central moments 1/4, 0, 1/16, 0 against zeros."""
    x, y = column(0.0, 1.0), column(0.0, 0.0)
    for moments, expected in ((1, 0.5), (2, 0.75), (3, 0.75), (4, 0.8125), (5, 0.8125)):
        torch.testing.assert_close(central_moment_discrepancy(x, y, moments), torch.tensor(expected))


def test_central_moments_of_several_channels_are_one_vector():
    x = torch.tensor([[3.0, 4.0], [3.0, 4.0]])
    torch.testing.assert_close(central_moment_discrepancy(x, torch.zeros(2, 2), 5), torch.tensor(5.0))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), clips=st.integers(1, 6), width=st.integers(1, 4), shift=st.floats(-2, 2))
def test_what_central_moments_cannot_see(seed, clips, width, shift):
    """Which clip has which value does not matter, and a shift changes the mean alone."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(clips, width, generator=generator, dtype=torch.float64)
    y = torch.rand(clips, width, generator=generator, dtype=torch.float64)
    shuffled = x[torch.randperm(clips, generator=generator)]
    zero = x.new_zeros(())
    torch.testing.assert_close(central_moment_discrepancy(x, shuffled, 5), zero)
    torch.testing.assert_close(central_moment_discrepancy(x, x + shift, 5), zero + abs(shift) * width**0.5)
    torch.testing.assert_close(central_moment_discrepancy(x, y, 5), central_moment_discrepancy(y, x, 5))


def test_equal_batches_have_a_finite_gradient():
    x = torch.rand(4, 3, requires_grad=True)
    central_moment_discrepancy(x, x.detach().clone(), 5).backward()
    assert x.grad.isfinite().all()


def test_similarity_is_a_mean_of_three_pairs():
    shared = {"language": column(0.0, 1.0), "vision": column(0.0, 0.0), "audio": column(0.0, 0.0)}
    torch.testing.assert_close(similarity_loss(shared, 5), torch.tensor(2 / 3 * 0.8125))


def test_soft_orthogonality_by_hand():
    """Centred and of length 1, +1 and −1 are left: they agree, or oppose, at all clips, or at none in sum."""
    together, alternating, constant = (
        column(5.0, 5.0, 1.0, 1.0),
        column(2.0, -2.0, 2.0, -2.0),
        column(3.0, 3.0, 3.0, 3.0),
    )
    for other in (together, -together, 7 * together):
        torch.testing.assert_close(soft_orthogonality(together, other), torch.tensor(1.0), rtol=1e-4, atol=0)
    for other in (alternating, constant):  # to rounding, which depends on the processor
        torch.testing.assert_close(soft_orthogonality(together, other), torch.tensor(0.0), rtol=0, atol=1e-12)


def published_difference(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """utils/functions.py:49-75 of the published code, in a loop over channels."""
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    x, y = x / (x.norm(dim=1, keepdim=True) + 1e-6), y / (y.norm(dim=1, keepdim=True) + 1e-6)
    entries = [(x[:, i] * y[:, j]).sum() ** 2 for i in range(x.shape[1]) for j in range(y.shape[1])]
    return sum(entries) / len(entries)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), clips=st.integers(2, 9), width=st.integers(2, 5))
def test_soft_orthogonality_is_the_published_one_without_the_sizes(seed, clips, width):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.rand(2, clips, width, generator=generator, dtype=torch.float64)
    ours = soft_orthogonality(x, y)
    torch.testing.assert_close(ours * (clips / width) ** 2, published_difference(x, y))
    assert 0 <= ours <= 1


def test_the_length_is_held_fixed():
    """One channel divided by its own length is ±1 whatever it is; only because the length is held has it a gradient."""
    x = column(1.0, -1.0).requires_grad_()
    soft_orthogonality(x, column(1.0, -1.0)).backward()
    torch.testing.assert_close(x.grad, column(1.0, -1.0), rtol=1e-4, atol=1e-4)  # of ((x₀ − x₁) / 2)²


def test_difference_is_a_sum_of_six_pairs():
    same, other = column(1.0, 1.0, -1.0, -1.0), column(1.0, -1.0, 1.0, -1.0)
    all_same = dict.fromkeys(MODALITIES, same)
    torch.testing.assert_close(difference_loss(all_same, all_same), torch.tensor(6.0), rtol=1e-4, atol=0)
    orthogonal = dict.fromkeys(MODALITIES, other)
    torch.testing.assert_close(difference_loss(all_same, orthogonal), torch.tensor(3.0), rtol=1e-4, atol=0)


def test_reconstruction_by_hand():
    x = {m: column(1.0, 3.0) for m in MODALITIES}
    y = {"language": column(1.0, 3.0), "vision": column(0.0, 3.0), "audio": column(1.0, 1.0)}
    torch.testing.assert_close(reconstruction_loss(x, y), torch.tensor((0 + 0.5 + 2) / 3))


def test_the_recurrent_layers_read_real_steps_wherever_they_are():
    layers, x = StackedLSTM(3), torch.randn(4, 5, 3)
    alone = layers(x)
    assert alone.shape == (4, 12)
    noise = torch.randn(4, 2, 3)
    right = torch.arange(7).expand(4, 7) < 5
    torch.testing.assert_close(layers(torch.cat([x, noise], dim=1), right), alone)
    torch.testing.assert_close(layers(torch.cat([noise, x], dim=1), right.flip(1)), alone)
    assert not torch.allclose(layers(torch.cat([x, noise], dim=1)), torch.cat([alone]))


def test_clips_of_different_lengths_do_not_mix():
    layers, x, lengths = StackedLSTM(3), torch.randn(3, 6, 3), [6, 1, 4]
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    one_by_one = [layers(x[b : b + 1, :time]) for b, time in enumerate(lengths)]
    torch.testing.assert_close(layers(x, mask), torch.cat(one_by_one))


def test_final_states_are_the_ends_of_both_directions():
    layers, x = StackedLSTM(3), torch.randn(2, 5, 3)
    steps, _ = layers.first(x)
    again, _ = layers.second(layers.norm(steps))
    ends = [steps[:, -1, :3], steps[:, 0, 3:], again[:, -1, :3], again[:, 0, 3:]]
    torch.testing.assert_close(layers(x), torch.cat(ends, dim=1))


def test_a_stream_that_is_not_there_is_one_step_of_zeros():
    layers, x = StackedLSTM(3), torch.randn(2, 5, 3)
    nothing = torch.zeros(2, 5, dtype=torch.bool)
    torch.testing.assert_close(layers(x, nothing), layers(torch.zeros(2, 1, 3)))


def test_six_vectors_are_fused():
    model, fused = build("misa", small_config()), {}
    model.fuse.register_forward_hook(lambda _, inputs, __: fused.update(six=inputs[0]))
    out = model(**small_batch())
    assert fused["six"].shape == (4, 6, 8)
    for place, m in enumerate(MODALITIES):
        torch.testing.assert_close(fused["six"][:, place], out.private[m])
        torch.testing.assert_close(fused["six"][:, 3 + place], out.shared[m])
    assert all(0 < x.min() and x.max() < 1 for x in (*out.private.values(), *out.shared.values()))


def test_the_shared_map_is_one_and_the_private_ones_are_three():
    """What makes equal projections equal in the shared space does not in the private ones."""
    model = build("misa", small_config())
    projected = torch.randn(4, 8)
    assert len({id(model.private[m]) for m in MODALITIES}) == 3
    assert not torch.allclose(model.private["language"](projected), model.private["vision"](projected))
    for m in MODALITIES:
        model.project[m] = torch.nn.Identity()
    model.utterances = lambda streams, mask: dict.fromkeys(MODALITIES, projected)
    out = model(**small_batch())
    assert torch.equal(out.shared["language"], out.shared["audio"]) and out.losses["similarity"] == 0


def test_its_own_weights_are_kept_beside_the_shared_config():
    config = MISAConfig.of(DMDConfig.toy(width=32), moments=3)
    assert config.loss_weights == {"task_final": 1.0, "difference": 0.025, "similarity": 0.3, "reconstruction": 1.0}
    assert config.loss_weights == {"task_final": 1.0} | CONSTRAINTS
    assert PUBLISHED["difference"] * (64 / 128) ** 2 == 0.075  # of ours: at the published batch and width
    assert config.width == 32 and config.moments == 3
    with pytest.raises(ValueError, match="moments must be at least 1, got 0"):
        config.replace(moments=0)
    with pytest.raises(ValueError, match="feed_forward_width must be at least 1, got 0"):
        config.replace(feed_forward_width=0)
