"""The models as their users meet them: outputs, padding, presets, checkpoints, language models, bad input."""

import json
import shutil
import subprocess
import sys
from dataclasses import fields

import jaxtyping
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.dmd import DMD
from dmdlite.models.registry import NAMES, build
from dmdlite.models.unimodal import Unimodal

SMALL = dict(
    feature_widths=dict(language=6, vision=5, audio=4),
    lengths=dict(language=9, vision=12, audio=10),
    width=8, heads=2, layers=1, minimum_memory_layers=1, kernel_sizes=dict(language=3, vision=3, audio=3),
)  # fmt: skip
TINY_BERT = dict(
    model_type="bert", vocab_size=30, hidden_size=6, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
)


def small_config(preset="official", **changes) -> DMDConfig:
    return getattr(DMDConfig, preset)(**SMALL).replace(**changes).without_dropout()


def small_batch(batch=4, config=None) -> dict:
    config = config or small_config()
    torch.manual_seed(1)
    streams = {m: torch.randn(batch, config.lengths[m], config.feature_widths[m]) for m in MODALITIES}
    return streams | {"labels": torch.tensor([0.2, 0.2, -1.4, -0.8] * batch)[:batch]}


def tokens(batch=4, time=9) -> torch.Tensor:
    ids = torch.randint(1, 30, (batch, time))
    return torch.stack([ids, torch.ones_like(ids), torch.zeros_like(ids)], dim=1)


def right_padding(lengths: dict[str, list[int]], config) -> dict[str, torch.Tensor]:
    return {m: torch.arange(config.lengths[m]) < torch.tensor(lengths[m])[:, None] for m in MODALITIES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("preset", ["official", "paper"])
def test_loss_and_gradients_are_finite(name, preset):
    model = build(name, small_config(preset))
    out = model(**small_batch())
    assert out.loss.isfinite() and out.prediction.shape == (4,)
    weights = model.config.loss_weights
    torch.testing.assert_close(out.loss, sum(weights[term] * value for term, value in out.losses.items()))
    out.loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_only_what_the_paper_leaves_unsupervised_gets_no_gradient():
    """The heads of the published model all learn; with one task loss the common head learns from nothing."""
    without = {}
    for preset in ("official", "paper"):
        model = DMD(small_config(preset))
        model(**small_batch()).loss.backward()
        without[preset] = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is None}
    assert without == {"official": set(), "paper": {"common_head"}}


def test_without_labels_there_is_no_loss():
    batch = small_batch()
    batch.pop("labels")
    out = DMD(small_config())(**batch)
    assert out.loss is None and out.losses == {} and out.edges["homogeneous"].shape == (4, 3, 3)


def leaves(found: dict) -> list:
    return [leaf for x in found.values() for leaf in (leaves(x) if isinstance(x, dict) else [x])]


@pytest.mark.parametrize("name", NAMES)
def test_an_output_is_a_plain_dict_of_tensors(name):
    model, batch = build(name, small_config()), small_batch()
    out = model(**batch)
    found = out.to_dict()
    assert type(found) is dict and all(type(leaf) is torch.Tensor for leaf in leaves(found))
    assert found["prediction"] is out.prediction and found["loss"] is out.loss and found["fused"] is out.fused
    assert found["losses"] == out.losses
    batch.pop("labels")
    assert not {"loss", "losses"} & model(**batch).to_dict().keys()


def test_the_dict_of_a_dmd_holds_its_edges_its_graphs_and_its_decoupled_streams():
    out, config = DMD(small_config())(**small_batch()), small_config()
    found = out.to_dict()
    for space in ("homogeneous", "heterogeneous"):
        assert found["edges"][space] is out.edges[space]
        assert found["graphs"][space].keys() == {"nodes", "logits", "edges"}
    assert found["decoupled"]["private"]["audio"] is out.decoupled.private["audio"] and "masks" not in found
    mask = {m: torch.ones(4, config.lengths[m], dtype=torch.bool) for m in MODALITIES}
    assert DMD(config)(**small_batch(), mask=mask).to_dict()["masks"].keys() == set(MODALITIES)
    dictionaries = build("dhmd", config)(**small_batch()).to_dict()["dictionaries"]
    assert dictionaries["homogeneous"]["vision"].keys() == {"scores", "activations", "features"}


