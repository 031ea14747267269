"""Video files whose content is known: pictures of a warped photograph, bars that count, tones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from course.film import film
from dmdlite.data.extract.setup import fetch_models

RATE = 16_000


def need_models() -> None:
    """Fetches the models of the face, as `extract --setup` does; they stay in the user's cache."""
    try:
        fetch_models()
    except ValueError as problem:
        if "SHA-256" in str(problem):
            raise
        pytest.skip(str(problem))


def face(count: int = 1, roll: float = 0.0, light: float = 1.0, **warps: Sequence[float]) -> np.ndarray:
    """Pictures of one face, 240 × 320, its parts moved by so much in each picture (see course/film.py)."""
    still = dict.fromkeys(("mouth_corners", "lip_opening", "brows", "blink"), np.zeros(count))
    return film(still | {part: np.asarray(amounts) for part, amounts in warps.items()}, light=light, roll=roll)


def counting(count: int) -> np.ndarray:
    """Pictures of eight bars, white or black: the bits of their numbers."""
    bars = np.unpackbits(np.arange(count, dtype=np.uint8)[:, None], axis=1)
    return np.broadcast_to(255 * np.repeat(bars, 16, axis=1)[:, None, :, None], (count, 64, 128, 3)).copy()


def number_of(picture: np.ndarray) -> int:
    """The number that a picture of `counting` shows."""
    bars = picture.reshape(64, 8, 16, 3).mean(axis=(0, 2, 3)) > 128
    return int(np.packbits(bars)[0])


def tone(seconds: float, hertz: float = 220.0, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def write_clip(
    path: Path, pictures: np.ndarray | None = None, per_second: int = 25, sound: np.ndarray | None = None, rate=RATE
) -> Path:
    """A file of the kind that its ending tells: MPEG-4 video, and AAC sound, (samples,) or (samples, channels)."""
    import av

    with av.open(str(path), "w") as container:
        video = None if pictures is None else container.add_stream("mpeg4", per_second, options={"qscale": "2"})
        if video:
            video.height, video.width, video.pix_fmt = *pictures.shape[1:3], "yuv420p"
        layout = "mono" if sound is None or sound.ndim == 1 else "stereo"
        audio = None if sound is None else container.add_stream("aac", rate, layout=layout)
        for picture in () if pictures is None else pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if audio:
            samples = np.ascontiguousarray(sound.reshape(len(sound), -1).T, np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate = rate
            container.mux(audio.encode(frame))
        for stream in filter(None, (video, audio)):
            container.mux(stream.encode(None))
    return path
