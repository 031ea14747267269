"""What is measured on a voice follows what is known of it: of tones, of noise, and of espeak-ng's settings."""

import librosa
import made_clips
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmdlite.data.extract import voice as module
from dmdlite.data.extract.voice import HOP, LONG, MEASURES, NAMES, RATE, SHORT, voice
from dmdlite.data.toy import toy_world

SENTENCE = "well i think the acting in this film was really wonderful".split()


def measured(samples: np.ndarray, rate: int = RATE) -> dict[str, np.ndarray]:
    times, measures, names = voice(samples, rate)
    assert names == NAMES == tuple(MEASURES) and measures.shape == (len(times), len(names))
    assert np.isfinite(measures).all()
    return dict(zip(names, measures.T))


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE, loudness: float = 0.1) -> np.ndarray:
    """Eight harmonics, each softer than the one before."""
    t = np.arange(round(seconds * rate)) / rate
    return loudness * sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 9))


@pytest.mark.parametrize("hertz", [70, 110, 180, 260, 440])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44099, 48000])
def test_pitch_of_a_tone_at_any_rate(hertz, rate):
    found = measured(tone(hertz, rate=rate), rate)
    inside = slice(5, -5)  # the tone ends at once, which no voice does
    assert (found["voiced"][inside] == 1).all()
    np.testing.assert_allclose(found["pitch"][inside], 12 * np.log2(hertz / 55), atol=0.1)
    assert found["jitter"][inside].max() < 0.1 and found["shimmer"][inside].max() < 1


def test_a_voice_that_shakes_has_jitter_and_shimmer():
    t = np.arange(RATE) / RATE
    vibrato = np.sin(2 * np.pi * (150 * t + 3 * np.sin(2 * np.pi * 5 * t)))  # 60 to 240 Hz, five times a second
    tremolo = (1 + 0.8 * np.sin(2 * np.pi * 5 * t)) * tone(150, 1.0)
    still = measured(tone(150, 1.0))
    assert measured(0.3 * vibrato)["jitter"].mean() > 20 * still["jitter"].mean()
    assert measured(tremolo)["shimmer"].mean() > 5 * still["shimmer"].mean()


def test_noise_is_not_voiced():
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    assert measured(noise)["voiced"].mean() < 0.02


def test_energy_is_in_decibels():
    loud, soft = measured(tone(150)), measured(0.1 * tone(150))
    np.testing.assert_allclose((loud["energy"] - soft["energy"])[5:-5], 20, atol=0.01)
    sine = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(measured(sine)["energy"][5:-5], 60 - 3.01, atol=0.01)  # full scale is 0 dB


def test_the_shape_of_the_spectrum_is_what_librosa_says():
    rng = np.random.default_rng(0)
    frames = np.cumsum(rng.standard_normal((20, LONG)), axis=1) * 0.01 + 0.02 * rng.standard_normal((20, LONG))
    frames -= frames.mean(axis=1, keepdims=True)
    found = dict(zip(NAMES, module.measure(frames).T))
    short = frames[:, (LONG - SHORT) // 2 : (LONG + SHORT) // 2]
    power = np.abs(np.fft.rfft(short * librosa.filters.get_window("hann", SHORT))).T ** 2
    mels = librosa.filters.mel(sr=RATE, n_fft=SHORT, n_mels=module.MELS, htk=True, norm=None) @ power
    cepstrum = librosa.feature.mfcc(S=librosa.power_to_db(mels, top_db=None), n_mfcc=13)[1:]
    np.testing.assert_allclose(np.stack([found[f"mfcc_{i}"] for i in range(1, 13)]), cepstrum, atol=1e-3)
    centroid, rolloff = librosa.feature.spectral_centroid(S=power), librosa.feature.spectral_rolloff(S=power)
    np.testing.assert_allclose(1000 * found["centroid"], centroid[0] * RATE / 22050, rtol=1e-4)  # their usual rate
    np.testing.assert_allclose(1000 * found["rolloff"], rolloff[0] * RATE / 22050, atol=1e-6)


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(0),
        np.zeros(1),
        np.zeros(RATE),
        np.full(RATE, np.nan),
        np.full(RATE, 0.5)[HOP * 10 :],
    ],
    ids=["nothing", "one sample", "silence", "broken samples", "a constant"],
)
def test_no_voice_measures_nothing(sound):
    found = measured(sound)
    assert len(found["pitch"]) == -(-len(sound) // HOP)
    inside = slice(5, -5)  # a constant begins and ends with a click
    assert not any(values[inside].any() for values in found.values())


def test_clipped_and_very_loud_sounds_are_still_measured():
    found = measured(50 * tone(150))
    np.testing.assert_allclose(found["pitch"][5:-5], 12 * np.log2(150 / 55), atol=0.1)
    assert found["energy"].max() <= 60


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 5000),
    st.sampled_from([1e-30, 1e-4, 1.0, 1e30, np.inf]),
    st.sampled_from([1000, 8000, 16000, 44100]),
    st.integers(0, 9),
)
def test_any_samples_have_finite_measures(length, scale, rate, seed):
    samples = np.random.default_rng(seed).standard_normal(length) * scale
    measured(samples, rate)