@pytest.mark.parametrize("name", NAMES)
def test_every_module_with_weights_shows_its_sizes(name):
    model = build(name, small_config(), **({"dictionary_matching": "contrastive"} if name == "dhmd" else {}))
    first = repr(model).splitlines()[1]
    assert "width=8" in first and "'vision': 12" in first and "layers=1" in first
    for module in model.modules():
        if type(module).__module__.startswith("dmdlite") and list(module.parameters(recurse=False)):
            assert any(map(str.isdigit, module.extra_repr())), module


DIFFERENT = [
    f.name for f in fields(DMDConfig) if getattr(small_config(), f.name) != getattr(small_config("paper"), f.name)
]


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_difference_of_paper_and_code_is_felt(name):
    """Each field on which the two presets differ changes, on its own, what the model computes."""
    config = small_config()
    changed = config.replace(**{name: getattr(small_config("paper"), name)})

    def run(config):
        torch.manual_seed(0)
        batch = small_batch(config=config)
        batch["language"][:, 3, 0] = batch["vision"][:, 5:] = 0  # a zero channel and padding, for the fields about them
        out = DMD(config)(**batch)
        return out.loss, {k: v.shape for k, v in DMD(config).state_dict().items()}

    (loss, shapes), (other_loss, other_shapes) = run(config), run(changed)
    assert shapes != other_shapes or not torch.isclose(loss, other_loss, rtol=1e-6)


def test_every_choice_of_every_field_runs():
    from typing import Literal, get_args, get_origin, get_type_hints

    for name, hint in get_type_hints(DMDConfig).items():
        if get_origin(hint) is Literal:
            for choice in get_args(hint):
                outputs = 2 if choice in ("classification", "ordinal") else 1
                batch = small_batch() | ({"labels": torch.tensor([0, 1, 1, 0])} if outputs == 2 else {})
                assert DMD(small_config(outputs=outputs, **{name: choice}))(**batch).loss.isfinite()


def test_clips_do_not_influence_each_other():
    """Of a batch, only the losses couple clips; predictions are each clip's own."""
    model, batch = DMD(small_config()).eval(), small_batch(8)
    one_by_one = [model(**{k: v[b : b + 1] for k, v in batch.items()}).prediction for b in range(8)]
    torch.testing.assert_close(model(**batch).prediction, torch.cat(one_by_one))


@pytest.mark.parametrize("preset", ["official", "paper"])
@pytest.mark.parametrize("name", NAMES)
def test_with_a_mask_padding_has_no_influence(name, preset):
    config = small_config(preset)
    model, batch = build(name, config).eval(), small_batch()
    mask = right_padding(dict(language=[1, 4, 9, 7], vision=[2, 12, 6, 1], audio=[10, 1, 3, 8]), config)
    noisy = {m: batch[m] + torch.randn_like(batch[m]) * ~mask[m][..., None] for m in MODALITIES}
    clean, dirty = (model(**batch | x, mask=mask) for x in ({}, noisy))
    torch.testing.assert_close(clean.prediction, dirty.prediction)
    torch.testing.assert_close(clean.loss, dirty.loss)
    assert not torch.allclose(clean.prediction, model(**batch).prediction)


def test_an_absent_modality_is_finite():
    config = small_config()
    model = DMD(config)
    mask = right_padding(dict(language=[9] * 4, vision=[0] * 4, audio=[10] * 4), config)
    out = model(**small_batch(), mask=mask)
    out.loss.backward()
    assert out.loss.isfinite() and all(p.grad.isfinite().all() for p in model.parameters())


