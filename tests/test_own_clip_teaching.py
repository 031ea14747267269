"""What notebook 16 claims about its clips, its raters and machines without the extractor."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clip_files import need_models

import dmdlite
from course import own_clips
from course.agreement import krippendorff
from course.camera.widget import ClipCamera
from course.class_clips import RATERS, SENTENCES, STUDENTS, WAYS, class_scenes, rated
from course.own_clips import CLIP, FINISHED
from dmdlite.data.extract.clip import EXTRACTOR
from dmdlite.data.extract.vectors import NAMES as LANGUAGE
from dmdlite.data.extract.vectors import vectors

n = np.nan
PUBLISHED = np.array([  # Krippendorff 2011, example C: four observers, twelve units, the interval metric
    [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
    [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
]).T  # fmt: skip


def test_alpha_is_the_published_one():
    assert krippendorff(PUBLISHED) == pytest.approx(0.849, abs=5e-4)
    assert krippendorff(10 * PUBLISHED - 3) == pytest.approx(krippendorff(PUBLISHED))


def test_alpha_of_agreement_of_chance_and_of_nothing():
    assert krippendorff(np.array([[1.0, 1.0], [2.0, 2.0]])) == 1
    assert abs(krippendorff(np.random.default_rng(0).normal(size=(4000, 3)))) < 0.03
    assert np.isnan(krippendorff(np.ones((3, 2))))
    with pytest.raises(ValueError, match="no clip was rated by two people"):
        krippendorff(np.array([[1.0, n], [n, 2.0]]))


def test_nobody_rates_their_own_clips_and_three_rate_each():
    truth = pd.read_csv(FINISHED / "class_truth.csv")
    ratings = rated(truth)
    given = ~np.isnan(ratings.to_numpy())
    assert (given.sum(axis=1) == RATERS).all() and not given[np.arange(len(truth)), truth["student"]].any()
    assert set(np.unique(ratings.to_numpy()[given])) <= set(range(-3, 4))


def test_the_class_says_each_sentence_in_each_way_and_no_word_tells_which():
    scenes, stored = class_scenes(), pd.read_csv(FINISHED / "class_truth.csv")
    assert len(scenes) == STUDENTS * len(SENTENCES) * len(WAYS) == scenes["id"].nunique()
    assert list(scenes["id"]) == list(stored["id"])
    assert np.abs(scenes["vision_view"] - stored["face"]).max() < 1e-3
    said = vectors([word for text in SENTENCES for word in text.split()])[:, : LANGUAGE.index("letters_0")]
    assert not said.any()


def test_what_is_stored_is_of_this_extractor():
    """Otherwise: python notebooks/write_clips.py"""
    for name in ("made", "class"):
        for split in dmdlite.load_features(FINISHED / f"{name}.npz").values():
            assert split.extractor == f"{EXTRACTOR}, aligned"
    assert all(file.stat().st_size < 500_000 for file in FINISHED.iterdir())


def test_the_table_of_words_has_the_measures_of_each_word():
    splits = dmdlite.load_features(FINISHED / "made.npz")
    table = own_clips.word_table(splits).set_index("id").loc[CLIP]
    split = splits["test"]
    row = split.ids.index(CLIP)
    assert list(table["word"]) == split.raw_text[row].split() and len(table) == split.lengths["vision"][row]
    assert np.allclose(table["pitch"], split.features["audio"][row, : len(table), 0])
    assert table["true_mouth_corners"].min() < -0.05 < table["true_mouth_corners"].max()


def test_a_live_look_is_the_stored_one():
    need_models()
    text = own_clips.truth()["text"][CLIP]
    live, stored = (
        own_clips.look_live(FINISHED / "clip.mp4", text),
        own_clips.unpacked(np.load(own_clips.STORED), "clip"),
    )
    assert [word.text for word in live.clip.words] == [word.text for word in stored.clip.words] == text.split()
    assert np.abs(live.faces - stored.faces).max() < 0.02 and live.points.shape == stored.points.shape
    assert own_clips.predict(live)["prediction"] == pytest.approx(own_clips.predict(stored)["prediction"], abs=0.05)


def test_without_the_models_the_notebooks_own_clips_are_still_read(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    look = own_clips.look(FINISHED / "clip.mp4", "")
    assert look.seen == 1 and look.picture.shape == (240, 320, 3)
    assert "dmdlite extract --setup" in capsys.readouterr().err
    for name, path in own_clips.worse(FINISHED / "clip.mp4", tmp_path).items():
        assert own_clips.look(path, "").seen == (name not in ("dark", "upside down"))
    with pytest.raises(ValueError, match="dmdlite extract --setup fetches them once"):
        own_clips.look(tmp_path / "mine.mp4")


def test_a_clip_of_ones_own_takes_the_place_of_the_made_one():
    camera = ClipCamera()
    path, said, made = own_clips.chosen(camera)
    assert made and path.exists() and said == own_clips.truth()["text"][CLIP]
    camera.path, camera.said = Path("mine.webm"), "hello there"
    assert own_clips.chosen(camera) == (Path("mine.webm"), "hello there", False)


def test_a_sound_without_pictures_is_refused_in_a_sentence(tmp_path):
    from clip_files import tone, write_clip

    path = write_clip(tmp_path / "sound.mp4", sound=tone(0.5))
    with pytest.raises(ValueError, match="has no pictures; this notebook needs a face"):
        own_clips.look_live(path, "")
