"""The voice of a toy clip, made audible: no words, only its melody, loudness and creak."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
from jaxtyping import Float

from dmdlite.data.toy import CHANNELS, FRAME_RATES

SAMPLE_RATE = 8000  # samples per second
MIDDLE_HERTZ, SEMITONES = 160.0, 3.0  # log_pitch counts steps of 3 semitones from 160 Hz
HARMONICS = 8


def synthesise(frames: Float[np.ndarray, "time channel"]) -> Float[np.ndarray, "sample"]:
    """The sound of audio frames without their padding, in [-1, 1] at SAMPLE_RATE.

    The pitch is 160 · 2^(3 log_pitch / 12) Hz. Energy is the loudness, brightness lifts the higher harmonics, and
    jitter makes every other period weaker, as a creaking voice does.
    """
    rate = FRAME_RATES["audio"]
    seconds = np.arange(round(len(frames) / rate * SAMPLE_RATE)) / SAMPLE_RATE
    middles = (np.arange(len(frames)) + 0.5) / rate
    curves = {name: np.interp(seconds, middles, values) for name, values in zip(CHANNELS["audio"], frames.T)}
    hertz = MIDDLE_HERTZ * 2 ** (SEMITONES * curves["log_pitch"] / 12)
    hertz = np.round(64 * hertz) / 64  # sums of 64ths are exact: the same sound on every machine
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    fall = np.clip(1.5 - 0.5 * curves["brightness"], 0.7, 3.0)  # the k-th harmonic has amplitude k^-fall
    audible = [hertz * k < SAMPLE_RATE / 2 for k in range(1, HARMONICS + 1)]
    tone = sum(heard * np.sin(k * phase) / k**fall for k, heard in enumerate(audible, start=1))
    creak = np.clip(curves["jitter"] / 2, 0, 1)
    sound = np.clip(curves["energy"], 0, None) * (1 - creak * (0.5 + 0.5 * np.sin(phase / 2))) * tone
    return sound / max(np.abs(sound).max(), 1e-9)


def player(sound: Float[np.ndarray, "sample"]) -> str:
    """An HTML audio player that carries the sound in itself, as 16-bit WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(np.round(32767 * sound).astype("<i2").tobytes())
    content = base64.b64encode(file.getvalue()).decode()
    return f'<audio controls src="data:audio/wav;base64,{content}"></audio>'
