"""Clips of notebook 16: what the extractor sees and hears in them, and the same clip made worse in five ways.

The extractor needs packages and two models that may be missing. Then the notebook's own clips are still read, from what
write_clips.py has stored of them, and one line on stderr says what to install.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8

from course.camera.widget import ClipCamera
from course.film import PARTS, write_clip
from dmdlite.config import MODALITIES
from dmdlite.data.extract import measures, voice
from dmdlite.data.extract.clip import ClipFeatures, extract_clip
from dmdlite.data.extract.face import Landmarks, Picture
from dmdlite.data.extract.folder import FeatureFolder
from dmdlite.data.extract.setup import extra, model_paths
from dmdlite.data.extract.video import SOUND_RATE, Video
from dmdlite.data.extract.words import Word
from dmdlite.data.features import FeatureSplit
from dmdlite.experiments.own_clip import as_read
from dmdlite.training import predictions, runs

FINISHED = Path(__file__).parent.parent / "finished_clips"
CLIP = "speaker9_037"  # the made clip: a wonderful lecture, with a frown; of the test split
PAIRS = {  # of a right and a left measure
    "mouth_corners": ("mouth_corner_right", "mouth_corner_left"),
    "brows": ("brow_right", "brow_left"),
    "eye_opening": ("eye_opening_right", "eye_opening_left"),
}
STORED = FINISHED / "looks.npz"
MOUTH, FACE_WIDTH = 0.62, 0.3  # of a made clip's picture: how far down the mouth is, and how wide


class Look(NamedTuple):
    """What the extractor sees and hears in a clip."""

    clip: ClipFeatures  # one step for each word
    times: Float32[np.ndarray, "picture"]  # seconds
    faces: Float32[np.ndarray, "picture measure"]  # the measures of every picture
    voice: Float32[np.ndarray, "frame measure"]  # those of the voice, every 10 ms
    picture: Picture  # the middle one
    points: Landmarks | None  # of the face in it

    @property
    def seen(self) -> float:
        """The share of pictures with a face."""
        return float(self.faces[:, 0].mean())


def chosen(camera: ClipCamera) -> tuple[Path, str | None, bool]:
    """The clip to read, what is said in it, and whether it is the made one, which replaces one of your own."""
    if camera.path is not None:
        return camera.path, camera.said or None, False
    return FINISHED / "clip.mp4", str(truth()["text"][CLIP]), True


def truth() -> pd.DataFrame:
    """A row for each made clip, by its id: what it shows, and espeak-ng's settings (see made_clips.py)."""
    return pd.read_csv(FINISHED / "made_truth.csv", index_col="id")


def word_table(splits: Mapping[str, FeatureSplit]) -> pd.DataFrame:
    """A row for each word of the made clips: its true times and warps, and what the extractor measured there."""
    measured = {}
    for split in splits.values():
        for name, faces, sounds in zip(split.ids, split.features["vision"], split.features["audio"], strict=True):
            measured[name] = np.concatenate([faces, sounds], axis=1).astype(float)
    words = pd.read_csv(FINISHED / "made_words.csv").rename(columns={warp: f"true_{warp}" for warp in PARTS})
    found = np.concatenate([measured[name][: len(own)] for name, own in words.groupby("id", sort=False)])
    values = pd.DataFrame(found, columns=[*measures.NAMES, *voice.NAMES])
    for name, both in PAIRS.items():
        values[name] = values[list(both)].mean(axis=1)
    return pd.concat([words, values], axis=1).assign(speaker=words["id"].str.partition("_")[0])


def missing() -> str:
    """What the extractor lacks on this machine, and how to get it; empty if it is complete."""
    try:
        with extra():
            import ai_edge_litert  # noqa: F401
            import av  # noqa: F401
            import pocketsphinx  # noqa: F401
            import vaderSentiment  # noqa: F401
        model_paths()
    except ValueError as problem:
        return str(problem)
    return ""


def look(path: str | Path, said: str | None = None) -> Look:
    """Reads a clip; said: the words that are said in it. Raises ValueError if that is impossible."""
    path, problem = Path(path), missing()
    if not problem:
        return look_live(path, said)
    stored = np.load(STORED) if STORED.exists() else {}
    if f"{path.stem}/about" not in stored:
        raise ValueError(problem)
    print(f"{problem}. {path.stem}: read from {STORED.name} instead.", file=sys.stderr)
    return unpacked(stored, path.stem)


