"""Held to the published MoMKE in both stages: hidden vectors, predictions, losses and gradient norms."""

import json
from functools import cache

import numpy as np
import pytest
import torch
from published import GOLDEN, formula_weights, published_norms
from published_momke import FULL_SIZES, SMALL_SIZES, STAGES, our_batch, our_config, published_batch

from dmdlite.components.losses import task_loss
from dmdlite.components.transformer import encode_each
from dmdlite.config import MODALITIES
from dmdlite.models.momke import MoMKE, MoMKEConfig
from dmdlite.models.official.momke import momke_sources, reordered
from dmdlite.training.systems import start_from

with_stages = pytest.mark.parametrize("stage", STAGES)
CLASS_FIELDS = {"task", "outputs"}
UTTERANCES = [name for name, size in SMALL_SIZES.items() if size["time"] == 1]


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(ours, torch.as_tensor(theirs), rtol=tolerance, atol=tolerance)


class Golden:
    def __init__(self, name: str, stage: str):
        self.size, self.config = SMALL_SIZES[name], our_config(SMALL_SIZES[name], stage)
        with np.load(GOLDEN / f"{name}.npz") as file:
            self.arrays = {key: torch.from_numpy(file[key]) for key in file.files}
        self.given, self.weights = self.under("input/"), self.under("weight/")
        self.outputs, self.losses = self.under(f"{stage}/output/"), self.under(f"{stage}/loss/")
        if "hidden" in self.outputs:
            self.outputs["hidden"] = reordered(self.outputs["hidden"].mT.transpose(0, 1)).transpose(0, 1).mT
        self.norms = self.under(f"{stage}/gradient_norm/")
        self.batch, self.model = our_batch(self.given, stage), MoMKE.from_official(self.weights, self.config).train()

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(prefix): x for key, x in self.arrays.items() if key.startswith(prefix)}


def outputs_of_steps(model, batch) -> dict[str, torch.Tensor]:
    """The published outputs: a prediction for each step, (clip, time, logits), and in stage two the hidden vector."""
    if model.config.stage == "mixture":
        hidden = model.fuse(torch.cat(list(model(**batch).mixtures.values()), dim=2))
        return {"hidden": hidden, "out": model.head(hidden)}
    streams = [model.project[m](batch[m]) for m in MODALITIES]
    answers = encode_each(model.experts, streams, masks=list(batch["mask"].values()))
    return {f"out_{m}": model.heads[m](x) for m, x in zip(MODALITIES, answers)}


def losses_of_steps(model, outputs, given) -> dict[str, torch.Tensor]:
    config, real, found = model.config, given["real"], {}
    for name in outputs.keys() - {"hidden"}:
        prediction = outputs[name][real].squeeze(-1)
        term = "task_final" if name == "out" else name.replace("out", "task")
        found[term] = task_loss(prediction, given["labels"][real], config.task, error=config.regression_error)
    return found


def assert_same_norms(model, theirs):
    """Of the gradients of our weights, which hold several published ones each."""
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    ours = published_norms(gradients, momke_sources(gradients))
    assert ours.keys() == theirs.keys()
    rounding = 1e-5 * float(max(theirs.values()))
    for name, norm in ours.items():
        # Nothing depends on the bias of keys, nor on queries and keys of a single step: all they have is rounding.
        nothing = name.endswith("k.bias") or not theirs[name]
        assert norm == pytest.approx(float(theirs[name]), rel=1e-4, abs=rounding if nothing else 1e-7), name


@with_stages
@pytest.mark.parametrize("name", SMALL_SIZES)
def test_every_step(name, stage):
    """Dialogues with padding, and without a modality, here and there or everywhere."""
    golden = Golden(name, stage)
    outputs = outputs_of_steps(golden.model, golden.batch)
    assert outputs.keys() == golden.outputs.keys()
    for output, theirs in golden.outputs.items():
        close(outputs[output], theirs)
    losses = losses_of_steps(golden.model, outputs, golden.given)
    assert losses.keys() == golden.losses.keys()
    for term, theirs in golden.losses.items():
        close(losses[term], theirs)
    sum(losses.values()).backward()
    assert_same_norms(golden.model, golden.norms)


