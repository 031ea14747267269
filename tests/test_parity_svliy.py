"""DHMDConfig.svliy held to svliy/mmsa, the nearest public code to DHMD: outputs, losses, gradients, weights by file."""

import json

import numpy as np
import pytest
import torch
from published import GOLDEN, formula_weights, published_norms
from published_svliy import FULL, SMALL, batch_of

from dmdlite.config import MODALITIES, TrainingConfig
from dmdlite.models.dhmd import DHMD, DHMDConfig
from dmdlite.models.dmd import DMD, DMDConfig
from dmdlite.models.official.dmd import INITIALS
from dmdlite.models.official.svliy import svliy_sources
from dmdlite.training.loop import make_optimizer
from dmdlite.training.systems import start_from

INSIDE = {"task_final", "dictionary_heterogeneous"}  # the terms that count


def config_of(dataset, lengths, widths, ours=None, **_) -> DHMDConfig:
    sizes = dict(lengths=dict(zip(MODALITIES, lengths)), feature_widths=dict(zip(MODALITIES, widths)))
    return DHMDConfig.svliy(dataset, **sizes | (ours or {})).without_dropout()


class Golden:
    def __init__(self, name: str):
        with np.load(GOLDEN / f"svliy_{name}.npz") as file:
            self.arrays = {key: torch.from_numpy(file[key]) for key in file.files}
        self.config, self.weights = config_of(**SMALL[name]), self.under("weights/")
        self.model = DHMD.from_official(self.weights, self.config).train()
        self.batch = self.under("input/")
        self.out = self.model(**self.batch)

    def under(self, prefix: str) -> dict[str, torch.Tensor]:
        return {key.removeprefix(prefix): x for key, x in self.arrays.items() if key.startswith(prefix)}


@pytest.fixture(scope="module", params=SMALL)
def golden(request):
    return Golden(request.param)


def close(ours, theirs, tolerance=1e-5):
    torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=tolerance, atol=tolerance)


def check_norms(model, theirs):
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    ours = published_norms(gradients, svliy_sources(gradients))
    assert ours.keys() == theirs.keys()
    for name, norm in ours.items():
        assert norm == pytest.approx(float(theirs[name]), rel=1e-4, abs=1e-7), name


def test_small_sizes(golden):
    theirs, found = golden.under("output/"), golden.out.dictionaries["heterogeneous"]
    close(golden.out.prediction, theirs["output_logit"][:, 0])
    close(torch.cat([found[m].activations for m in INITIALS]), theirs["lva_att_weight"])
    for m, i in INITIALS.items():
        close(found[m].features, theirs[f"s_{i}_dict"])
        close(golden.model.fusion.gates[m](golden.out.reinforced[m]).sigmoid(), theirs[f"last_h_{i}"])
    for term, value in golden.under("loss/").items():
        close(golden.out.losses[term] if term in INSIDE else golden.out.loss, value)
    golden.out.loss.backward()
    check_norms(golden.model, golden.under("grad_norm/"))


@pytest.mark.parametrize("name", FULL)
def test_full_sizes(name):
    recorded = json.loads((GOLDEN / "svliy_full_sizes.json").read_text())[name]
    weights = formula_weights(recorded["shapes"], FULL[name]["seed"])
    model = DHMD.from_official(weights, config_of(**FULL[name])).train()
    out = model(**batch_of(**FULL[name]))
    close(out.prediction, torch.tensor(recorded["prediction"]))
    found = out.dictionaries["heterogeneous"]
    assert torch.cat([found[m].activations for m in INITIALS]).gt(0).sum(dim=1).tolist() == recorded["activated"]
    for term, value in recorded["losses"].items():
        close(out.losses[term] if term in INSIDE else out.loss, value)
    out.loss.backward()
    check_norms(model, recorded["gradient_norms"])


def test_files(tmp_path):
    """A .pth as its training writes it; also as a start for further training."""
    golden = Golden("aligned_mosi")
    torch.save(golden.weights, tmp_path / "7.pth")
    loaded, started = DHMD.from_official(tmp_path / "7.pth", golden.config), DHMD(golden.config)
    start_from(started, tmp_path / "7.pth")
    for model in (loaded, started.eval()):
        close(model(**golden.batch).prediction, golden.out.prediction)


