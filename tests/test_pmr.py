"""PMR's choices: each field against a computation by hand, and every variant learns."""

import json
from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from test_models import small_batch, small_config

from dmdlite.components.transformer import attention_mask
from dmdlite.config import ModelConfig
from dmdlite.models.pmr import PMR, HubMasks, PMRConfig, ReinforcementUnits
from dmdlite.models.registry import build
from dmdlite.models.saving import CONFIG_NAME

VARIANTS = {
    "as always": {},
    "no residual": dict(unit_residual=False),
    "norms last": dict(norm="post"),
    "the hub reads what is updated": dict(hub_reads="updated"),
    "a feed-forward network after the merge": dict(merge_feed_forward=True),
    "two layers at the end": dict(final_layers=2),
    "as re-implemented": dict(unit_residual=False, norm="post", hub_reads="updated", merge_feed_forward=True),
}


def scrambled(module):
    """With weights and biases that all matter."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return module


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_unit_by_hand(residual, norm):
    torch.manual_seed(0)
    config = small_config()
    units, heads = scrambled(ReinforcementUnits(config, [0.0] * 3, residual, norm)), config.heads
    target, source = torch.randn(3, 2, 5, 8), torch.randn(3, 2, 7, 8)
    masks = attention_mask([5] * 3, [5] * 3, False), attention_mask([5] * 3, [7] * 3, False)
    results = units(target, source, *masks)
    for m, (x, y) in enumerate(zip(target, source)):
        w = {name: weight[m] for name, weight in units.named_parameters()}

        def layer_norm(z, name, w=w):
            return F.layer_norm(z, (8,), w[f"{name}.weight"], w[f"{name}.bias"])

        def linear(z, name, w=w):
            return F.linear(z, w[f"{name}.weight"], w[f"{name}.bias"])

        def asks(name, q, k, w=w):
            attention = torch.nn.MultiheadAttention(8, heads, batch_first=True)
            names = ("project.weight", "project.bias", "output.weight", "output.bias")
            theirs = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
            attention.load_state_dict({new: w[f"{name}.{old}"].detach() for new, old in zip(theirs, names)})
            return attention(q, k, k)[0]

        z, s = (layer_norm(x, "attention_norm"), layer_norm(y, "attention_norm")) if norm == "pre" else (x, y)
        itself, heard = asks("self_attention", z, z), asks("attention", z, s)
        gate = torch.sigmoid(linear(torch.cat([itself, heard], dim=-1), "gate"))
        x = (x if residual else 0) + gate * heard + (1 - gate) * itself
        if norm == "pre":
            by_hand = x + linear(F.relu(linear(layer_norm(x, "feed_forward_norm"), "expand")), "contract")
        else:
            x = layer_norm(x, "attention_norm")
            by_hand = layer_norm(x + linear(F.relu(linear(x, "expand")), "contract"), "feed_forward_norm")
        torch.testing.assert_close(results[m], by_hand, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hub_reads", ["before", "updated"])
def test_whom_the_hub_reads(hub_reads):
    """By hand; and only an updated modality makes the hub hear of itself in the same layer."""
    config = PMRConfig.of(small_config()).replace(hub_reads=hub_reads)
    layer, times = scrambled(PMR(config).layers[0]), [4, 4, 4]
    masks, hub = HubMasks(times, None, torch.device("cpu")), torch.randn(2, 12, 8)
    streams, hubs = torch.randn(3, 2, 4, 8), hub.expand(3, -1, -1, -1)
    reinforced, merged, _ = layer(streams, hub, masks)
    updated = layer.reinforce_modalities(streams, hubs, masks.own, masks.hub_by_modality)
    expected = {
        name: layer.merge(layer.reinforce_hub(hubs, x, masks.hub, masks.modality_by_hub))[0]
        for name, x in (("before", streams), ("updated", updated))
    }
    torch.testing.assert_close(reinforced, updated)
    torch.testing.assert_close(merged, expected[hub_reads])
    assert (expected["before"] - expected["updated"]).abs().max() > 0.01
    learned = torch.autograd.grad(merged.square().sum(), layer.reinforce_modalities.gate.weight, allow_unused=True)[0]
    assert (learned is not None) == (hub_reads == "updated")


def test_the_feed_forward_network_after_the_merge_by_hand():
    config = PMRConfig.of(small_config()).replace(merge_feed_forward=True)
    network, hub = scrambled(PMR(config).layers[0].feed_forward), torch.randn(2, 12, 8)
    norm, expand, _, _, contract, _ = network
    by_hand = hub + contract(F.relu(expand(F.layer_norm(hub, (8,), norm.weight, norm.bias))))
    torch.testing.assert_close(network(hub), by_hand)


def test_the_default_has_the_weights_that_it_always_had():
    default = {name: x.shape for name, x in build("pmr", small_config()).state_dict().items()}
    for changes in VARIANTS.values():
        names = build("pmr", small_config(), **changes).state_dict()
        further = {name for name in names if ".feed_forward." in name or "memory.layers.1" in name}
        assert {name: names[name].shape for name in names.keys() - further} == default
        assert bool(further) == bool({"merge_feed_forward", "final_layers"} & changes.keys())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_learns(name, without_shape_checks):
    torch.manual_seed(0)
    model, batch = build("pmr", small_config(), **VARIANTS[name]), small_batch(7)
    batch["labels"] = torch.linspace(-3, 3, 7)
    model(**batch).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(120):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        if loss < 0.2:
            break
    assert loss < 0.2  # a constant: 1.7


def test_a_model_saved_when_pmr_had_no_fields_of_its_own(tmp_path):
    model = build("pmr", small_config()).eval()
    model.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / CONFIG_NAME).read_text())
    for own in {f.name for f in fields(PMRConfig)} - {f.name for f in fields(ModelConfig)}:
        del saved[own]
    (tmp_path / CONFIG_NAME).write_text(json.dumps(saved))
    loaded = PMR.from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert torch.equal(loaded(**small_batch()).prediction, model(**small_batch()).prediction)
