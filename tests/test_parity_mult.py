"""MulT held to its published code: prediction, last hidden states, loss and gradient norms, small and at full size."""

import json
import re

import numpy as np
import pytest
import torch
from golden.make_mult import FULL, SMALL, padded_on_the_left
from published import GOLDEN, formula_weights, published_norms

from dmdlite.components.streams import concatenate
from dmdlite.config import MODALITIES
from dmdlite.models.mult import MulT, MulTConfig
from dmdlite.models.official.dmd import dmd_sources
from dmdlite.models.official.mult import LAYERS, ORDERED, convert
from dmdlite.models.registry import build
from dmdlite.models.saving import CONFIG_NAME
from dmdlite.training.systems import start_from

RECORDED = json.loads((GOLDEN / "mult_full_sizes.json").read_text())


def small_config(width, heads, layers, causal, outputs, lengths, features, **_) -> MulTConfig:
    sizes = dict(width=width, heads=heads, layers=layers, lengths=lengths, feature_widths=features)
    return MulTConfig.official(**sizes, causal_attention=causal, outputs=outputs).without_dropout()


class Golden:
    def __init__(self, name: str):
        with np.load(GOLDEN / f"{name}.npz") as file:
            self.arrays = {key: file[key] for key in file.files}
        tensors = {key: torch.from_numpy(x) for key, x in self.arrays.items() if key != "names"}
        marked = "weights/"
        self.weights = {key.removeprefix(marked): x for key, x in tensors.items() if key.startswith(marked)}
        self.config = small_config(**SMALL[name])
        self.batch = {m: tensors[f"input_{m}"] for m in MODALITIES} | {"labels": tensors["labels"].squeeze(-1)}
        self.expected = {name: tensors[name] for name in ("output", "hidden", "loss")}
        self.expected["norms"] = dict(zip(self.arrays["names"].tolist(), self.arrays["norms"].tolist()))


def check(model: MulT, batch: dict[str, torch.Tensor], expected: dict) -> None:
    out = model.train()(**batch)
    out.loss.backward()
    close(out.prediction, torch.as_tensor(expected["output"]).squeeze(-1))
    hidden = concatenate(out.reinforced)
    close(hidden, convert("head.contract.weight", torch.as_tensor(expected["hidden"])))  # the order of the modalities
    close(out.loss, expected["loss"])
    theirs = {name: norm for name, norm in expected["norms"].items() if norm == norm}
    ours = gradient_norms(model)
    assert set(ours) == set(theirs)
    for name, norm in ours.items():
        assert norm == pytest.approx(theirs[name], rel=1e-4, abs=1e-7), name


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=tolerance, atol=tolerance)


def gradient_norms(model) -> dict[str, float]:
    """Norms under the published names; a weight of several encoders has one for each of them."""
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return published_norms(gradients, dmd_sources(gradients, LAYERS))


@pytest.mark.parametrize("name", SMALL)
def test_small(name):
    golden = Golden(name)
    check(MulT.from_official(golden.weights, golden.config), golden.batch, golden.expected)


@pytest.mark.parametrize("name", FULL)
def test_full_sizes(name):
    recorded, sizes = RECORDED[name], FULL[name]
    batch = padded_on_the_left(sizes)
    shapes = dict(lengths=dict(zip(MODALITIES, sizes["lengths"])))
    config = MulTConfig.official(sizes["dataset"], **shapes).without_dropout()
    weights = formula_weights(recorded["shapes"], sizes["seed"])
    check(MulT.from_official(weights, config), batch, recorded | {"norms": recorded["gradient_norms"]})


def test_official_has_the_options_of_main():
    config, options = MulTConfig.official(), RECORDED["options"]
    same = dict(
        heads="num_heads", layers="nlevels", causal_attention="attn_mask", language_dropout="embed_dropout",
        embedding_dropout="embed_dropout", language_attention_dropout="attn_dropout",
        memory_attention_dropout="attn_dropout", vision_attention_dropout="attn_dropout_v",
        audio_attention_dropout="attn_dropout_a", feed_forward_dropout="relu_dropout", residual_dropout="res_dropout",
        output_dropout="out_dropout",
    )  # fmt: skip
    assert {ours: getattr(config, ours) for ours in same} == {ours: options[theirs] for ours, theirs in same.items()}
    recipe = dict(optim="Adam", lr=1e-3, batch_size=24, num_epochs=40, clip=0.8, when=20)  # as MulT's docstring has it
    assert recipe.items() <= options.items()


