"""The made clips show what their truth says."""

import av
import made_clips
import numpy as np
import pandas as pd
import pytest

from course.film import EYES, HEIGHT, MIDDLE, PARTS, WIDTH, Look, film, patches, photograph
from dmdlite.data.toy import toy_world

STILL = {part: np.zeros(1) for part in PARTS}


def moved(**warps: float) -> dict[str, np.ndarray]:
    return STILL | {part: np.array([amount]) for part, amount in warps.items()}


def test_a_still_face_is_the_photograph():
    (picture,) = film(STILL, Look(zoom=1.0))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(picture[1:] - photograph()[: HEIGHT - 1, 64 : 64 + WIDTH]).max() <= 1


@pytest.mark.parametrize("part", PARTS)
def test_each_part_moves_alone_and_where_it_is(part):
    (still,), (picture,) = film(STILL), film(moved(**{part: 0.08}))
    changed = np.abs(picture.astype(int) - still).sum(axis=2) > 30
    rows, columns = np.nonzero(changed)
    places = np.array([place for place, _, _ in PARTS[part]]) - MIDDLE
    middle = 1.3 * places.mean(axis=0) + [WIDTH / 2, HEIGHT / 2]
    assert 20 < changed.sum() < 0.05 * changed.size
    assert np.hypot(columns.mean() - middle[0], rows.mean() - middle[1]) < 12


def test_brows_do_not_drag_the_lids_along():
    for (x, y), _, _ in PARTS["blink"]:
        assert abs(patches()["brows"][round(y), round(x), 1]) < 0.15 < 0.9 < patches()["blink"][round(y), round(x), 1]


def test_a_warp_is_in_distances_between_the_eyes():
    """A lower lip that goes down by a tenth of them is found there again."""
    tall = Look(zoom=1.0)
    (still,), (open_,) = film(STILL, tall), film(moved(lip_opening=0.1), tall)
    column = slice(WIDTH // 2 - 6, WIDTH // 2 + 6)
    chin = lambda picture, down: picture[156 + 2 + down : 162 + 2 + down, column].astype(float)
    misfit = [np.abs(chin(open_, down) - chin(still, 0)).mean() for down in range(-2, 10)]
    assert abs(np.argmin(misfit) - 2 - 0.1 * EYES) <= 1.5


def test_speakers_look_and_sound_different(espeak):
    pictures = [film(STILL, speaker.look)[0].astype(int) for speaker in made_clips.SPEAKERS]
    sounds = [espeak.say(["hello"], speaker.voice)[0] for speaker in made_clips.SPEAKERS]
    for i in range(len(pictures)):
        for j in range(i):
            assert np.abs(pictures[i] - pictures[j]).mean() > 2
            assert len(sounds[i]) != len(sounds[j]) or np.abs(sounds[i] - sounds[j]).max() > 0.01


def test_truth_follows_from_the_parts():
    """The formula of made_clips.py, over 2000 clips."""
    world = toy_world(2000, 0, reliability=made_clips.RELIABILITY, sarcasm=made_clips.SARCASM)
    truth = made_clips.scenes(world)
    meant = truth.language_view * np.where(truth.sarcastic, -1, 1)
    for view, r in ((meant, 0.9), (truth.vision_view, 0.8), (truth.audio_view, 0.8)):
        assert np.corrcoef(view, truth.sentiment)[0, 1] == pytest.approx(r, abs=0.03)
    assert np.abs(truth.label - truth.sentiment).max() <= 0.1 + 1e-6
    assert truth.sarcastic.mean() == pytest.approx(0.15, abs=0.03)
    assert np.corrcoef(truth.pitch, truth.audio_view)[0, 1] > 0.98
    assert set(truth.melody[truth.sarcastic]) == {5} and set(truth.melody[~truth.sarcastic]) == {50}
    assert (truth.groupby("speaker").split.nunique() == 1).all()  # a speaker is left out of training as a whole
    assert truth.speaker.nunique() == len(made_clips.SPEAKERS)


def test_words_said_as_one_share_their_time(espeak):
    words = "the summary in the lecture was fine".split()
    sound, times = espeak.say(words, "en-us+f3")
    starts, ends = np.transpose(times)
    assert (ends > starts).all() and (starts[1:] >= ends[:-1] - 1e-9).all()
    assert 0 <= starts[0] and ends[-1] <= len(sound) / espeak.sample_rate
    with pytest.raises(ValueError, match="no voice 'xx'"):
        espeak.say(words, "xx")


def test_without_espeak_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("course.espeak.find_library", lambda name: None)
    with pytest.raises(ValueError, match="espeak-ng is missing: apt-get install espeak-ng"):
        made_clips.Espeak()


def test_a_folder_of_clips_with_its_truth(espeak, tmp_path, monkeypatch):
    black = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
    monkeypatch.setattr(made_clips, "film", lambda warps, *_: np.repeat(black, len(warps["blink"]), axis=0))
    truth = made_clips.draw_clips(tmp_path, 20, 3)
    labels, words, frames = (pd.read_csv(tmp_path / f"{x}.csv") for x in ("labels", "truth_words", "truth_frames"))
    assert list(labels) == ["id", "text", "label", "split"] and set(labels.split) == {"train", "valid", "test"}
    assert list(labels.id) == list(truth.id)
    assert set(labels.id) == {path.stem for path in tmp_path.glob("*.mp4")}
    for clip in truth.itertuples():
        own = words[words.id == clip.id]
        assert " ".join(own.word) == clip.text and own.start.min() >= made_clips.LEAD_IN
    clip = truth.id[0]
    with av.open(str(tmp_path / f"{clip}.mp4")) as container:
        assert container.streams.video[0].codec.name == "h264" and container.streams.audio[0].codec.name == "aac"
        seconds = container.duration / 1e6
        pictures = sum(1 for _ in container.decode(video=0))
    assert pictures == (frames.id == clip).sum() and abs(pictures / 25 - seconds) < 0.15
    with av.open(str(tmp_path / f"{clip}.mp4")) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    heard = np.flatnonzero(np.abs(sound) > 0.01)[[0, -1]] / espeak.sample_rate
    own = words[words.id == clip]
    assert abs(heard[0] - own.start.min()) < 0.05 and abs(heard[1] - own.end.max()) < 0.15
