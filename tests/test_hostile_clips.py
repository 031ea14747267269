"""Broken, odd and hostile files: each gets one sentence or a right result, and none ends the batch."""

import struct
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clip_files import RATE, counting, face, need_models, number_of, tone, write_clip
from scipy.io import wavfile

from dmdlite import load_features
from dmdlite.__main__ import main
from dmdlite.data.extract.clip import extract_clip
from dmdlite.data.extract.video import Video
from dmdlite.experiments.extraction import extract

pytest.importorskip("av")


INVALID = "Invalid data found when processing input"
OTHER = "it is text, a playlist or of a rare kind"


def patched(content: bytes, name: bytes, offset: int, number: int) -> bytes:
    """The file with another whole number (32 bits) in a box of its header."""
    at = content.index(name) + offset
    return content[:at] + number.to_bytes(4, "big") + content[at + 4 :]


def unread(path: Path) -> str:
    """The one sentence about a file that cannot be read."""
    with pytest.raises(ValueError) as found:
        extract_clip(path)
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"a text\n" * 99, INVALID),
        (bytes(4096), INVALID),
        (b"#EXTM3U\n#EXTINF:1,\nother.mp4\n", INVALID),  # a playlist, which would open another file
        (b"ffconcat version 1.0\nfile other.mp4\n", OTHER),
        (b"1\n00:00:00,000 --> 00:00:09,000\nA subtitle\n\n", OTHER),
        (b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;", OTHER),
        (b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\0\0\0\0\0\0\0\0\2\0\x10\0data", INVALID),  # a rate of 0
    ],
)
def test_what_is_no_clip_is_told_in_a_sentence(tmp_path, content, why):
    write_clip(tmp_path / "other.mp4", counting(5))
    (tmp_path / "hostile.mp4").write_bytes(content)
    assert unread(tmp_path / "hostile.mp4") == f"hostile.mp4 cannot be read as pictures or sound: {why}"


def test_a_file_cut_off_is_read_as_far_as_it_goes(tmp_path):
    whole = write_clip(tmp_path / "whole.mkv", counting(50)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    numbers = [number_of(picture) for _, picture in Video(tmp_path / "cut.mkv").pictures()]
    assert 10 < len(numbers) < 50 and numbers == list(range(len(numbers)))
    content = write_clip(tmp_path / "whole.mp4", counting(50)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])  # its table of contents was at the end
    assert "cannot be read" in unread(tmp_path / "cut.mp4")


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "avi", "ts"])
def test_a_file_may_be_cut_off_anywhere(tmp_path, ending):
    whole = write_clip(tmp_path / f"whole.{ending}", counting(50), sound=tone(2.0)).read_bytes()
    read = 0
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        path = tmp_path / f"cut.{ending}"
        path.write_bytes(whole[: int(len(whole) * share)])
        video = Video(path)
        try:
            pictures, sound = video.streams
            numbers = [number_of(picture) for _, picture in video.pictures()] if pictures else []
            heard = len(video.sound()) if sound else 0
        except ValueError as problem:
            assert str(problem).startswith(path.name)
            continue
        assert heard <= 2.2 * RATE and len(numbers) <= 50
        assert np.mean(np.array(numbers) == range(len(numbers))) > 0.9 if numbers else heard or video.notes
        read += bool(numbers)
    assert read == 0 if ending in ("mp4", "mov") else read >= 3


def test_a_stream_of_an_unknown_kind_is_told(tmp_path):
    content = write_clip(tmp_path / "known.mp4", counting(5), sound=tone(0.2)).read_bytes()
    (tmp_path / "mute.mp4").write_bytes(content.replace(b"mp4v", b"xyzv").replace(b"esds", b"xsds", 1))
    video = Video(tmp_path / "mute.mp4")
    assert not list(video.pictures()) and video.notes == ["none of its video can be decoded"]
    assert len(video.sound()) > 0.15 * RATE


def test_sound_may_change_its_rate_and_its_channels(tmp_path):
    first = write_clip(tmp_path / "one.aac", sound=tone(0.5, rate=44_100), rate=44_100)
    stereo = np.stack([tone(0.5, rate=22_050)] * 2, axis=1)
    second = write_clip(tmp_path / "two.aac", sound=stereo, rate=22_050)
    (tmp_path / "both.aac").write_bytes(first.read_bytes() + second.read_bytes())
    assert len(Video(tmp_path / "both.aac").sound()) == pytest.approx(RATE, abs=0.15 * RATE)


@pytest.mark.parametrize("rate", [4000, 11_025, 44_099, 192_000])
def test_sound_of_any_rate(tmp_path, rate):
    wavfile.write(tmp_path / "odd.wav", rate, tone(1.0, 440, rate))
    sound = Video(tmp_path / "odd.wav").sound()
    assert len(sound) == pytest.approx(RATE, abs=5)
    assert np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound) == pytest.approx(440, abs=2)


