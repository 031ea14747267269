"""Face, pictures and sound of clips whose truth is known; and the folder of features that becomes of them."""

import json

import made_clips
import numpy as np
import pandas as pd
import pytest
from clip_files import RATE, counting, face, need_models, number_of, tone, write_clip
from scipy.io import wavfile

from course.film import EYES, WIDTH
from dmdlite import DMD, DMDConfig, load_features, predict
from dmdlite.__main__ import main
from dmdlite.data.extract import measures
from dmdlite.data.extract.clip import averaged, extract_clip
from dmdlite.data.extract.face import FaceFinder
from dmdlite.data.extract.video import Video
from dmdlite.data.features import DataError, convert_features, feature_shapes
from dmdlite.data.toy import toy_world

pytest.importorskip("av")


@pytest.fixture(scope="module")
def finder():
    need_models()
    return FaceFinder()


def followed(finder, pictures) -> dict[str, np.ndarray]:
    """The measures of each picture, by name."""
    finder.__init__()
    rows = [measures.measure(finder(picture), picture.shape) for picture in pictures]
    return dict(zip(measures.NAMES, np.transpose(rows), strict=True))


def correlation(x, y) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def test_eyes_are_found_where_they_are(finder):
    found = followed(finder, face())
    assert found["face"] == 1 and finder.seen == 1
    assert found["size"] * WIDTH == pytest.approx(1.3 * EYES, rel=0.06)  # the photograph is enlarged by 1.3
    assert abs(found["x"]) < 0.02  # the face is in the middle; in the photograph the eyes are 17 pixels above that
    assert found["y"] * WIDTH == pytest.approx(-1.3 * 17, abs=4)


@pytest.mark.parametrize(
    ("part", "names", "most"),
    [
        ("mouth_corners", ("mouth_corner_left", "mouth_corner_right"), 0.1),
        ("lip_opening", ("lip_opening",), 0.2),
        ("brows", ("brow_left", "brow_right"), 0.08),
        ("blink", ("eye_opening_left", "eye_opening_right"), -0.12),
    ],
)
def test_a_measure_follows_its_part_of_the_face(finder, part, names, most):
    amounts = np.random.default_rng(0).uniform(0, 1, 30)
    found = followed(finder, face(30, **{part: abs(most) * amounts}))
    for name in names:
        assert np.sign(most) * correlation(found[name], amounts) > 0.95


def test_measures_follow_all_warps_at_once_in_finished_clips(finder, espeak, tmp_path):
    """Compressed, 4 speakers, heads tilted, lips that speak; docs/own_clips.md says what 120 clips gave."""
    world = toy_world(120, 17, reliability=made_clips.RELIABILITY, sarcasm=made_clips.SARCASM)
    rows, truth = [], []
    for scene in made_clips.scenes(world).groupby("speaker").head(2).head(8).itertuples():
        pictures, sound, _, warps = made_clips.perform(scene, espeak, 17)
        made_clips.write_clip(tmp_path / "made.mp4", pictures, sound, espeak.sample_rate)
        finder.__init__()
        seen = [measures.measure(finder(x), x.shape) for _, x in Video(tmp_path / "made.mp4").pictures()]
        rows, truth = [*rows, *seen[: len(warps)]], [*truth, warps[: len(seen)]]
    found, truth = dict(zip(measures.NAMES, np.transpose(rows), strict=True)), pd.concat(truth)
    both = lambda name: found[f"{name}_left"] + found[f"{name}_right"]
    assert correlation(both("mouth_corner"), truth.mouth_corners) > 0.9
    assert correlation(both("brow"), truth.brows) > 0.9 and correlation(found["brow_inner"], truth.brows) > 0.9
    assert correlation(both("eye_opening"), truth.blink) < -0.8
    assert correlation(found["lip_opening"], truth.lip_opening) > 0.8


def test_a_turned_head_is_told_from_an_expression(finder):
    angles = np.linspace(-0.5, 0.5, 11)
    found = followed(finder, np.concatenate([face(roll=angle) for angle in angles]))
    assert np.abs(found["head_roll"] - angles - found["head_roll"][5]).max() < 0.05
    assert all(found[name].std() < 0.03 for name in measures.DISTANCES)