class Operations(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def test_no_loop_over_samples_or_time_steps():
    """The number of tensor operations does not depend on how many clips there are, nor, once in blocks, how long."""

    def operations(batch, lengths):
        config = small_config(lengths=lengths)
        model, data = DMD(config), small_batch(batch, config)
        with Operations() as counted:
            model(**data).loss.backward()
        return counted.count

    short, long = dict(language=100, vision=130, audio=120), dict(language=200, vision=260, audio=240)
    assert operations(4, short) == operations(12, short) == operations(4, long)


@pytest.mark.parametrize("name", MODALITIES)
def test_unimodal_models_read_one_stream(name):
    model, batch = Unimodal(small_config(), name).eval(), small_batch()
    others = {m: torch.randn_like(batch[m]) for m in MODALITIES if m != name}
    torch.testing.assert_close(model(**batch).prediction, model(**batch | others).prediction)
    torch.testing.assert_close(model(**{name: batch[name]}).prediction, model(**batch).prediction)
    changed = model(**batch | {name: torch.randn_like(batch[name])})
    assert not torch.allclose(model(**batch).prediction, changed.prediction)


IN_A_FRESH_PROCESS = """
import sys, torch
from dmdlite.models.dmd import DMD
from dmdlite.models.unimodal import Unimodal
torch.set_num_threads(1)
model = {"DMD": DMD, "Unimodal": Unimodal}[sys.argv[2]].from_pretrained(sys.argv[1])
batch = torch.load(sys.argv[1] + "/batch.pt")
torch.save(model(**batch).prediction, sys.argv[1] + "/prediction.pt")
"""


@pytest.mark.parametrize("kind", ["dmd", "audio", "dmd with a language model"])
def test_saved_models_predict_the_same_bits_in_a_fresh_process(tmp_path, kind):
    config, batch = small_config(), small_batch()
    if kind == "dmd with a language model":
        config, batch["language"] = config.replace(language_model=TINY_BERT), tokens()
    model = build(kind.split()[0], config).eval()
    model.save_pretrained(tmp_path)
    torch.save(batch, tmp_path / "batch.pt")
    command = [sys.executable, "-c", IN_A_FRESH_PROCESS, str(tmp_path), type(model).__name__]
    run = subprocess.run(command, capture_output=True, text=True, env=None)
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    assert torch.equal(torch.load(tmp_path / "prediction.pt"), model(**batch).prediction)
    assert type(model).from_pretrained(tmp_path).config == model.config


def test_bad_saved_models(tmp_path):
    with pytest.raises(ValueError, match="holds no saved model: config.json is missing"):
        DMD.from_pretrained(tmp_path)
    DMD(small_config()).save_pretrained(tmp_path)
    good_config, weights = (tmp_path / "config.json").read_text(), (tmp_path / "model.safetensors").read_bytes()

    (tmp_path / "config.json").write_text(json.dumps(DMD(small_config(width=16)).saved_fields()))
    with pytest.raises(ValueError, match="model.safetensors was made for another shape: 'common_head"):
        DMD.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(DMD(small_config(layers=2)).saved_fields()))
    with pytest.raises(ValueError, match="has no weight 'read_common.encoders.layers.1"):
        DMD.from_pretrained(tmp_path)
    fields = json.loads(good_config)
    less = {name: value for name, value in fields.items() if name != "causal_attention"}
    for broken, message in (
        ("{", "is not a readable config"),
        ("[1]", "holds a list, not named fields"),
        (json.dumps(fields | {"model": "Unimodal"}), "describes the model 'Unimodal', not DMD"),
        (json.dumps(fields | {"colour": 1}), "has the unknown field 'colour'"),
        (json.dumps(less), "lacks field 'causal_attention'"),
        (json.dumps(fields | {"width": "wide"}), "width must be a whole number, got 'wide'"),
    ):
        (tmp_path / "config.json").write_text(broken)
        with pytest.raises(ValueError, match=message):
            DMD.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="there is no folder .*such"):
        DMD.from_pretrained(tmp_path / "no" / "such" / "folder")

    (tmp_path / "config.json").write_text(good_config)
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ValueError, match="model.safetensors is not a readable safetensors file"):
        DMD.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="model.safetensors is missing"):
        DMD.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["dmd", "dhmd", "misa", "mult", "pmr", "pkdot_teacher"])