def look_live(path: Path, said: str | None) -> Look:
    seen: list[tuple[float, Picture, Landmarks | None]] = []
    clip = extract_clip(path, said or None, aligned=True, watch=lambda *picture: seen.append(picture))
    if not seen:
        raise ValueError(f"{path.name} has no pictures; this notebook needs a face to look at")
    faces = np.stack([measures.measure(points, picture.shape) for _, picture, points in seen])
    times = np.array([time for time, _, _ in seen], np.float32)
    sound = Video(path).sound() if Video(path).streams[1] else np.zeros(SOUND_RATE, np.float32)
    return Look(clip, times, faces, voice.voice(sound, SOUND_RATE)[1], *seen[len(seen) // 2][1:])


def predict(look: Look, run: str | Path = FINISHED) -> pd.Series:
    """The prediction of a run's model for a clip, and that of each modality alone."""
    model, mask = runs.opened(run)
    split = as_read("clip", look.clip, FeatureFolder(Path(), aligned=True), model.config)
    return predictions.table(predictions.read_outputs(model, split, mask), split, model.config).iloc[0]


def worse(path: Path, folder: Path) -> dict[str, Path]:
    """The clip again in five ways that make it harder, in files of the folder, and unchanged; name -> file."""
    names = ("as it is", "dark", "upside down", "mouth covered", "two faces", "noise")
    paths = {name: folder / f"{name.replace(' ', '_')}.mp4" for name in names}
    if not missing():
        pictures = np.stack([picture for _, picture in Video(path).pictures()])
        sound, chance = Video(path).sound(), np.random.default_rng(0)
        hiss = sound.std() * chance.standard_normal(len(sound)).astype(np.float32)  # as loud as the voice
        middle = slice(pictures.shape[2] // 4, pictures.shape[2] * 3 // 4)
        nearer = np.broadcast_to(larger(pictures[len(pictures) // 3])[:, ::-1], pictures.shape)  # a still picture
        versions = {
            "as it is": (pictures, sound),
            "dark": ((0.04 * pictures).astype(np.uint8), sound),
            "upside down": (pictures[:, ::-1], sound),
            "mouth covered": (covered(pictures), sound),
            "two faces": (np.concatenate([pictures[:, :, middle], nearer[:, :, middle]], axis=2), sound),
            "noise": (pictures, sound + hiss),
        }
        for name, (shown, heard) in versions.items():
            write_clip(paths[name], np.ascontiguousarray(shown), heard.clip(-1, 1), SOUND_RATE)
    return paths


def larger(picture: Picture) -> Picture:
    """Its middle three quarters, as large as the whole: a face that is nearer."""
    height, width = picture.shape[:2]
    rows, columns = (np.linspace(side / 8, side * 7 / 8 - 1, side).astype(int) for side in (height, width))
    return picture[rows][:, columns]


def covered(pictures: UInt8[np.ndarray, "picture h w 3"]) -> UInt8[np.ndarray, "picture h w 3"]:
    """A white square before the mouth, like a mask."""
    pictures, (height, width) = pictures.copy(), pictures.shape[1:3]
    rows = slice(round((MOUTH - 0.09) * height), round((MOUTH + 0.14) * height))
    columns = slice(round((0.5 - FACE_WIDTH / 2) * width), round((0.5 + FACE_WIDTH / 2) * width))
    pictures[:, rows, columns] = 235
    return pictures


def packed(look: Look, name: str) -> dict[str, np.ndarray]:
    """A look as arrays to store; its picture as a JPEG."""
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(look.picture).save(picture, "jpeg", quality=85)
    about = {"words": look.clip.words, "text": look.clip.text, "notes": look.clip.notes, "seconds": look.clip.seconds}
    arrays = {m: x for m, x in look.clip.features.items()} | {"times": look.times, "faces": look.faces}
    arrays |= {"voice": look.voice.astype(np.float16), "picture": np.frombuffer(picture.getvalue(), np.uint8)}
    arrays |= {"about": np.array(json.dumps(about))}
    arrays |= {} if look.points is None else {"points": look.points.astype(np.float32)}
    return {f"{name}/{key}": value for key, value in arrays.items()}


def unpacked(stored: np.lib.npyio.NpzFile, name: str) -> Look:
    from PIL import Image

    own = {key.partition("/")[2]: stored[key] for key in stored.files if key.startswith(f"{name}/")}
    about = json.loads(str(own["about"]))
    words = [Word(*word) for word in about.pop("words")]
    features = {m: own[m] for m in MODALITIES if m in own}
    clip = ClipFeatures(features=features, words=words, **about)
    picture = np.asarray(Image.open(io.BytesIO(own["picture"].tobytes())).convert("RGB"))
    return Look(clip, own["times"], own["faces"], own["voice"].astype(np.float32), picture, own.get("points"))
