"""The dictionary of DHMD: sparsemax, pooling, activations, the three matchings, and the model around them."""

from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models import right_padding, small_batch, small_config

from dmdlite.components.dictionary import (
    ContrastiveMatching,
    Dictionary,
    DivergenceMatching,
    Lookup,
    MarginMatching,
    activate,
    divergence,
    info_nce,
    pool,
    sparsemax,
)
from dmdlite.components.losses import margin_contrastive_loss
from dmdlite.config import MODALITIES, SPACES, DMDConfig
from dmdlite.models.dhmd import DHMD, DHMDConfig
from dmdlite.models.registry import build

ACTIVATIONS = ("sparsemax", "softmax", "top_k")
OFF = {f"dictionary_{space}": 0.0 for space in SPACES}


def nearest_on_simplex(scores: torch.Tensor) -> torch.Tensor:
    """The projection by bisection: raise or lower τ until the sum of max(0, score − τ) is 1."""
    low, high = scores.min() - 1, scores.max()
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (scores - middle).clamp_min(0).sum() > 1 else (low, middle)
    return (scores - high).clamp_min(0)


numbers = st.floats(-5, 5, allow_nan=False).map(lambda x: round(x, 3))


@given(st.lists(numbers, min_size=1, max_size=12))
@settings(deadline=None)
def test_sparsemax_is_the_nearest_point_of_the_simplex(values):
    scores = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(sparsemax(scores), nearest_on_simplex(scores), atol=1e-12, rtol=0)


def test_sparsemax_by_hand():
    close = torch.testing.assert_close
    close(sparsemax(torch.tensor([[1.0, 0.6, -1.0]])), torch.tensor([[0.7, 0.3, 0.0]]))  # τ = 0.3
    close(sparsemax(torch.tensor([3.0, 1.0, 0.0])), torch.tensor([1.0, 0.0, 0.0]))
    close(sparsemax(torch.full((4,), -7.0)), torch.full((4,), 0.25))
    shifted = torch.tensor([101.0, 100.6, 99.0])
    close(sparsemax(shifted), torch.tensor([0.7, 0.3, 0.0]), atol=1e-4, rtol=0)


