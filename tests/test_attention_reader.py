"""The true events on the steps of a map, the pictures of notebook 07, and its widget, without a browser."""

import numpy as np
import pytest
import torch
from torch import nn

import dmdlite
from course import events
from course.figures import attention as pictures
from course.figures import png
from course.widgets.attention_reader import FRAMES, WORD, AttentionReader
from dmdlite.components.reinforcement import attention_maps
from dmdlite.components.transformer import TransformerLayer
from dmdlite.data.toy import toy_world
from dmdlite.models.dmd import DMD


@pytest.fixture(scope="module")
def world():
    return toy_world(200)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return DMD(dmdlite.DMDConfig.toy(width=8, heads=2, layers=2, minimum_memory_layers=1)).eval()


@pytest.fixture(scope="module")
def maps(world, model):
    batch = world.splits["test"].batch(slice(None))
    return attention_maps(model, {m: batch[m] for m in dmdlite.MODALITIES})


@pytest.fixture
def reader(world, model):
    return AttentionReader(world, model, clip=2)


def texts(figure) -> str:
    words = [text.get_text() for axis in figure.axes for text in [axis.title, *axis.texts, *axis.get_yticklabels()]]
    return " ".join([figure.get_suptitle(), *words])


def test_events_lie_on_the_steps_whose_middle_is_near(world, model):
    truth, event = world.truth["test"], events.event_steps(model, world, "test")
    real = events.real_steps(model, world, "test")
    for m, steps in event.items():
        assert steps.shape[1] == model.config.lengths_after_convolution[m] and not (steps & ~real[m]).any()
    for clip in range(len(truth["telling_word"])):
        assert event["language"][clip].nonzero().item() == truth["telling_word"][clip]
        for m in ("vision", "audio"):
            assert event[m][clip, truth[f"{m}_event"][clip] - 2]  # step s covers frames s to s + 4
    # A step is real while its middle frame is.
    assert real["vision"].sum(1).tolist() == [min(n - 2, 56) for n in world.splits["test"].lengths["vision"]]
    assert events.step_seconds(model, world, "audio")[0].item() == pytest.approx(2.5 / 12.5)


def test_elsewhere_is_as_long_real_and_apart():
    event = torch.zeros(3, 10, dtype=torch.bool)
    event[0, 4:6] = event[1, 0:2] = event[2, 1:9] = True
    real = torch.arange(10) < torch.tensor([[8], [4], [10]])
    for seed in range(5):
        stretch = events.elsewhere(event, real, seed)
        assert not (stretch & (event | ~real)).any()
        assert stretch.sum(1).tolist() == [2, 2, 0]  # the third clip has no room
    assert torch.equal(events.elsewhere(event, real, 1), events.elsewhere(event, real, 1))


def test_fair_shares_are_one_where_attention_is_even():
    even, counted = torch.full((2, 4), 0.25), torch.tensor([[True] * 4, [True, True, False, False]])
    assert events.fair_shares(even, counted).tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    pointed = torch.tensor([[0.7, 0.1, 0.1, 0.1]])
    torch.testing.assert_close(events.fair_shares(pointed, counted[:1]), 4 * pointed)
    assert events.fair_shares(even[:1], torch.zeros(1, 4, dtype=torch.bool)).isnan().all()


def test_attention_on_events(world, model, maps):
    real, event = (what(model, world, "test") for what in (events.real_steps, events.event_steps))
    pointing = events.event_attention(maps, real, event, causal=True)
    assert set(pointing) == set(maps) and pointing["vision", "audio"].shape == (2, 50, 2)
    assert all(0.5 < shares.nanmean() < 1.5 for shares in pointing.values())  # untrained
    # All attention on the one telling word gives it as many fair shares as there are real words.
    words = torch.nn.functional.one_hot(event["language"].int().argmax(1), 16).float()
    blunt = {("language", "vision"): words[None, :, None, None].expand(2, -1, 2, 56, -1)}
    told = events.event_attention(blunt, real, event, causal=True)["language", "vision"]
    torch.testing.assert_close(told[0, :, 0], real["language"].sum(1).float())


def test_only_visible_and_real_steps_count(world, model, maps):
    real = events.real_steps(model, world, "test")
    counted = events.countable(maps, ("vision", "language"), real, causal=True)
    assert counted.shape == (50, 16, 56) and not (counted & ~real["vision"][:, None]).any()
    assert not counted[:, 0, 41:].any()  # word step 0 sees up to 0 + (56 − 16)
    free = events.countable(maps, ("vision", "language"), real, causal=False)
    assert torch.equal(free, real["vision"][:, None].expand_as(free))


