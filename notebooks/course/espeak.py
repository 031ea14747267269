"""espeak-ng speaks, and tells when each of its words starts and ends."""

import ctypes
from bisect import bisect
from ctypes.util import find_library
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from jaxtyping import Float32

RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4  # of espeak_SetParameter
PHONEME = 7  # the kind of event that tells a sound
INTO_MEMORY, TELL_SOUNDS, UTF8 = 2, 1, 1


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("kind", "message", "place", "length", "milliseconds", "sample")),
        ("user", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


class Espeak:
    """The library of espeak-ng. Raises ValueError if it is not installed."""

    def __init__(self) -> None:
        name = find_library("espeak-ng")
        if name is None:
            raise ValueError("espeak-ng is missing: apt-get install espeak-ng (macOS: brew install espeak-ng)")
        self._library = ctypes.CDLL(name)
        self.sample_rate = self._library.espeak_Initialize(INTO_MEMORY, 0, None, TELL_SOUNDS)
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
        self._callback = kind(self._collect)  # kept while the library may call it
        self._samples: list[np.ndarray] = []
        self._sounds: list[tuple[int, float, bytes]] = []  # place in the text, second, name

    def say(
        self, words: list[str], voice: str, *, pitch: int = 50, rate: int = 175, loudness: int = 100, melody: int = 50
    ) -> tuple[Float32[np.ndarray, "sample"], list[tuple[float, float]]]:
        """The sound at `sample_rate`, and the start and end of each word in seconds.

        It says some pairs, "in the", as one: such words share the time by their letters.
        voice: as in `espeak-ng -v`; pitch, melody: 0 to 99; rate: words per minute; loudness: 0 to 200.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        for setting, value in {RATE: rate, VOLUME: loudness, PITCH: pitch, RANGE: melody}.items():
            self._library.espeak_SetParameter(setting, int(value), 0)
        self._library.espeak_SetSynthCallback(self._callback)  # the library has one for all voices
        self._samples, self._sounds = [], []
        text = " ".join(words).encode()
        self._library.espeak_Synth(text, len(text) + 1, 0, 1, 0, UTF8, None, None)
        starts = list(accumulate((len(word) + 1 for word in words), initial=1))  # places are counted from 1
        times: dict[int, tuple[float, float]] = {}
        # The library has events for words, too, but they come a sound too early before a vowel.
        for (place, begin, name), (_, end, _) in pairwise(self._sounds):
            if not name.startswith(b"_"):  # a pause
                word = bisect(starts, place) - 1
                times[word] = (times.get(word, (begin,))[0], end)
        return np.concatenate(self._samples) / np.float32(32768), shared(words, times)

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        if samples and count:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].kind:
            if events[i].kind == PHONEME:
                self._sounds.append((events[i].place, events[i].sample / self.sample_rate, events[i].name))
            i += 1
        return 0


def shared(words: list[str], times: dict[int, tuple[float, float]]) -> list[tuple[float, float]]:
    """Times of all words, where a word without a time of its own was said together with the one before it."""
    firsts = [*sorted(times), len(words)]
    found: list[tuple[float, float]] = []
    for first, after in pairwise(firsts):
        start, end = times[first]
        letters = np.cumsum([0] + [len(word) for word in words[first:after]])
        found += pairwise((start + (end - start) * letters / letters[-1]).tolist())
    return found