def test_long_sounds_are_measured_block_by_block(monkeypatch):
    sound = tone(150) + 0.01 * np.random.default_rng(0).standard_normal(RATE // 2)
    whole = voice(sound, RATE)[1]
    monkeypatch.setattr(module, "BLOCK", 7)
    np.testing.assert_allclose(voice(sound, RATE)[1], whole, atol=1e-4)


@pytest.mark.parametrize(
    "samples, rate, words",
    [
        (np.zeros((2, 100)), RATE, "one channel"),
        (np.zeros(100, np.int16), RATE, "floats"),
        (np.zeros(100), 0, "rate"),
    ],
)
def test_what_is_no_sound_is_refused(samples, rate, words):
    with pytest.raises(ValueError, match=words):
        module.resampled.__wrapped__(samples, rate)


@pytest.mark.parametrize("name", ["en-us+f3", "en-us+m3", "en-us+m7"])
def test_pitch_and_energy_follow_espeak(espeak, name):
    """r > 0.9 between espeak-ng's settings and what is measured, over 12 settings of both at once."""
    rng = np.random.default_rng(0)
    pitches, volumes = rng.permutation(np.linspace(10, 90, 12)), rng.permutation(np.linspace(40, 110, 12))
    found = []
    for pitch, volume in zip(pitches.astype(int).tolist(), volumes.astype(int).tolist()):
        sound, _ = espeak.say(SENTENCE, name, pitch=pitch, loudness=volume)
        values = measured(sound, espeak.sample_rate)
        voiced = values["voiced"] > 0
        assert 0.6 < voiced.mean() < 0.95
        found.append([np.median(values["pitch"][voiced]), values["energy"][voiced].mean()])
    pitch, energy = np.transpose(found)
    assert np.corrcoef(pitches, pitch)[0, 1] > 0.98
    assert np.corrcoef(20 * np.log10(volumes), energy)[0, 1] > 0.95


def test_pitch_and_energy_follow_espeak_whatever_is_said(espeak):
    """Within a speaker: voices differ in their own pitch and loudness. 120 finished clips: 0.97 and 0.94."""
    world = toy_world(120, 17, reliability=made_clips.RELIABILITY, sarcasm=made_clips.SARCASM)
    scenes = made_clips.scenes(world).head(48)
    rows = []
    for scene in scenes.itertuples():
        asked = {name: getattr(scene, name) for name in ("pitch", "rate", "loudness", "melody")}
        sound, _ = espeak.say(scene.text.split(), made_clips.SPEAKERS[scene.speaker].voice, **asked)
        values = measured(sound, espeak.sample_rate)
        voiced = values["voiced"] > 0
        loudness = 20 * np.log10(scene.loudness)
        rows.append([scene.pitch, np.median(values["pitch"][voiced]), loudness, values["energy"][voiced].mean()])
    table = pd.DataFrame(rows)
    table -= table.groupby(scenes.speaker.to_numpy()).transform("mean")
    r = table.corr()
    assert r.loc[0, 1] > 0.93 and r.loc[2, 3] > 0.9


def test_melody_follows_espeak(espeak):
    spread = []
    for melody in (20, 40, 60, 80, 99):
        values = measured(espeak.say(SENTENCE, "en-us+f3", melody=melody)[0], espeak.sample_rate)
        spread.append(values["pitch"][values["voiced"] > 0].std())
    assert np.diff(spread).min() > 0.3
