"""DLF held to its published code: outputs, every loss term and gradient norms, small and at full size."""

import json
from dataclasses import fields

import numpy as np
import pytest
import torch
from published import FULL_SIZES, GOLDEN, formula_weights, full_batch, published_norms

from dmdlite.config import MODALITIES
from dmdlite.models.dlf import DLF, DLFConfig
from dmdlite.models.official.dlf import LAYERS, TRANSFORMERS
from dmdlite.models.official.dmd import INITIALS, dmd_sources
from dmdlite.training.systems import start_from

SMALL_SIZES = {  # at these widths a published cosine runs across steps and clips
    "dlf_aligned": dict(dataset="mosi", lengths=(50, 50, 50), width=10, heads=2, layers=1, batch=5, seed=0),
    "dlf_unaligned": dict(dataset="mosei", lengths=(50, 500, 500), width=4, heads=2, layers=2, batch=5, seed=1),
}
LANGUAGE, VISION, AUDIO = 12, 7, 5  # their feature widths


def published_config(dataset, lengths, vision, audio, language=768, **sizes) -> DLFConfig:
    sizes["feature_widths"] = dict(language=language, vision=vision, audio=audio)
    return DLFConfig.official(dataset, lengths=dict(zip(MODALITIES, lengths)), **sizes).without_dropout()


class Golden:
    def __init__(self, name: str):
        with np.load(GOLDEN / f"{name}.npz") as file:
            self.arrays = {key: torch.from_numpy(file[key]) for key in file.files}
        sizes = dict(SMALL_SIZES[name])
        batch, seed = sizes.pop("batch"), sizes.pop("seed")
        self.config = published_config(vision=VISION, audio=AUDIO, language=LANGUAGE, **sizes)
        self.weights = formula_weights({key: x.tolist() for key, x in self.under("shape/").items()}, seed)
        self.batch = full_batch(sizes["dataset"], sizes["lengths"], VISION, AUDIO, batch, seed)
        self.batch["language"] = self.batch["language"][..., :LANGUAGE]

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(prefix): x for key, x in self.arrays.items() if key.startswith(prefix)}

    def output(self, name: str) -> torch.Tensor | None:
        """A published output; streams come as (time, batch, width), but for `s_m_r`: (batch, width, time)."""
        x = self.arrays.get(f"output/{name}")
        if x is None or x.ndim < 3:
            return x
        return x.transpose(1, 2) if name.endswith("_r") else x.transpose(0, 1)


@pytest.fixture(scope="module", params=SMALL_SIZES)
def golden(request):
    return Golden(request.param)


@pytest.fixture(scope="module")
def out(golden):
    golden.model = DLF.from_official(golden.weights, golden.config).train()
    return golden.model(**golden.batch)


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=tolerance, atol=tolerance)


def test_outputs(golden, out):
    parts, compared = out.decoupled, 0
    for m, i in INITIALS.items():
        close(out.margin_features[m], golden.output(f"c_{i}_sim"))
        close(out.predictions[f"heterogeneous_{m}"], golden.output(f"logits_{i}_hetero")[:, 0])
        streams = {"origin_{}": parts.projected, "s_{}": parts.private, "c_{}": parts.common}
        streams |= {"recon_{}": parts.reconstruction, "s_{}_r": parts.private_again}
        for name, ours in streams.items():
            if (theirs := golden.output(name.format(i))) is not None:
                close(ours[m], theirs)
                compared += 1
    assert compared == (15 if golden.config.lengths["vision"] == 50 else 0)
    close(out.predictions["common"], golden.output("logits_c")[:, 0])
    close(out.prediction, golden.output("output_logit")[:, 0])


def published_term(term: str) -> str:
    for m, i in INITIALS.items():
        term = term.replace(f"_{m}", f"_{i}")
    return term


def check_losses(out, published):
    assert {published_term(term) for term in out.losses} | {"total"} == set(published)
    for term, value in (out.losses | {"total": out.loss}).items():
        assert value.item() == pytest.approx(float(published[published_term(term)]), rel=1e-5, abs=1e-5), term


