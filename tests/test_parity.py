"""Held to the published code: outputs, every loss term, edges and gradient norms, small and at full size."""

import json

import numpy as np
import pytest
import torch
from published import (
    FULL_SIZES,
    GOLDEN,
    formula_weights,
    full_batch,
    full_config,
    published_edges,
    published_norms,
    published_term,
)

from dmdlite.components.losses import orthogonality_loss
from dmdlite.config import MODALITIES, SPACES, DMDConfig
from dmdlite.models.dmd import DMD
from dmdlite.models.official.dmd import INITIALS, dmd_sources, unit_sources
from dmdlite.training.systems import start_from

SMALL = {
    "dmd_aligned": dict(dataset="mosi", width=8, heads=2, layers=2, lengths=(50, 50, 50)),
    "dmd_unaligned": dict(dataset="mosi", width=4, heads=2, layers=1, lengths=(50, 500, 375)),
    "dmd_kernels_5_1_3": dict(dataset="mosei", width=6, heads=3, layers=2, lengths=(50, 50, 50)),
}


class Golden:
    def __init__(self, name: str):
        with np.load(GOLDEN / f"{name}.npz") as file:
            self.arrays = {key: torch.from_numpy(file[key]) for key in file.files}
        sizes = dict(SMALL[name], feature_widths=dict(language=12, vision=7, audio=5))
        sizes["lengths"] = dict(zip(MODALITIES, sizes["lengths"]))
        self.config = DMDConfig.official(**sizes).without_dropout()
        self.model = DMD.from_official(*self.weights(self.config)).train()
        self.batch = {m: self.arrays[f"input_{m}"] for m in MODALITIES} | {"labels": self.arrays["labels"][:, 0]}
        self.out = self.model(**self.batch)

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(prefix): x for key, x in self.arrays.items() if key.startswith(prefix)}

    def weights(self, config):
        return self.under("weights/dmd/"), config, self.under("weights/gd_homo/"), self.under("weights/gd_hetero/")

    def output(self, name: str) -> torch.Tensor:
        """A published output; sequences come as (time, batch, width) or (batch, width, time)."""
        x = self.arrays[f"output/{name}"]
        if x.ndim < 3:
            return x
        return x.transpose(0, 1) if name.startswith(("s_", "c_")) and not name.endswith("_r") else x.transpose(1, 2)


@pytest.fixture(scope="module", params=SMALL)
def golden(request):
    return Golden(request.param)


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=tolerance, atol=tolerance)


def test_outputs(golden):
    out, parts = golden.out, golden.out.decoupled
    for m, i in INITIALS.items():
        close(parts.projected[m], golden.output(f"origin_{i}"))
        close(parts.common[m], golden.output(f"c_{i}"))
        close(parts.private[m], golden.output(f"s_{i}"))
        close(parts.reconstruction[m], golden.output(f"recon_{i}"))
        close(parts.private_again[m], golden.output(f"s_{i}_r"))
        close(out.margin_features[m], golden.output(f"c_{i}_sim"))
        close(out.reinforced[m], golden.output(f"last_h_{i}"))
        for space, short in zip(SPACES, ("homo", "hetero")):
            close(out.predictions[f"{space}_{m}"], golden.output(f"logits_{i}_{short}")[:, 0])
            close(out.graphs[space].nodes[:, MODALITIES.index(m)], golden.output(f"repr_{i}_{short}"))
    close(out.predictions["common"], golden.output("logits_c")[:, 0])
    close(out.prediction, golden.output("output_logit")[:, 0])


def test_losses(golden):
    for term, value in golden.out.losses.items():
        close(value, golden.arrays[f"loss/{published_term(term)}"])
    close(golden.out.loss, golden.arrays["loss/total"])


@pytest.mark.parametrize("over", ["per_sample", "over_channels", "over_batch"])
def test_orthogonality_in_three_readings(golden, over):
    parts = golden.out.decoupled
    close(
        orthogonality_loss(parts.common, parts.private, over, clamped=True), golden.arrays[f"loss/orthogonality_{over}"]
    )


def test_edges(golden):
    for space, short in zip(SPACES, ("homo", "hetero")):
        edges = golden.out.edges[space]
        close(published_edges(edges), golden.arrays[f"edges/edges_{short}"])
        assert edges.diagonal(dim1=1, dim2=2).eq(0).all()


def gradient_norms(model) -> dict[str, float]:
    """Norms under the published names; a weight of several encoders has one for each of them."""
    gradients = {name: p.grad for name, p in model.named_parameters()}
    places = [("dmd", dmd_sources(gradients))]
    places += [(f"gd_{short}", unit_sources(space)) for space, short in zip(SPACES, ("homo", "hetero"))]
    sources = {ours: [f"{module}/{x}" for x in names] for module, own in places for ours, names in own.items()}
    return published_norms(gradients, sources)