def test_official_differs_from_the_default_as_its_docstring_says():
    default, named = MulTConfig().to_dict(), set(re.findall(r"`(\w+)`", MulTConfig.official.__doc__))
    for dataset in ("mosi", "mosei"):
        official = MulTConfig.official(dataset).to_dict()
        different = {name for name in default if official[name] != default[name]}
        assert {name for name in different if not name.endswith("_dropout")} == named


@pytest.mark.parametrize("wrapped", [False, True])
def test_checkpoint_file(tmp_path, wrapped):
    """A file as `torch.save` writes it, for a model of its own and as a start for further training."""
    golden = Golden("mult_equal_width")
    weights = {f"module.{name}": x for name, x in golden.weights.items()} if wrapped else golden.weights
    torch.save(weights, tmp_path / "mult.pt")
    started = start_from(MulT(golden.config), tmp_path / "mult.pt")
    for model in (MulT.from_official(tmp_path / "mult.pt", golden.config), started.eval()):
        close(model(**golden.batch).prediction, golden.expected["output"].squeeze(-1))


def test_bad_checkpoints(tmp_path):
    golden = Golden("mult_unaligned")
    weights, config = golden.weights, golden.config
    without = {name: x for name, x in weights.items() if name != "trans_l_mem.layers.3.fc1.bias"}
    with pytest.raises(ValueError, match="has no weight 'trans_l_mem.layers.3.fc1.bias'"):
        MulT.from_official(without, config)
    with pytest.raises(ValueError, match="'proj3.weight', which this config has no place for"):
        MulT.from_official(weights | {"proj3.weight": torch.zeros(1)}, config)
    with pytest.raises(ValueError, match="'trans_l_with_a.layers.3.* this config has no place for"):
        MulT.from_official(weights, config.replace(layers=3))
    with pytest.raises(ValueError, match="made for another shape: 'temporal.language.weight'"):
        MulT.from_official(weights, config.replace(feature_widths={"language": 9}))
    with pytest.raises(ValueError, match="the published checkpoint has no weight 'encoder_c.weight'"):
        start_from(build("dmd", config), save(weights, tmp_path / "mult.pt"))
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")  # as the published training saves its model
    with pytest.raises(ValueError, match="whole.pt is not a readable checkpoint"):
        MulT.from_official(tmp_path / "whole.pt", config)


def save(weights, path):
    torch.save(weights, path)
    return path


def test_the_head_reads_the_modalities_in_our_order():
    """Published: language, audio, vision."""
    weight = torch.arange(6.0).expand(6, 6)
    assert convert("head.contract.weight", weight)[0].tolist() == [0, 1, 4, 5, 2, 3]
    assert convert("head.expand.weight", weight.T)[:, 0].tolist() == [0, 1, 4, 5, 2, 3]
    assert set(ORDERED) < set(dict(MulT(MulTConfig.toy()).named_parameters()))
    assert convert("temporal.language.weight", weight) is weight


@pytest.mark.parametrize("convolved", [True, False])
def test_streams_of_the_common_width(convolved):
    """Such a stream reaches the encoders as it is, with its mask, or convolved like the others."""
    case = SMALL["mult_equal_width"]
    model = MulT(small_config(**case).replace(convolve_equal_widths=convolved)).eval()
    streams = {m: torch.randn(2, case["lengths"][m], case["features"][m]) for m in MODALITIES}
    masks = {m: torch.arange(10).expand(2, 10) < 7 for m in MODALITIES}
    projected, kept = model.temporal(streams, masks)
    assert torch.equal(projected["vision"], streams["vision"]) != convolved
    assert all(torch.equal(kept[m], masks[m]) for m in MODALITIES)
    assert ("temporal.vision.weight" in model.state_dict()) == convolved
    assert model(**streams, mask=masks).prediction.isfinite().all()


def test_a_model_saved_before_the_field_came(tmp_path):
    model = build("mult", MulTConfig.toy()).eval()
    model.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / CONFIG_NAME).read_text())
    assert saved.pop("convolve_equal_widths") is True
    (tmp_path / CONFIG_NAME).write_text(json.dumps(saved))
    assert MulT.from_pretrained(tmp_path).config == model.config
    build("mult", MulTConfig.toy()).load_saved(tmp_path)