def test_every_measure_names_its_points_and_its_unit():
    assert set(measures.UNITS) == set(measures.NAMES)
    for name in measures.NAMES[1:]:
        assert measures.points_of(name) and max(measures.points_of(name)) < 468


def test_dark_pictures_and_no_face(finder):
    found = followed(finder, np.concatenate([face(light=0.3), face(light=0.0), 128 + 0 * face()]))
    assert found["face"].tolist() == [1, 0, 0]
    assert not any(x[1:].any() for x in found.values())


def test_of_two_faces_the_larger_is_followed(finder):
    small = face()[0][::2, ::2]
    picture = np.zeros((240, 480, 3), np.uint8)
    picture[:, :320], picture[60:180, 320:] = face()[0], small
    for turn, side in ((picture, -1), (picture[:, ::-1], 1)):
        found = followed(finder, [np.ascontiguousarray(turn)] * 3)
        assert finder.seen == 2 and (np.sign(found["x"]) == side).all()


@pytest.mark.parametrize("per_second", [10, 24, 25, 30, 60])
def test_pictures_are_on_an_even_grid_of_time(tmp_path, per_second):
    video = Video(write_clip(tmp_path / "count.mp4", counting(2 * per_second), per_second))
    times, numbers = zip(*((time, number_of(picture)) for time, picture in video.pictures()))
    np.testing.assert_allclose(times, np.arange(50) / 25)
    assert numbers == tuple(i * per_second // 25 for i in range(50))
    assert not video.notes


@pytest.mark.parametrize(
    ("matrix", "bright"),  # the matrix of the track turns by 90, 180 and 270 degrees clockwise; the bright half then
    [((0, 1, -1, 0, 64, 0), "right"), ((-1, 0, 0, -1, 48, 64), "lower"), ((0, -1, 1, 0, 0, 48), "left")],
)
def test_a_picture_is_upright_whatever_its_rotation(tmp_path, matrix, bright):
    half = np.zeros((20, 64, 48, 3), np.uint8)
    half[:, :32] = 200  # the upper half is bright
    content = bytearray(write_clip(tmp_path / "upright.mp4", half).read_bytes())
    at = content.index(b"tkhd") + 44
    a, b, c, d, x, y = (number << 16 for number in matrix)
    content[at : at + 36] = b"".join(z.to_bytes(4, "big", signed=True) for z in (a, b, 0, c, d, 0, x, y, 1 << 30))
    (tmp_path / "turned.mp4").write_bytes(content)
    _, picture = next(Video(tmp_path / "turned.mp4").pictures())
    height, width = picture.shape[:2]
    assert (height, width) == ((64, 48) if bright == "lower" else (48, 64))
    halves = {"left": picture[:, :24], "right": picture[:, -24:], "upper": picture[:24], "lower": picture[-24:]}
    opposite = {"left": "right", "right": "left", "lower": "upper"}[bright]
    assert halves[bright].mean() > 150 > 50 > halves[opposite].mean()


def test_sound_is_one_channel_at_one_rate(tmp_path):
    two = np.stack([tone(1.5, 440, 44_100), 0 * tone(1.5, 440, 44_100)], axis=1)
    video = Video(write_clip(tmp_path / "two.m4a", sound=two, rate=44_100))
    assert video.streams == (False, True)
    sound = video.sound()
    assert len(sound) == pytest.approx(1.5 * RATE, abs=0.1 * RATE)
    strongest = np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound)
    assert strongest == pytest.approx(440, abs=2)


def test_a_mean_leaves_out_what_means_nothing():
    values = np.array([[0, 0], [1, 4.0], [1, 8], [0, 0]])
    spans = np.array([[0, 4.0], [1, 1.01], [3, 3.5], [3.9, 99]])
    found = averaged(values, 1.0, spans, ["voiced", "pitch"])
    np.testing.assert_allclose(found, [[0.5, 6], [1, 4], [0, 0], [0, 0]])


