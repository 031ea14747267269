"""Edges that follow evidence: the rule by its formula, by what it must refuse, and beside the published one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models import small_batch, small_config
from torch.testing import assert_close

from course.edge_audit.rules import RULES, AlignmentUnit, LookAheadUnit
from dmdlite.components.graph_distillation import MEMORY, EvidenceUnit, GraphDistillationUnit
from dmdlite.config import MODALITIES, SPACES, DMDConfig
from dmdlite.models.dmd import DMD

LANGUAGE, VISION, AUDIO = range(3)


def unit(kind=EvidenceUnit, space="homogeneous", **changes):
    return kind(DMDConfig.official(edge_learning="errors", **changes), space, 6)


def heads_that_err_by(*errors: float, clips: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose mean absolute errors are these, to either side alike, and the labels."""
    labels = torch.linspace(-3, 3, clips)
    signs = torch.where(torch.arange(clips) % 2 == 0, 1.0, -1.0)
    return labels[:, None] + signs[:, None] * torch.tensor(errors), labels


def after(gd, logits, labels, batches: int = 400):
    nodes = torch.randn(len(logits), 3, 6)
    for _ in range(batches):
        gd.update_evidence(nodes, logits, labels)
    return gd(nodes, logits)


def test_edges_are_the_odds_of_the_errors():
    logits, labels = heads_that_err_by(0.5, 1.0, 2.0)
    edges = after(unit(edge_sharpness=2.0), logits, labels)
    for student in range(3):  # softmax over both teachers and nobody of −2 log error: shares of error⁻²
        odds = torch.tensor([4.0, 1.0, 0.25])
        expected = (odds / odds.sum()).index_fill(0, torch.tensor([student]), 0.0)
        assert_close(edges[:, :, student], expected.expand(64, 3), atol=1e-6, rtol=0)


def test_the_best_refuses_and_teaches_both_others():
    logits, labels = heads_that_err_by(1.0, 0.5, 1.2)
    edges = after(unit(), logits, labels)[0]
    assert edges.sum(dim=1).argmax() == VISION
    assert edges[:, VISION].sum() < 0.05 and edges[VISION, LANGUAGE] > 0.95 and edges[VISION, AUDIO] > 0.95


@given(errors=st.lists(st.floats(0.1, 3.0), min_size=3, max_size=3), sharpness=st.floats(0.0, 20.0))
@settings(max_examples=30, deadline=None)
def test_lessons_weigh_at_most_one_for_each_student(errors, sharpness):
    logits, labels = heads_that_err_by(*errors)
    edges = after(unit(edge_sharpness=sharpness), logits, labels, batches=20)
    assert (edges >= 0).all() and (edges.sum(dim=1) <= 1 + 1e-6).all()
    assert edges.diagonal(dim1=1, dim2=2).eq(0).all()


def test_before_any_evidence_everybody_gets_a_third():
    edges = unit()(torch.randn(2, 3, 6), torch.randn(2, 3))
    assert_close(edges, (1 - torch.eye(3)).expand(2, 3, 3) / 3)


def test_the_memory_is_a_running_mean():
    gd, (logits, labels) = unit(), heads_that_err_by(0.5, 1.0, 1.0)
    after(gd, logits, labels, batches=3)
    assert gd.gathered[LANGUAGE, VISION].item() == pytest.approx((1 - MEMORY**3) * torch.tensor(2.0).log().item())


def test_no_gradient_touches_the_edges():
    gd, logits = unit(), torch.randn(4, 3, requires_grad=True)
    nodes = torch.randn(4, 3, 6, requires_grad=True)
    edges = gd(nodes, logits)
    assert not edges.requires_grad and not list(gd.parameters())
    losses = gd.losses(edges, nodes, logits)
    assert losses["logit"].requires_grad and losses["prior_penalty"] == 0


def test_held_edges_stay_held():
    gd = unit()
    gd.fixed_edges[LANGUAGE, AUDIO] = 0.7
    assert gd(torch.randn(2, 3, 6), torch.randn(2, 3))[0, LANGUAGE, AUDIO] == pytest.approx(0.7)


