"""Draws clips whose truth is known: the toy world, spoken and filmed.

    python notebooks/made_clips.py FOLDER [--clips 120] [--seed 17]

dmdlite.toy_world draws what happens: a sentiment s, a sentence, and what words, face and voice each show of it,
    view = r s + sqrt(1 - r^2) 1.5 noise, with r = 0.9 for words, 0.8 for the face and 0.8 for the voice;
where a clip is sarcastic its words show -view. The label is s, rounded to fifths. Here each view is performed:
espeak-ng says the sentence (pitch and loudness follow the voice's view; sarcasm is slow and flat), and a photographed
face, the astronaut of scikit-image, is warped (mouth corners and brows follow the face's view, above all at the telling
word; the lips open with each word; the eyes blink). FOLDER gets the clips and their truth:
    labels.csv        a line for each clip: its words, label and split, as `dmdlite extract --labels` reads them
    truth.csv         a line for each clip: what it shows, and espeak-ng's settings
    truth_words.csv   a line for each word: its times in seconds by espeak-ng's own account
    truth_frames.csv  a line for each picture: the warps, in distances between the eyes
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float32, UInt8
from tqdm import tqdm

from course.espeak import Espeak
from course.film import PICTURES_PER_SECOND, Look, film, write_clip
from dmdlite.data.toy import ToyWorld, event, random_stream, syllables, toy_world

RELIABILITY = {"language": 0.9, "vision": 0.8, "audio": 0.8}
SARCASM = 0.15
Pictures = UInt8[np.ndarray, "picture h w 3"]
Sound = Float32[np.ndarray, "sample"]
LEAD_IN = 0.3  # seconds of silence before and after the words


class Speaker(NamedTuple):
    voice: str  # of espeak-ng
    look: Look


SPEAKERS = (
    Speaker("en-us+f3", Look(False, 1.30, (1.00, 1.00, 1.00))),
    Speaker("en-us+m3", Look(True, 1.20, (0.80, 0.85, 1.00))),
    Speaker("en-us+f2", Look(True, 1.40, (1.05, 0.95, 0.80))),
    Speaker("en-us+m5", Look(False, 1.15, (0.65, 0.60, 0.60))),
    Speaker("en-us+f4", Look(False, 1.45, (0.90, 1.00, 0.90))),
    Speaker("en-us+m7", Look(True, 1.30, (0.75, 0.65, 0.55))),
    Speaker("en-us+f5", Look(True, 1.25, (1.10, 1.05, 1.00))),
    Speaker("en-us+m2", Look(False, 1.40, (0.90, 0.80, 0.95))),
    Speaker("en-us+f1", Look(False, 1.20, (1.00, 0.85, 0.85))),
    Speaker("en-us+m6", Look(True, 1.35, (0.70, 0.75, 0.70))),
)


def scenes(world: ToyWorld) -> pd.DataFrame:
    """A line for each clip: what it shows, and what espeak-ng is asked for."""
    tables = []
    for split, clips in world.splits.items():
        table = pd.DataFrame({name: x for name, x in world.truth[split].items() if x.ndim == 1})
        table = table.assign(text=clips.raw_text, label=clips.labels, split=split)
        tables.append(table.assign(order=[int(name.rpartition("$")[2]) for name in clips.ids]))
    scenes = pd.concat(tables).sort_values("order").reset_index(drop=True)
    scenes["speaker"] %= len(SPEAKERS)
    scenes["id"] = [f"speaker{speaker}_{i:03d}" for i, speaker in enumerate(scenes["speaker"])]
    return spoken(scenes)


def spoken(scenes: pd.DataFrame) -> pd.DataFrame:
    """The same clips with espeak-ng's settings, which follow the voice's view and the sarcasm of each."""
    flat, view = scenes["sarcastic"], scenes["audio_view"]
    return scenes.assign(
        pitch=(50 + 12 * view).clip(5, 95).round().astype(int),
        loudness=(40 + 22 * view.abs()).clip(40, 110).round().astype(int),
        rate=(170 * scenes["speaking_rate"] * np.where(flat, 0.8, 1)).round().astype(int),
        melody=np.where(flat, 5, 50),
    )


def perform(scene: Any, espeak: Espeak, seed: int) -> tuple[Pictures, Sound, pd.DataFrame, pd.DataFrame]:
    """Pictures and sound of one clip, with the truth of its words and of its pictures."""
    words, speaker = scene.text.split(), SPEAKERS[scene.speaker]
    settings = {name: getattr(scene, name) for name in ("pitch", "rate", "loudness", "melody")}
    spoken, times = espeak.say(words, speaker.voice, **settings)
    silence = np.zeros(round(LEAD_IN * espeak.sample_rate), np.float32)
    sound = np.concatenate([silence, spoken, silence])
    starts, ends = LEAD_IN + np.array(times).T
    telling = scene.telling_word - 1  # the toy world counts [CLS]
    frame_times = (np.arange(int(len(sound) / espeak.sample_rate * PICTURES_PER_SECOND)) + 0.5) / PICTURES_PER_SECOND
    mood = np.tanh(scene.vision_view / 2) * (
        0.3 + 0.7 * event(frame_times, (starts + ends)[telling : telling + 1] / 2)[0]
    )
    chance = random_stream(seed, f"face {scene.id}")
    blink = np.exp(-(((frame_times - chance.uniform(0.2, frame_times[-1])) / 0.08) ** 2))
    warps = {
        "mouth_corners": 0.16 * mood,
        "lip_opening": 0.08 * syllables(frame_times, {"word_starts": starts[None], "word_ends": ends[None]})[0],
        "brows": 0.12 * mood,
        "blink": 0.09 * blink,
    }
    roll = 0.1 * float(np.tanh(scene.head_roll))
    pictures = film(warps, speaker.look, 1 + 0.1 * np.tanh(scene.lighting), roll)
    of_words = pd.DataFrame({"id": scene.id, "word": words, "start": starts, "end": ends})
    return pictures, sound, of_words, pd.DataFrame({"id": scene.id, "time": frame_times, **warps})


def film_scenes(folder: Path, scenes: pd.DataFrame, espeak: Espeak, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Writes the clips into the folder; returns the truth of their words and of their pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    of_words, of_frames = [], []
    for scene in tqdm(scenes.itertuples(), total=len(scenes), desc="clips"):
        pictures, sound, words, frames = perform(scene, espeak, seed)
        write_clip(folder / f"{scene.id}.mp4", pictures, sound, espeak.sample_rate)
        of_words.append(words)
        of_frames.append(frames)
    return pd.concat(of_words), pd.concat(of_frames)


def draw_clips(folder: Path, count: int = 120, seed: int = 17) -> pd.DataFrame:
    """Fills the folder and returns the truth of its clips. Raises ValueError for what is missing."""
    espeak, world = Espeak(), toy_world(count, seed, reliability=RELIABILITY, sarcasm=SARCASM)
    truth = scenes(world)
    of_words, of_frames = film_scenes(folder, truth, espeak, seed)
    columns = "id text label split speaker sentiment language_view vision_view audio_view sarcastic".split()
    truth = truth[columns + ["pitch", "loudness", "rate", "melody", "lighting", "head_roll"]]
    tables = {"labels": truth[["id", "text", "label", "split"]], "truth": truth}
    tables |= {"truth_words": of_words, "truth_frames": of_frames}
    for name, table in tables.items():
        table.round(4).to_csv(folder / f"{name}.csv", index=False)
    return truth


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draws clips whose truth is known.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=120, help="how many, at least 20")
    parser.add_argument("--seed", type=int, default=17)
    given = parser.parse_args()
    try:
        draw_clips(given.folder, given.clips, given.seed)
    except ValueError as problem:
        parser.exit(2, f"{problem}\n")
