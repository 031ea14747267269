"""One clip: what is read from it is what `extract` and `predict` say, and the picture shows what there is."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clip_files import RATE, counting, face, need_models, tone, write_clip
from PIL import Image
from tiny import SIZES

import dmdlite
from dmdlite.__main__ import main
from dmdlite.config import TrainingConfig
from dmdlite.data.extract.clip import CHANNELS
from dmdlite.data.extract.folder import FeatureFolder
from dmdlite.data.features import FeatureSplit, feature_shapes, load_features
from dmdlite.experiments import answer_picture, own_clip
from dmdlite.experiments.clip_picture import LIMITS, draw_clip
from dmdlite.experiments.own_clip import Frames, read_clip
from dmdlite.models.registry import ABLATIONS, NAMES, RECIPES
from dmdlite.training import runs

pytestmark = pytest.mark.usefixtures("only_what_counts")

STEPS = {"language": 12, "vision": 30, "audio": 30}
WORDS = "um it was not bad at all"


def features(clips: int, extractor: str, seed: int = 0) -> FeatureSplit:
    draw = np.random.default_rng(seed)
    streams = {m: draw.normal(size=(clips, STEPS[m], len(CHANNELS[m]))).astype(np.float32) for m in STEPS}
    return FeatureSplit(
        features=streams,
        lengths={m: np.full(clips, x.shape[1]) for m, x in streams.items()},
        labels=draw.uniform(-3, 3, clips).astype(np.float32),
        ids=[f"anna_{i}" for i in range(clips)],
        raw_text=[WORDS] * clips,
        extractor=extractor,
    )


def config(splits, **changes):
    return dmdlite.DMDConfig.toy(**SIZES, **feature_shapes(splits), standardise=True).replace(**changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished DMD on features that this extractor might have made."""
    folder = tmp_path_factory.mktemp("runs") / "dmd"
    trained(folder, FeatureFolder(Path()).extractor)
    return folder


def trained(folder: Path, extractor: str) -> None:
    splits = {name: features(9, extractor, seed) for seed, name in enumerate(("train", "valid", "test"))}
    splits = {name: replace(split, name=name) for name, split in splits.items()}
    dmdlite.train(dmdlite.DMD(config(splits)), splits, folder, TrainingConfig(epochs=1))


@pytest.fixture
def words(tmp_path) -> Path:
    path = tmp_path / "anna_1.txt"
    path.write_text(WORDS)
    return path


def drawn(reading) -> list[str]:
    """Everything that the picture says, after it was laid out and drawn."""
    figure = draw_clip(reading)
    figure.savefig(io.BytesIO(), dpi=20)
    texts = [figure.get_suptitle(), figure.get_supxlabel()]
    for axis in figure.axes:
        texts += [axis.get_title(), axis.get_xlabel(), axis.get_ylabel(), *(x.get_text() for x in axis.texts)]
    return texts


def test_the_command_says_what_extract_and_predict_say(run, tmp_path, capsys):
    need_models()
    clips = tmp_path / "clips"
    clips.mkdir()
    write_clip(clips / "anna_1.mp4", face(25, mouth_corners=np.linspace(-0.1, 0.1, 25)), sound=tone(1.0))
    (clips / "anna_1.txt").write_text("not bad")
    assert main(["extract", str(clips), str(tmp_path / "features"), "--jobs", "1"]) == 0
    expected = dmdlite.predict(run, load_features(tmp_path / "features")["all"])
    command = ["predict", str(run), "--clip", str(clips / "anna_1.mp4")]
    command += ["--picture", str(tmp_path / "new" / "seen.png"), "--output", str(tmp_path / "row.csv")]
    assert main([*command, "--embeddings", str(tmp_path / "vectors.npz")]) == 0
    told = capsys.readouterr().out
    assert "seen.png" in told and "row.csv" in told
    assert np.load(tmp_path / "vectors.npz")["ids"].tolist() == ["anna_1"]
    assert main(command[:-2]) == 0  # without --output
    assert "\nprediction " in capsys.readouterr().out
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "row.csv"), expected, check_dtype=False, rtol=1e-4)
    with Image.open(tmp_path / "new" / "seen.png") as picture:
        assert picture.format == "PNG" and picture.width > 1500


