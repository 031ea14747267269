"""The toy world keeps its own laws, and data_samples/ is the copy of it that the project ships."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from write_samples import write_samples

from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.data import toy_language
from dmdlite.data.features import feature_shapes, fingerprint, load_features
from dmdlite.data.toy import RELIABILITY, ToyWorld, toy_world

SAMPLES = Path(__file__).parents[1] / "data_samples"
WORLD_HASH = "6fe33ace9b440b7e08049690b43f0e0856432d5521cc8eb3f5b509af73798020"
SAMPLE_HASHES = {
    "toy/features.json": "bbe5f339e8dfc950814ae9d9ea5f6ec719c2ba05e08e0f4340a65473117f4b3d",
    "toy/test.safetensors": "bb7c93b3d7cf27be7b147c5010b1d5ba794bdf78fbd948c28ea9505930f1c832",
    "toy/train.safetensors": "fb0637670aaa38c0fe2c70183c316517e08a2cf00059004cd744cd0d305e9643",
    "toy/valid.safetensors": "8451c1582236d74590f7c5f7fbc9210a47c39ddc24741d673d72457f14f11f7d",
    "toy.pkl": "4e07c06aaf75be385ebd61dbd2d54ad5b0920557442faa3fa4f14fdcb8cf976f",
    "toy_truth.npz": "354ddea2e8f77880f1e42c6130f899fcef11c0a4fb3449e70b70a67f90814de2",
    "toy_vocabulary.txt": "c9ee6f5c52d7bdfe468e4fbb056ee879ab3c71d1ef2f4c8a94bc6e1a872ce6f9",
}
PRIVATE = (
    "topic degree sentence_length telling_word duration head_yaw head_pitch head_roll lighting voice_pitch"
    " speaking_rate"
).split()


@pytest.fixture(scope="module")
def world() -> ToyWorld:
    return toy_world()


@pytest.fixture(scope="module")
def large() -> dict[str, np.ndarray]:
    """The truth of many clips at once."""
    truth = toy_world(4000, seed=5).truth
    return {name: np.concatenate([part[name] for part in truth.values()]) for name in truth["train"]}


def digest(world: ToyWorld) -> str:
    sha = hashlib.sha256()
    for split in world.splits.values():
        sha.update("\n".join(split.ids + split.raw_text).encode())
        for modality in MODALITIES:
            sha.update(split.features[modality].astype("<f2").tobytes())
            sha.update(split.lengths[modality].astype("<i4").tobytes())
        for numbers in (split.labels * 5, split.tokens, split.classes):
            sha.update(np.round(numbers).astype("<i4").tobytes())
    return sha.hexdigest()


def same(one: ToyWorld, other: ToyWorld) -> bool:
    return digest(one) == digest(other)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1])


# What it is made of


def test_shapes_fit_the_toy_preset(world):
    assert [len(split) for split in world.splits.values()] == [600, 150, 250]
    shapes, config = feature_shapes(world.splits), DMDConfig.toy()
    sizes = {"feature_widths": config.feature_widths, "lengths": config.lengths}
    assert shapes == sizes | {"modalities": config.modalities}
    for name, split in world.splits.items():
        assert split.tokens.shape == (len(split), 3, 16)
        assert all(len(values) == len(split) for values in world.truth[name].values())
    assert {m: len(names) for m, names in world.channels.items()} == shapes["feature_widths"]


@pytest.mark.parametrize("modality", MODALITIES)
def test_zero_beyond_the_end_and_never_before(world, modality):
    for split in world.splits.values():
        x, lengths = split.features[modality], split.lengths[modality]
        inside = np.arange(x.shape[1]) < lengths[:, None]
        assert not x[~inside].any()
        assert x[inside][:, 0].all()  # a step whose channel 0 is 0 reads as padding
        assert np.array_equal(x, x.astype(np.float16))
        assert 0.5 < x[inside].std() < 1.5


def test_labels_look_like_mosi(world):
    labels = np.concatenate([split.labels for split in world.splits.values()])
    assert labels.dtype == np.float32
    assert np.array_equal(labels, (np.round(labels * 5) / 5).astype(np.float32))
    assert -3 <= labels.min() < -2.5 and 2.5 < labels.max() <= 3
    assert abs(labels.mean()) < 0.15 and 1.3 < labels.std() < 1.6
    assert 0.02 < np.mean(labels == 0) < 0.1 and np.mean(np.abs(labels) <= 2) > 0.7
    for split in world.splits.values():
        assert np.array_equal(split.classes, np.sign(split.labels) + 1)


def test_nobody_is_in_two_splits(world):
    speakers = [set(truth["speaker"]) for truth in world.truth.values()]
    assert len(set.union(*speakers)) == sum(map(len, speakers))
    named = [int(clip.split("$_$")[0].removeprefix("speaker")) for clip in world.splits["test"].ids]
    assert np.array_equal(named, world.truth["test"]["speaker"])


# The same clips everywhere


def test_same_on_every_machine():
    assert digest(toy_world(40, seed=0)) == WORLD_HASH


def test_global_random_state_is_neither_read_nor_changed():
    np.random.seed(1)
    one, state = toy_world(20), np.random.get_state()[1].copy()
    np.random.seed(1)
    assert np.array_equal(state, np.random.get_state()[1])
    np.random.seed(2)
    assert same(one, toy_world(20))


def test_seed_draws_other_clips_from_the_same_world():
    one, other = toy_world(20, seed=0), toy_world(20, seed=1)
    assert not same(one, other)
    for world in (one, other):
        split = world.splits["train"]
        steps = np.arange(16) < split.lengths["language"][:, None]
        vectors = toy_language.word_vectors()[split.tokens[:, 0]].astype(np.float16)
        assert np.array_equal(split.features["language"][steps], vectors[steps])


def test_larger_n_keeps_the_first_clips():
    few, many = toy_world(40), toy_world(100)
    for name, split in few.splits.items():
        first = many.splits[name].subset(slice(0, len(split)))
        assert first.ids == split.ids and first.raw_text == split.raw_text
        assert all(np.array_equal(first.features[m], split.features[m]) for m in MODALITIES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(strongest="touch"), "strongest must be one of language, vision, audio, got 'touch'"),
        (dict(n=19), "n must be at least 20"),
        (dict(sarcasm=1.5), "sarcasm must be between 0 and 1"),
        (dict(reliability={"vision": -1.0}), "vision must be between 0 and 1"),
        (dict(reliability={"smell": 0.5}), "got 'smell'"),
    ],
)
def test_impossible_worlds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        toy_world(**{"n": 20, **arguments})


# Language


def test_tokens_decode_to_the_text(world):
    for split in world.splits.values():
        for text, (ids, mask, segments) in zip(split.raw_text, split.tokens, strict=True):
            words = [toy_language.vocabulary()[i] for i in ids]
            assert " ".join(word for word in words if word not in toy_language.SPECIAL_TOKENS) == text
            assert mask.sum() == len(text.split()) + 2 and not segments.any()
        assert np.array_equal(split.tokens[:, 1].sum(1), split.lengths["language"])


def test_vocabulary_is_bert_like(world):
    assert world.vocabulary[:4] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    assert len(set(world.vocabulary)) == len(world.vocabulary)
    assert toy_language.encode(["zebra"])[0, :3].tolist() == [2, 1, 3]
    others = (
        *toy_language.OPENERS,
        *toy_language.FRAMES,
        *toy_language.TAILS,
        *toy_language.VERBS,
        *toy_language.TOPICS,
        *toy_language.PATTERNS,
    )
    assert not set(toy_language.TELLING_WORDS) & set(" ".join(others).split())


def test_telling_word_says_what_the_words_mean(world):
    truth, split = world.truth["test"], world.splits["test"]
    words = [text.split()[step - 1] for text, step in zip(split.raw_text, truth["telling_word"], strict=True)]
    valence = toy_language.VALENCES[[toy_language.TELLING_WORDS.index(word) for word in words]]
    said = valence * np.array(list(toy_language.DEGREES.values()))[truth["degree"]]
    within = np.abs(truth["language_view"]) < 2.3
    assert np.abs(said - truth["language_view"])[within].max() < 0.13


# Laws


def test_private_factors_say_nothing_of_the_sentiment(large):
    for factor in PRIVATE:
        assert abs(correlation(large["sentiment"], large[factor])) < 0.06, factor


def test_views_are_as_reliable_as_planned(large):
    sign = np.where(large["sarcastic"], -1, 1)
    for modality, planned in RELIABILITY["language"].items():
        view = large[f"{modality}_view"] * (sign if modality == "language" else 1)
        assert correlation(view, large["sentiment"]) == pytest.approx(planned, abs=0.03)
        assert view.std() == pytest.approx(1.5, abs=0.05)


def test_sarcastic_words_contradict(large):
    strong = large["sarcastic"] & (np.abs(large["sentiment"]) > 1)
    assert np.mean(large["sarcastic"]) == pytest.approx(0.1, abs=0.02)
    assert np.mean(large["language_view"][strong] * large["sentiment"][strong] < 0) > 0.95


def test_sarcasm_is_heard_but_has_no_sign(world):
    truth, audio = world.truth["train"], world.splits["train"].features["audio"]
    creak = audio[..., world.channels["audio"].index("jitter")].max(axis=1)
    assert np.array_equal(creak > 1, truth["sarcastic"])
    assert abs(correlation(creak, truth["sentiment"])) < 0.1
    assert abs(correlation(creak, np.abs(truth["sentiment"]))) < 0.1


def test_event_is_at_the_telling_word(world):
    truth, clips = world.truth["train"], np.arange(600)
    vision = world.splits["train"].features["vision"]
    smiling, frowning = truth["smile"] > 1.5, truth["frown"] > 1.5
    for channel, chosen in (("AU12_lip_corner_puller", smiling), ("AU04_brow_lowerer", frowning)):
        peak = vision[..., world.channels["vision"].index(channel)].argmax(axis=1)
        assert np.abs(peak - truth["vision_event"])[chosen].max() <= 3  # 0.2 s
    pitch = world.splits["train"].features["audio"][..., 0]
    rise = pitch[clips, truth["audio_event"]] - truth["voice_pitch"]
    assert correlation(rise, truth["audio_view"]) > 0.9
    starts, ends = (truth[name][clips, truth["telling_word"]] for name in ("word_starts", "word_ends"))
    assert np.all((starts < truth["telling_seconds"]) & (truth["telling_seconds"] < ends))
    for modality, rate in world.frame_rates.items():
        assert np.all(truth[f"{modality}_event"] < world.splits["train"].lengths[modality])
        assert np.array_equal(truth[f"{modality}_event"], np.floor(truth["telling_seconds"] * rate))


# What an estimator can get out of it


def summaries(world: ToyWorld, name: str) -> dict[str, np.ndarray]:
    """What each modality shows around the telling word, (N, few) each, and whether the voice creaks."""
    split, truth = world.splits[name], world.truth[name]
    clips = np.arange(len(split))[:, None]
    around = {m: truth[f"{m}_event"][:, None] + np.arange(-1, 2) for m in ("vision", "audio")}
    shown = {m: split.features[m][clips, frames].mean(axis=1) for m, frames in around.items()}
    real = np.arange(50) < split.lengths["audio"][:, None]
    usual = np.where(real, split.features["audio"][..., 0], 0).sum(1) / real.sum(1)
    return {
        "language": split.features["language"][clips[:, 0], truth["telling_word"]],
        "vision": shown["vision"][:, :4],
        "audio": np.c_[shown["audio"][:, 0] - usual, shown["audio"][:, [1, 4]]],
        "creak": split.features["audio"][..., 5].max(1, keepdims=True) > 1,
    }


def estimate(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression: predictions on the training and the test clips."""
    design, other = (np.c_[x, np.ones(len(x))] for x in (train, test))
    weights = np.linalg.solve(design.T @ design + np.eye(design.shape[1]), design.T @ labels)
    return design @ weights, other @ weights


