"""A photographed face that moves by known amounts: the astronaut of scikit-image, warped."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8

WIDTH, HEIGHT = 320, 240
PICTURES_PER_SECOND = 25


class Look(NamedTuple):
    """What makes one speaker's face differ from another's."""

    mirrored: bool = False
    zoom: float = 1.3
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)  # factors of red, green and blue


PLAIN = Look()

# What can move in the photograph: (x, y) of the middle of each patch, its spread, and where it goes, all in its pixels.
EYES = 44.0  # pixels between the middles of the eyes: the unit of all warps
MIDDLE = (223.5, 118.5)  # of the face
PARTS = {
    "mouth_corners": [((205, 140), (9, 8), (-0.5, -1)), ((244, 141), (9, 8), (0.5, -1))],  # up and outwards
    "lip_opening": [((224, 158), (20, 9), (0, 1)), ((224, 138), (14, 5), (0, -0.4))],  # lower lip down, upper lip up
    "brows": [((200, 87), (18, 5), (0, -1)), ((251, 89), (18, 5), (0, -1))],  # up
    "blink": [((202.5, 98), (9, 3), (0, 1)), ((246, 99.5), (9, 3), (0, 1))],  # the upper lids go down
}


@cache
def photograph() -> Float32[np.ndarray, "h w 3"]:
    try:
        from skimage.data import astronaut
    except ImportError as problem:
        raise ValueError('scikit-image is missing: pip install "dmdlite[lab]"') from problem
    return astronaut().astype(np.float32)


@cache
def patches() -> dict[str, Float32[np.ndarray, "h w 2"]]:
    """How far each pixel of the photograph moves (x, y) when a part moves by 1 pixel."""
    y, x = np.mgrid[: photograph().shape[0], : photograph().shape[1]].astype(np.float32)
    bump = lambda at, spread: np.exp(-(((x - at[0]) / spread[0]) ** 2 + ((y - at[1]) / spread[1]) ** 2) / 2)
    return {
        part: sum(bump(at, spread)[..., None] * np.array(way, np.float32) for at, spread, way in places)
        for part, places in PARTS.items()
    }


def film(
    warps: dict[str, Float[np.ndarray, "picture"]], look: Look = PLAIN, light: float = 1.0, roll: float = 0.0
) -> UInt8[np.ndarray, "picture h w 3"]:
    """Pictures of the face: its parts moved by `warps` (in distances between the eyes), the whole turned by `roll`.

    roll: radians, clockwise as seen unless mirrored; light: factor of all colours.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    x, y = (x - (WIDTH - 1) / 2) / look.zoom * (-1 if look.mirrored else 1), (y - (HEIGHT - 1) / 2) / look.zoom
    turned = np.cos(roll) * x + np.sin(roll) * y, np.cos(roll) * y - np.sin(roll) * x
    seen = (np.stack(turned, axis=-1) + MIDDLE).astype(np.float32)  # where in the photograph each pixel looks
    moves = np.stack([sample(patches()[part], seen[None])[0] for part in warps])
    amounts = EYES * np.stack(list(warps.values()), axis=-1).astype(np.float32)
    colour = light * np.array(look.colour, np.float32)
    pictures = [sample(photograph(), (seen - np.tensordot(row, moves, axes=1))[None])[0] * colour for row in amounts]
    return np.stack([picture.clip(0, 255).astype(np.uint8) for picture in pictures])


def sample(
    picture: Float32[np.ndarray, "h w channel"], places: Float32[np.ndarray, "n rows columns 2"]
) -> Float32[np.ndarray, "n rows columns channel"]:
    """The picture at places (x, y) between its pixels, linearly."""
    grid = (2 * torch.from_numpy(places) + 1) / torch.tensor(picture.shape[1::-1]) - 1
    pictures = torch.from_numpy(picture).permute(2, 0, 1)[None].expand(len(places), -1, -1, -1)
    return F.grid_sample(pictures, grid, align_corners=False).permute(0, 2, 3, 1).numpy()


def write_clip(
    path: Path, pictures: UInt8[np.ndarray, "picture h w 3"], sound: Float32[np.ndarray, "sample"], rate: int
) -> None:
    """An mp4 file with H.264 and AAC, which browsers play."""
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", PICTURES_PER_SECOND, options={"preset": "veryfast", "crf": "20"})
        video.height, video.width, video.pix_fmt = *pictures.shape[1:3], "yuv420p"
        audio = container.add_stream("aac", rate, layout="mono")
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        samples = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        samples.sample_rate, samples.pts = rate, 0  # with a time the encoder tells of its own delay
        container.mux(audio.encode(samples))
        for stream in (video, audio):
            container.mux(stream.encode(None))
