"""What notebook 01 shows: streams, moments, voices, words and frames brought together."""

import base64
import io
import re
import wave

import numpy as np
import pytest

from course.alignment import word_means
from course.figures import png
from course.figures.scatter import draw_scatters
from course.figures.streams import draw_streams, steps_at
from course.voice import SAMPLE_RATE, player, synthesise
from course.widgets.moment_browser import MomentBrowser
from dmdlite.data import toy
from dmdlite.data.toy import toy_world

CHANNELS = toy.CHANNELS["audio"]


@pytest.fixture(scope="module")
def world():
    return toy_world(40)


def voice(time: int = 25, **channels) -> np.ndarray:
    """Frames whose channels stay where they are told to be."""
    return np.stack([np.full(time, channels.get(name, 0.0)) for name in CHANNELS], axis=1)


def spectrum(sound):
    return np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE), np.abs(np.fft.rfft(sound * np.hanning(len(sound))))


@pytest.mark.parametrize("log_pitch", [-2.0, 0.0, 1.5, 4.0])
def test_the_strongest_tone_follows_the_pitch(log_pitch):
    frequencies, strength = spectrum(synthesise(voice(log_pitch=log_pitch, energy=1.0)))
    assert frequencies[strength.argmax()] == pytest.approx(160 * 2 ** (log_pitch / 4), abs=1)


def test_a_voice_is_as_long_as_its_frames_silent_without_energy_and_never_too_loud():
    sound = synthesise(np.concatenate([voice(10, energy=1.0), voice(15)]))
    assert len(sound) == 2 * SAMPLE_RATE and np.abs(sound).max() == pytest.approx(1)
    assert np.all(sound[SAMPLE_RATE:] == 0) and not np.any(synthesise(voice()))


def test_brightness_and_creak_are_heard():
    def share(chosen, **channels):
        frequencies, strength = spectrum(synthesise(voice(energy=1.0, **channels)))
        return (strength**2)[chosen(frequencies)].sum() / (strength**2).sum()

    high, below = (lambda f: f > 300), (lambda f: f < 120)
    assert share(high, brightness=1.0) > 2 * share(high, brightness=-1.0)
    assert share(below, jitter=2.0) > 0.05 > 1e-6 > share(below)  # half of the pitch


def test_a_player_carries_the_sound():
    sound = synthesise(voice(energy=1.0))
    content = re.search(r'src="data:audio/wav;base64,([^"]+)"', player(sound))[1]
    with wave.open(io.BytesIO(base64.b64decode(content))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (SAMPLE_RATE, 1, len(sound))
        heard = np.frombuffer(file.readframes(len(sound)), "<i2") / 32767
    np.testing.assert_allclose(heard, sound, atol=1e-4)


def test_word_means_by_loops(world):
    truth, frames = world.truth["test"], world.splits["test"].features["vision"].astype(np.float64)
    seconds = toy.frame_times("vision")
    starts, ends = truth["word_starts"], truth["word_ends"]
    means = word_means(frames, seconds, starts, ends)
    assert means.shape == (len(frames), 16, 10)
    for clip in range(3):
        for word in range(16):
            chosen = [t for t, s in enumerate(seconds) if starts[clip, word] <= s < ends[clip, word]]
            expected = frames[clip, chosen].mean(axis=0) if chosen else np.zeros(10)
            np.testing.assert_allclose(means[clip, word], expected, atol=1e-12)
    np.testing.assert_allclose(word_means(frames[0], seconds, starts[0], ends[0]), means[0])


def test_steps_at_a_moment(world):
    truth = world.truth["test"]
    for clip in range(5):
        steps = steps_at(world, "test", clip, float(truth["telling_seconds"][clip]))
        assert steps["language"] == truth["telling_word"][clip]
        assert all(steps[m] == truth[f"{m}_event"][clip] for m in ("vision", "audio"))
    assert steps_at(world, "test", 0, 0.0) == {"language": None, "vision": 0, "audio": 0}
    after = float(world.truth["test"]["duration"][0]) + 0.1
    assert steps_at(world, "test", 0, after) == {"language": None, "vision": None, "audio": None}


def test_streams_are_drawn_with_their_padding_and_the_moment(world):
    data, truth = world.splits["test"], world.truth["test"]
    figure = draw_streams(world, "test", 2)
    panels = {axis.get_title(loc="left").split(":")[0]: axis for axis in figure.axes if axis.get_title(loc="left")}
    for modality, axis in panels.items():
        padding, moment = axis.patches
        assert padding.get_x() + 0.5 == data.lengths[modality][2]
        assert padding.get_x() + padding.get_width() + 0.5 == data.steps[modality]
        event = truth["telling_word" if modality == "language" else f"{modality}_event"][2]
        assert moment.get_x() + 0.5 == event and f"step {event};" in axis.get_title(loc="left")
    assert set(panels) == {"language", "vision", "audio"}
    assert png(draw_streams(world, "test", 2, 0.0)).startswith(b"\x89PNG")


def test_scatters_share_one_scale_and_mark_some_dots():
    x, y = np.array([0.0, 1.0, 2.0]), np.array([0.0, -4.0, 2.0])
    marked = ("odd", np.array([False, True, False]))
    figure = draw_scatters({"one": (x, y, "red"), "two": (y, x, "blue")}, "title", ("x", "y"), marked=marked)
    one, two = figure.axes
    assert one.get_xlim() == two.get_ylim() == (-4.2, 4.2) and one.get_title() == "one"
    assert one.collections[0].get_offsets().tolist() == [[0, 0], [2, 2]]
    assert one.collections[1].get_offsets().tolist() == [[1, -4]]
    assert len(draw_scatters({"one": (x, y, "red")}, "title", ("x", "y")).axes[0].collections) == 1


def test_moment_browser(world):
    browser, truth = MomentBrowser(world, clip=3), world.truth["test"]
    assert browser.seconds.value == pytest.approx(truth["telling_seconds"][3], abs=0.05)
    first, voice_of_3 = bytes(browser.picture.value), browser.voice.value
    browser.seconds.value = 0.1
    assert bytes(browser.picture.value) != first and "silence" in browser.caption.value
    assert "vision step 1, audio step 1" in browser.caption.value and browser.voice.value == voice_of_3
    browser.clip.value = 5
    telling = world.splits["test"].raw_text[5].split()[truth["telling_word"][5] - 1]
    assert f"“{telling}”" in browser.caption.value and browser.voice.value != voice_of_3
    assert 0 <= truth["duration"][5] - browser.seconds.max < 0.1
    assert browser.view(5, 1.0) == browser.view(5, 1.0)


def test_moment_browser_from_a_long_clip_to_a_short_one_and_back(world):
    lengths = world.splits["test"].lengths["vision"]
    browser = MomentBrowser(world)
    for clip in (int(lengths.argmax()), int(lengths.argmin()), int(lengths.argmax())):
        browser.clip.value = clip
        for moment in (0.0, browser.seconds.max):
            browser.seconds.value = moment
            assert f"{moment:.1f} s:" in browser.caption.value
            assert "silence" in browser.caption.value and "vision step" in browser.caption.value


def test_moment_browser_draws_once_for_each_change(world, monkeypatch):
    browser, drawn = MomentBrowser(world), []
    monkeypatch.setattr(browser, "show", lambda *moment: drawn.append(moment))
    browser.clip.value = 4
    browser.seconds.value = 0.5
    moment = pytest.approx(world.truth["test"]["telling_seconds"][4], abs=0.05)
    assert drawn == [(4, moment), (4, 0.5)]
