"""Each component against a slow, obvious version of itself, and for the properties that it promises."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dmdlite.components.decoupling import FeatureDecoupler
from dmdlite.components.graph_distillation import GraphDistillationUnit, logit_difference, representation_distance
from dmdlite.components.heads import AdaptiveFusion
from dmdlite.components.losses import label_margins, margin_contrastive_loss, orthogonality_loss, reconstruction_loss
from dmdlite.components.streams import TemporalConvolution, time_mean
from dmdlite.components.transformer import last_step
from dmdlite.config import MODALITIES, DMDConfig

seeds = st.integers(0, 10_000)
close = torch.testing.assert_close


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_pooling(seed):
    torch.manual_seed(seed)
    x, mask = torch.randn(3, 5, 2), torch.rand(3, 5) < 0.5
    mask[0] = False
    for b in range(3):
        steps = mask[b].nonzero()[:, 0]
        close(last_step(x, mask)[b, 0], x[b, steps[-1] if len(steps) else -1])
        close(time_mean(x, mask)[b], x[b, steps].mean(0) if len(steps) else torch.zeros(2))
    close(time_mean(x), x.mean(1))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("padding", "kernel"), [("valid", 5), ("valid", 1), ("same", 3), ("same", 4)])
def test_a_kept_step_is_real_when_its_window_touches_a_real_step(padding, kernel):
    convolution = TemporalConvolution(2, 3, kernel, padding)
    nn.init.ones_(convolution.weight)
    mask = torch.arange(9).expand(10, 9) < torch.arange(10)[:, None]
    touched = convolution(mask[..., None].float().expand(-1, -1, 2))[..., 0] > 0
    close(convolution.kept_mask(mask), touched)


def test_decoupling_by_hand():
    decouple, x = FeatureDecoupler(4), {m: torch.randn(2, 3, 4) for m in MODALITIES}
    parts = decouple(x)
    for m in MODALITIES:
        common, private = x[m] @ decouple.common_encoder.weight.T, x[m] @ decouple.private_encoders[m].weight.T
        again = torch.cat([common, private], -1) @ decouple.decoders[m].weight.T
        close(parts.common[m], common), close(parts.private[m], private), close(parts.reconstruction[m], again)
        close(parts.private_again[m], again @ decouple.private_encoders[m].weight.T)


def test_reconstruction_norms():
    x, y = {"language": torch.zeros(2, 3, 4)}, {"language": torch.full((2, 3, 4), 2.0)}
    assert reconstruction_loss(x, y, "mean_square") == 4
    assert reconstruction_loss(x, y, "frobenius") == 4 * 3 * 4


def test_orthogonality_clamps():
    x = {"language": torch.ones(2, 3, 4)}
    opposite = {"language": -torch.ones(2, 3, 4)}
    for over in ("per_sample", "over_channels", "over_batch"):
        assert orthogonality_loss(x, x, over, True) == pytest.approx(1, abs=1e-6)
        assert orthogonality_loss(x, opposite, over, True) == 0
        assert orthogonality_loss(x, opposite, over, False) == pytest.approx(-1, abs=1e-6)


def slow_margin_loss(features, labels, config):
    """Eq. (4) with loops, for one reading of the paper and one of the published code."""
    samples = [(m, b) for m in features for b in range(len(labels))]
    klass = labels if config.margin_classes == "label" else labels.clamp(-3, 3).round()
    cos = lambda s, t: torch.cosine_similarity(features[s[0]][s[1]], features[t[0]][t[1]], dim=0)
    per_anchor = []
    for i in samples:
        positives = [j for j in samples if j != i and klass[j[1]] == klass[i[1]]]
        negatives = [k for k in samples if klass[k[1]] != klass[i[1]]]
        if config.margin_triplets == "across_modalities":
            positives, negatives = [j for j in positives if j[0] != i[0]], [k for k in negatives if k[0] == i[0]]
        hinges = [
            (margin_of(config, labels[i[1]], labels[k[1]]) - cos(i, j) + cos(i, k)).clamp_min(0)
            for j, k in itertools.product(positives, negatives)
        ]
        per_anchor.append(hinges)
    if config.margin_average == "triplets":
        every = sum(per_anchor, [])
        return sum(every) / max(1, len(every))
    means = [sum(hinges) / len(hinges) for hinges in per_anchor if hinges]
    return sum(means) / max(1, len(means))


def margin_of(config, y_i, y_k):
    return config.margin_constant + config.margin_per_label_distance * (y_i - y_k).abs()


@pytest.mark.parametrize("preset", [DMDConfig.official, DMDConfig.paper])
@given(seed=seeds, batch=st.integers(1, 5), grid=st.sampled_from([0.5, 1.0, 3.0]))
@settings(max_examples=15, deadline=None)
def test_margin_loss_and_its_gradient(preset, seed, batch, grid):
    torch.manual_seed(seed)
    labels = (torch.randn(batch) / grid).round() * grid
    features = {m: torch.randn(batch, 4, requires_grad=True) for m in MODALITIES}
    ours = margin_contrastive_loss(features, labels, preset())
    slow = torch.as_tensor(slow_margin_loss(features, labels, preset()))
    close(ours, slow.float(), rtol=1e-5, atol=1e-6)
    ours_gradient = torch.autograd.grad(ours, list(features.values()))
    if slow.requires_grad:
        for ours_x, slow_x in zip(ours_gradient, torch.autograd.grad(slow, list(features.values()))):
            close(ours_x, slow_x, rtol=1e-4, atol=1e-6)
    else:
        assert all(g.eq(0).all() for g in ours_gradient)


def unit(**changes) -> GraphDistillationUnit:
    return GraphDistillationUnit(DMDConfig.official(**changes), "heterogeneous", 6)


@pytest.mark.parametrize("inputs", ["projected", "raw"])
def test_edges_are_a_distribution_without_loops(inputs):
    edges = unit(graph_inputs=inputs)(torch.randn(5, 3, 6), torch.randn(5, 3))
    close(edges.sum(dim=(1, 2)), torch.ones(5))
    assert (edges >= 0).all() and edges.diagonal(dim1=1, dim2=2).eq(0).all()


def test_equation_8_pair_by_pair():
    gd, nodes, logits = unit(graph_inputs="raw", graph_sharpness=1.0), torch.randn(2, 3, 6), torch.randn(2, 3)
    edges = gd(nodes, logits)
    for b in range(2):
        known = [torch.cat([logits[b, m : m + 1], nodes[b, m]]) for m in range(3)]
        pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
        scores = torch.stack([gd.edge(torch.cat([known[i], known[j]]))[0] for i, j in pairs])
        for (i, j), weight in zip(pairs, scores.softmax(0)):
            close(edges[b, i, j], weight)


def test_distillation_moves_the_student_alone():
    logits = torch.tensor([[0.0, 1.0, 3.0]], requires_grad=True)
    difference = logit_difference(logits)
    close(difference[0], torch.tensor([[0.0, 1, 3], [1, 0, 2], [3, 2, 0]]))
    difference[0, 0, 2].backward()  # language teaches audio
    assert logits.grad.tolist() == [[0.0, 0.0, 1.0]]


def test_losses_of_a_graph_with_loops():
    gd = GraphDistillationUnit(DMDConfig.official(), "homogeneous", 6)
    nodes, logits = torch.randn(4, 3, 6), torch.randn(4, 3)
    edges = gd(nodes, logits)
    losses, pairs = gd.losses(edges, nodes, logits), [(i, j) for i in range(3) for j in range(3) if i != j]
    strength = {(i, j): edges[:, i, j] + gd.prior[i, j] for i, j in pairs}
    close(losses["logit"], sum((strength[i, j] * (logits[:, j] - logits[:, i]).abs()).mean() for i, j in pairs))
    distance = {(i, j): (nodes[:, j] - nodes[:, i]).abs().sum(-1) for i, j in pairs}
    close(losses["representation"], 10 * sum((strength[p] * distance[p]).mean() for p in pairs))
    close(losses["prior_penalty"], 10 * sum((edges[:, i, j].mean() - gd.prior[i, j]) ** 2 for i, j in pairs))


def test_repel_pushes_representations_apart():
    torch.manual_seed(0)
    nodes = torch.randn(4, 3, 6).abs().requires_grad_()  # positive, hence similar
    before = torch.nn.functional.cosine_similarity(nodes[:, 0], nodes[:, 1]).mean()
    representation_distance(nodes, "repel").sum().backward()
    moved = nodes - nodes.grad
    assert torch.nn.functional.cosine_similarity(moved[:, 0], moved[:, 1]).mean() < before


def test_without_a_prior_nothing_is_added():
    gd = unit(graph_priors={"heterogeneous": None})
    assert gd.prior.eq(0).all()
    nodes, logits = torch.randn(4, 3, 6), torch.randn(4, 3)
    assert gd.losses(gd(nodes, logits), nodes, logits)["prior_penalty"] == 0


def test_fusion_gate_replaces_or_scales():
    private, common = {m: torch.randn(2, 4) for m in MODALITIES}, torch.randn(2, 6)
    for gate in ("replaces", "scales"):
        fusion = AdaptiveFusion(4, 6, 0.0, gate)
        parts = [*private.values(), common]
        gates = [linear(x).sigmoid() for linear, x in zip(fusion.gates.values(), parts)]
        expected = [g * x for g, x in zip(gates, parts)] if gate == "scales" else gates
        close(fusion(private, common).prediction, fusion.head(torch.cat(expected, dim=1)).prediction)


def test_held_edges_are_what_they_are_held_at_and_the_others_learn():
    torch.manual_seed(0)
    unit = GraphDistillationUnit(DMDConfig.toy(), "homogeneous", 24)
    nodes, logits = torch.randn(5, 3, 24), torch.randn(5, 3)
    free = unit(nodes, logits)
    unit.fixed_edges[0, 1], unit.fixed_edges[2, 1] = 0.0, 0.7
    edges = unit(nodes, logits)
    assert edges[:, 0, 1].eq(0).all() and edges[:, 2, 1].eq(0.7).all()
    learned = unit.fixed_edges.isnan()
    assert torch.equal(edges[:, learned], free[:, learned])
    # A held edge weighs exactly what it is held at; the published prior is added to the others alone.
    strength = torch.where(learned, edges + unit.prior, unit.fixed_edges)
    expected = torch.einsum("bij,bij->b", strength, logit_difference(logits)).mean()
    torch.testing.assert_close(unit.losses(edges, nodes, logits)["logit"], expected)
    unit.fixed_edges.copy_(torch.eye(3))
    unit(nodes, logits).sum().backward()
    assert all(p.grad is None or p.grad.eq(0).all() for p in unit.parameters())
    assert "held" not in unit.state_dict()


def test_a_margin_of_ones_own():
    """`margins` stands in for the margin of the config: a constant, and half of what the labels say."""
    torch.manual_seed(0)
    config, labels = (
        DMDConfig.toy(margin_constant=0.0, margin_per_label_distance=0.15),
        torch.tensor([-1.0, 0, 2, 2, -1]),
    )
    features = {m: torch.randn(len(labels), 4) for m in MODALITIES}
    constant = config.replace(margin_constant=0.3, margin_per_label_distance=0.0)
    own = margin_contrastive_loss(features, labels, config, margins=lambda y, _: torch.full((len(y), len(y)), 0.3))
    close(own, margin_contrastive_loss(features, labels, constant))
    shrunk = lambda y, config: 0.5 * label_margins(y, config)
    expected = margin_contrastive_loss(features, labels, config.replace(margin_per_label_distance=0.075))
    close(margin_contrastive_loss(features, labels, config, margins=shrunk), expected)
    assert len({loss.item() for loss in (own, expected, margin_contrastive_loss(features, labels, config))}) == 3
