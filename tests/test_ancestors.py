"""DMD's ancestors, early and late fusion, conventional distillation, and DMD's ablations: what each does and leaves."""

from dataclasses import fields

import pytest
import torch
from test_models import right_padding, small_batch, small_config

from dmdlite.components.graph_distillation import logit_difference
from dmdlite.components.transformer import attention_mask
from dmdlite.config import MODALITIES
from dmdlite.models.late_fusion import LinearCombination
from dmdlite.models.pmr import HubMasks, Merge, ReinforcementUnits
from dmdlite.models.registry import ABLATIONS, RECIPES, build

ANCESTORS = ("early_fusion", "late_fusion", "conventional_distillation", "mult", "misa", "pmr")


def influence(result: torch.Tensor, batch: dict) -> set[str]:
    """The streams that this result hears of."""
    gradients = torch.autograd.grad(result.square().sum(), [batch[m] for m in MODALITIES], allow_unused=True)
    return {m for m, gradient in zip(MODALITIES, gradients) if gradient is not None and gradient.any()}


def tracked_batch() -> dict:
    return {name: x.requires_grad_() if name in MODALITIES else x for name, x in small_batch().items()}


@pytest.mark.parametrize("name", ANCESTORS)
def test_saved_models_predict_the_same_bits(name, tmp_path):
    model, batch = build(name, small_config()).eval(), small_batch()
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert torch.equal(loaded(**batch).prediction, model(**batch).prediction) and loaded.config == model.config


@pytest.mark.parametrize("absent", MODALITIES)
@pytest.mark.parametrize("name", ANCESTORS)
def test_an_absent_modality_is_finite(name, absent):
    config = small_config()
    model, lengths = build(name, config), {m: [config.lengths[m]] * 4 for m in MODALITIES}
    out = model(**small_batch(), mask=right_padding(lengths | {absent: [0] * 4}, config))
    out.loss.backward()
    assert out.loss.isfinite() and all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", ANCESTORS)
def test_every_weight_learns_and_every_stream_is_heard(name):
    model, batch = build(name, small_config()), tracked_batch()
    out = model(**batch)
    assert influence(out.prediction, batch) == (set() if "late" in name or "conv" in name else set(MODALITIES))
    model(**batch).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


# MulT


def test_mult_is_dmds_reinforcement_of_what_is_not_decoupled():
    config = small_config(decoupling="none")
    mult, dmd, batch = build("mult", config), build("dmd", config), small_batch()
    for part in ("temporal", "reinforce"):
        getattr(mult, part).load_state_dict(getattr(dmd, part).state_dict())
    ours, theirs = mult(**batch).reinforced, dmd(**batch).reinforced
    assert all(torch.equal(ours[m], theirs[m]) for m in MODALITIES)


def test_in_mult_each_modality_asks_both_others():
    batch = tracked_batch()
    for reinforcement, heard in (("crossmodal", set(MODALITIES)), ("none", {"language"})):
        out = build("mult", small_config(reinforcement=reinforcement))(**batch)
        assert influence(out.reinforced["language"], batch) == heard


# Early fusion


@pytest.mark.parametrize("causal", [True, False])
def test_in_early_fusion_every_step_sees_every_other(causal):
    """Even the first step of the row, which is of language, hears of the last one, which is of audio."""
    model, batch = build("early_fusion", small_config(layers=2, causal_attention=causal)), small_batch()
    inner = {}
    model.encoder.layers[0].register_forward_hook(lambda _, __, out: inner.update(first=out))
    batch["audio"].requires_grad_()
    model(**batch)
    (gradient,) = torch.autograd.grad(inner["first"][0, :, 0].square().sum(), batch["audio"])
    assert gradient[:, -1].any()


def test_the_modality_vectors_tell_steps_apart():
    """Two equal streams differ by their place in the row and by these vectors."""
    model, batch = build("early_fusion", small_config()).eval(), small_batch()
    before = model(**batch).prediction
    with torch.no_grad():
        model.modality[1] += torch.randn(8)  # a layer norm would take out a number that all channels share
    assert not torch.allclose(model(**batch).prediction, before)


# Late fusion


def test_linear_combination_by_hand():
    combine = LinearCombination(logits=1)
    torch.testing.assert_close(combine(torch.tensor([[1.0, 2.0, 6.0]])), torch.tensor([3.0]))  # at first their mean
    with torch.no_grad():
        combine.weight[:], combine.bias[...] = torch.tensor([1.0, 0.5, -1.0]), 10.0
    torch.testing.assert_close(combine(torch.tensor([[1.0, 2.0, 6.0]])), torch.tensor([6.0]))
    combine = LinearCombination(logits=2)
    both = torch.tensor([[[1.0, 0.0], [2.0, 3.0], [6.0, 0.0]]])  # (batch, modality, logits)
    torch.testing.assert_close(combine(both), torch.tensor([[3.0, 1.0]]))