def test_the_picture_has_a_panel_for_whatever_there_is(run, tmp_path):
    need_models()
    path = write_clip(tmp_path / "anna_1.mp4", face(30), sound=tone(1.2))
    reading = read_clip(run, path, "not bad")
    told = drawn(reading)
    assert told[0].startswith("“not bad”\nDMD predicts ") and "for 80% of 18 held-out clips" in told[0]
    assert LIMITS[:60] in told[1].replace("\n", " ") and "AI Act" in told[1] and "hiring" in told[1]
    names = {text.split("\n")[0] for text in told}
    assert {"words", "what the word", "attention", "mouth", "brows, eyes", "pitch", "energy"} <= names
    assert {"not", "bad", "language", "vision", "audio", "What each modality says"} <= names
    assert "Homogeneous edges: who teaches whom" in told and "Heterogeneous edges: who teaches whom" in told
    assert sum(text.endswith(" s") for text in told) == 0 and len(reading.frames) == 30
    strip = [child for axis in draw_clip(reading).axes for child in axis.child_axes]
    assert len(strip) == 8 and all(len(axis.collections) == 2 for axis in strip)  # all landmarks, and those measured


@pytest.mark.parametrize(
    ("name", "transcript", "there", "missing"),
    [
        ("no_face.mp4", "", ["pitch", "energy"], ["mouth", "words"]),
        ("silent.mp4", "not bad", ["mouth", "words"], ["pitch", "energy"]),
        ("sound.m4a", "not bad", ["pitch", "words"], ["mouth"]),
        ("text.txt", None, ["words", "what the word"], ["mouth", "pitch", "energy"]),
    ],
)
def test_what_a_clip_lacks_is_left_out(run, tmp_path, name, transcript, there, missing):
    need_models()
    path = tmp_path / name
    if name == "text.txt":
        path.write_text("not bad")
    else:
        pictures = {"no_face.mp4": counting(20), "silent.mp4": face(20), "sound.m4a": None}[name]
        write_clip(path, pictures, sound=None if name == "silent.mp4" else tone(0.8))
    reading = read_clip(run, path, transcript)
    told = drawn(reading)
    names = {text.split("\n")[0] for text in told}
    assert set(there) <= names and not set(missing) & names
    absent = [text for text in told if text.endswith("not in the clip")]
    assert len(absent) == 3 - len(reading.clip.features)


def test_a_clip_that_is_longer_than_any_in_training_is_read_in_part(run, tmp_path):
    need_models()
    path = write_clip(tmp_path / "long.mp4", face(50), sound=tone(2.0))
    reading = read_clip(run, path, " ".join(["word"] * 15))
    assert {m: int(x[0]) for m, x in reading.split.lengths.items()} == STEPS
    assert len(reading.without) == 12 and len(reading.attention["vision"]) == 12
    told = drawn(reading)
    assert "12 of language, 30 of vision, 30 of audio" in told[1].replace("\n", " ")
    assert told.count("not read ") == 4 + ("pitch\nHz" in told)


def test_a_word_is_left_out_and_attended_to(run, words):
    reading = read_clip(run, words)
    model = runs.load_model(run)
    whole = dmdlite.predict(model, reading.split)["prediction"][0]
    without = reading.split.features["language"].copy()
    without[0, 3] = 0
    less = dmdlite.predict(model, replace(reading.split, features=reading.split.features | {"language": without}))
    assert reading.without.shape == (7, 1)
    assert reading.without[3, 0] == pytest.approx(less["prediction"][0] - whole, abs=1e-6)
    assert reading.attention == {}  # of nobody


def test_attention_on_words_adds_up(run, tmp_path):
    path = write_clip(tmp_path / "sound.m4a", sound=tone(0.8))
    reading = read_clip(run, path, WORDS)
    assert list(reading.attention) == ["audio"]  # there are no pictures to look
    assert reading.attention["audio"].shape == (7,) and reading.attention["audio"].sum() == pytest.approx(1)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ABLATIONS or name == "dmd_bare"])
