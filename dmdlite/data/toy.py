"""The toy world: people review things in words, face and voice, and every hidden factor is kept as truth.

Each clip has a hidden sentiment that all three modalities express, each through its own noise, and private factors
that only one modality shows. The feeling shows at one moment, the telling word: there the face smiles or frowns and
the voice moves. Sarcastic words say the opposite of what is meant; the voice gives that away.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from dmdlite.config import MODALITIES
from dmdlite.data import toy_language
from dmdlite.data.splits import SPLITS, FeatureSplit, Splits

Truth = dict[str, np.ndarray]
Stream = Float[np.ndarray, "clip time channel"]

RELIABILITY = {  # strongest modality -> correlation of each modality's view with the sentiment
    "language": {"language": 0.93, "vision": 0.7, "audio": 0.5},
    "vision": {"language": 0.8, "vision": 0.87, "audio": 0.5},
    "audio": {"language": 0.8, "vision": 0.5, "audio": 0.87},
}
SPREAD = 1.5  # standard deviation of the sentiment and of each view
SPLIT_OF_TWENTY = np.repeat(SPLITS, [12, 3, 5])  # of every 20 clips
SPEAKER_OF_TWENTY = np.repeat(np.arange(5), [4, 4, 4, 3, 5])  # no speaker is in two splits
STEPS = {"language": toy_language.LANGUAGE_STEPS, "vision": 60, "audio": 50}  # 4 seconds of vision and audio
FRAME_RATES = {"vision": 15.0, "audio": 12.5}  # frames per second
LEAD_IN = 0.3  # seconds of silence before and after the words
FACE = "AU04_brow_lowerer AU06_cheek_raiser AU12_lip_corner_puller AU15_lip_corner_depressor AU25_lips_part AU45_blink"
CHANNELS = {
    "language": tuple(f"vector_{i}" for i in range(toy_language.VECTOR_WIDTH)),
    "vision": (*FACE.split(), "head_yaw", "head_pitch", "head_roll", "lighting"),
    "audio": ("log_pitch", "energy", "voicing", "pace", "brightness", "jitter"),
}


@dataclass(frozen=True)
class ToyWorld:
    """Clips, their hidden factors, and what their numbers mean."""

    splits: dict[str, FeatureSplit]
    truth: dict[str, Truth]  # split -> name -> (N,) or (N, T_language); data_samples/README.md explains the names
    reliability: dict[str, float]  # modality -> correlation of its view with the sentiment
    # The same in every world:
    vocabulary = toy_language.vocabulary()  # the words by token id
    topics = tuple(toy_language.TOPICS)  # by truth[split]["topic"]
    channels = CHANNELS  # modality -> what each channel is
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
    normal = lambda factor: random_stream(seed, factor).standard_normal(n)
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
    """What the sentences determine: topic, degree, length, the seconds of words and clips, the frames of the event.

    At rate 1 a word lasts 0.06 s plus 0.026 s per letter. A sarcastic telling word is drawn out.
    """
    letters = np.zeros((len(sentences), STEPS["language"]))  # by token position: [CLS] comes first
    for row, sentence in zip(letters, sentences, strict=True):
        row[1 : len(sentence.words) + 1] = [len(word) for word in sentence.words]
    clips, telling = np.arange(len(sentences)), np.array([1 + sentence.telling_word for sentence in sentences])
    seconds = np.where(letters > 0, 0.06 + 0.026 * letters, 0) / truth["speaking_rate"][:, None]
    seconds[clips, telling] *= np.where(truth["sarcastic"], 1.5, 1.0)
    ends = LEAD_IN + np.cumsum(seconds, axis=1)
    starts = ends - seconds
    middle = (starts + ends)[clips, telling] / 2
    return {
        "topic": np.array([sentence.topic for sentence in sentences]),
        "degree": np.array([sentence.degree for sentence in sentences]),
        "sentence_length": np.array([len(sentence.words) for sentence in sentences]),
        "telling_word": telling,
        "word_starts": starts,
        "word_ends": ends,
        "telling_seconds": middle,
        "duration": ends[:, -1] + LEAD_IN,
        **{f"{m}_event": frames(m, middle) for m in FRAME_RATES},
    }


def perform(sentences: list[toy_language.Sentence], truth: Truth, seed: int) -> FeatureSplit:
    """All clips as a model reads them."""
    tokens = np.stack([toy_language.encode(sentence.words) for sentence in sentences])
    lengths = {"language": truth["sentence_length"] + 2}
    for m in FRAME_RATES:  # recordings stop after 4 s
        lengths[m] = np.minimum(frames(m, truth["duration"]) + 1, STEPS[m])
    vectors = toy_language.word_vectors()[tokens[:, 0]]
    streams = dict(language=vectors, vision=vision_stream(truth, seed), audio=audio_stream(truth, seed))
    features = {m: as_stored(stream, lengths[m]) for m, stream in streams.items()}
    labels = (np.round(5 * truth["sentiment"]) / 5).astype(np.float32)  # as in MOSI: the mean of five whole numbers
    ids = [f"speaker{speaker:04d}$_${clip:05d}" for clip, speaker in enumerate(truth["speaker"])]
    texts = [" ".join(sentence.words) for sentence in sentences]
    return FeatureSplit(features, lengths, labels, ids, texts, np.sign(labels).astype(int) + 1, tokens)


def random_stream(seed: int, factor: str) -> np.random.Generator:
    """A generator of its own for each factor, so that a new factor changes no other."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=tuple(factor.encode()))))


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