def test_pictures_say_what_they_show(world, model, maps):
    seconds = {m: events.step_seconds(model, world, m).numpy() for m in ("vision", "audio")}
    shown = {pair: weights[0, 2, 0].numpy() for pair, weights in maps.items()}
    figure = pictures.draw_sentence_maps(world, "test", 2, shown, seconds, "a title")
    assert "vision asks, words answer" in texts(figure) and figure.get_suptitle() == "a title"
    bold = [
        tick.label1.get_text() for tick in figure.axes[0].yaxis.get_major_ticks() if tick.label1.get_weight() == "bold"
    ]
    words = world.splits["test"].raw_text[2].split()
    assert bold == [words[world.truth["test"]["telling_word"][2] - 1]]

    weights = np.array([[0.25, 0.75], [1.0, 0.0]])
    figure = pictures.draw_weights({"before": weights}, "a title", "vision", ["x", "y"], ["1", "2"], right=[1, 0])
    assert "0.25" in texts(figure) and len(figure.axes[0].patches) == 2
    figure = pictures.draw_questions(world, "test", 2, ["one", "two"], [3, 9], weights)
    assert "“one”" in texts(figure) and "0.75" in texts(figure)

    bars = {"vision → audio": 2.0, "language → audio": 3.0}
    figure = pictures.draw_pairs({"panel": (bars, dict.fromkeys(bars, 1.0))}, ("this", "that"), "a title")
    assert [bar.get_width() for bar in figure.axes[0].patches] == [2.0, 3.0, 1.0, 1.0]
    figure = pictures.draw_dependence({m: (np.arange(3.0), np.ones(3)) for m in ("vision", "audio")}, "t", "shares")
    assert png(figure).startswith(b"\x89PNG")


def test_reader_shows_the_word_that_is_chosen(reader, world):
    data, telling = world.splits["test"], int(world.truth["test"]["telling_word"][2])
    assert reader.words.value == telling and data.raw_text[2].split()[telling - 1] in reader.caption.value
    assert "attention-reader" in reader.box._dom_classes
    first, said = bytes(reader.picture.value), reader.caption.value
    assert first.startswith(b"\x89PNG")
    reader.words.value = 1
    assert bytes(reader.picture.value) != first and reader.caption.value != said
    assert f"<u>{data.raw_text[2].split()[0]}</u>" in reader.caption.value


def test_reader_opens_another_clip_at_its_telling_word(reader, world):
    before, truth = bytes(reader.picture.value), world.truth["test"]
    reader.slider.value = 5
    assert bytes(reader.picture.value) != before
    assert reader.words.value == truth["telling_word"][5] and len(reader.words.options) == truth["sentence_length"][5]


def test_reader_tells_two_equal_words_apart(reader, world):
    sentences = [text.split() for text in world.splits["test"].raw_text]
    clip, word = next((i, w) for i, said in enumerate(sentences) for w in said if said.count(w) > 1)
    second = sentences[clip].index(word, sentences[clip].index(word) + 1) + 1
    reader.slider.value = clip
    reader.words.value = second
    assert reader.words.value == second and reader.words.label == f"{word} (2)"


def test_reader_shows_rows_or_columns_of_one_head_or_of_all(reader, maps):
    word, real = reader.words.value, reader.real["audio"][2]
    row = reader.strip(2, word, WORD, (1, 0), "audio")
    assert len(row) == real.sum() and row.mean() == pytest.approx(1, abs=0.3)  # fair shares of what it may see
    own = maps["audio", "language"][1, 2, 0, word].numpy()[real]
    np.testing.assert_allclose(row / row.sum(), own / own.sum(), rtol=1e-4)
    column = reader.strip(2, word, FRAMES, (1, 0), "audio")
    heads = [reader.strip(2, word, FRAMES, (layer, head), "audio") for layer in range(2) for head in range(2)]
    np.testing.assert_allclose(reader.strip(2, word, FRAMES, None, "audio"), np.mean(heads, axis=0), rtol=1e-5)
    seen = reader.caption.value
    reader.asks.value = FRAMES
    asked = reader.caption.value
    reader.heads.value = (1, 0)
    assert len({seen, asked, reader.caption.value}) == 3
    event = reader.event["audio"][2][real]
    assert f"audio {column[event].mean():.1f}" in reader.caption.value


@pytest.mark.parametrize("lengths", [{}, {"vision": 16, "audio": 16}], ids=["in turns", "together"])
def test_maps_are_those_of_the_plain_layer(world, lengths):
    """The plain layer hands normed streams to its attention, and a map is found under its own pair."""
    torch.manual_seed(0)
    config = dmdlite.DMDConfig.toy(width=8, heads=2, layers=2, minimum_memory_layers=1)
    config = config.replace(lengths=config.lengths | lengths)
    fast, plain = DMD(config).eval(), DMD(config, layer=TransformerLayer).eval()
    for layer in fast.reinforce.crossmodal.layers:
        nn.init.uniform_(layer.attention_norm.weight)
        nn.init.uniform_(layer.attention_norm.bias)
    plain.load_state_dict(fast.state_dict())
    batch = world.splits["test"].batch(slice(4))
    batch = {m: batch[m][:, : config.lengths[m]] for m in dmdlite.MODALITIES}
    kept, expected = config.lengths_after_convolution, attention_maps(plain, batch)
    for (source, target), found in attention_maps(fast, batch).items():
        assert found.shape == (2, 4, 2, kept[target], kept[source])
        torch.testing.assert_close(found, expected[source, target], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.sum(-1), torch.ones(2, 4, 2, kept[target]))
