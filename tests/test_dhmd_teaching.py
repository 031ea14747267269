"""What notebook 13 measures, draws and offers to leaf through."""

import csv

import numpy as np
import pytest
import torch

import dmdlite
from course import dictionaries
from course.figures import dictionaries as figures
from course.figures import png
from course.widgets.dictionary_browser import DictionaryBrowser
from dmdlite.config import SPACES
from dmdlite.models.dhmd import DHMD
from dmdlite.models.registry import build
from dmdlite.training.loop import predict_logits

MODALITIES = dmdlite.MODALITIES


@pytest.fixture(scope="module")
def world():
    return dmdlite.toy_world(80)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = dict(width=8, heads=2, layers=1, minimum_memory_layers=1)
    return build("dhmd", dmdlite.DMDConfig.toy(**sizes), dictionary_size=12).eval()


@pytest.fixture
def browser(world, model):
    return DictionaryBrowser(world, model)


def shares_of(*rows) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_activations_are_those_of_the_model(world, model):
    found = dictionaries.activations(model.train(), world.splits["test"])
    assert model.training
    out = model.eval()(**world.splits["test"].batch(range(3)))
    for space in SPACES:
        for m in MODALITIES:
            assert found[space][m].shape == (20, 12)
            np.testing.assert_allclose(found[space][m][:3], out.dictionaries[space][m].activations.detach(), atol=1e-6)


def test_explained_variance():
    """One atom is a line of the factor, one is not, one never moves; a topic is told by its own column."""
    x = np.linspace(-1, 1, 21)
    atoms = np.stack([0.5 + 0.1 * x, x**2, np.full(21, 0.3)], axis=1)
    np.testing.assert_allclose(dictionaries.explained(atoms, x[:, None]), [1, 0, 0], atol=1e-9)
    assert dictionaries.best_atom(atoms[:, ::-1], x[:, None]) == 2
    topic = np.arange(24) % 8
    told = dictionaries.explained((topic == 3).astype(float)[:, None], np.eye(8)[topic])
    np.testing.assert_allclose(told, [1])


def test_agreement_tells_one_clip_from_another():
    alternate = shares_of([1, 0], [1, 0], [0, 1], [0, 1])
    same = dict.fromkeys(MODALITIES, alternate)
    assert dictionaries.agreement(same) == (1, 0)
    constant = dict.fromkeys(MODALITIES, shares_of([0.5, 0.5], [0.5, 0.5]))
    assert dictionaries.agreement(constant) == (1, 1)
    apart = same | {"audio": shares_of(*[[0, 0]] * 4)}
    assert dictionaries.agreement(apart)[0] == pytest.approx(1 / 3)


def test_counts():
    shares = {"language": shares_of([1, 0, 0], [0.5, 0.5, 0]), "audio": shares_of([0.5, 0.5, 0], [1, 0, 0])}
    assert dictionaries.atoms_per_clip(shares) == 1.5 and dictionaries.atoms_used(shares) == 2


def test_measures(world, model):
    table = dictionaries.measures(model, world)
    train, test = (dictionaries.activations(model, world.splits[s])["homogeneous"] for s in ("train", "test"))
    truth = {s: world.truth[s]["sentiment"][:, None] for s in ("train", "test")}
    told = [
        dictionaries.explained(test[m], truth["test"])[dictionaries.explained(train[m], truth["train"]).argmax()]
        for m in MODALITIES
    ]
    assert table["homogeneous"]["sentiment"] == pytest.approx(np.mean(told), abs=1e-6)
    assert set(table) == set(SPACES) and all(np.isfinite(list(scores.values())).all() for scores in table.values())