def test_a_branch_of_late_fusion_is_a_unimodal_model():
    fused, batch = build("late_fusion", small_config()), small_batch()
    for place, m in enumerate(MODALITIES):
        alone = build(m, small_config())
        alone.temporal.load_state_dict(fused.temporal[m].state_dict())
        alone.head.load_state_dict(fused.heads[m].state_dict())
        encoders = fused.readers.encoders.state_dict()
        alone.encoder.load_state_dict({name: x[place : place + 1] for name, x in encoders.items()})
        torch.testing.assert_close(alone(**batch).prediction, fused(**batch).predictions[m])


def touched(model, loss: torch.Tensor) -> set[str]:
    """The parts whose weights this loss moves."""
    named = list(model.named_parameters())
    gradients = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True, retain_graph=True)
    return {".".join(name.split(".")[:2]) for (name, _), g in zip(named, gradients) if g is not None and g.any()}


def test_in_late_fusion_nobody_learns_from_another():
    model, batch = build("late_fusion", small_config()), small_batch()
    losses = model(**batch).losses
    assert touched(model, losses["task_final"]) == {"combine.weight", "combine.bias"}
    for m in MODALITIES:
        assert touched(model, losses[f"task_{m}"]) == {f"temporal.{m}", f"heads.{m}", "readers.encoders"}


# Conventional distillation


def test_lessons_by_hand():
    lessons = {"language->vision": 2.0, "language->audio": 0.5, "audio->vision": 1.0}
    model = build("conventional_distillation", small_config(), lessons=lessons)
    logits = torch.tensor([[1.0, 0.0, 3.0]])
    out = model(**small_batch())
    out.predictions = dict(zip(MODALITIES, logits.T))
    out.prediction = torch.zeros(1)
    assert model.loss_terms(out, torch.zeros(1))["distillation"] == 2.0 * 1 + 0.5 * 2 + 1.0 * 3
    assert model.lessons.tolist() == [[0, 2, 0.5], [0, 0, 0], [0, 1, 0]]
    torch.testing.assert_close((model.lessons * logit_difference(logits)).sum(), torch.tensor(6.0))


def test_the_teacher_does_not_move():
    model, batch = build("conventional_distillation", small_config()), small_batch()
    assert touched(model, model(**batch).losses["distillation"]) == {
        "temporal.vision", "heads.vision", "temporal.audio", "heads.audio", "readers.encoders",
    }  # fmt: skip
    encoder_gradients = torch.autograd.grad(
        model(**batch).losses["distillation"], model.readers.encoders.layers[0].expand.weight
    )
    assert [bool(own.any()) for own in encoder_gradients[0]] == [False, True, True]  # language has the first


def test_without_lessons_it_is_late_fusion():
    config, none = small_config(), {"language->vision": 0.0, "language->audio": 0.0}
    taught, fused = build("conventional_distillation", config, lessons=none), build("late_fusion", config)
    fused.load_state_dict(taught.state_dict())
    torch.testing.assert_close(taught(**small_batch()).loss, fused(**small_batch()).loss)


@pytest.mark.parametrize(
    ("lessons", "message"),
    [({"audio->vision": -1.0}, "'audio->vision'.* must not be negative"), ({"audio->audio": 1.0}, "is off")],
)
def test_bad_lessons(lessons, message):
    with pytest.raises(ValueError, match=message):
        build("conventional_distillation", small_config(), lessons=lessons)


# PMR


def test_merge_weights_are_shares():
    config = small_config(layers=2)
    out = build("pmr", config)(**small_batch())
    hub = sum(config.lengths_after_convolution.values())
    assert out.merge.shape == (2, 4, hub, 3) and (out.merge > 0).all()
    torch.testing.assert_close(out.merge.sum(dim=-1), torch.ones(2, 4, hub))


def test_merge_by_hand():
    merge = Merge(2)
    with torch.no_grad():
        merge.look.weight[:], merge.look.bias[:] = torch.eye(2), 0.0
        merge.score.weight[:] = torch.tensor([[1.0, 0.0]])
    results = torch.tensor([[0.0, 1.0], [0.0, 4.0], [100.0, 7.0]]).view(3, 1, 1, 2)
    hub, weights = merge(results)
    e = torch.tensor([1.0, 1.0, torch.e]) / (2 + torch.e)  # tanh: 0, 0, 1
    torch.testing.assert_close(weights, e.view(1, 1, 3))
    torch.testing.assert_close(hub, torch.tensor([[[100 * e[2], e[0] + 4 * e[1] + 7 * e[2]]]]))