def test_look_ahead_sees_what_a_half_step_would_bring():
    labels = torch.tensor([0.0, 2.0])
    logits = torch.tensor(
        [[1.0, 0.0, -1.0], [1.0, 2.0, 1.0]]
    )  # vision is right; language and audio err in clip 0 apart
    evidence = unit(LookAheadUnit).evidence(torch.randn(2, 3, 6), logits.clamp_min(-1) + 1e-4, labels)
    error = lambda x: (x - labels).abs().mean()
    moved = (logits[:, LANGUAGE] + logits[:, AUDIO]) / 2 + 1e-4
    expected = (error(logits[:, LANGUAGE] + 1e-4) / error(moved)).log()
    assert evidence[AUDIO, LANGUAGE].item() == pytest.approx(expected.item(), abs=1e-5)
    assert evidence[VISION].max() > 0 and evidence[LANGUAGE, VISION] < 0


def test_alignment_is_the_inner_product_of_gradients_of_different_clips():
    torch.manual_seed(0)
    nodes, logits, labels = torch.randn(5, 3, 6), torch.randn(5, 3), torch.randn(5)
    nodes = torch.nn.functional.normalize(nodes, dim=-1)
    evidence = unit(AlignmentUnit).evidence(nodes, logits, labels)
    for i, j in ((0, 1), (2, 1), (1, 0)):
        lesson = [(logits[b, j] - logits[b, i]).sign() * nodes[b, j] for b in range(5)]  # gradients of w, clip by clip
        task = [(logits[b, j] - labels[b]).sign() * nodes[b, j] for b in range(5)]
        pairs = [(b, c) for b in range(5) for c in range(5) if b != c]
        size = sum((nodes[b, j] @ nodes[c, j]).abs() for b, c in pairs)
        assert_close(evidence[i, j], sum(lesson[b] @ task[c] for b, c in pairs) / size)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_trains_dmd(rule):
    model, batch = RULES[rule](small_config()), small_batch()
    before = {space: model.units[space].state_dict() for space in SPACES}
    out = model.train()(**batch)
    out.loss.backward()
    model.update_evidence(out, batch["labels"])
    assert torch.isfinite(out.loss)
    for space in SPACES:
        shape = out.edges[space].shape
        assert shape == (len(batch["labels"]), 3, 3)
        if isinstance(model.units[space], EvidenceUnit):
            assert model.units[space].gathered.abs().sum() > 0 and "gathered" in before[space]


@pytest.mark.parametrize("task, outputs", [("classification", 3), ("ordinal", 4), ("regression", 2)])
@pytest.mark.parametrize("kind", [EvidenceUnit, LookAheadUnit, AlignmentUnit])
def test_every_rule_knows_every_task(kind, task, outputs):
    torch.manual_seed(0)
    config = small_config().replace(task=task, outputs=outputs, edge_learning="errors")
    labels = torch.randn(8, outputs) if task == "regression" else torch.randint(outputs, (8,))
    logits = torch.randn(8, 3, config.num_logits)
    evidence = kind(config, "homogeneous", 6).evidence(torch.randn(8, 3, 6), logits, labels)
    assert evidence.shape == (3, 3) and evidence.isfinite().all()


def test_evidence_is_gathered_in_training_alone_and_saved(tmp_path):
    model, batch = DMD(small_config().replace(edge_learning="errors")), small_batch()
    model.eval()(**batch)
    assert model.units["homogeneous"].gathered.eq(0).all()
    model.update_evidence(model.train()(**batch), batch["labels"])
    model.save_pretrained(tmp_path)
    again = DMD.from_pretrained(tmp_path)
    for space in SPACES:
        assert torch.equal(again.units[space].gathered, model.units[space].gathered)
        assert model.units[space].gathered.abs().sum() > 0


def test_the_published_rule_stays_the_default():
    for config in (DMDConfig.official("mosi"), DMDConfig.official("mosei"), DMDConfig.paper(), DMDConfig.toy()):
        assert config.edge_learning == "published"
    assert type(DMD(small_config()).units["homogeneous"]) is GraphDistillationUnit
    assert tuple(MODALITIES) == ("language", "vision", "audio")