def test_gradient_norms(golden):
    golden.model.zero_grad()
    golden.model(**golden.batch).loss.backward()
    ours, theirs = gradient_norms(golden.model), golden.under("grad_norm/")
    assert {name for name, norm in theirs.items() if not norm.isnan()} == set(ours)
    for name, norm in ours.items():
        assert norm == pytest.approx(theirs[name].item(), rel=1e-4, abs=1e-7), name


@pytest.fixture(scope="module", params=FULL_SIZES)
def full(request):
    recorded = json.loads((GOLDEN / "full_sizes.json").read_text())[request.param]
    sizes = FULL_SIZES[request.param]
    weights = [formula_weights(shapes, sizes["seed"]) for shapes in recorded["shapes"].values()]
    model = DMD.from_official(weights[0], full_config(**sizes), *weights[1:]).train()
    out = model(**full_batch(**sizes))
    out.loss.backward()
    return recorded, model, out


def test_full_sizes(full):
    recorded, model, out = full
    close(out.prediction, torch.tensor(recorded["prediction"]))
    for space, short in zip(SPACES, ("homo", "hetero")):
        close(published_edges(out.edges[space]), torch.tensor(recorded["edges"][f"edges_{short}"]))
    for term, value in (out.losses | {"total": out.loss}).items():
        assert value.item() == pytest.approx(recorded["losses"][published_term(term)], rel=1e-5, abs=1e-5), term
    ours, theirs = gradient_norms(model), recorded["gradient_norms"]
    assert set(ours) == set(theirs)
    for name, norm in ours.items():
        assert norm == pytest.approx(theirs[name], rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize(
    ("dataset", "lengths", "published"),
    [
        ("mosi", (50, 50, 50), 4_743_658),
        ("mosi", (50, 500, 375), 12_571_158),
        ("mosei", (50, 50, 50), 1_792_778),
        ("mosei", (50, 500, 500), 5_086_778),
    ],
)
def test_number_of_parameters(dataset, lengths, published):
    """Ours and the published one's differ by a projection of private features that no loss reads."""
    config = DMDConfig.official(dataset, lengths=dict(zip(MODALITIES, lengths)))
    model = DMD(config)
    dead = sum(kept * config.width * config.width + config.width for kept in config.lengths_after_convolution.values())
    units = sum(p.numel() for p in model.units.parameters())
    assert sum(p.numel() for p in model.parameters()) - units + dead == published
    assert units == {"mosi": 3_649 + 3_425, "mosei": 2_369 + 2_145}[dataset]


def test_checkpoint_file(tmp_path):
    """A .pth as the published training writes it, with only the main model: the GD-Units stay fresh."""
    golden = Golden("dmd_aligned")
    weights, config, *_ = golden.weights(golden.config)
    torch.save(weights, tmp_path / "dmd.pth")
    model = DMD.from_official(tmp_path / "dmd.pth", config).eval()
    close(model(**golden.batch).prediction, golden.output("output_logit")[:, 0])


@pytest.mark.parametrize("prefix", ["module.", "Model.", "module.Model."])
def test_wrapped_checkpoints(tmp_path, prefix):
    """As DataParallel, MMSA and training frameworks write it; also as a start for further training."""
    golden = Golden("dmd_aligned")
    weights, config, *_ = golden.weights(golden.config)
    wrapped = {"model": {f"{prefix}{name}": x for name, x in weights.items()}, "epoch": 3}
    torch.save(wrapped, tmp_path / "dmd.pt")
    loaded, started = DMD.from_official(wrapped, config), DMD(config)
    start_from(started, tmp_path / "dmd.pt")
    for model in (loaded, started):
        close(model.eval()(**golden.batch).prediction, golden.output("output_logit")[:, 0])


class Malicious:
    def __reduce__(self):
        return (print, ("executed",))


def test_bad_checkpoints(tmp_path, capsys):
    golden = Golden("dmd_aligned")
    weights, config, *_ = golden.weights(golden.config)
    with pytest.raises(ValueError, match="no weight 'proj_v.weight'"):
        DMD.from_official({k: v for k, v in weights.items() if k != "proj_v.weight"}, config)
    with pytest.raises(ValueError, match="'proj_x.weight', which this config has no place for"):
        DMD.from_official(weights | {"proj_x.weight": torch.zeros(1)}, config)
    with pytest.raises(ValueError, match="made for another shape: 'temporal.vision.weight'"):
        DMD.from_official(weights, config.replace(feature_widths={"vision": 9}))
    other = config.replace(graph_priors={"homogeneous": None})
    with pytest.raises(ValueError, match="prior of the homogeneous graph is not that of config.graph_priors"):
        DMD.from_official(weights, other, golden.under("weights/gd_homo/"))
    torch.save({"proj_l.weight": Malicious()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="evil.pth is not a readable checkpoint"):
        DMD.from_official(tmp_path / "evil.pth", config)
    assert "executed" not in capsys.readouterr().out