def test_every_system_has_a_picture(name, words, tmp_path, monkeypatch):
    splits = {"train": features(4, FeatureFolder(Path()).extractor)}
    model = RECIPES[name].build(config(splits)).eval()
    heldout = pd.DataFrame({"split": "test", "id": "x", "label": np.arange(9.0), "prediction": 1.0})
    heldout.to_csv(tmp_path / "predictions.csv")
    monkeypatch.setattr(own_clip.runs, "opened", lambda run: (model, False))
    if "language" not in model.read.modalities:
        need_models()
        words = write_clip(tmp_path / "anna_2.mp4", counting(8), sound=tone(0.4))
    reading = read_clip(tmp_path, words)
    told = drawn(reading)
    assert reading.numbers["final"].shape == (1,)
    assert bool(reading.edges) == any(text.endswith("who teaches whom") for text in told)
    assert bool(reading.edges) == (name.startswith("dmd") or name == "dhmd")
    heads = set(reading.numbers) - {"final"}
    assert ("What each modality says" in told) == bool(heads) and heads <= set(reading.modalities)


@pytest.mark.parametrize("task", ["classification", "ordinal", "multilabel", "regression"])
def test_every_task_has_a_picture(task, words, tmp_path, monkeypatch):
    splits, moods = {"train": features(4, FeatureFolder(Path()).extractor)}, ["calm", "glad", "sad"]
    several = dict(task=task, outputs=3, class_names=[] if task == "regression" else moods, label_scale="other")
    model = dmdlite.DMD(config(splits, **several)).eval()
    columns = {"label": "glad", "prediction": moods * 3}
    if task in ("multilabel", "regression"):
        names = [f" {mood}" for mood in moods] if task == "multilabel" else ["_1", "_2", "_3"]
        columns = {f"{kind}{name}": np.arange(9) % 2 for kind in ("label", "prediction") for name in names}
    pd.DataFrame({"split": "test", "id": "x", **columns}).to_csv(tmp_path / "predictions.csv")
    monkeypatch.setattr(own_clip.runs, "opened", lambda run: (model, False))
    reading = read_clip(tmp_path, words)
    told = drawn(reading)
    assert reading.numbers["final"].shape == (3,) and reading.without.shape == (7, 3)
    if task in ("classification", "ordinal"):
        row = reading.table.iloc[0]
        assert f"predicts {row.prediction} (" in told[0] and "of 3 held-out clips with this answer" in told[0]
        assert ("100% were right" if row.prediction == "glad" else "0% were right") in told[0]
        assert reading.numbers["final"].sum() == pytest.approx(1, abs=1e-5)
    elif task == "multilabel":
        assert "of the labels of 9 held-out clips 100% were right" in told[0]
    else:
        assert told[0].count("±0") == 3 and "predicted number" in told


def test_the_bar_spans_four_of_five_held_out_errors():
    answers = pd.DataFrame({"split": "test", "label": np.arange(1.0, 11), "prediction": np.zeros(10)})
    reading = type("Reading", (), {"heldout": answers})
    assert answer_picture.margins(reading).tolist() == [9]  # the ninth of eleven, with the new clip among them
    reading.heldout = answers[:3]
    assert np.isinf(answer_picture.margins(reading)).all()


def test_a_transcript_may_hold_anything(run, tmp_path):
    path = tmp_path / "odd.txt"
    path.write_text("$5 is not $x^{ too _bad_ \\frac{ for & <b> %s $$")
    assert drawn(read_clip(run, path))[0].startswith("“$5 is not $x^{ too _bad_ \\frac{ for & <b> %s $$”")


def test_the_clip_is_aligned_as_the_runs_own_were(words, tmp_path, monkeypatch):
    splits = {"train": features(4, FeatureFolder(Path(), aligned=True).extractor)}
    model = dmdlite.DMD(config(splits)).eval()
    pd.DataFrame({"split": "test", "label": [0.0], "prediction": 1.0}).to_csv(tmp_path / "predictions.csv")
    monkeypatch.setattr(own_clip.runs, "opened", lambda run: (model, False))
    reading = read_clip(tmp_path, write_clip(tmp_path / "sound.m4a", sound=tone(0.8)), WORDS)
    assert reading.clip.features["audio"].shape == (7, 22)
    assert "1 held-out clips are too few" in drawn(reading)[0]