def test_saved_before_some_fields_came(tmp_path, name):
    """A field that came later means its default, which is what the model did before."""
    model = build(name, small_config())
    model.save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    later = [field for kind in type(model.config).mro() for field in vars(kind).get("later", "").split()]
    assert {"members", "standardise"} < set(later) <= fields.keys()
    (tmp_path / "config.json").write_text(json.dumps({x: value for x, value in fields.items() if x not in later}))
    assert type(model).from_pretrained(tmp_path).config == model.config


@pytest.mark.parametrize("trainable", [True, False])
def test_language_model(trainable):
    model = DMD(small_config(language_model=TINY_BERT, language_model_trainable=trainable)).train()
    batch = small_batch() | {"language": tokens()}
    model(**batch).loss.backward()
    encoder = model.read.language_encoder
    learned = encoder.model.embeddings.word_embeddings.weight.grad
    assert (learned is not None and learned.abs().sum() > 0) == trainable
    assert encoder.model.training == trainable
    assert model.config.feature_widths["language"] == 6


def test_pretrained_language_model(tmp_path):
    """A name is loaded with its weights, here from a folder; afterwards the config needs neither name nor folder."""
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(5)
    pretrained = AutoModel.from_config(AutoConfig.for_model(**TINY_BERT))
    pretrained.save_pretrained(tmp_path / "bert")
    model = DMD(small_config(language_model=str(tmp_path / "bert"))).eval()
    for name, weight in model.read.language_encoder.model.named_parameters():
        assert torch.equal(weight, pretrained.get_parameter(name)), name
    model.save_pretrained(tmp_path / "dmd")
    shutil.rmtree(tmp_path / "bert")
    batch = small_batch() | {"language": tokens()}
    assert torch.equal(DMD.from_pretrained(tmp_path / "dmd")(**batch).prediction, model(**batch).prediction)


def test_unknown_language_model(tmp_path):
    with pytest.raises(ValueError, match="nobody' is neither a local folder nor a downloadable Hub model"):
        DMD(small_config(language_model=str(tmp_path / "nobody")))


def test_published_language_model_weights():
    """A published checkpoint with BERT inside loads as well: its names begin with text_model."""
    from dmdlite.models.official.dmd import dmd_sources

    model = DMD(small_config(language_model=TINY_BERT))
    sources = dmd_sources(model.state_dict())
    names = {name: source for name, source in sources.items() if name.startswith("read.language_encoder")}
    assert names["read.language_encoder.model.pooler.dense.weight"] == ["text_model.model.pooler.dense.weight"]
    assert len(names) == len(model.read.language_encoder.state_dict())


def test_labels_of_another_type():
    model, batch = DMD(small_config()), small_batch()
    expected = model(**batch).loss
    torch.testing.assert_close(model(**batch | {"labels": batch["labels"].double()}).loss, expected)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_language_model_stored_in_half_precision(tmp_path, stored):
    from transformers import AutoConfig, AutoModel

    AutoModel.from_config(AutoConfig.for_model(**TINY_BERT)).to(stored).save_pretrained(tmp_path / "bert")
    model = DMD(small_config(language_model=str(tmp_path / "bert"))).eval()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    model.save_pretrained(tmp_path / "dmd")
    batch = small_batch() | {"language": tokens()}
    assert torch.equal(DMD.from_pretrained(tmp_path / "dmd")(**batch).prediction, model(**batch).prediction)


@pytest.mark.parametrize("fields", [{"hidden_size": 4}, {"model_type": "bert", "hidden_size": "a"}])
def test_language_models_that_cannot_be_built(fields):
    with pytest.raises(ValueError, match="language_model .* cannot be built"):
        DMD(small_config(language_model=fields))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(vision=torch.randn(4, 12, 7)), r"vision has \(time, width\) \(12, 7\), the model was made for \(12, 5\)"),
        (dict(audio=torch.randn(4, 11, 4)), r"audio has \(time, width\) \(11, 4\), the model was made for \(10, 4\)"),
        (dict(labels=torch.zeros(3)), r"labels have shape \(3,\), expected \(4,\)"),
    ],
)
def test_bad_batches(changes, message):
    jaxtyping.config.update("jaxtyping_disable", True)  # as for a user, whose shapes the model itself has to check
    try:
        with pytest.raises(ValueError, match=message):
            DMD(small_config())(**small_batch() | changes)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
