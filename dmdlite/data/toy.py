"""The toy world: people review things in words, face and voice, and everything hidden is kept as truth.

Each clip has a hidden sentiment that all three modalities express, each through its own noise, and private factors
that only one modality shows. What a clip feels shows at one moment, the telling word: there the face smiles or frowns
and the voice moves. Sarcastic words say the opposite of what is meant; the voice gives that away.

`make samples` writes the copy that is in data_samples/.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dmdlite.config import MODALITIES
from dmdlite.data import features, toy_language, toy_performance
from dmdlite.data.toy_performance import Truth, random_stream

RELIABILITY = {  # strongest modality -> correlation of each modality's view with the sentiment
    "language": {"language": 0.93, "vision": 0.7, "audio": 0.5},
    "vision": {"language": 0.8, "vision": 0.87, "audio": 0.5},
    "audio": {"language": 0.8, "vision": 0.5, "audio": 0.87},
}
SPREAD = 1.5  # standard deviation of the sentiment and of each view
SPLIT_OF_TWENTY = np.repeat(["train", "valid", "test"], [12, 3, 5])  # of every 20 clips
SPEAKER_OF_TWENTY = np.repeat(np.arange(5), [4, 4, 4, 3, 5])  # nobody is in two splits


@dataclass(frozen=True)
class ToyWorld:
    """Clips, what is hidden in them, and what their numbers mean."""

    splits: dict[str, features.FeatureSplit]
    truth: dict[str, Truth]  # split -> name -> (N,) or (N, T_language); data_samples/README.md explains the names
    reliability: dict[str, float]  # modality -> correlation of its view with the sentiment
    vocabulary: tuple[str, ...]  # a token id is a place in here
    topics: tuple[str, ...]  # truth[split]["topic"] is a place in here
    channels: dict[str, tuple[str, ...]]  # modality -> what each channel is
    frame_rates: dict[str, float]  # frames per second of vision and audio


def toy_world(
    n: int = 1000,
    seed: int = 0,
    *,
    strongest: str = "language",
    sarcasm: float = 0.1,
    reliability: dict[str, float] | None = None,
) -> ToyWorld:
    """n clips: 60 % to train on, 15 % to validate, 25 % to test.

    strongest: the modality that sees the sentiment best (see RELIABILITY); `reliability` overrides some of them.
    sarcasm: share of clips whose words say the opposite of what is meant.
    Another seed draws other clips from the same world: words, vectors and laws stay. A larger n adds clips to the same
    first ones. Features lie on float16's grid, the same on every machine.
    """
    reliability = checked_reliability(strongest, reliability, n, sarcasm)
    truth = hidden_factors(n, seed, reliability, sarcasm)
    sentences = write_sentences(truth["language_view"], seed)
    truth |= moments(sentences, truth)
    clips = replace(perform(sentences, truth, seed), source=f"toy_world(n={n}, seed={seed})")
    rows = {split: np.flatnonzero(np.resize(SPLIT_OF_TWENTY, n) == split) for split in features.SPLITS}
    return ToyWorld(
        splits={split: replace(clips.subset(places), name=split) for split, places in rows.items()},
        truth={split: {name: in_single(x[places]) for name, x in truth.items()} for split, places in rows.items()},
        reliability=reliability,
        vocabulary=toy_language.vocabulary(),
        topics=tuple(toy_language.TOPICS),
        channels=toy_performance.CHANNELS,
        frame_rates=toy_performance.FRAME_RATES,
    )


def checked_reliability(strongest: str, overrides: dict[str, float] | None, n: int, sarcasm: float) -> dict[str, float]:
    """The reliability of each modality in this world. Raises ValueError with one sentence on what no world can have."""
    if strongest not in RELIABILITY:
        raise ValueError(f"strongest must be one of {', '.join(RELIABILITY)}, got {strongest!r}")
    reliability = RELIABILITY[strongest] | (overrides or {})
    if unknown := set(reliability) - set(MODALITIES):
        raise ValueError(f"reliability is for {', '.join(MODALITIES)}, got {sorted(unknown)[0]!r}")
    if n < 20:
        raise ValueError(f"n must be at least 20, to fill every split, got {n}")
    for name, value in {"sarcasm": sarcasm, **reliability}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be between 0 and 1, got {value}")
    return reliability


def hidden_factors(n: int, seed: int, reliability: dict[str, float], sarcasm: float) -> Truth:
    """The sentiment, what each modality sees of it, sarcasm, and the private factors of face and voice."""

    def normal(factor: str) -> Float[np.ndarray, "clip"]:
        return random_stream(seed, factor).standard_normal(n)

    radius, turn = random_stream(seed, "sentiment").random((n, 2)).T
    sentiment = 3 * np.sqrt(radius) * np.cos(2 * np.pi * turn)  # across a disc: spread 1.5, never beyond 3
    views = {f"{m}_view": noisy_view(sentiment, reliability[m], normal(f"{m}_view")) for m in MODALITIES}
    sarcastic = random_stream(seed, "sarcasm").random(n) < sarcasm
    views["language_view"] = np.where(sarcastic, -1, 1) * views["language_view"]
    speaker = 5 * (np.arange(n) // 20) + np.resize(SPEAKER_OF_TWENTY, n)
    return {
        "sentiment": sentiment,
        **views,
        "sarcastic": sarcastic,
        "smile": np.maximum(views["vision_view"], 0),
        "frown": np.maximum(-views["vision_view"], 0),
        **{factor: normal(factor) for factor in ("head_yaw", "head_pitch", "head_roll", "lighting")},
        "speaker": speaker,
        "voice_pitch": random_stream(seed, "voice_pitch").standard_normal(speaker[-1] + 1)[speaker],
        "speaking_rate": 0.8 + 0.45 * random_stream(seed, "speaking_rate").random(n),
    }


def noisy_view(
    sentiment: Float[np.ndarray, "clip"], reliability: float, noise: Float[np.ndarray, "clip"]
) -> Float[np.ndarray, "clip"]:
    """What one modality sees: as widely spread as the sentiment, and correlated with it by `reliability`."""
    return reliability * sentiment + np.sqrt(1 - reliability**2) * SPREAD * noise


def write_sentences(view: Float[np.ndarray, "clip"], seed: int) -> list[toy_language.Sentence]:
    """One sentence for each clip; only its telling word depends on the view."""
    uniforms = random_stream(seed, "sentence").random((len(view), toy_language.DRAWS))
    return [toy_language.make_sentence(v, draws) for v, draws in zip(view, uniforms, strict=True)]


def moments(sentences: list[toy_language.Sentence], truth: Truth) -> Truth:
    """What the sentences fix: topic, degree, length, when each word is said, and where the event is in each stream."""
    said = {
        "topic": np.array([sentence.topic for sentence in sentences]),
        "degree": np.array([sentence.degree for sentence in sentences]),
        "sentence_length": np.array([len(sentence.words) for sentence in sentences]),
        "telling_word": np.array([sentence.telling_word + 1 for sentence in sentences]),  # [CLS] comes first
    }
    said |= toy_performance.word_times(sentences, truth | said)
    return said | {
        f"{m}_event": toy_performance.frames(m, said["telling_seconds"]) for m in toy_performance.FRAME_RATES
    }


def perform(sentences: list[toy_language.Sentence], truth: Truth, seed: int) -> features.FeatureSplit:
    """The clips as a model gets them."""
    n = len(sentences)
    tokens = np.stack([toy_language.encode(sentence.words) for sentence in sentences])
    lengths = {"language": truth["sentence_length"] + 2}
    for m in toy_performance.FRAME_RATES:
        lengths[m] = np.minimum(
            toy_performance.frames(m, truth["duration"]) + 1, toy_performance.STEPS[m]
        )  # recordings stop after 4 s
    shown = {
        "language": toy_language.word_vectors()[tokens[:, 0]],
        "vision": toy_performance.vision_stream(truth, seed),
        "audio": toy_performance.audio_stream(truth, seed),
    }
    labels = as_annotated(truth["sentiment"])
    return features.FeatureSplit(
        features={m: toy_performance.as_stored(shown[m], lengths[m]) for m in MODALITIES},
        lengths=lengths,
        labels=labels,
        ids=[f"speaker{who:04d}$_${clip:05d}" for who, clip in zip(truth["speaker"], range(n), strict=True)],
        raw_text=[" ".join(sentence.words) for sentence in sentences],
        classes=np.sign(labels).astype(int) + 1,
        tokens=tokens,
    )


def as_annotated(sentiment: Float[np.ndarray, "clip"]) -> Float[np.ndarray, "clip"]:
    """The label: the mean of five annotators' whole numbers, as in MOSI, which is a multiple of 0.2."""
    return (np.round(5 * sentiment) / 5).astype(np.float32)


def in_single(values: np.ndarray) -> np.ndarray:
    """Numbers with a point as float32, the rest as they are."""
    return values.astype(np.float32) if values.dtype == np.float64 else values


def write_samples(folder: str | Path) -> None:
    """Writes toy_world() as toy.pkl (MMSA's layout) and as toy/ (converted), its truth and its vocabulary.

    Features are stored as float16, which loses nothing. Raises DataError if `folder` holds toy/ already.
    """
    folder, world = Path(folder), toy_world()
    features.check_free(folder / "toy")
    folder.mkdir(parents=True, exist_ok=True)
    features.write_mmsa({name: in_half(split) for name, split in world.splits.items()}, folder / "toy.pkl")
    features.convert_features(folder / "toy.pkl", folder / "toy")
    hidden = {f"{split}/{name}": values for split, truth in world.truth.items() for name, values in truth.items()}
    np.savez_compressed(folder / "toy_truth.npz", **hidden)
    (folder / "toy_vocabulary.txt").write_bytes(("\n".join(world.vocabulary) + "\n").encode())


def in_half(split: features.FeatureSplit) -> features.FeatureSplit:
    """The same features in half of the bytes."""
    return replace(split, features={modality: x.astype(np.float16) for modality, x in split.features.items()})