def limits(strongest: str) -> dict[str, float]:
    """Test MAE of a constant, each modality, their linear late fusion, and all with language × creak."""
    world = toy_world(2000, strongest=strongest)
    train, test = summaries(world, "train"), summaries(world, "test")
    labels, truth = world.splits["train"].labels, world.splits["test"].labels
    guesses = {m: estimate(train[m], labels, test[m]) for m in MODALITIES}
    late = [np.stack([guesses[m][i] for m in MODALITIES], axis=1) for i in (0, 1)]
    guesses["late"] = estimate(late[0], labels, late[1])
    joint = [np.c_[*x.values(), x["language"] * x["creak"]] for x in (train, test)]
    guesses["joint"] = estimate(joint[0], labels, joint[1])
    maes = {name: float(np.abs(guess - truth).mean()) for name, (_, guess) in guesses.items()}
    return maes | {"constant": float(np.abs(truth - np.median(labels)).mean())}


def test_limits_where_language_is_strongest():
    mae = limits("language")
    assert mae["joint"] + 0.1 < mae["late"] < mae["language"] < mae["vision"] < mae["audio"] < mae["constant"]
    assert mae["joint"] < 0.5 and 0.6 < mae["language"] < 0.8 and mae["audio"] > 1


@pytest.mark.parametrize(("strongest", "weakest"), [("vision", "audio"), ("audio", "vision")])
def test_limits_where_another_is_strongest(strongest, weakest):
    mae = limits(strongest)
    assert mae["joint"] < mae["late"] < mae[strongest] < mae["language"] - 0.2 < mae[weakest] - 0.2
    assert mae[weakest] < mae["constant"]


