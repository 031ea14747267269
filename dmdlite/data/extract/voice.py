"""What a voice does, every 10 ms: pitch, energy, the shape of its spectrum, and how steady it is.

Pitch is the strongest period of each frame, found by Boersma's normalised autocorrelation (1993, "Accurate short-term
analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled sound").
"""

from functools import cache
from math import gcd

import numpy as np
from jaxtyping import Float
from scipy import fft, signal

RATE = 16_000  # samples per second
HOP = 160  # samples from frame to frame: 10 ms
SHORT, LONG = 512, 1024  # samples in a frame for the spectrum (32 ms) and for pitch (64 ms: three periods of 50 Hz)
LOWEST, HIGHEST = 60.0, 500.0  # Hz, of pitch
FLOOR = -60.0  # dB of full scale: what is softer is silence
STEADY = 0.45  # share of a frame's energy that repeats, from which on it counts as voiced
QUIET, LEAP = 30.0, 2.0  # dB below the loudest frame, semitones from frame to frame: what is beyond is not voiced
BLOCK = 3000  # frames at a time, so that two hours of sound need no more memory than half a minute
MELS, MFCCS = 40, 12

MEASURES = {  # name -> (unit, what it is); all are 0 in silence, and those of pitch also where the voice is unvoiced
    "pitch": ("semitones above 55 Hz", "how high the voice is; 12 semitones double the frequency"),
    "voiced": ("0 or 1", "whether the vocal folds vibrate, as in vowels and m, n, l"),
    "periodicity": ("0 to 1", "share of the energy that repeats with the period of the pitch; low in a breathy voice"),
    "energy": ("dB above -60 dB of full scale", "how loud the recording is, which depends on the microphone too"),
    "jitter": ("semitones", "change of pitch since the frame before, if both are voiced, without its sign"),
    "shimmer": ("dB", "change of energy since the frame before, if both are voiced, without its sign"),
    "centroid": ("kHz", "centre of gravity of the spectrum: high in a bright, sharp or tense voice, and in s or f"),
    "rolloff": ("kHz", "85 % of the energy lies below this frequency"),
    "tilt": ("dB per octave", "slope of the spectrum from 100 Hz to 5 kHz: steep and negative in a soft voice"),
    "zero_crossings": ("1000 per second", "changes of sign: few in vowels, many in s or f"),
    **{f"mfcc_{i}": ("dB", f"shape of the spectrum, {i}/2 waves over the mel scale") for i in range(1, MFCCS + 1)},
}
NAMES = tuple(MEASURES)


