"""One clip from camera to prediction: features by the extractor that the run was trained with, and all that it says."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from dmdlite.components.reinforcement import CrossModalReinforcement, attention_maps
from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.data.extract.clip import CHANNELS, EXTRACTOR, TEXT, ClipFeatures, extract_clip, read_text
from dmdlite.data.extract.face import Landmarks, Picture
from dmdlite.data.extract.folder import FeatureFolder, token_ids
from dmdlite.data.extract.video import LONGEST
from dmdlite.data.features import FeatureSplit, fitted
from dmdlite.models.base import SavedModel
from dmdlite.training import predictions, runs
from dmdlite.training.loop import make_batch

MOST_FRAMES = 16
OfWords = Float[np.ndarray, "word"]


class Frames(list[tuple[float, Picture, Landmarks | None]]):
    """At most twice MOST_FRAMES pictures of a clip of any length, evenly spaced: (time, picture, landmarks)."""

    step, seen = 1, 0

    def __call__(self, time: float, picture: Picture, points: Landmarks | None) -> None:
        if self.seen % self.step == 0:
            self.append((time, picture, points))
        self.seen += 1
        if len(self) > 2 * MOST_FRAMES:
            del self[1::2]
            self.step *= 2


@dataclass
class ClipReading:
    """A clip and a model's predictions for it. Numbers are in the label's units, or probabilities of classes."""

    clip: ClipFeatures
    frames: Frames
    split: FeatureSplit  # the clip as the model reads it
    parts: predictions.Parts
    model: str  # the name of its class
    modalities: tuple[str, ...]  # that it reads
    config: ModelConfig
    attention: dict[str, OfWords]  # by who looks, vision or audio: each word's share; empty if the model has none
    without: Float[np.ndarray, "word number"]  # how each number of `numbers` changes when the model lacks this word
    heldout: pd.DataFrame  # predictions.csv of the run: label and prediction of its validation and test clips

    @property
    def table(self) -> pd.DataFrame:
        """The row that `dmdlite.predict` gives for the clip."""
        return predictions.table(self.parts, self.split, self.config)

    @property
    def numbers(self) -> dict[str, Float[np.ndarray, "number"]]:
        """What each head says, "final" and the modalities that have one: numbers, or a probability of each class."""
        return {name: as_numbers(x, self.config)[0] for name, x in predictions.of_kind(self.parts, "head").items()}

    @property
    def edges(self) -> dict[str, Float[np.ndarray, "source target"]]:
        """graph -> how strongly each modality teaches each other, in the order of the model's modalities."""
        found: dict[str, np.ndarray] = {}
        for name, x in predictions.of_kind(self.parts, "edge").items():
            space, _, pair = name.partition(" ")
            source, target = map(self.modalities.index, pair.split("->"))
            found.setdefault(space, np.zeros([len(self.modalities)] * 2))[source, target] = x.item()
        return found


def read_clip(run: str | Path, path: str | Path, transcript: str | None = None) -> ClipReading:
    """What the model of a run makes of a video, a sound or a text file.

    transcript: its words; empty if nothing is said. By default ID.txt beside the clip, or else a guess.
    Raises ValueError in one sentence if the clip cannot be read, or if the run's features are not this extractor's.
    """
    run, path, frames = Path(run), Path(path), Frames()
    model, mask = runs.opened(run)
    config, folder = model.config, extractor_of(run, model.config.extractor)
    beside = path.with_suffix(TEXT)
    if transcript is None and path != beside and beside.is_file():
        transcript = read_text(beside)
    clip = extract_clip(path, transcript, aligned=folder.aligned, longest=LONGEST, watch=frames)
    reads = model.read.modalities
    if not set(reads) & clip.features.keys():
        raise ValueError(f"{path.name} has no {' or '.join(reads)}, and the model of {run} reads nothing else")
    if len(reads) < len(MODALITIES):
        clip.notes.append(f"the model reads {' and '.join(reads)} only")
    split = as_read(path.name, clip, folder, config)
    parts, heldout = predictions.read_outputs(model, split, mask), pd.read_csv(run / "predictions.csv")
    whole = as_numbers(parts["head", "final"], config)
    copies = without_words(split, clip, folder) if "language" in reads else []
    changes = [as_numbers(predictions.read_outputs(model, x, mask)["head", "final"], config) - whole for x in copies]
    return ClipReading(
        clip, frames, split, parts, model.kind.__name__, reads, config,
        attention=attention_on_words(model, split, mask),
        without=np.concatenate(changes) if changes else np.zeros((0, whole.shape[1])),
        heldout=heldout[heldout["split"].isin(["valid", "test"])],
    )  # fmt: skip