# The written copy


def test_samples_are_the_committed_ones():
    files = {path.relative_to(SAMPLES).as_posix(): path.read_bytes() for path in SAMPLES.rglob("*") if path.is_file()}
    del files["README.md"]
    assert {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} == SAMPLE_HASHES
    assert sum(map(len, files.values())) < 6.5e6


@pytest.mark.parametrize("place", ["toy.pkl", "toy"])
def test_samples_hold_the_default_world(world, place):
    assert fingerprint(load_features(SAMPLES / place)) == fingerprint(world.splits)
    for name, split in load_features(SAMPLES / place).items():
        made = world.splits[name]
        assert list(split.ids) == made.ids and list(split.raw_text) == made.raw_text
        for modality in MODALITIES:
            assert np.array_equal(split.features[modality], made.features[modality])
            assert np.array_equal(split.lengths[modality], made.lengths[modality])
        for field in ("labels", "tokens", "classes"):
            assert np.array_equal(getattr(split, field), getattr(made, field)), field


def test_samples_hold_the_truth_and_the_vocabulary(world):
    with np.load(SAMPLES / "toy_truth.npz") as stored:
        assert set(stored) == {f"{split}/{name}" for split, truth in world.truth.items() for name in truth}
        for key in stored:
            split, name = key.split("/")
            np.testing.assert_allclose(stored[key], world.truth[split][name], rtol=1e-6, err_msg=key)
    assert tuple((SAMPLES / "toy_vocabulary.txt").read_text(encoding="utf-8").split()) == world.vocabulary


def test_every_hidden_factor_is_explained(world):
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    for name in (*world.truth["train"], *world.channels["vision"], *world.channels["audio"]):
        assert f"`{name}`" in readme, name


def test_samples_can_be_written_again(tmp_path):
    write_samples(tmp_path)
    for name in ("toy.pkl", "toy/test.safetensors"):
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == SAMPLE_HASHES[name]