def test_one_clip_with_steps_of_words_or_of_time(tmp_path):
    need_models()
    path = write_clip(tmp_path / "clip.mp4", face(30, mouth_corners=np.linspace(0, 0.1, 30)), sound=tone(1.2))
    even = extract_clip(path, "What a lovely day!")
    assert {m: x.shape for m, x in even.features.items()} == dict(language=(4, 32), vision=(30, 17), audio=(32, 22))
    by_word = extract_clip(path, "What a lovely day!", aligned=True)
    assert {len(x) for x in by_word.features.values()} == {4} and [word.text for word in by_word.words][2] == "lovely"
    corners = by_word.features["vision"][:, measures.NAMES.index("mouth_corner_left")]
    assert (np.diff(corners) > 0).all()
    assert len(extract_clip(path, "", aligned=True).features["audio"]) == 1  # no words: the mean of all


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """A folder of clips of three kinds, and the features that the command made of it."""
    need_models()
    clips, out = tmp_path_factory.mktemp("clips"), tmp_path_factory.mktemp("made") / "features"
    (clips / "anna").mkdir()
    write_clip(clips / "anna" / "1.mp4", face(10), sound=tone(0.4))
    wavfile.write(clips / "bob_1.wav", RATE, tone(0.5))
    (clips / "bob_2.txt").write_text("I hated every minute of it.")
    write_clip(clips / "cleo_1.mp4", np.zeros((8, 48, 64, 3), np.uint8))
    rows = ["video,label,split,text,sentiment", "anna/1.mp4,1,train,so good,9", "bob_1,-1,train,no,9"]
    rows += ["bob_2,0.5,valid,,9", "cleo_1.mp4,2,test,,9"]
    (clips / "labels.csv").write_text("\n".join(rows))
    assert main(["extract", str(clips), str(out), "--labels", str(clips / "labels.csv"), "--jobs", "1"]) == 0
    return clips, out


def test_a_folder_of_clips_becomes_splits(extracted):
    splits = load_features(extracted[1])
    train, valid, test = (splits[name] for name in ("train", "valid", "test"))
    assert train.ids == ["anna$_$1", "bob_1"] and train.labels.tolist() == [1, -1]
    assert train.raw_text == ["so good", "no"] and valid.raw_text == ["I hated every minute of it."]
    assert train.lengths["language"].tolist() == [2, 1] and valid.lengths["language"].tolist() == [6]
    assert train.present["vision"].tolist() == [True, False] and "audio" not in train.present
    assert not valid.present["audio"].any() and not test.present["language"].any()
    assert train.features["vision"][0, 0, 0] == 1 and not test.features["vision"].any()
    notes = (extracted[1] / "notes.txt").read_text()
    assert "cleo_1: no face in 8 of 8 pictures" in notes
    assert set(json.loads((extracted[1] / "extractor.json").read_text())["channels"]) == set(train.features)


def test_only_what_has_changed_is_read_again(extracted):
    clips, out = extracted
    before = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()}
    (clips / "bob_2.txt").write_text("I liked it.")
    assert main(["extract", str(clips), str(out), "--labels", str(clips / "labels.csv"), "--jobs", "1"]) == 0
    changed = {path.stem for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {"bob_2"} and load_features(out)["valid"].lengths["language"].tolist() == [3]


def test_a_folder_of_other_features_is_refused(extracted, capsys):
    clips, out = extracted
    assert main(["extract", str(clips), str(out), "--aligned"]) == 2
    told = capsys.readouterr().err
    assert "holds dmdlite clips" in told and "aligned; choose another folder" in told


def test_a_model_refuses_features_of_another_extractor(extracted, tmp_path):
    splits = load_features(extracted[1])
    shapes = feature_shapes(splits) | dict(kernel_sizes=dict(language=1, vision=1, audio=1))
    DMD(DMDConfig.toy(width=8, heads=2, layers=1, **shapes)).save_pretrained(tmp_path / "model")
    model = DMD.from_pretrained(tmp_path / "model")
    convert_features(extracted[1], tmp_path / "converted")
    split = load_features(tmp_path / "converted")["train"]
    assert len(predict(model, split)) == 2
    other = dict(vars(split), extractor="dmdlite clips 0, aligned")
    with pytest.raises(DataError, match="those of 'dmdlite clips 0, aligned', the model was made for those of"):
        predict(model, type(split)(**other))
