"""Figures of feature spaces, of streams switched off, and of edges beside their prior."""

import numpy as np
import pytest

from course.figures import png
from course.figures.spaces import draw_draws, draw_maps, draw_scores, draw_spaces, tsne
from course.figures.switches import draw_groups, draw_switched
from dmdlite import MODALITIES
from dmdlite.training.figures import draw_edges


@pytest.fixture(scope="module")
def features():
    """20 clips whose three modalities lie far apart, (clip, modality, width)."""
    rng = np.random.default_rng(0)
    return (10 * np.eye(3)[None] + 0.1 * rng.standard_normal((20, 3, 3))).astype(np.float32)


def titles(figure) -> list[str]:
    return [axis.get_title() for axis in figure.axes]


def test_tsne_keeps_groups(features):
    places = tsne(features.reshape(-1, 3), perplexity=8).reshape(20, 3, 2)
    middles = places.mean(axis=0)
    spread = np.linalg.norm(places - middles, axis=-1).max()
    assert np.linalg.norm(middles[0] - middles[1]) > spread
    np.testing.assert_array_equal(tsne(features.reshape(-1, 3), perplexity=8).reshape(20, 3, 2), places)


def test_spaces_by_modality_and_by_sentiment(features):
    sentiment = np.linspace(-3, 3, 20)
    plain = draw_spaces({"one": features, "two": features}, "title", perplexity=8, marked=2)
    assert titles(plain) == ["one", "two"] and plain.get_suptitle() == "title"
    assert len(plain.axes[0].collections) == 6  # three modalities and a ring in each
    coloured = draw_spaces({"one": features}, "title", sentiment, views=features[..., :1], perplexity=8)
    assert titles(coloured)[:2] == ["one", "truth: what each stream shows"]
    np.testing.assert_array_equal(coloured.axes[0].collections[0].get_array(), sentiment)
    np.testing.assert_array_equal(coloured.axes[1].collections[1].get_offsets()[:, 0], features[:, 1, 0])
    for figure in (plain, coloured, draw_spaces({"one": features}, "title", perplexity=8, columns=1)):
        assert png(figure).startswith(b"\x89PNG") and figure.get_size_inches()[0] <= 7


def test_scores_carry_their_numbers():
    values = np.array([[[0.41, 0.4, 0.18], [0.8, -0.2, 1.0]]])
    figure = draw_scores(values, ["truth"], ["common", "nodes"], "title")
    assert titles(figure) == ["common", "nodes"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["0.80", "−0.20", "1.00"]


def test_maps_and_draws():
    places, groups = np.arange(12.0).reshape(6, 2), np.repeat([0, 1, 2], 2)
    figure = draw_maps({"points": places, "map": 2 * places}, groups, "title")
    assert titles(figure) == ["points", "map"] and len(figure.axes[0].collections) == 3
    figure = draw_draws({"a": np.arange(9.0), "b": np.ones(9)}, "title", "score")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["a", "b"]


def test_switched_streams():
    before, after = {"face": np.array([0.1, 0.5])}, {"face": np.array([0.2, 0.1])}
    figure = draw_switched(-1.4, -1.9, 0.4, ["so", "good"], 1, (before, after), hidden=True)
    labels = figure.axes[1].get_xticklabels()
    assert [label.get_weight() for label in labels] == ["normal", "bold"] and "face" in figure.axes[1].get_title("left")
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), [[0.1, 0.5], [0.2, 0.1]])
    told = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert told == ["true −1.4", "all streams −1.9", "now +0.4"]


def test_groups_of_bars():
    figure = draw_groups({"left": {"sarcastic": [-0.9, 0.7, 0.5], "others": [0.9, 0.7, 0.5]}}, "title")
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [-0.9, 0.9, 0.7, 0.7, 0.5, 0.5] and len(MODALITIES) * 2 == len(heights)


def test_edges_beside_their_prior():
    even, prior = (np.ones((3, 3)) - np.eye(3)) / 6, [[0.0, 0.4, 0.5], [0.025, 0.0, 0.025], [0.025, 0.025, 0.0]]
    records = [{"epoch": epoch, "edges": {"homogeneous": even.tolist()}} for epoch in (1, 2)]
    plain, beside = draw_edges(records), draw_edges(records, {"homogeneous": prior})
    names = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in (plain, beside)]
    assert len(names[0]) == 6 and names[1] == [*names[0], "prior"]
    assert {0.4, 0.5, 0.025} <= {line.get_ydata()[0] for line in beside.axes[0].lines}