def assert_same_utterances(model, batch, labels, outputs, losses):
    """Clips of one step: the whole model, its losses and the gradients that they leave."""
    out = model(**batch, labels=labels[:, 0])
    predictions = out.predictions if model.config.stage == "experts" else {"": out.prediction}
    for m, prediction in predictions.items():
        close(prediction, torch.as_tensor(outputs[f"out_{m}" if m else "out"])[:, 0].squeeze(-1))
    for term, theirs in losses.items():
        close(out.losses[term], torch.as_tensor(theirs))
    close(out.loss, torch.as_tensor(sum(losses.values())))
    out.loss.backward()


@with_stages
@pytest.mark.parametrize("name", UTTERANCES)
def test_utterances(name, stage):
    golden = Golden(name, stage)
    assert_same_utterances(golden.model, golden.batch, golden.given["labels"], golden.outputs, golden.losses)
    assert_same_norms(golden.model, golden.norms)


@cache
def full_sizes() -> dict:
    return json.loads((GOLDEN / "momke_full_sizes.json").read_text())


@cache
def full_weights(name: str) -> dict[str, torch.Tensor]:
    return formula_weights(full_sizes()[name]["shapes"], FULL_SIZES[name]["seed"])


@with_stages
@pytest.mark.parametrize("name", FULL_SIZES)
def test_full_sizes(name, stage):
    size, theirs = FULL_SIZES[name], full_sizes()[name][stage]
    given, model = published_batch(size), MoMKE.from_official(full_weights(name), our_config(size, stage)).train()
    if size["time"] == 1:
        assert_same_utterances(model, our_batch(given, stage), given["labels"], theirs["outputs"], theirs["losses"])
    else:
        outputs = outputs_of_steps(model, our_batch(given, stage))
        losses = losses_of_steps(model, outputs, given)
        for output, values in theirs["outputs"].items():
            close(outputs[output], values)
        for term, value in theirs["losses"].items():
            close(losses[term], value)
        sum(losses.values()).backward()
    assert_same_norms(model, theirs["gradient_norms"])


def test_official_differs_in_the_fields_that_its_docstring_names():
    named = {"clip_reader", "regression_error", "width", "heads", "embedding_dropout", "feed_forward_dropout"}
    named |= {"memory_attention_dropout", "feature_widths", "kernel_sizes"}
    default = MoMKEConfig().to_dict()
    for dataset, more in (
        ("mosi", set()),
        ("mosei", set()),
        *((f"iemocap_{n}", CLASS_FIELDS) for n in ("four", "six")),
    ):
        official = MoMKEConfig.official(dataset).to_dict()
        assert {name for name in default if official[name] != default[name]} == named | more
    for name in named | CLASS_FIELDS:
        assert f"`{name}`" in MoMKEConfig.official.__doc__
    with pytest.raises(ValueError, match="dataset must be one of 'mosi', 'mosei', 'iemocap_four', 'iemocap_six'"):
        MoMKEConfig.official("sims")


def test_checkpoint_file(tmp_path):
    """As the published training writes it, and as a start for further training."""
    golden = Golden("momke_clips", "mixture")
    torch.save({"model": golden.weights}, tmp_path / "model.pth")
    started = start_from(MoMKE(golden.config), tmp_path / "model.pth")
    for model in (MoMKE.from_official(tmp_path / "model.pth", golden.config), started):
        close(model.eval()(**golden.batch).prediction, golden.outputs["out"][:, 0, 0])


def test_bad_checkpoints():
    weights, config = (golden := Golden("momke_clips", "mixture")).weights, golden.config
    with pytest.raises(ValueError, match="no weight 'router_v.fc2.bias'"):
        MoMKE.from_official({k: x for k, x in weights.items() if k != "router_v.fc2.bias"}, config)
    with pytest.raises(ValueError, match="'block.blocks.2.Transformer_a.q.weight', which this config has no place for"):
        MoMKE.from_official(weights, config.replace(layers=2))
    with pytest.raises(ValueError, match="made for another shape: 'project.audio.weight'"):
        MoMKE.from_official(weights, config.replace(feature_widths={"audio": 9}))
