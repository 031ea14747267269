"""How a toy clip looks and sounds: the time of each word, and what the face and the voice do meanwhile.

`truth` is the dict of hidden factors from `dmdlite.data.toy`; data_samples/README.md explains its names.
"""

import numpy as np
from jaxtyping import Float, Int

from dmdlite.data import toy_language

Truth = dict[str, np.ndarray]
Stream = Float[np.ndarray, "clip time channel"]

STEPS = {"language": toy_language.LANGUAGE_STEPS, "vision": 60, "audio": 50}  # 4 seconds of vision and audio
FRAME_RATES = {"vision": 15.0, "audio": 12.5}  # frames per second
LEAD_IN = 0.3  # seconds of silence before and after the words

CHANNELS = {
    "language": tuple(f"vector_{i}" for i in range(toy_language.VECTOR_WIDTH)),
    "vision": tuple(
        "AU04_brow_lowerer AU06_cheek_raiser AU12_lip_corner_puller AU15_lip_corner_depressor AU25_lips_part AU45_blink"
        " head_yaw head_pitch head_roll lighting".split()
    ),
    "audio": ("log_pitch", "energy", "voicing", "pace", "brightness", "jitter"),
}


def random_stream(seed: int, factor: str) -> np.random.Generator:
    """A generator of its own for each factor, so that a new factor changes no other."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=tuple(factor.encode()))))


def word_times(sentences: list[toy_language.Sentence], truth: Truth) -> dict[str, Float[np.ndarray, "..."]]:
    """Seconds at which each word starts and ends, by token position; the telling word's middle; the clip's end.

    At rate 1 a word lasts 0.06 s plus 0.026 s per letter. A sarcastic telling word is drawn out.
    """
    clips, telling = np.arange(len(sentences)), truth["telling_word"]
    letters = np.zeros((len(sentences), STEPS["language"]))
    for row, sentence in zip(letters, sentences, strict=True):
        row[1 : len(sentence.words) + 1] = [len(word) for word in sentence.words]
    seconds = np.where(letters > 0, 0.06 + 0.026 * letters, 0) / truth["speaking_rate"][:, None]
    seconds[clips, telling] *= np.where(truth["sarcastic"], 1.5, 1.0)
    ends = LEAD_IN + np.cumsum(seconds, axis=1)
    starts = ends - seconds
    middle = (starts + ends)[clips, telling] / 2
    return {"word_starts": starts, "word_ends": ends, "telling_seconds": middle, "duration": ends[:, -1] + LEAD_IN}


def frame_times(modality: str) -> Float[np.ndarray, "time"]:
    """The middle of each frame, in seconds."""
    return (np.arange(STEPS[modality]) + 0.5) / FRAME_RATES[modality]


def frames(modality: str, seconds: Float[np.ndarray, "clip"]) -> Int[np.ndarray, "clip"]:
    """The frame in which a moment falls."""
    return np.floor(seconds * FRAME_RATES[modality]).astype(int)


def event(times: Float[np.ndarray, "time"], middle: Float[np.ndarray, "clip"]) -> Float[np.ndarray, "clip time"]:
    """1 in the middle, 1/2 at 0.2 s before and after it, almost 0 at 0.5 s."""
    return np.exp2(-(((times - middle[:, None]) / 0.2) ** 2))


def syllables(times: Float[np.ndarray, "time"], truth: Truth) -> Float[np.ndarray, "clip time"]:
    """How open the mouth is: 0 in silence, 1 in the middle of each word."""
    starts, ends = truth["word_starts"][:, None], truth["word_ends"][:, None]
    progress = (times[:, None] - starts) / np.maximum(ends - starts, 1e-6)
    return np.where((progress > 0) & (progress < 1), np.sin(np.pi * progress), 0).max(axis=-1)


def vision_stream(truth: Truth, seed: int) -> Stream:
    """A face: a smile (AU 6, 12) or a frown (AU 4, 15) at the telling word; moving lips, blinks, head and light."""
    times = frame_times("vision")
    now = event(times, truth["telling_seconds"])
    smile, frown = truth["smile"][:, None] * now, truth["frown"][:, None] * now
    blink = random_stream(seed, "blink").random(now.shape) < 0.03
    action_units = [frown, 0.7 * smile, smile, 0.7 * frown, syllables(times, truth), 2.0 * blink]
    sway = 0.3 * np.sin(2 * np.pi * (0.3 * times + random_stream(seed, "sway").random((len(now), 1))))
    head = [truth[f"head_{angle}"][:, None] + sway for angle in ("yaw", "pitch", "roll")]
    lighting = np.broadcast_to(truth["lighting"][:, None], now.shape)
    stream = with_noise([*action_units, *head, lighting], seed, "vision_noise")
    stream[..., :6] = np.abs(stream[..., :6])  # an intensity is not negative, nor exactly 0 as padding is
    return stream


def audio_stream(truth: Truth, seed: int) -> Stream:
    """A voice: pitch, energy and brightness move at the telling word.

    Sarcasm sounds the same for either sign: a flat melody, a creaky dip before the telling word, and its slower pace.
    """
    times = frame_times("audio")
    now = event(times, truth["telling_seconds"])
    view, sarcastic = truth["audio_view"][:, None], truth["sarcastic"][:, None]
    dip = sarcastic * event(times, truth["telling_seconds"] - 0.5)
    phase = random_stream(seed, "melody").random((len(now), 1))
    melody = np.where(sarcastic, 0.1, 0.4) * np.sin(2 * np.pi * (0.8 * times + phase)) - 0.2 * times
    speaking = (times > LEAD_IN) & (times < truth["duration"][:, None] - LEAD_IN)
    loudness = syllables(times, truth)
    channels = [
        truth["voice_pitch"][:, None] + melody + view * now - 1.5 * dip,
        loudness + 0.5 * np.abs(view) * now,
        speaking - 0.5 * dip,
        4 * (truth["speaking_rate"][:, None] - 1) * speaking - 1.5 * sarcastic * now,
        0.5 * loudness + 0.5 * view * now,
        2.0 * dip,
    ]
    return with_noise(channels, seed, "audio_noise")


def with_noise(channels: list[Float[np.ndarray, "clip time"]], seed: int, factor: str) -> Stream:
    """The channels with the noise of a camera or a microphone in every frame."""
    stream = np.stack(channels, axis=-1)
    return stream + 0.15 * random_stream(seed, factor).standard_normal(stream.shape)


def as_stored(stream: Stream, lengths: Int[np.ndarray, "clip"]) -> Stream:
    """Zeros after each clip's end, and all numbers on float16's grid, where they are the same on every machine."""
    inside = np.arange(stream.shape[1])[:, None] < lengths[:, None, None]
    return np.where(inside, stream, 0).astype(np.float16).astype(np.float32)