@pytest.mark.parametrize(("bias", "hears"), [(-50.0, "itself"), (50.0, "the source")])
def test_the_gate_chooses_whom_a_unit_listens_to(bias, hears):
    """A shut gate leaves the target's own steps, an open one the source's; in between it hears both."""
    units = ReinforcementUnits(small_config(), [0.0, 0.0, 0.0])
    target, source = torch.randn(3, 2, 5, 8, requires_grad=True), torch.randn(3, 2, 7, 8, requires_grad=True)
    own, other = attention_mask([5] * 3, [5] * 3, False), attention_mask([5] * 3, [7] * 3, False)

    def heard():
        of_first_step = units(target, source, own, other)[:, :, 0].square().sum()
        others, asked = torch.autograd.grad(of_first_step, (target, source))
        return {name for name, g in (("itself", others[:, :, 1:]), ("the source", asked)) if g.abs().max() > 1e-12}

    assert heard() == {"itself", "the source"}
    with torch.no_grad():
        units.gate.weight[:], units.gate.bias[:] = 0.0, bias
    assert heard() == {hears}


def test_shorter_streams_are_padded_without_a_trace():
    layer, times = build("pmr", small_config()).layers[0], [4, 9, 7]
    sight, hub = HubMasks(times, None, torch.device("cpu")), torch.randn(2, 20, 8)
    streams = torch.randn(3, 2, 9, 8)
    noisy = streams.clone()
    noisy[0, :, 4:], noisy[2, :, 7:] = 5.0, -5.0
    (clean, clean_hub, _), (dirty, dirty_hub, _) = layer(streams, hub, sight), layer(noisy, hub, sight)
    torch.testing.assert_close(clean_hub, dirty_hub)
    torch.testing.assert_close(sight.in_a_row(clean), sight.in_a_row(dirty))
    assert sight.in_a_row(streams).shape == (2, 20, 8) and torch.equal(sight.in_a_row(streams)[:, 4:13], streams[1])


def test_in_pmr_modalities_meet_in_the_hub_alone():
    """In the first layer vision hears of language through the hub; an empty hub would tell it nothing."""
    layer, times = build("pmr", small_config()).layers[0], [4, 4, 4]
    sight = HubMasks(times, None, torch.device("cpu"))
    streams, hub = torch.randn(3, 2, 4, 8, requires_grad=True), torch.randn(2, 12, 8)
    (gradient,) = torch.autograd.grad(layer(streams, hub, sight)[0][1].sum(), streams)
    assert [bool(own.any()) for own in gradient] == [False, True, False]
    hub = sight.in_a_row(streams)
    (gradient,) = torch.autograd.grad(layer(streams, hub, sight)[0][1].square().sum(), streams)
    assert all(own.any() for own in gradient)


# Ablations of DMD


def test_ablations_change_nothing_else():
    """Every field but those named is DMD's, and of the weights only some become zero."""
    whole = build("dmd", small_config()).config
    for name, changes in ABLATIONS.items():
        config = build(name, small_config()).config
        different = {f.name for f in fields(config) if getattr(config, f.name) != getattr(whole, f.name)}
        assert different == set(changes), name
        weights = config.loss_weights
        assert all(weights[term] in (0.0, weight) for term, weight in whole.loss_weights.items()), name
        assert RECIPES[name].make is RECIPES["dmd"].make


OFF = {
    "dmd_without_homogeneous_graph": {"homogeneous"},
    "dmd_without_heterogeneous_graph": {"heterogeneous"},
    "dmd_homogeneous_graph_only": {"heterogeneous", "attention"},
    "dmd_decoupling_only": {"homogeneous", "heterogeneous", "attention"},
    "dmd_without_crossmodal_attention": {"attention"},
    "dmd_without_decoupling": {"decoupling"},
    "dmd_bare": {"homogeneous", "heterogeneous", "attention", "decoupling"},
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_what_an_ablation_leaves_out(name):
    """A graph left out learns nothing; without attention language is on its own; without decoupling X^com is X̃."""
    model, batch = build(name, small_config()), tracked_batch()
    out = model(**batch)
    out.loss.backward(retain_graph=True)
    off = {space for space, unit in model.units.items() if all(p.grad is None for p in unit.parameters())}
    off |= {"attention"} if influence(out.reinforced["language"], batch) == {"language"} else set()
    parts = out.decoupled
    off |= (
        {"decoupling"} if all(parts.common[m] is parts.private[m] is parts.projected[m] for m in MODALITIES) else set()
    )
    assert off == OFF[name]


@pytest.mark.parametrize("name", ["dmd", *ABLATIONS])
def test_no_head_learns_from_another_where_a_graph_is_left_out(name):
    """With a zero task loss for all heads but the final one, a head of a space moves by distillation alone."""
    heads = {f"task_{space}_{m}": 0.0 for space in ("homogeneous", "heterogeneous") for m in MODALITIES}
    model = build(name, small_config(), loss_weights=heads)
    model(**small_batch()).loss.backward()
    for space in ("homogeneous", "heterogeneous"):
        taught = getattr(model, f"{space}_heads").vision.regress.weight.grad is not None
        assert taught == (space not in OFF.get(name, set()))
