"""Held to the published MISA: outputs, every loss term and gradient norms, small and at full size."""

import json

import numpy as np
import pytest
import torch
from published import GOLDEN, formula_weights, published_norms
from published_misa import FULL_SIZES, OUTPUTS, SMALL_SIZES, TERMS, in_double, our_batch, our_config, published_batch
from test_models import small_batch, small_config

from dmdlite.models.misa import MISA, MISAConfig
from dmdlite.models.official.misa import INITIALS, LAYERS
from dmdlite.models.official.weights import sources_of
from dmdlite.models.registry import build
from dmdlite.training.systems import start_from


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(ours, torch.as_tensor(theirs), rtol=tolerance, atol=tolerance)


class Golden:
    def __init__(self, name: str):
        with np.load(GOLDEN / f"{name}.npz") as file:
            self.arrays = {key: torch.from_numpy(file[key]) for key in file.files}
        self.size, self.weights = SMALL_SIZES[name], self.under("weight/")
        given = published_batch(self.size) | self.under("input/")
        self.config, self.batch = our_config(self.size), our_batch(self.size, given, self.weights)
        self.model = MISA.from_official(self.weights, self.config).train()
        self.out = self.model(**self.batch)

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(prefix): x for key, x in self.arrays.items() if key.startswith(prefix)}


@pytest.fixture(scope="module", params=SMALL_SIZES)
def golden(request):
    return Golden(request.param)


def test_outputs(golden):
    close(golden.out.prediction, golden.arrays["output/prediction"].squeeze(-1))
    for ours, theirs in OUTPUTS.items():
        for m, i in INITIALS.items():
            close(getattr(golden.out, ours)[m], golden.arrays[f"output/{theirs.format(i)}"])


def test_losses(golden):
    assert set(golden.out.losses) == set(TERMS)
    for ours, theirs in TERMS.items():
        close(golden.out.losses[ours], golden.arrays[f"loss/{theirs}"])
    close(golden.out.loss, golden.arrays["loss/total"])


def gradient_norms(model) -> dict[str, float]:
    """Under the published names."""
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return published_norms(gradients, sources_of(gradients, LAYERS, INITIALS))


def assert_same_norms(model, theirs):
    """All but those of the published table of word vectors, which are data here."""
    ours = gradient_norms(model)
    assert set(theirs) - set(ours) <= {"embed.weight"} and set(ours) <= set(theirs)
    for name, norm in ours.items():
        assert norm == pytest.approx(float(theirs[name]), rel=1e-4, abs=1e-7), name


def test_gradients(golden):
    golden.model.zero_grad()
    golden.model(**golden.batch).loss.backward()
    assert_same_norms(golden.model, golden.under("gradient_norm/"))


@pytest.mark.parametrize("name", FULL_SIZES)
def test_full_sizes(name):
    """In double precision: the difference loss divides by lengths near zero, and rounding differs by processor."""
    theirs, size = json.loads((GOLDEN / "misa_full_sizes.json").read_text())[name], FULL_SIZES[name]
    weights = in_double(formula_weights(theirs["shapes"], size["seed"]))
    model = MISA.from_official(weights, our_config(size)).double().train()
    out = model(**our_batch(size, in_double(published_batch(size)), weights))
    close(out.prediction, torch.tensor(theirs["prediction"], dtype=torch.float64).squeeze(-1))
    for term, value in (out.losses | {"total": out.loss}).items():
        assert value.item() == pytest.approx(theirs["losses"][TERMS.get(term, term)], rel=1e-6), term
    out.loss.backward()
    assert_same_norms(model, theirs["gradient_norms"])


def test_the_first_layers_of_bert_are_frozen_on_mosei():
    theirs = json.loads((GOLDEN / "misa_full_sizes.json").read_text())["mosei"]["gradient_norms"]
    learns = [k for k in range(11) if f"bertmodel.encoder.layer.{k}.output.dense.weight" in theirs]
    assert learns == [9, 10] and "bertmodel.embeddings.word_embeddings.weight" in theirs


def test_official_differs_in_the_fields_that_its_docstring_names():
    named = {"width", "heads", "feed_forward_width", "memory_attention_dropout", "regression_error", "difference_scale"}
    named |= {"loss_weights", "feature_widths", "kernel_sizes"}
    further = {"mosi": set(), "mosei": {"frozen_language_layers"}}
    further["ur_funny"] = {"task", "outputs", "language_model_trainable"}
    default = MISAConfig().to_dict()
    for dataset, more in further.items():
        official = MISAConfig.official(dataset).to_dict()
        assert {name for name in default if official[name] != default[name]} == named | more
    for name in set.union(named, *further.values()):
        assert f"`{name}`" in MISAConfig.official.__doc__
    with pytest.raises(ValueError, match="dataset must be one of 'mosi', 'mosei', 'ur_funny', got 'sims'"):
        MISAConfig.official("sims")


def test_each_difference_is_a_field_of_its_own():
    golden, batch = Golden("misa_classes"), small_batch()
    free = MISA.from_official(golden.weights, golden.config.replace(difference_scale="size_free"))
    ratio = (len(golden.batch["labels"]) / golden.size["width"]) ** 2
    close(ratio * free(**golden.batch).losses["difference"], golden.out.losses["difference"])
    with pytest.raises(ValueError, match="made for another shape: 'fuse.linear1.bias'"):
        MISA.from_official(golden.weights, golden.config.replace(feed_forward_width=None))
    with pytest.raises(ValueError, match="'trnn1.weight_ih_l0', which this config has no place for"):
        MISA.from_official(golden.weights, golden.config.replace(language_reader="mean"))
    squared = build("misa", small_config(), regression_error="squared")(**batch)
    close(squared.losses["task_final"], (squared.prediction - batch["labels"]).square().mean())


def test_checkpoint_file(tmp_path):
    """As the published training writes it, and as a start for further training."""
    golden = Golden("misa_states")
    torch.save(golden.weights, tmp_path / "model.std")
    started = start_from(MISA(golden.config), tmp_path / "model.std")
    for model in (MISA.from_official(tmp_path / "model.std", golden.config), started):
        close(model.eval()(**golden.batch).prediction, golden.arrays["output/prediction"][:, 0])


def test_bad_checkpoints():
    weights, config = (golden := Golden("misa_states")).weights, golden.config
    with pytest.raises(ValueError, match="no weight 'vrnn1.weight_hh_l0'"):
        MISA.from_official({k: x for k, x in weights.items() if k != "vrnn1.weight_hh_l0"}, config)
    adversarial = {"discriminator.discriminator_layer_1.weight": torch.zeros(8, 8)}
    with pytest.raises(
        ValueError, match="'discriminator.discriminator_layer_1.weight', which this config has no place"
    ):
        MISA.from_official(weights | adversarial, config)
    with pytest.raises(ValueError, match="made for another shape: 'project.audio.0.weight'"):
        MISA.from_official(weights, config.replace(feature_widths={"audio": 9}))