def test_gradient_of_sparsemax():
    """On the support S the Jacobian is 1 − 1/|S| on the diagonal and −1/|S| beside it; elsewhere it is zero."""
    scores = torch.tensor([1.0, 0.6, -1.0, 0.5], dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(sparsemax, scores)
    inside = (sparsemax(scores) > 0).double()
    expected = inside.diag() - torch.outer(inside, inside) / inside.sum()
    torch.testing.assert_close(jacobian, expected)
    assert inside.tolist() == [1, 1, 0, 1]
    assert torch.autograd.gradcheck(sparsemax, torch.randn(3, 7, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_shares(activation):
    torch.manual_seed(0)
    scores = 3 * torch.randn(5, 9)
    shares = activate(scores, activation, top_k=4)
    assert (shares >= 0).all() and torch.allclose(shares.sum(dim=1), torch.ones(5))
    assert torch.equal(shares.argmax(dim=1), scores.argmax(dim=1))


def test_top_k_is_the_softmax_of_the_highest():
    scores = torch.tensor([[0.0, 2.0, 1.0, -1.0]])
    expected = torch.tensor([[0.0, 2.0, 1.0, 0.0]]).exp() * torch.tensor([0, 1, 1, 0])
    torch.testing.assert_close(activate(scores, "top_k", 2), expected / expected.sum())
    torch.testing.assert_close(activate(scores, "top_k", 9), scores.softmax(dim=1))


def test_pooling_by_hand():
    steps = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    expected = {"max": ([9.0, 9.0], [3.0, -2.0]), "mean": ([13 / 3, 1.0], [2.0, -3.0]), "sum": ([13, 3], [4, -6])}
    for pooling, (everything, real) in expected.items():
        torch.testing.assert_close(pool(steps, None, pooling), torch.tensor([everything]).float())
        torch.testing.assert_close(pool(steps, mask, pooling), torch.tensor([real]).float())
        assert pool(steps, torch.zeros_like(mask), pooling).eq(0).all()  # nothing real: no atom is preferred


def test_lookup_is_what_fdt_writes():
    torch.manual_seed(0)
    dictionary = Dictionary(6, 5, "max", "sparsemax", temperature=0.5)
    x = torch.randn(2, 4, 6)
    found = dictionary({"vision": x})["vision"]
    for clip in range(2):
        fits = torch.stack([dictionary.queries["vision"](step) @ dictionary.atoms.T for step in x[clip]])
        scores = (fits / (6**0.5 * 0.5)).max(dim=0).values
        torch.testing.assert_close(found.scores[clip], scores)
        torch.testing.assert_close(found.activations[clip], sparsemax(scores))
        mixed = sum(share * atom for share, atom in zip(sparsemax(scores), dictionary.atoms))
        torch.testing.assert_close(found.features[clip], mixed)


def test_modalities_ask_with_their_own_maps_for_the_same_atoms():
    dictionary = Dictionary(6, 5, "max", "softmax")
    x = torch.randn(2, 4, 6)
    found = dictionary({m: x for m in MODALITIES})
    assert not torch.allclose(found["language"].scores, found["audio"].scores)
    found["audio"].features.sum().backward()
    assert dictionary.atoms.grad.abs().sum() > 0 and dictionary.queries["vision"][1].weight.grad is None


def look_ups(batch=6, atoms=7, width=5, seed=0, **scales) -> dict[str, Lookup]:
    torch.manual_seed(seed)
    cards, found = torch.randn(atoms, width), {}
    for m in MODALITIES:
        scores = (scales.get(m, 1.0) * torch.randn(batch, atoms)).requires_grad_()
        found[m] = Lookup(scores, sparsemax(scores), sparsemax(scores) @ cards)
    return found


def test_info_nce_by_hand():
    similarity = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = [F.softplus(torch.tensor(x)) for x in (-2.0, -2.0)]  # log(1 + e^(other − partner))
    columns = [F.softplus(torch.tensor(x)) for x in (-1.0, -3.0)]
    torch.testing.assert_close(info_nce(similarity), (sum(rows) + sum(columns)) / 4)
    torch.testing.assert_close(info_nce(torch.zeros(8, 8)), torch.tensor(8.0).log())


def test_contrastive_matching_is_the_mean_over_pairs():
    found, labels = look_ups(), torch.zeros(6)
    unit = {m: F.normalize(lookup.features, dim=1) for m, lookup in found.items()}
    pairs = [("language", "vision"), ("language", "audio"), ("vision", "audio")]
    expected = sum(info_nce(unit[one] @ unit[other].T / 0.5) for one, other in pairs) / 3
    torch.testing.assert_close(ContrastiveMatching(0.5, learned=True)(found, labels), expected)
    assert [p.numel() for p in ContrastiveMatching(0.5, learned=True).parameters()] == [1]
    assert not list(ContrastiveMatching(0.5, learned=False).parameters())


def test_the_contrast_has_an_end():
    found = look_ups()
    cold, colder = (ContrastiveMatching(t, learned=True)(found, torch.zeros(6)) for t in (0.01, 0.0001))
    torch.testing.assert_close(cold, colder)


def test_margin_matching_is_the_margin_loss_of_dictionary_features():
    found, labels, config = look_ups(), torch.tensor([1.0, 1.0, -1.0, -1.0, 2.0, 2.0]), DMDConfig.toy()
    features = {m: lookup.features for m, lookup in found.items()}
    expected = margin_contrastive_loss(features, labels, config)
    torch.testing.assert_close(MarginMatching(config)(found, labels), expected)
    assert expected > 0


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_divergence(activation):
    """Never negative, zero at the teacher's own shares, and with the gradient student − teacher, teacher held fixed."""
    torch.manual_seed(0)
    scores = (2 * torch.randn(8, 9)).requires_grad_()
    shares = activate(scores, activation, 3)
    student = Lookup(scores, shares, shares)
    asked = (2 * torch.randn(8, 9)).requires_grad_()
    teacher = activate(asked, activation, 3)
    lost = divergence(student, teacher, activation)
    assert (lost > 0).all()
    torch.testing.assert_close(divergence(student, shares, activation), torch.zeros(8), atol=1e-6, rtol=0)
    lost.sum().backward()
    torch.testing.assert_close(scores.grad, (shares - teacher).detach())
    assert asked.grad is None
    if activation == "softmax":
        expected = (teacher * (teacher.log() - shares.log())).sum(dim=1)  # KL(teacher ‖ student)
        torch.testing.assert_close(lost, expected)


def test_divergence_of_sparsemax_is_its_published_loss():
    """Martins and Astudillo, Eq. (27), for a teacher that is sure: −r_k + ½ Σ_{j ∈ S} (r_j² − τ²) + ½."""
    scores = torch.tensor([[1.0, 0.6, -1.0]])  # S = {0, 1}, τ = 0.3
    student = Lookup(scores, sparsemax(scores), scores)
    for k in range(3):
        published = -scores[0, k] + ((1.0 - 0.09) + (0.36 - 0.09)) / 2 + 0.5
        torch.testing.assert_close(divergence(student, torch.eye(3)[k : k + 1], "sparsemax")[0], published)


def test_divergence_matching_is_the_mean_over_ordered_pairs():
    found = look_ups()
    lessons = [
        divergence(found[j], found[i].activations, "sparsemax").mean() for i in MODALITIES for j in MODALITIES if i != j
    ]
    torch.testing.assert_close(DivergenceMatching("sparsemax")(found, torch.zeros(6)), sum(lessons) / 6)


CHOICES = {n: get_args(h) for n, h in get_type_hints(DHMDConfig).items() if get_origin(h) is Literal}


@pytest.mark.parametrize("field", ["dictionary_pooling", "dictionary_activation", "dictionary_matching"])
def test_every_choice_trains_the_features_before_it(field):
    for choice in CHOICES[field]:
        model = build("dhmd", small_config(), **{field: choice})
        out = model(**small_batch())
        matched = sum(out.losses[f"dictionary_{space}"] for space in SPACES)
        matched.backward()
        for part in (model.temporal, model.decouple.common_encoder, model.reinforce):
            assert all(p.grad.isfinite().all() for p in part.parameters())
            assert sum(p.grad.abs().sum() for p in part.parameters()) > 0


def test_choices_are_felt():
    def found(**changes):
        torch.manual_seed(0)
        out = build("dhmd", small_config(), **changes)(**small_batch())
        return torch.stack([out.losses[f"dictionary_{space}"] for space in SPACES])

    usual = found(dictionary_top_k=2)
    for field in ("dictionary_activation", "dictionary_matching", "dictionary_pooling"):
        values = [found(dictionary_top_k=2, **{field: choice}) for choice in CHOICES[field]]
        same = [torch.equal(value, usual) for value in values]
        assert same.count(True) == 1, field  # the default


def test_without_its_losses_it_is_dmd():
    """The same weights from the same seed, the same prediction, and the same gradients, to the last bit."""
    grads, predictions = [], []
    for name in ("dmd", "dhmd"):
        torch.manual_seed(0)
        weights = {"loss_weights": OFF} if name == "dhmd" else {}
        model = build(name, DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1), **weights)
        torch.manual_seed(1)
        streams = {m: torch.randn(4, model.config.lengths[m], model.config.feature_widths[m]) for m in MODALITIES}
        out = model(**streams, labels=torch.tensor([0.2, 0.2, -1.4, -0.8]))  # with dropout
        out.loss.backward()
        predictions.append(out.prediction)
        grads.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert torch.equal(*predictions) and grads[0].keys() == grads[1].keys()
    assert all(torch.equal(grads[0][n], grads[1][n]) for n in grads[0])


def test_output_and_padding():
    config = small_config()
    model, batch = build("dhmd", config).eval(), small_batch()
    mask = right_padding(dict(language=[1, 4, 9, 7], vision=[2, 12, 6, 0], audio=[10, 1, 3, 8]), config)
    out = model(**batch, mask=mask)
    noisy = {m: batch[m] + torch.randn_like(batch[m]) * ~mask[m][..., None] for m in MODALITIES}
    other = model(**batch | noisy, mask=mask)
    for space, width in (("homogeneous", config.width), ("heterogeneous", 2 * config.width)):
        for m in MODALITIES:
            found = out.dictionaries[space][m]
            assert found.activations.shape == (4, model.config.dictionary_size) and found.features.shape == (4, width)
            torch.testing.assert_close(found.activations, other.dictionaries[space][m].activations)
    nothing_seen = out.dictionaries["homogeneous"]["vision"].activations[3]
    torch.testing.assert_close(nothing_seen, torch.full_like(nothing_seen, 1 / len(nothing_seen)))


def test_config():
    assert DHMDConfig.of(DMDConfig.toy(width=8)).width == 8
    assert DHMDConfig.toy(dictionary_size=5).dictionary_size == 5
    own, dmd = DHMDConfig.paper().loss_weights, DMDConfig.paper().loss_weights
    assert {term: own[term] for term in dmd} == dmd and set(own) - set(dmd) == set(OFF)
    for name in ("dictionary_temperature", "contrast_temperature"):
        with pytest.raises(ValueError, match=f"{name} must be positive"):
            DHMDConfig.toy(**{name: 0.0})
    with pytest.raises(ValueError, match="dictionary_size must be at least 1"):
        DHMDConfig.toy(dictionary_size=0)


def test_it_is_saved_and_read(tmp_path):
    model = build("dhmd", small_config(), dictionary_size=6, contrast_learned=False).eval()
    model.save_pretrained(tmp_path)
    again = DHMD.from_pretrained(tmp_path)
    assert again.config == model.config
    assert torch.equal(again(**small_batch()).loss, model(**small_batch()).loss)
