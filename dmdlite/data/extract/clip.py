"""One clip: its words, and at every step of time what face and voice do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from dmdlite.data.extract import measures, vectors, voice
from dmdlite.data.extract.face import FaceFinder, Landmarks, Picture
from dmdlite.data.extract.video import LONGEST, PICTURES_PER_SECOND, SOUND_RATE, Video
from dmdlite.data.extract.words import Word, words

EXTRACTOR = "dmdlite clips 2"  # the number counts up whenever the same clip would give other features
TEXT = ".txt"
SECONDS_PER_WORD = 0.4  # where there is text alone
CHANNELS = {  # modality -> the names of its channels with their units
    "language": {name: unit for name, (unit, _) in vectors.MEASURES.items()},
    "vision": measures.UNITS,
    "audio": {name: unit for name, (unit, _) in voice.MEASURES.items()},
}
# Channels that mean nothing, and are 0, where another one is 0: a mean leaves these steps out.
ONLY_WHERE = dict.fromkeys(measures.NAMES[1:], "face") | dict.fromkeys(("pitch", "jitter", "shimmer"), "voiced")

NO_FACES, NO_SOUND = np.zeros((0, len(measures.NAMES)), np.float32), np.zeros(0, np.float32)
Values = Float[np.ndarray, "time width"]
Spans = Float[np.ndarray, "step 2"]  # start and end in seconds
Watch = Callable[[float, Picture, Landmarks | None], Any]  # called with the time and the face of each new picture


@dataclass
class ClipFeatures:
    """By modality, those that the clip has: (time, width) features, and from when to when each step lasts."""

    features: dict[str, Float32[np.ndarray, "_time _width"]] = field(default_factory=dict)
    spans: dict[str, Spans] = field(default_factory=dict)
    text: str = ""  # the transcript, or else the words that were guessed
    words: list[Word] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)  # remarks, in sentences


def extract_clip(
    path: Path,
    transcript: str | None = None,
    *,
    aligned: bool = False,
    longest: float = LONGEST,
    watch: Watch | None = None,
) -> ClipFeatures:
    """The features of a video, a sound, or a text file, which is then its own transcript.

    Language has a step for each word. Vision and audio have PICTURES_PER_SECOND steps a second; with `aligned` they
    have one for each word, too, the mean over its time, or over the whole clip if there are no words.
    Without a transcript words are guessed. Raises ValueError in one sentence if nothing can be read.
    """
    clip = ClipFeatures()
    if path.suffix.lower() == TEXT:
        transcript = read_text(path)
        faces, sound = NO_FACES, NO_SOUND
        silence = SECONDS_PER_WORD * len(transcript.split())
    else:
        faces, sound = look_and_listen(Video(path, longest, clip.notes), watch)
        silence = len(faces) / PICTURES_PER_SECOND
    clip.seconds = float(max(len(sound) / SOUND_RATE, silence))
    heard = sound if len(sound) else np.zeros(round(silence * SOUND_RATE), np.float32)
    _, measured, _ = voice.voice(heard, SOUND_RATE)
    found = words(heard, SOUND_RATE, transcript, measured)
    clip.words = found.words
    clip.text = " ".join(transcript.split() if transcript is not None else [word.text for word in found.words])
    clip.notes.append(f"words {found.note}")
    spoken = np.array([word[1:] for word in clip.words], float).reshape(-1, 2)
    if clip.words:
        clip.features["language"], clip.spans["language"] = vectors.vectors([word.text for word in clip.words]), spoken
    spans = (spoken if len(spoken) else np.array([[0.0, clip.seconds]])) if aligned else None
    if len(faces):
        add(clip, "vision", faces, PICTURES_PER_SECOND, spans)
    if len(sound):
        add(clip, "audio", measured, voice.RATE / voice.HOP, spans)
    if not clip.features:
        raise ValueError(f"{path.name} has no words, and nothing to see or hear")
    return clip


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not a text in UTF-8") from None


def look_and_listen(video: Video, watch: Watch | None = None) -> tuple[Values, Float32[np.ndarray, "sample"]]:
    """What the face does in each picture, and the sound; either may be empty, but not both."""
    pictures, sound = video.streams
    faces = follow_face(video, watch) if pictures else NO_FACES
    samples = video.sound() if sound else NO_SOUND
    if not len(faces) and not len(samples):
        raise ValueError(f"{video.path.name} cannot be decoded: {'; '.join(video.notes) or 'it is empty'}")
    return faces, samples


def follow_face(video: Video, watch: Watch | None = None) -> Values:
    """The measures of each picture; a picture that is shown for several steps is looked at once."""
    finder, before, rows = FaceFinder(), None, []
    for time, picture in video.pictures():
        if picture is before:
            rows.append(rows[-1])
            continue
        points, before = finder(picture), picture
        rows.append(measures.measure(points, picture.shape))
        if watch is not None:
            watch(time, picture, points)
    faces = np.stack(rows) if rows else NO_FACES
    if absent := int((faces[:, 0] == 0).sum()):
        video.notes.append(f"no face in {absent} of {len(faces)} pictures")
    if finder.seen > 1:
        video.notes.append(f"{finder.seen} faces were seen, and the largest was followed")
    return faces


def add(clip: ClipFeatures, modality: str, values: Values, rate: float, spans: Spans | None) -> None:
    """Adds a stream of `rate` values a second, averaged over these spans, or the steps of an even grid of time."""
    if spans is None:
        steps = np.arange(max(1, round(len(values) / rate * PICTURES_PER_SECOND)))
        spans = np.stack([steps, steps + 1], axis=1) / PICTURES_PER_SECOND
    clip.spans[modality], clip.features[modality] = spans, averaged(values, rate, spans, list(CHANNELS[modality]))


def averaged(values: Values, rate: float, spans: Spans, names: list[str]) -> Float32[np.ndarray, "step width"]:
    """The mean of the values in each span, at least of one; of a channel in ONLY_WHERE where it means something."""
    first = np.floor(spans[:, 0] * rate + 1e-6).astype(int).clip(0, len(values) - 1)
    last = np.maximum(np.ceil(spans[:, 1] * rate - 1e-6).astype(int).clip(max=len(values)), first + 1)
    sums = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0, dtype=np.float64)])
    sums = sums[last] - sums[first]
    counts = np.tile((last - first)[:, None].astype(float), values.shape[1])
    for i, name in enumerate(names):
        if name in ONLY_WHERE:
            counts[:, i] = np.maximum(sums[:, names.index(ONLY_WHERE[name])], 1)
    return (sums / counts).astype(np.float32)