def voice(
    samples: Float[np.ndarray, "samples"], rate: int
) -> tuple[Float[np.ndarray, "frame"], Float[np.ndarray, "frame measure"], tuple[str, ...]]:
    """Times of the middles of the frames in seconds, the measures of each frame, and their names (see MEASURES).

    samples: one channel, between -1 and 1. Raises ValueError if samples or rate are no sound.
    """
    sound = resampled(samples, rate)
    frames = -(-len(sound) // HOP)
    padded = np.pad(sound, (LONG // 2 - HOP // 2, LONG + HOP))
    views = np.lib.stride_tricks.sliding_window_view(padded, LONG)[: frames * HOP : HOP]
    blocks = [measure(views[start : start + BLOCK]) for start in range(0, frames, BLOCK)]
    columns = np.concatenate([np.zeros((0, len(NAMES))), *blocks])
    by_name = dict(zip(NAMES, columns.T))
    energy, pitch = by_name["energy"], by_name["pitch"]
    columns[energy <= 0] = 0
    voiced = (by_name["voiced"] > 0) & (energy > energy.max(initial=0) - QUIET)
    smooth = np.zeros(frames + 1, bool)
    smooth[1:-1] = voiced[1:] & voiced[:-1] & (np.abs(np.diff(pitch)) < LEAP)
    voiced &= smooth[1:] | smooth[:-1]  # a bang or a hiss may repeat for a moment, but then its pitch leaps
    by_name["voiced"][:], pitch[~voiced] = voiced, 0
    both = voiced & np.append(False, voiced[:-1])
    for change, level in (("jitter", "pitch"), ("shimmer", "energy")):
        by_name[change][:] = np.where(both, np.abs(np.diff(by_name[level], prepend=0)), 0)
    return (np.arange(frames) + 0.5) * HOP / RATE, columns.astype(np.float32), NAMES


def resampled(samples: Float[np.ndarray, "samples"], rate: int) -> Float[np.ndarray, "resampled"]:
    """The sound at 16 kHz; broken samples (NaN, infinite) are silent."""
    if np.ndim(samples) != 1 or not np.issubdtype(np.asarray(samples).dtype, np.floating):
        raise ValueError("samples must be one channel of floats between -1 and 1: shape (samples,)")
    if not 1000 <= rate <= 1_000_000:
        raise ValueError(f"rate must be the samples per second of the sound, 1000 to 1,000,000, got {rate}")
    sound = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    sound = np.clip(sound, -1, 1, out=sound).astype(np.float32, copy=False)
    common = gcd(RATE, rate)
    return sound if rate == RATE else signal.resample_poly(sound, RATE // common, rate // common)


def measure(frames: Float[np.ndarray, "frame sample"]) -> Float[np.ndarray, "frame measure"]:
    """All measures but jitter and shimmer, which need the frame before."""
    frames = frames - frames.mean(axis=1, keepdims=True)  # many microphones add a constant
    short = frames[:, (LONG - SHORT) // 2 : (LONG + SHORT) // 2]
    energy = 10 * np.log10(np.maximum(np.mean(short**2, axis=1), 1e-12)) - FLOOR
    pitch, periodicity = pitches(frames)
    voiced = (periodicity > STEADY) & (energy > 0)
    power = np.abs(fft.rfft(short * signal.get_window("hann", SHORT))) ** 2 + 1e-10
    hertz = fft.rfftfreq(SHORT, 1 / RATE)
    share = np.cumsum(power, axis=1) / power.sum(axis=1, keepdims=True)
    speech = (hertz >= 100) & (hertz <= 5000)
    octaves = np.log2(hertz[speech]) - np.log2(hertz[speech]).mean()
    tilt = 10 * np.log10(power[:, speech]) @ octaves / (octaves**2).sum()
    mels = 10 * np.log10(power @ mel_filters().T)
    columns = dict.fromkeys(NAMES, np.zeros(len(frames)))
    columns |= {
        "pitch": np.where(voiced, 12 * np.log2(pitch / 55), 0),
        "voiced": voiced,
        "periodicity": periodicity,
        "energy": np.maximum(energy, 0),
        "centroid": power @ hertz / power.sum(axis=1) / 1000,
        "rolloff": hertz[(share < 0.85).sum(axis=1)] / 1000,
        "tilt": tilt,
        "zero_crossings": (np.diff(np.signbit(short), axis=1)).mean(axis=1) * RATE / 1000,
    }
    cepstrum = fft.dct(mels, norm="ortho")[:, 1 : MFCCS + 1]
    columns |= {f"mfcc_{i}": column for i, column in enumerate(cepstrum.T, 1)}
    return np.column_stack([columns[name] for name in NAMES])


def pitches(
    frames: Float[np.ndarray, "frame sample"],
) -> tuple[Float[np.ndarray, "frame"], Float[np.ndarray, "frame"]]:
    """The frequency (Hz) whose period repeats best in each frame, and how well it repeats (0 to 1)."""
    window = signal.get_window("hann", LONG)
    spectrum = lambda x: np.abs(fft.rfft(x, 2 * LONG)) ** 2
    shortest, longest = int(RATE / HIGHEST), int(RATE / LOWEST)
    own = fft.irfft(spectrum(window))[: longest + 2]
    product = fft.irfft(spectrum(frames * window))[:, : longest + 2]
    repeats = product / np.maximum(product[:, :1], 1e-9) / (own / own[0])
    lags = np.arange(shortest, longest + 1)
    middle, before, after = repeats[:, lags], repeats[:, lags - 1], repeats[:, lags + 1]
    # Twice the period repeats as well: a longer period must be better by a little for each octave.
    worth = np.where((middle >= before) & (middle > after), middle - 0.03 * np.log2(lags / shortest), -1)
    best = worth.argmax(axis=1)
    a, b, c = (x[np.arange(len(frames)), best] for x in (before, middle, after))
    shift = np.where(a + c < 2 * b, (a - c) / np.minimum(2 * (a - 2 * b + c), -1e-9), 0)  # top of the parabola
    period = lags[best] + shift.clip(-0.5, 0.5)
    # What repeats once by chance, as a hiss may, does not go on to repeat for 8 ms.
    later = (period * np.ceil(longest / 2 / period)).round().astype(int)[:, None] + np.arange(-1, 2)
    again = np.take_along_axis(repeats, later, axis=1).max(axis=1)
    found = worth.max(axis=1) > -1
    return RATE / period, np.where(found, np.minimum(b, again).clip(0, 1), 0)


@cache
def mel_filters() -> Float[np.ndarray, "mel bin"]:
    """Triangles, evenly spaced and overlapping by half on the mel scale (1000 mel = 1000 Hz)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, MELS + 2) / 2595) - 1)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hertz = fft.rfftfreq(SHORT, 1 / RATE)
    return np.minimum((hertz - left) / (middle - left), (right - hertz) / (right - middle)).clip(0) + 1e-9
