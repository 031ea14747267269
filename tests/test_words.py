"""Words keep their order and their times: espeak-ng's own where they are aligned, sensible ones where they are not."""

import sys

import numpy as np
import pytest

from dmdlite.data.extract import words as module
from dmdlite.data.extract.vectors import NAMES, vectors
from dmdlite.data.extract.words import NOTES, split_words, words
from dmdlite.data.toy import toy_world

RATE = 22050
SENTENCE = "the acting in this film was really wonderful you know"


@pytest.fixture(scope="module")
def spoken(espeak):
    """A sentence of espeak-ng with silence around it, and the times of its words."""
    sound, times = espeak.say(SENTENCE.split(), "en-us+f3")
    return with_silence(sound), np.array(times) + 0.3


def with_silence(sound: np.ndarray) -> np.ndarray:
    return np.pad(sound, round(0.3 * RATE))


def times_of(found: module.Words) -> np.ndarray:
    return np.array([(word.start, word.end) for word in found.words])


def check_order(found: module.Words, texts: list[str], seconds: float) -> None:
    """All the words, one after the other, none outside of the sound."""
    assert [word.text for word in found.words] == texts
    times = times_of(found)
    assert (times[:, 0] <= times[:, 1]).all() and (times[1:, 0] >= times[:-1, 1] - 1e-9).all()
    assert times.min() >= 0 and times.max() <= seconds + 0.02
    assert found.note.startswith(NOTES[found.how])


def test_borders_lie_within_80_ms_of_espeaks_own(espeak):
    """Of 80 % of the words; measured over the 120 made clips: both borders of 98 %."""
    voices = [f"en-us+{name}" for name in ("f3", "m3", "f2", "m5", "f4", "m7")]
    sentences = toy_world(20, 1).splits["train"].raw_text
    errors, aligned = [], 0
    for i, sentence in enumerate(sentences):
        texts = sentence.split()
        sound, times = espeak.say(texts, voices[i % 6], pitch=30 + 4 * i, rate=140 + 7 * i)
        found = words(with_silence(sound), RATE, sentence)
        aligned += found.how == "aligned"
        errors.append(np.abs(times_of(found) - np.array(times) - 0.3))
    assert aligned >= len(sentences) - 1
    assert (np.concatenate(errors) < 0.08).all(axis=1).mean() > 0.8


def test_what_is_not_said_is_not_aligned(spoken):
    sound, _ = spoken
    for other in ("i guess the food was horrible last night", SENTENCE + " and then we went home", "word " * 300):
        found = words(sound, RATE, other)
        assert found.how == "spread" and found.confidence == 0
        check_order(found, other.split(), len(sound) / RATE)


def test_words_that_the_dictionary_lacks_do_not_lose_the_others(espeak):
    texts = "the zyglorp in film's 20 cafés was well-known".split()
    sound, times = espeak.say("the zyglorp in films twenty cafes was wellknown".split(), "en-us+f3")
    found = words(with_silence(sound), RATE, "the “zyglorp” in film’s 20 cafés was (well-known)!")
    check_order(found, texts, len(sound) / RATE + 0.6)
    assert found.how == "aligned"
    assert np.median(np.abs(times_of(found) - np.array(times) - 0.3)) < 0.08


def test_a_clip_is_read_the_same_whatever_was_read_before(spoken):
    sound, _ = spoken
    first = words(sound, RATE, SENTENCE)
    words(0.3 * np.random.default_rng(0).standard_normal(3 * RATE).clip(-1, 1), RATE, "something else altogether")
    assert words(sound, RATE, SENTENCE) == first


def test_without_a_transcript_pocketsphinx_guesses_and_says_how_sure_it_is(spoken):
    sound, _ = spoken
    found = words(sound, RATE)
    assert found.how == "recognised" and 0.1 < found.confidence < 1
    check_order(found, [word.text for word in found.words], len(sound) / RATE)
    assert {"really", "wonderful"} <= {word.text for word in found.words}


def test_without_pocketsphinx_the_words_are_spread_over_the_voice(spoken, monkeypatch):
    sound, times = spoken
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    module.new_decoder.cache_clear()
    try:
        found, guessed = words(sound, RATE, SENTENCE), words(sound, RATE)
    finally:
        module.new_decoder.cache_clear()
    assert found.how == "spread" and guessed == module.Words([], "none", 0.0)
    check_order(found, SENTENCE.split(), len(sound) / RATE)
    assert np.abs(times_of(found) - times).max() < 0.4


@pytest.mark.parametrize("transcript", ["这部电影很好看 OK", "привет мир", "नमस्ते दुनिया"])
def test_other_writing_is_spread(spoken, transcript):
    sound, _ = spoken
    found = words(sound, RATE, transcript)
    assert found.how == "spread"
    check_order(found, split_words(transcript), len(sound) / RATE)


@pytest.mark.parametrize("length", [0, 1, 400, RATE])
def test_silence(length):
    found = words(np.zeros(length), RATE, "nothing is heard")
    assert found.how == "spread"
    check_order(found, ["nothing", "is", "heard"], length / RATE)
    assert words(np.zeros(length), RATE) == module.Words([], "none", 0.0)
    assert words(np.zeros(length), RATE, " ...?! ") == module.Words([], "spread", 0.0)


@pytest.mark.parametrize(
    "transcript, texts",
    [
        ("Don't you think it's well-known, e.g. 3.5?", ["Don't", "you", "think", "it's", "well-known", "e.g", "3.5"]),
        ("“Hello”… world—again 'quoted' (laughs)", ["Hello", "world", "again", "quoted", "laughs"]),
        ("这部电影OK吗？", ["这", "部", "电", "影", "OK", "吗"]),
        ("  \n ", []),
    ],
)
def test_punctuation_belongs_to_no_word(transcript, texts):
    assert split_words(transcript) == texts


def test_vectors_tell_feeling_and_spelling():
    found = vectors(["Wonderful", "horrible", "not", "really", "film", "films", "kettle", "film"])
    assert found.shape == (8, len(NAMES)) and np.isfinite(found).all()
    feeling = dict(zip(NAMES, found.T))
    assert feeling["valence"][0] > 2 > 0 > -2 > feeling["valence"][1] and not feeling["valence"][2:].any()
    assert feeling["negation"].tolist() == [0, 0, 1, 0, 0, 0, 0, 0] and feeling["degree"][3] == 1
    letters = found[:, 3:] / np.linalg.norm(found[:, 3:], axis=1, keepdims=True)
    likeness = letters @ letters[4]
    assert likeness[7] == pytest.approx(1) and likeness[5] > 0.5 > abs(likeness[6])
    np.testing.assert_allclose(found[4, 3:6], [-0.05618, -0.05588, 0.24487], atol=1e-5)  # the same on every machine
    assert vectors([]).shape == (0, len(NAMES))