def test_pictures_that_come_at_irregular_times(tmp_path):
    import av

    starts = np.append(0, 20 + 40 * np.cumsum(np.random.default_rng(0).integers(1, 6, 30)))  # milliseconds
    with av.open(str(tmp_path / "irregular.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", 25)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for picture, start in zip(counting(31), starts.tolist(), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = start, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    times, numbers = zip(*((t, number_of(picture)) for t, picture in Video(tmp_path / "irregular.mkv").pictures()))
    assert len(times) >= starts[-1] // 40
    assert list(numbers) == (np.searchsorted(starts, 1000 * np.array(times), side="right") - 1).tolist()


def test_damaged_pictures_are_told(tmp_path):
    content = bytearray(write_clip(tmp_path / "whole.mkv", counting(50)).read_bytes())
    third = len(content) // 3
    content[third : third + 1000] = np.random.default_rng(0).bytes(1000)
    (tmp_path / "damaged.mkv").write_bytes(content)
    video = Video(tmp_path / "damaged.mkv")
    assert 10 < len(list(video.pictures())) <= 50
    assert "parts of its video are damaged" in video.notes[0]


def test_a_header_may_lie_about_length_and_size(tmp_path):
    content = write_clip(tmp_path / "true.mp4", counting(20)).read_bytes()
    for name, lie in {
        "long": patched(content, b"mvhd", 20, 2**31 - 1),
        "short": patched(content, b"mdhd", 20, 1),
        "wide": patched(content, b"tkhd", 80, 60_000 << 16),
        "huge": patched(content, b"mp4v", 28, 60_000 << 16 | 60_000),
    }.items():
        (tmp_path / f"{name}.mp4").write_bytes(lie)
        numbers = [number_of(picture) for _, picture in Video(tmp_path / f"{name}.mp4").pictures()]
        assert Video(tmp_path / f"{name}.mp4").streams == (True, False)
        assert numbers == list(range(20))


def test_two_hours_are_refused_before_they_are_decoded(tmp_path):
    import av

    with av.open(str(tmp_path / "long.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", 1)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for second in range(0, 7200, 60):
            frame = av.VideoFrame.from_ndarray(counting(2)[1], format="rgb24")
            frame.pts = second
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert unread(tmp_path / "long.mp4").startswith("long.mp4 is longer than 600 seconds; a clip is one utterance")
    assert sum(1 for _ in Video(tmp_path / "long.mp4", 1e4).pictures(0.1)) == pytest.approx(720, abs=6)


def test_two_hours_of_sound_need_no_memory(tmp_path, capsys):
    size = 2 * 8000 * 7200
    header = struct.pack(
        "<4sI8sIHHIIHH4sI", b"RIFF", size + 36, b"WAVEfmt ", 16, 1, 1, 8000, 16_000, 2, 16, b"data", size
    )
    for name, content in (("long.wav", header), ("endless.wav", header[:-4] + b"\xff" * 4)):
        with (tmp_path / name).open("wb") as file:
            file.write(content)
            file.truncate(44 + size)
        tracemalloc.start()
        assert unread(tmp_path / name).startswith(f"{name} is longer than 600 seconds; a clip is one utterance")
        assert tracemalloc.get_traced_memory()[1] < 10e6
        tracemalloc.stop()
    assert main(["extract", str(tmp_path), str(tmp_path / "out"), "--longest", "7200"]) == 2
    assert "longest must be at most 3600 seconds, got 7200" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_silence_one_second_late_and_broken_samples(tmp_path):
    samples = tone(1.0)
    samples[100], samples[200], samples[300] = np.nan, np.inf, 1e9
    wavfile.write(tmp_path / "broken.wav", RATE, samples)
    sound = Video(tmp_path / "broken.wav").sound()
    assert np.isfinite(sound).all() and np.abs(sound).max() <= 1 and len(sound) == RATE
    wavfile.write(tmp_path / "silent.wav", RATE, np.zeros(RATE, np.float32))
    clip = extract_clip(tmp_path / "silent.wav")
    assert not clip.words and not clip.features["audio"].any()
    wavfile.write(tmp_path / "nothing.wav", RATE, np.zeros(0, np.float32))
    assert "nothing.wav" in unread(tmp_path / "nothing.wav")


def test_no_hostile_file_ends_the_batch(tmp_path, capsys):
    need_models()
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    good = write_clip(clips / "good_1.mp4", face(8), sound=tone(0.3)).read_bytes()
    (clips / "cut_1.mp4").write_bytes(good[:3000])
    (clips / "empty_1.mp4").touch()
    (clips / "text_1.mp4").write_text("no video")
    (clips / "latin_1.txt").write_bytes("schön".encode("latin-1"))
    (clips / "good_2.txt").write_text("All is well.")
    (clips / "good_2.json").write_text("{}")  # no clip
    failures = extract(clips, out, jobs=2)
    assert set(failures) == {"cut_1", "empty_1", "text_1", "latin_1"}
    assert "is not a text in UTF-8" in failures["latin_1"]
    assert load_features(out)["all"].ids == ["good_1", "good_2"]
    told = capsys.readouterr().err
    assert all(f"failed: {name}: {why}" in told for name, why in failures.items())
    assert (out / "failures.txt").read_text().count("\n") == 4


def test_labels_and_clips_that_do_not_meet_are_told(tmp_path):
    (tmp_path / "clips").mkdir()
    for name in ("a_1", "b_1"):
        (tmp_path / "clips" / f"{name}.txt").write_text("Fine.")
    (tmp_path / "labels.csv").write_text("id,label\na_1,1.5\nc_1,2\n")
    failures = extract(tmp_path / "clips", tmp_path / "out", labels=tmp_path / "labels.csv")
    assert failures == {
        "b_1": "labels.csv has no row for it",
        "c_1": "labels.csv has a row for it, but there is no such clip",
    }
    assert load_features(tmp_path / "out")["all"].labels.tolist() == [1.5]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("label\n1\n", "has no column that names the clips"),
        ("id,label\na_1,1\na_1.mp4,2\n", "names the clip 'a_1' twice"),
        ("", "is not a readable table"),
    ],
)
def test_tables_are_checked_before_anything_is_written(tmp_path, capsys, table, why):
    (tmp_path / "a_1.txt").write_text("Fine.")
    (tmp_path / "labels.csv").write_text(table)
    assert main(["extract", str(tmp_path), str(tmp_path / "out"), "--labels", str(tmp_path / "labels.csv")]) == 2
    assert why in capsys.readouterr().err and not (tmp_path / "out").exists()
