"""Makes what notebook 16 opens: features of made clips and of a made class, a model, and one clip to watch.

    python notebooks/write_clips.py [FOLDER]      about 30 minutes on one core; needs espeak-ng and the extra [clips]

notebooks/finished_clips gets
    made.npz, made_truth.csv, made_words.csv   240 clips of made_clips.py, their truth, and their words in time
    class.npz, class_truth.csv                 six students say ten sentences in three ways each
    clip.mp4, clip_frames.csv                  one clip that the model has not seen, with the truth of each picture
    looks.npz                                  what the extractor makes of it, and of worse versions of it
    config.json, model.safetensors, …          DMD, trained on the made clips
FOLDER keeps the videos; those that are there are not drawn again.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import made_clips
import numpy as np
import pandas as pd
from train_models import KEPT

import dmdlite
from course import own_clips
from course.class_clips import class_scenes
from course.espeak import Espeak
from course.film import PARTS
from course.own_clips import CLIP, FINISHED
from dmdlite.data.fitting import feature_shapes
from dmdlite.data.splits import KEYS, FeatureSplit
from dmdlite.experiments.extraction import extract
from dmdlite.models.registry import build
from dmdlite.training.loop import seed_everything


def made(folder: Path) -> None:
    """The made clips, as the notebook reads them."""
    clips, features = folder / "made", folder / "made_features"
    if not (clips / "truth.csv").exists():
        made_clips.draw_clips(clips, 240)
    extract(clips, features, labels=clips / "labels.csv", aligned=True)
    splits = dmdlite.load_features(features)
    keep(splits, FINISHED / "made.npz")
    shutil.copyfile(clips / "truth.csv", FINISHED / "made_truth.csv")
    frames = pd.read_csv(clips / "truth_frames.csv").groupby("id")
    rows = []
    for name, words in pd.read_csv(clips / "truth_words.csv").groupby("id"):
        found, own = pd.read_json(features / "clips" / f"{name}.json", typ="series").words, frames.get_group(name)
        for word, heard in zip(words.itertuples(), found, strict=True):
            warps = own[(own.time >= word.start) & (own.time <= word.end)][list(PARTS)].mean().round(4)
            found_at = {"found_start": round(heard["start"], 2), "found_end": round(heard["end"], 2)}
            rows.append({"id": name, "word": word.word, "start": word.start, "end": word.end} | found_at | dict(warps))
    pd.DataFrame(rows).to_csv(FINISHED / "made_words.csv", index=False)
    shutil.copyfile(clips / f"{CLIP}.mp4", FINISHED / "clip.mp4")
    frames.get_group(CLIP).drop(columns="id").to_csv(FINISHED / "clip_frames.csv", index=False)


def a_class(folder: Path) -> None:
    """The clips of a class, without labels: those are made by its students, in the notebook."""
    clips, features, scenes = folder / "class", folder / "class_features", made_clips.spoken(class_scenes())
    if not (clips / "labels.csv").exists():
        made_clips.film_scenes(clips, scenes, Espeak(), seed=16)
        scenes[["id", "text"]].to_csv(clips / "labels.csv", index=False)
    extract(clips, features, transcripts=clips / "labels.csv", aligned=True)
    keep({"all": dmdlite.load_features(features)["all"]}, FINISHED / "class.npz")
    columns = "id student sentence way face voice".split()
    scenes.rename(columns={"vision_view": "face", "audio_view": "voice"})[columns].round(3).to_csv(
        FINISHED / "class_truth.csv", index=False
    )


def keep(splits: dict[str, FeatureSplit], file: Path) -> None:
    """Writes features in half precision, to be read by `load_features`."""
    arrays = {}
    for name, split in splits.items():
        start = f"{name}/" if len(splits) > 1 else ""
        arrays |= {f"{start}{KEYS[m]}": x.astype(np.float16) for m, x in split.features.items()}
        arrays |= {f"{start}id": np.array(split.ids), f"{start}raw_text": np.array(split.raw_text)}
        arrays |= {f"{start}{KEYS[m]}_lengths": x for m, x in split.lengths.items()}
        arrays |= {f"{start}extractor": np.array([split.extractor] * len(split))}
        arrays |= {f"{start}regression_labels": split.labels} if split.labelled() else {}
    np.savez_compressed(file, **arrays)


def train_into(folder: Path) -> None:
    """`--preset small`, in an eighth of its width and with three of its five members, which makes a file of 0.4 MB."""
    splits = dmdlite.load_features(folder / "made.npz")
    seed_everything(0)
    model = build("dmd", dmdlite.DMDConfig.small(**feature_shapes(splits)).replace(width=8, heads=2, members=3))
    with tempfile.TemporaryDirectory() as run:
        dmdlite.train(model, splits, run, dmdlite.TrainingConfig.small())
        for name in (*KEPT, "training.json", "predictions.csv"):
            shutil.copyfile(Path(run) / name, folder / name)


def looks(folder: Path) -> None:
    """What the extractor sees and hears in the clip and in its worse versions, for machines without its models."""
    said = own_clips.truth()["text"][CLIP]
    found = own_clips.packed(own_clips.look(folder / "clip.mp4", said), "clip")
    with tempfile.TemporaryDirectory() as place:
        for path in own_clips.worse(folder / "clip.mp4", Path(place)).values():
            found |= own_clips.packed(own_clips.look(path, said), path.stem)
    np.savez_compressed(own_clips.STORED, **found)


if __name__ == "__main__":
    FINISHED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else place)
        a_class(folder)
        made(folder)
    train_into(FINISHED)
    looks(FINISHED)
