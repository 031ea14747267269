"""Decoding a clip with PyAV: its pictures on an even grid of time, and its sound.

Files are untrusted. Only kinds of files that hold pictures or sound themselves are opened: no playlists, which name
other files, and no text. What can be read of a damaged file is read, and the damage noted. Times are seconds from the
start of the file, where pictures and sound begin together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from dmdlite.data.extract.setup import extra

PICTURES_PER_SECOND = 25.0
SOUND_RATE = 16_000  # samples a second
LARGEST_SIDE = 640  # pixels: larger pictures are made smaller
LONGEST = 600.0  # seconds, unless another limit is asked for
MOST_SECONDS = 3600.0  # of that limit: a clip's sound is held in memory
FORMATS = "mov,mp4,m4a,3gp,matroska,webm,avi,asf,flv,mpegts,mpeg,ogg,wav,mp3,flac,aac,aiff,amr,caf,dv,mxf,w64,au"
MICROSECONDS = 1_000_000  # a second in FFmpeg's unit
MILLISECOND = 1e-3  # a picture this late is on time
MOST_PIXELS = 8192 * 8192  # of one picture: more is a damaged or a hostile header


@dataclass
class Video:
    """A clip that can be read. `notes`: a sentence about whatever was wrong, filled as it is read."""

    path: Path
    longest: float = LONGEST
    notes: list[str] = field(default_factory=list)

    @property
    def streams(self) -> tuple[bool, bool]:
        """Whether the file has moving pictures, and whether it has sound.

        Raises ValueError in one sentence if it has neither, cannot be read or is too long.
        """
        with self._opened() as container:
            found = _pictures(container) is not None, bool(container.streams.audio)
            if not any(found):
                raise ValueError(f"{self.path.name} has neither pictures nor sound")
            if not container.duration or container.duration / MICROSECONDS > self.longest:  # the header may be wrong
                for packet in container.demux([*container.streams.video, *container.streams.audio]):
                    if packet.pts is not None:
                        self._check_time(float(packet.pts * packet.time_base) - _start(container))
        return found

    def pictures(self, per_second: float = PICTURES_PER_SECOND) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"]]]:
        """Times 0, 1 / per_second, … and the picture shown then, upright, RGB; the same array while it is shown."""
        with self._opened() as container:
            latest, shown, before, length, step = None, None, 0.0, 1 / per_second, 0
            for time, frame in chain(self._frames(container, "video"), [(None, None)]):
                end = before + length if time is None else time
                while latest is not None and step / per_second < end - MILLISECOND:
                    shown = _upright(latest) if shown is None else shown
                    yield step / per_second, shown
                    step += 1
                if time is not None:
                    latest, shown, before, length = frame, None, time, time - before or length

    def sound(self) -> Float32[np.ndarray, "sample"]:
        """One channel at SOUND_RATE, from time 0 on; empty if there is none."""
        with self._opened() as container:
            import av

            kind = lambda timed: (timed[1].sample_rate, timed[1].layout.name, timed[1].format.name)
            parts: list[np.ndarray] = []
            for _, alike in groupby(self._frames(container, "audio"), kind):  # it may change in the middle of a file
                resampler = av.AudioResampler("flt", "mono", SOUND_RATE)
                for time, frame in alike:
                    parts = parts or [np.zeros(round(time * SOUND_RATE), np.float32)]
                    frame.pts = None
                    parts += [x.to_ndarray()[0] for x in resampler.resample(frame)]
                parts += [x.to_ndarray()[0] for x in resampler.resample(None)]
        sound = np.concatenate(parts or [np.zeros(0, np.float32)])
        return np.nan_to_num(sound, copy=False).clip(-1, 1, out=sound)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with extra():
            import av
        av.logging.set_level(av.logging.PANIC)  # our sentences say what is wrong
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
        try:
            with av.open(str(self.path), options=options, metadata_errors="replace") as container:
                yield container
        except (av.error.FFmpegError, OSError) as problem:
            reason = "it is empty" if self.path.is_file() and not self.path.stat().st_size else _reason(problem)
            raise ValueError(f"{self.path.name} cannot be read as pictures or sound: {reason}") from None

    def _frames(self, container: Any, kind: str) -> Iterator[tuple[float, Any]]:
        """Time and frame, in order; what cannot be decoded is left out; damage is noted."""
        import av

        stream = _pictures(container) if kind == "video" else container.streams.best("audio")
        last, lost, packets = -1.0, 0, iter(())
        if decoder := getattr(stream, "codec_context", None):  # there is none for an unknown kind of stream
            decoder.options = {"max_pixels": str(MOST_PIXELS)}
            decoder.thread_count = 1  # a process of its own for each clip is faster
            packets = container.demux(stream)
        while True:
            try:
                if (packet := next(packets, None)) is None:
                    break
                frames = packet.decode()
            except av.error.FFmpegError:
                lost += 1
                continue  # after a demuxer's error there is no next packet
            for frame in frames:
                lost += frame.is_corrupt
                time = last + 1e-3 if frame.time is None else max(frame.time - _start(container), 0.0)
                if time > last:
                    self._check_time(time)
                    last = time
                    yield time, frame
        if last < 0:
            self.notes.append(f"none of its {kind} can be decoded")
        elif lost:
            self.notes.append(f"{lost} parts of its {kind} are damaged")

    def _check_time(self, time: float) -> None:
        if time > self.longest:
            advice = "a clip is one utterance or a few; cut it, or allow more with --longest SECONDS"
            raise ValueError(f"{self.path.name} is longer than {self.longest:g} seconds; {advice}")


def _pictures(container: Any) -> Any:
    """The stream of moving pictures; the cover of a record is none."""
    import av

    cover = av.stream.Disposition.attached_pic
    return next((x for x in container.streams.video if not x.disposition & cover), None)


def _start(container: Any) -> float:
    return (container.start_time or 0) / MICROSECONDS


def _upright(frame: Any) -> UInt8[np.ndarray, "h w 3"]:
    """The picture as it is meant to be seen, its longer side at most LARGEST_SIDE pixels."""
    shrink = min(1.0, LARGEST_SIDE / max(frame.width, frame.height))
    width, height = (max(2, round(side * shrink)) for side in (frame.width, frame.height))
    picture = frame.to_ndarray(format="rgb24", width=width, height=height)
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))


def _reason(problem: Exception) -> str:
    if "whitelist" in str(problem):
        return "it is text, a playlist or of a rare kind"
    return str(getattr(problem, "strerror", None) or problem).rstrip(".")