def test_a_language_model_reads_the_tokens_of_the_clip(words, tmp_path, monkeypatch):
    from transformers import BertTokenizerFast

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]
    BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(tmp_path / "bert")
    folder = FeatureFolder(Path(), language_model=str(tmp_path / "bert"))
    sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=20)
    splits = {"train": features(4, folder.extractor)}
    model = dmdlite.DMD(config(splits, language_model={"model_type": "bert"} | sizes)).eval()
    pd.DataFrame({"split": "test", "label": [0.0], "prediction": 1.0}).to_csv(tmp_path / "predictions.csv")
    monkeypatch.setattr(own_clip.runs, "opened", lambda run: (model, False))
    reading = read_clip(tmp_path, words)
    assert reading.split.tokens[0, 0, :9].tolist() == [2, *(vocabulary.index(word) for word in WORDS.split()), 3]
    assert reading.without.shape == (7, 1) and np.abs(reading.without).min() > 0 and reading.attention == {}
    assert "what the word" in {text.split("\n")[0] for text in drawn(reading)}


def test_what_is_not_installed_is_named(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["predict", str(run), "--clip", str(tmp_path / "anna.mp4")]) == 2
    told = capsys.readouterr().err
    assert "av is not installed: pip install 'dmdlite[clips]'" in told and told.count("\n") == 1


def test_a_few_pictures_of_any_clip_are_kept():
    frames = Frames()
    for i in range(1000):
        frames(i / 25, np.zeros((2, 2, 3), np.uint8), None)
    times = np.array([time for time, _, _ in frames])
    assert 16 <= len(frames) <= 32 and np.ptp(np.diff(times)) < 1e-9 and times[-1] > 36


def test_bad_requests_get_one_sentence(run, words, tmp_path, capsys):
    silent = tmp_path / "nothing.txt"
    silent.write_text("")
    trained(tmp_path / "other", "dmdlite clips 0, unaligned")
    trained(tmp_path / "unknown", "")
    clip = ["--clip", str(words)]
    for arguments, sentence in [
        ([run, "--transcript", "hello"], "--transcript is about the clip that --clip names"),
        ([run, "--picture", "x.png"], "--picture is about the clip that --clip names"),
        ([run, *clip, "--data", "x.pkl"], "--clip takes the place of --data and --split"),
        ([run, *clip, "--picture", "x.gif"], "x.gif needs the ending .png"),
        ([run, "--clip", "nowhere.wav"], "nowhere.wav cannot be read"),
        ([run, "--clip", silent], "nothing.txt has no words"),
        ([tmp_path, *clip], "holds no finished run"),
        ([tmp_path / "other", *clip], "was trained on features of 'dmdlite clips 0, unaligned'"),
        ([tmp_path / "unknown", *clip], "was trained on features that `dmdlite extract` did not make"),
    ]:
        capsys.readouterr()
        assert main(["predict", *map(str, arguments)]) == 2, sentence
        told = capsys.readouterr().err
        assert sentence in told and told.count("\n") == 1, told


def test_a_clip_without_what_the_model_reads(tmp_path, words, monkeypatch):
    splits = {"train": features(4, FeatureFolder(Path()).extractor)}
    model = RECIPES["vision"].build(config(splits)).eval()
    monkeypatch.setattr(own_clip.runs, "opened", lambda run: (model, False))
    with pytest.raises(ValueError, match=r"anna_1.txt has no vision, and the model of .* reads nothing else"):
        read_clip(tmp_path, words)


def test_a_transcript_beside_the_clip_is_its_own(run, words):
    path = write_clip(words.with_suffix(".m4a"), sound=tone(0.5, rate=RATE))
    assert read_clip(run, path).clip.text == WORDS and read_clip(run, path, "").clip.text == ""