def extractor_of(run: Path, name: str) -> FeatureFolder:
    """How the features of a run were extracted. Raises ValueError if it was not by this very extractor."""
    folder = FeatureFolder(Path(), ", aligned" in name, name.partition(", tokens of ")[2] or None)
    if name != folder.extractor:
        found = f"features of {name!r}" if name else "features that `dmdlite extract` did not make"
        advice = "extract its clips again, and train on these features"
        raise ValueError(f"{run} was trained on {found}, and a clip gets those of {EXTRACTOR!r}; {advice}")
    return folder


def as_read(name: str, clip: ClipFeatures, folder: FeatureFolder, config: ModelConfig) -> FeatureSplit:
    """The clip in the file `name` as a model of this config reads it; a modality that it lacks is one step of zeros."""
    features = {m: clip.features.get(m, np.zeros((1, len(CHANNELS[m])), np.float32))[None] for m in MODALITIES}
    split = FeatureSplit(
        features=features,
        lengths={m: np.array([x.shape[1]]) for m, x in features.items()},
        labels=np.full(1, np.nan, np.float32),
        ids=[Path(name).stem],
        raw_text=[clip.text],
        tokens=token_ids([clip.text], folder.language_model) if folder.language_model else None,
        source=name,
        name="clip",
        present={m: np.array([False]) for m in MODALITIES if m not in clip.features},
        extractor=folder.extractor,
    )
    return fitted(cut(split, clip, config), config)


def cut(split: FeatureSplit, clip: ClipFeatures, config: ModelConfig) -> FeatureSplit:
    """The steps that the model can read, as many as the longest clip in its training had; a note tells of the rest."""
    features = {m: x[:, : config.lengths.get(m)] for m, x in split.features.items()}
    short = [m for m, x in features.items() if x.shape[1] < split.features[m].shape[1]]
    if config.language_model:
        short = [m for m in short if m != "language"]
    if short:
        most = ", ".join(f"{features[m].shape[1]} of {m}" for m in short)
        clip.notes.append(f"the model reads no more steps than the longest clip had that it learned from: {most}")
    return replace(split, features=features, lengths={m: np.array([x.shape[1]]) for m, x in features.items()})


def as_numbers(logits: np.ndarray, config: ModelConfig) -> Float[np.ndarray, "clip number"]:
    if config.task == "regression":
        return logits.reshape(len(logits), -1)
    return np.stack(list(predictions.probabilities(logits, config).values()), axis=1)


def without_words(split: FeatureSplit, clip: ClipFeatures, folder: FeatureFolder) -> list[FeatureSplit]:
    """The clip once for each word that the model reads, without it: its step is zeros, and its tokens are not there."""
    words, pieces = (split.lengths["language"][0] if clip.words else 0), clip.text.split()
    copies = []
    for word in range(words):
        language, tokens = split.features["language"].copy(), split.tokens
        language[:, word] = 0
        if tokens is not None and len(pieces) == len(clip.words):
            tokens = token_ids([" ".join(pieces[:word] + pieces[word + 1 :])], folder.language_model)
        copies.append(replace(split, features=split.features | {"language": language}, tokens=tokens))
    return copies


def attention_on_words(model: SavedModel, split: FeatureSplit, mask: bool) -> dict[str, OfWords]:
    """The share of each word in what vision and audio attend to: last layer, mean of heads, steps and members.

    Empty without cross-modal attention, and with a language model, whose steps are tokens.
    """
    config, words, there = model.config, split.lengths["language"][0], set(model.reads) - split.present.keys()
    parts = [getattr(x, "reinforce", None) for x in getattr(model, "members", [model])]
    attends = all(isinstance(x, CrossModalReinforcement) and x.crossmodal for x in parts)
    if not attends or config.language_model or "language" not in there:
        return {}
    batch, found = make_batch(model, split, [0], mask), {}
    maps = [attention_maps(x, batch) for x in getattr(model, "members", [model])]
    for m in (m for m in MODALITIES[1:] if m in there):
        rows = max(1, split.lengths[m][0] - config.kernel_sizes[m] + 1)  # steps that see nothing but the clip
        seen = torch.stack([x["language", m][-1, 0, :, :rows] for x in maps]).mean(dim=(0, 1, 2)).cpu().numpy()
        kernel = config.kernel_sizes["language"]
        spread = np.convolve(seen, np.full(kernel, 1 / kernel))  # a step covers so many words
        first = (kernel - 1) // 2 if config.convolution_padding == "same" else 0
        share = spread[first : first + words]
        found[m] = share / max(share.sum(), 1e-9)
    return found
