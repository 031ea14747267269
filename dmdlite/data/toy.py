"""The toy world: people review things in words, face and voice, and every hidden factor is kept as truth.

Each clip has a hidden sentiment that all three modalities express, each through its own noise, and private factors
that only one modality shows. The feeling shows at one moment, the telling word: there the face smiles or frowns and
the voice moves. Sarcastic words say the opposite of what is meant; the voice gives that away.

`make samples` writes the copy in data_samples/.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from dmdlite.config import MODALITIES
from dmdlite.data import toy_language, toy_performance
from dmdlite.data.splits import SPLITS, FeatureSplit, Splits
from dmdlite.data.toy_performance import FRAME_RATES, Truth, frames, random_stream

RELIABILITY = {  # strongest modality -> correlation of each modality's view with the sentiment
    "language": {"language": 0.93, "vision": 0.7, "audio": 0.5},
    "vision": {"language": 0.8, "vision": 0.87, "audio": 0.5},
    "audio": {"language": 0.8, "vision": 0.5, "audio": 0.87},
}
SPREAD = 1.5  # standard deviation of the sentiment and of each view
SPLIT_OF_TWENTY = np.repeat(SPLITS, [12, 3, 5])  # of every 20 clips
SPEAKER_OF_TWENTY = np.repeat(np.arange(5), [4, 4, 4, 3, 5])  # no speaker is in two splits


@dataclass(frozen=True)
class ToyWorld:
    """Clips, their hidden factors, and what their numbers mean."""

    splits: dict[str, FeatureSplit]
    truth: dict[str, Truth]  # split -> name -> (N,) or (N, T_language); data_samples/README.md explains the names
    reliability: dict[str, float]  # modality -> correlation of its view with the sentiment
    # The same in every world:
    vocabulary = toy_language.vocabulary()  # the words by token id
    topics = tuple(toy_language.TOPICS)  # by truth[split]["topic"]
    channels = toy_performance.CHANNELS  # modality -> what each channel is
    frame_rates = FRAME_RATES  # frames per second of vision and audio


def toy_world(
    n: int = 1000,
    seed: int = 0,
    *,
    strongest: str = "language",
    sarcasm: float = 0.1,
    reliability: dict[str, float] | None = None,
) -> ToyWorld:
    """n clips: 60 % for training, 15 % for validation, 25 % for testing.

    strongest: the modality that sees the sentiment best (see RELIABILITY); `reliability` overrides some of its values.
    sarcasm: share of clips whose words say the opposite of what is meant.
    Another seed draws other clips from the same world: words, vectors and laws stay. A larger n adds clips to the same
    first ones. Features lie on float16's grid and are the same on every machine.
    Raises ValueError if the arguments describe no world.
    """
    if strongest not in RELIABILITY:
        raise ValueError(f"strongest must be one of {', '.join(RELIABILITY)}, got {strongest!r}")
    if n < 20:
        raise ValueError(f"n must be at least 20, to fill every split, got {n}")
    reliability = RELIABILITY[strongest] | (reliability or {})
    if unknown := sorted(reliability.keys() - set(MODALITIES)):
        raise ValueError(f"reliability is for {', '.join(MODALITIES)}, got {unknown[0]!r}")
    for name, value in {"sarcasm": sarcasm, **reliability}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be between 0 and 1, got {value}")
    truth = hidden_factors(n, seed, reliability, sarcasm)
    uniforms = random_stream(seed, "sentence").random((n, toy_language.DRAWS))
    sentences = [toy_language.make_sentence(*clip) for clip in zip(truth["language_view"], uniforms, strict=True)]
    truth |= moments(sentences, truth)
    clips = replace(perform(sentences, truth, seed), source=f"toy_world(n={n}, seed={seed})")
    truth = {name: x.astype(np.float32) if x.dtype == np.float64 else x for name, x in truth.items()}
    rows = {split: np.flatnonzero(np.resize(SPLIT_OF_TWENTY, n) == split) for split in SPLITS}
    splits = Splits({split: replace(clips.subset(places), name=split) for split, places in rows.items()})
    hidden = {split: {name: x[places] for name, x in truth.items()} for split, places in rows.items()}
    return ToyWorld(splits, hidden, reliability)


def hidden_factors(n: int, seed: int, reliability: dict[str, float], sarcasm: float) -> Truth:
    """The sentiment, each modality's view of it, sarcasm, and the private factors of face and voice.

    A view is as widely spread as the sentiment, and correlated with it by the modality's reliability.
    """

    def normal(factor: str) -> Float[np.ndarray, "clip"]:
        return random_stream(seed, factor).standard_normal(n)

    radius, turn = random_stream(seed, "sentiment").random((n, 2)).T
    sentiment = 3 * np.sqrt(radius) * np.cos(2 * np.pi * turn)  # across a disc: spread 1.5, never beyond 3
    sarcastic = random_stream(seed, "sarcasm").random(n) < sarcasm
    views = {}
    for m, r in reliability.items():
        views[f"{m}_view"] = r * sentiment + np.sqrt(1 - r**2) * SPREAD * normal(f"{m}_view")
    views["language_view"] *= np.where(sarcastic, -1, 1)
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


def moments(sentences: list[toy_language.Sentence], truth: Truth) -> Truth:
    """What the sentences determine: topic, degree, length, the times of the words, and each stream's event."""
    said = {
        "topic": np.array([sentence.topic for sentence in sentences]),
        "degree": np.array([sentence.degree for sentence in sentences]),
        "sentence_length": np.array([len(sentence.words) for sentence in sentences]),
        "telling_word": np.array([sentence.telling_word + 1 for sentence in sentences]),  # [CLS] comes first
    }
    said |= toy_performance.word_times(sentences, truth | said)
    return said | {f"{m}_event": frames(m, said["telling_seconds"]) for m in FRAME_RATES}


def perform(sentences: list[toy_language.Sentence], truth: Truth, seed: int) -> FeatureSplit:
    """All clips as a model reads them.

    A label is the mean of five annotators' whole numbers, as in MOSI: a multiple of 0.2.
    """
    tokens = np.stack([toy_language.encode(sentence.words) for sentence in sentences])
    lengths = {"language": truth["sentence_length"] + 2}
    for m in FRAME_RATES:  # recordings stop after 4 s
        lengths[m] = np.minimum(frames(m, truth["duration"]) + 1, toy_performance.STEPS[m])
    shown = {
        "language": toy_language.word_vectors()[tokens[:, 0]],
        "vision": toy_performance.vision_stream(truth, seed),
        "audio": toy_performance.audio_stream(truth, seed),
    }
    labels = (np.round(5 * truth["sentiment"]) / 5).astype(np.float32)
    return FeatureSplit(
        features={m: toy_performance.as_stored(shown[m], lengths[m]) for m in MODALITIES},
        lengths=lengths,
        labels=labels,
        ids=[f"speaker{speaker:04d}$_${clip:05d}" for clip, speaker in enumerate(truth["speaker"])],
        raw_text=[" ".join(sentence.words) for sentence in sentences],
        classes=np.sign(labels).astype(int) + 1,
        tokens=tokens,
    )