def test_refused_weights():
    golden = Golden("aligned_mosi")
    lacking = {name: x for name, x in golden.weights.items() if name != "hetero_dict.space_dict"}
    with pytest.raises(ValueError, match="no weight 'hetero_dict.space_dict'"):
        DHMD.from_official(lacking, golden.config)
    with pytest.raises(ValueError, match="'proj_x.weight', which this config has no place for"):
        DHMD.from_official(golden.weights | {"proj_x.weight": torch.zeros(1)}, golden.config)
    with pytest.raises(ValueError, match="made for another shape: 'dictionaries.heterogeneous.atoms'"):
        DHMD.from_official(golden.weights, golden.config.replace(dictionary_size=21))
    with pytest.raises(ValueError, match="which this config has no place for"):
        start_from_state = DMD(DMDConfig.of(golden.config))
        DHMD.from_official(start_from_state.state_dict(), golden.config)


def test_what_svliy_chooses():
    """Exactly these fields differ from the defaults, on MOSI; and no step of the data sets' sizes is forgotten."""
    chosen, default = DHMDConfig.svliy().to_dict(), DHMDConfig().to_dict()
    differing = {name for name in chosen if chosen[name] != default[name]}
    own = {f"dictionary_{x}" for x in ("spaces", "size", "start", "temperature", "input", "detached", "normalised")}
    own |= {"dictionary_in_fusion", "common_in_fusion", "common_branch", "margin_features", "loss_weights", "lengths"}
    assert differing == own
    assert {term for term, weight in chosen["loss_weights"].items() if weight} == INSIDE
    for dataset, audio in (("mosi", 375), ("mosei", 500), ("sims", 925)):
        config = DHMDConfig.svliy(dataset)
        assert (config.width, config.heads, config.lengths["audio"]) == (50, 10, audio)
    with pytest.raises(ValueError, match="dataset must be one of 'mosi', 'mosei', 'sims'"):
        DHMDConfig.svliy("iemocap")
    with pytest.raises(ValueError, match="needs a heterogeneous dictionary"):
        DHMDConfig.svliy(dictionary_spaces=["homogeneous"])


def test_atoms_start_as_published():
    torch.manual_seed(0)
    model = DHMD(DHMDConfig.svliy(lengths=dict.fromkeys(MODALITIES, 10), layers=1))
    atoms = model.dictionaries["heterogeneous"].atoms
    assert atoms.shape == (512, 100)
    assert atoms.std().item() == pytest.approx((2 / 612) ** 0.5, rel=0.02)  # of nn.init.xavier_normal_
    recipe = TrainingConfig.official(learning_rates={"dictionaries": 1e-3})
    rest, dictionary = make_optimizer(model, recipe).param_groups
    assert (rest["lr"], dictionary["lr"]) == (1e-4, 1e-3)
    assert {id(p) for p in dictionary["params"]} == {id(p) for p in model.dictionaries.parameters()}
    assert len(rest["params"]) + len(dictionary["params"]) == len(list(model.parameters()))
    assert len(make_optimizer(model, TrainingConfig()).param_groups) == 1


def test_padding_is_left_out_where_a_mask_tells():
    """The last real step, and the real steps alone, whatever is in the others."""
    config = config_of("mosi", (12, 15, 11), (6, 5, 4), dict(width=8, heads=2, layers=2, dictionary_size=9))
    torch.manual_seed(0)
    model, batch = DHMD(config).eval(), batch_of((12, 15, 11), (6, 5, 4), 3, 0)
    del batch["labels"]
    mask = {m: torch.arange(x.shape[1]) < torch.tensor([[7], [9], [x.shape[1]]]) for m, x in batch.items()}
    noisy = {m: x + torch.randn_like(x) * ~mask[m][..., None] for m, x in batch.items()}
    out, other = model(**batch, mask=mask), model(**noisy, mask=mask)
    close(out.prediction, other.prediction)
    assert not torch.allclose(out.prediction, model(**batch).prediction, atol=1e-5)


def test_it_is_saved_and_read(tmp_path):
    golden = Golden("aligned_mosi")
    golden.model.save_pretrained(tmp_path)
    assert torch.equal(DHMD.from_pretrained(tmp_path)(**golden.batch).loss, golden.model.eval()(**golden.batch).loss)