def check_gradient_norms(model, published):
    """Under the published names; a weight of several encoders has a norm for each of them."""
    gradients = {name: p.grad for name, p in model.named_parameters()}
    norms = published_norms(gradients, dmd_sources(gradients, LAYERS, TRANSFORMERS))
    assert set(norms) == set(published)
    for name, norm in norms.items():
        assert norm == pytest.approx(float(published[name]), rel=1e-4, abs=1e-6), name


def test_losses_and_gradients(golden, out):
    check_losses(out, golden.under("loss/"))
    out.loss.backward()
    check_gradient_norms(golden.model, golden.under("grad_norm/"))


@pytest.mark.parametrize("name", FULL_SIZES)
def test_full_sizes(name):
    recorded, sizes = json.loads((GOLDEN / "dlf_full_sizes.json").read_text())[name], dict(FULL_SIZES[name])
    batch, seed = full_batch(**sizes), sizes.pop("seed")
    del sizes["batch"]
    model = DLF.from_official(formula_weights(recorded["shapes"], seed), published_config(**sizes)).train()
    out = model(**batch)
    for head, prediction in out.predictions.items():
        close(prediction, torch.tensor(recorded["predictions"][published_term(f"_{head}")[1:]]))
    check_losses(out, recorded["losses"])
    out.loss.backward()
    check_gradient_norms(model, recorded["gradient_norms"])


@pytest.mark.parametrize(
    ("dataset", "lengths", "published", "without_effect"),
    [
        ("mosi", (50, 50, 50), 2_923_308, 1_294_703),
        ("mosi", (50, 500, 375), 10_750_808, 7_184_703),
        ("mosei", (50, 50, 50), 2_917_208, 1_340_303),
    ],
)
def test_number_of_parameters(dataset, lengths, published, without_effect):
    """Ours and those of the published layers that no prediction and no loss reads: 44 per cent at the least."""
    model = DLF(DLFConfig.official(dataset, lengths=dict(zip(MODALITIES, lengths))))
    assert sum(p.numel() for p in model.parameters()) == published - without_effect


def test_what_official_sets():
    """As the docstring of `DLFConfig.official` says."""
    changed = lambda dataset: {
        f.name
        for f in fields(DLFConfig)
        if getattr(DLFConfig.official(dataset), f.name) != getattr(DLFConfig(), f.name)
    }
    dropouts = {"language_dropout", "embedding_dropout", "memory_attention_dropout"}
    dropouts |= {f"{m}_attention_dropout" for m in ("language", "audio")}
    assert changed("mosi") == {"orthogonality_span"}
    assert changed("mosei") == {"orthogonality_span", "feature_widths", "kernel_sizes"} | dropouts
    with pytest.raises(ValueError, match="orthogonality_span must be at least 1"):
        DLFConfig(orthogonality_span=0)


@pytest.fixture
def aligned():
    return Golden("dlf_aligned")


def test_a_checkpoint_file(aligned, tmp_path):
    """As the published training writes it; also as a start for further training."""
    torch.save(aligned.weights, tmp_path / "DLFmosi.pth")
    loaded = DLF.from_official(tmp_path / "DLFmosi.pth", aligned.config)
    started = start_from(DLF(aligned.config), tmp_path / "DLFmosi.pth").eval()
    for model in (loaded, started):
        assert not model.training
        close(model(**aligned.batch).prediction, aligned.output("output_logit")[:, 0])


def test_bad_checkpoints(aligned):
    weights, config = aligned.weights, aligned.config
    with pytest.raises(ValueError, match="no weight 'projector_v.weight'"):
        DLF.from_official({k: v for k, v in weights.items() if k != "projector_v.weight"}, config)
    with pytest.raises(ValueError, match="'proj_x.weight', which this config has no place for"):
        DLF.from_official(weights | {"proj_x.weight": torch.zeros(1)}, config)
    with pytest.raises(ValueError, match="language hears the others, not audio"):
        DLF.from_official(weights, config.replace(focus="audio"))
    with pytest.raises(ValueError, match="made for another shape: 'temporal.vision.weight'"):
        DLF.from_official(weights, config.replace(feature_widths={"vision": 9}))
