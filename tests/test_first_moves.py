"""What a newcomer tries in the first five minutes: printing, misspelling, feeding a split to a loader."""

import pytest
import torch
from torch.utils.data import DataLoader

import dmdlite
from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.toy import toy_world
from dmdlite.models.registry import RECIPES, build

CONFIG = DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)
SYSTEMS = [name for name, recipe in RECIPES.items() if recipe.teacher is None]


@pytest.fixture(scope="module")
def split():
    return toy_world(40).splits["train"]


@pytest.fixture(scope="module")
def out(split):
    return dmdlite.DMD(CONFIG).eval()(**split.batch([0, 1, 2]))


def test_the_public_api_is_flat():
    for name in ("DMD", "build", "compare", "evaluate", "load_features", "plain_loop", "predict", "toy_world", "train"):
        assert callable(getattr(dmdlite, name)) and name in dir(dmdlite)
    with pytest.raises(AttributeError, match="no attribute 'trian'; did you mean 'train'"):
        _ = dmdlite.trian


def test_an_output_prints_as_three_lines(out):
    lines = repr(out).splitlines()
    assert len(lines) == 3 and len(repr(out)) < 300
    assert lines[0].startswith("DMDOutput: prediction (3,)") and "fused" in lines[2]


def test_an_output_is_a_dict_of_tensors_for_who_wants_one(out):
    content = out.to_dict()
    assert torch.equal(content["prediction"], out.prediction) and content["losses"].keys() == out.losses.keys()
    kinds = {type(x) for x in _leaves(content)}
    assert kinds <= {torch.Tensor, type(None)}


def _leaves(content):
    for entry in content.values():
        yield from _leaves(entry) if isinstance(entry, dict) else [entry]


def test_an_output_counts_as_loss_and_prediction(out):
    assert out[0] is out.loss and out[1] is out.prediction and out["edges"] is out.edges


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_model_gives_its_fused_vector_and_every_part_of_it_its_sizes(name, split):
    model = build(name, CONFIG).eval()
    batch = split.batch([0, 1], modalities=model.reads)
    assert model(**batch).fused.shape[0] == 2
    with_weights = [part for part in model.modules() if list(part.parameters(recurse=False))]
    silent = {type(part).__name__ for part in with_weights if repr(part).endswith("()")}
    assert not silent


def test_a_loader_takes_a_split(split):
    loaded = next(iter(DataLoader(split, batch_size=4)))
    assert all(torch.equal(loaded[name], x) for name, x in split.batch(range(4)).items())
    assert len(list(split)) == len(split) and split[2]["vision"].shape == split.batch([2])["vision"].shape[1:]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: TrainingConfig(lr=1e-3), "TrainingConfig has no field 'lr'; did you mean 'learning_rate'"),
        (lambda: DMDConfig(num_heads=5), "DMDConfig has no field 'num_heads'; did you mean 'heads'"),
        (lambda: CONFIG.replace(widht=3), "DMDConfig has no field 'widht'; did you mean 'width'"),
        (lambda: DMDConfig.official("mosy"), "dataset cannot be 'mosy'; did you mean 'mosi'"),
        (lambda: build("dmmd", CONFIG), "model cannot be 'dmmd'; did you mean 'dmd'"),
        (lambda: build("nothing like it", CONFIG), "model must be one of 'dmd', 'dhmd', .*got 'nothing like it'"),
        (lambda: CONFIG.replace(loss_weights={"margn": 1}), "'margn' is off; did you mean 'margin'"),
        (lambda: CONFIG.replace(task="regresion"), "task cannot be 'regresion'; did you mean 'regression'"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_right_one(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()