def test_stored_ablation(request):
    """The stored table has every setting of the script that made it, for each of its seeds."""
    folder = request.config.rootpath / "notebooks"
    source = (folder / "ablate_dictionary.py").read_text(encoding="utf-8")
    names: dict = {"__file__": str(folder / "ablate_dictionary.py"), "__name__": "ablate_dictionary"}
    exec(compile(source, "ablate_dictionary.py", "exec"), names)
    table = dictionaries.read_ablation(folder / "dictionary_ablation.csv")
    assert list(table) == [" ".join(setting).strip() for setting in names["CHANGES"]]
    with open(folder / "dictionary_ablation.csv", encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert table["start"]["test_mae"][0] == float(first["test_mae"])
    assert all(len(values) == len(names["SEEDS"]) for scores in table.values() for values in scores.values())


def test_stored_model(request):
    """The model that notebook 13 opens has the default dictionaries, and scores what its metrics.json says."""
    import json

    folder = request.config.rootpath / "notebooks" / "finished_dhmd"
    splits = dmdlite.load_features(request.config.rootpath / "data_samples" / "toy")
    stored = DHMD.from_pretrained(folder)
    mae = float(np.abs(predict_logits(stored, splits["test"]) - splits["test"].labels).mean())
    assert mae == pytest.approx(json.loads((folder / "metrics.json").read_text())["test"]["mae"], abs=1e-4)
    default = dmdlite.models.dhmd.DHMDConfig()
    for field in ("size", "pooling", "activation", "temperature", "matching"):
        assert getattr(stored.config, f"dictionary_{field}") == getattr(default, f"dictionary_{field}")


def test_atoms_stand_in_the_order_of_the_sentiment():
    sentiment = np.array([-3.0, 0.0, 3.0], dtype=np.float32)
    one = shares_of([0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0])  # atom 0 positive, 1 neutral, 2 negative, 3 idle
    assert figures.by_sentiment(dict.fromkeys(MODALITIES, one), sentiment).tolist() == [2, 1, 0]


def test_means_by_class():
    labels = np.array([-3, -2, -1, 0, 1, 2, 2.6, 3], dtype=np.float32)
    table = dictionaries.by_class(np.arange(8.0)[:, None], labels)
    assert table[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6.5]


def test_pictures(world, model):
    found = dictionaries.activations(model, world.splits["test"])
    labels = np.linspace(-3, 3, 20).astype(np.float32)
    heat = figures.draw_activations(found, labels, "title")
    titles = [axis.get_title() for axis in heat.axes if axis.get_label() != "<colorbar>"]
    assert titles == [f"{space}, {m}" for space in SPACES for m in MODALITIES]
    lookup = figures.draw_lookup(np.eye(3, 12), np.full(12, 1 / 12), ["so", "it", "was"], "title")
    assert len(lookup.axes[1].patches) == 12 and lookup.axes[1].patches[0].get_height() == 1
    table = {name: {"x": np.array([1.0, 3.0]), "y": np.array([0.0, 0.0])} for name in ("start", "other")}
    ablation = figures.draw_ablation(table, "title", "start", {"x": "first", "y": "second"}, ["MAE", "R²"])
    assert [axis.get_xlabel() for axis in ablation.axes] == ["MAE", "R²"]
    assert [axis.get_title() for axis in ablation.axes] == ["first", "second"]
    assert list(ablation.axes[0].lines[0].get_xdata()) == [2.0, 2.0]
    for figure in (heat, lookup, ablation):
        assert png(figure).startswith(b"\x89PNG") and figure.get_size_inches()[0] <= 7


def test_browser_shows_who_activates_an_atom(world, model, browser):
    shares = dictionaries.activations(model, world.splits["test"])["homogeneous"]["vision"]
    atom = int(browser.used("homogeneous", "vision")[0])
    assert shares.mean(axis=0).argmax() == atom
    picture, caption = browser.view("homogeneous", "vision", atom)
    assert picture.startswith(b"\x89PNG") and f"Atom {atom}</b> is activated by vision" in caption
    assert world.splits["test"].raw_text[int(shares[:, atom].argmax())] in caption
    assert browser.view("homogeneous", "vision", atom) == (picture, caption)


def test_browser_opens_at_a_chosen_atom(world, model, browser):
    least = browser.atom.options[-1]
    assert DictionaryBrowser(world, model, atom=least).atom.value == least != browser.atom.value


def test_browser_controls(browser):
    assert browser.space.value == "homogeneous" and browser.modality.value == "language"
    assert browser.atom.value == browser.used("homogeneous", "language")[0]
    before, said = bytes(browser.picture.value), browser.caption.value
    browser.modality.value = "audio"
    assert "activated by audio" in browser.caption.value and bytes(browser.picture.value) != before
    browser.space.value = "heterogeneous"
    assert list(browser.atom.options) == browser.used("heterogeneous", "audio").tolist()
    other = browser.atom.options[-1]
    browser.atom.value = other
    assert f"Atom {other}</b>" in browser.caption.value
    browser.space.value, browser.modality.value = "homogeneous", "language"
    browser.atom.value = int(browser.used("homogeneous", "language")[0])
    assert browser.caption.value == said and bytes(browser.picture.value) == before
