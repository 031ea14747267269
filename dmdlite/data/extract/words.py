"""Where in the sound each word of a transcript is said.

pocketsphinx aligns a given English transcript, or guesses words where there is none. Whatever goes wrong, the words of
a transcript are kept: then their times are spread over the seconds in which the voice is heard.
"""

import re
import string
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from dmdlite.data.extract.voice import HOP, NAMES, RATE, resampled, voice

FRAME = 0.01  # seconds, of pocketsphinx
# A letter's most frequent sound, in the phones of the CMU dictionary: a rough guess at words that it lacks.
PHONES = "AE,B,K,D,EH,F,G,HH,IH,JH,K,L,M,N,AA,P,K,R,S,T,AH,V,W,K S,IY,Z".split(",")
SOUNDS = dict(zip(string.ascii_lowercase, PHONES, strict=True))
DIGITS = "zero one two three four five six seven eight nine".split()
IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
PUNCTUATION = string.punctuation + "“”„«»‘’¿¡。，！？、：；（）《》「」"
GAPS = dict.fromkeys(map(ord, "—–…/_"), " ")
NOISE = 1e-3  # added before pocketsphinx listens, which loses its way in digital silence; -60 dB of full scale
# Confidence below which a transcript is not what was said. 120 right ones had at least 0.064, 240 wrong at most 0.036.
SAID = 0.045
QUIET = 25.0  # dB below the loudest frame: no voice
NOTES = {
    "aligned": "aligned: pocketsphinx found the transcript in the sound",
    "recognised": "recognised: pocketsphinx guessed the words, which are often wrong; give a transcript",
    "spread": "spread: times are guesses from the length of the words and where a voice is heard",
    "none": "none: no transcript, and no words were recognised",
}


class Word(NamedTuple):
    text: str  # as in the transcript, without the punctuation around it
    start: float  # seconds
    end: float


@dataclass(frozen=True)
class Words:
    """Words in the order in which they are said."""

    words: list[Word]
    how: str  # "aligned", "recognised", "spread" or "none": how the times were found, see NOTES
    confidence: float  # 0 to 1: how well the sound fits the words, or how sure the recogniser is; 0 if spread

    @property
    def note(self) -> str:
        return NOTES[self.how] + (f" (confidence {self.confidence:.2f} of 1)" if self.confidence else "")


def words(
    samples: Float[np.ndarray, "samples"],
    rate: int,
    transcript: str | None = None,
    measures: Float[np.ndarray, "frame measure"] | None = None,
) -> Words:
    """The words of the transcript with their times, or what pocketsphinx guesses if there is none.

    A Chinese, Japanese or Korean character counts as a word. An empty transcript means that nothing is said.
    measures: those of `voice`, if they are known already. Raises ValueError if samples or rate are no sound.
    """
    sound = resampled(samples, rate)
    measures = voice(sound, RATE)[1] if measures is None else measures
    heard = measures[:, NAMES.index("voiced")].sum() > 5  # in silence pocketsphinx is sure of hearing "dog"
    if transcript is None:
        return recognise(sound) if heard else Words([], "none", 0.0)
    texts = split_words(transcript)
    found = align(sound, texts) if texts and heard else None
    return found or Words(spread(measures[:, NAMES.index("energy")], texts), "spread", 0.0)


def split_words(transcript: str) -> list[str]:
    """Words without the punctuation around them; "don't", "well-known" and "3.5" are one word each."""
    text = unicodedata.normalize("NFC", transcript).replace("\u2019", "'")
    pieces = (piece.strip(PUNCTUATION) for piece in re.sub(f"([{IDEOGRAPHS}])", r" \1 ", text).translate(GAPS).split())
    return [piece for piece in pieces if piece]


def align(sound: Float[np.ndarray, "samples"], texts: list[str]) -> Words | None:
    """The words where pocketsphinx finds them; None if it cannot: no pocketsphinx, not English, not what is said."""
    decoder = new_decoder(None)
    if decoder is None:
        return None
    spoken = [spell(decoder, text) for text in texts]
    if not all(spoken):
        return None
    decoder.set_align_text(" ".join(spoken))
    segments = listen(decoder, sound)  # fewer than there are words if it finds no way to the end
    if len(segments) != len(texts):
        return None
    sure = fit(segments)
    return Words(timed(texts, segments), "aligned", sure) if sure > SAID else None


def recognise(sound: Float[np.ndarray, "samples"]) -> Words:
    """What pocketsphinx hears. The confidence is the mean probability of a word beside its rivals."""
    decoder = new_decoder("en-us")
    segments = listen(decoder, sound) if decoder else []
    if not segments:
        return Words([], "none", 0.0)
    texts = [segment.word.partition("(")[0] for segment in segments]  # "the(2)" is its second pronunciation
    sure = float(np.mean([segment.prob for segment in segments]).clip(0, 1))
    return Words(timed(texts, segments), "recognised", sure)


@cache  # 0.3 s
def new_decoder(language_model: str | None) -> Any:
    """A recogniser of English at 16 kHz, or None without pocketsphinx."""
    try:
        from pocketsphinx import Config, Decoder, get_model_path
    except ImportError:
        return None
    model = {"lm": get_model_path("en-us/en-us.lm.bin")} if language_model else {"lm": None}
    return Decoder(Config(samprate=RATE, cmn="batch", loglevel="FATAL", **model))


def spell(decoder: Any, text: str) -> str:
    """The word as the decoder's dictionary knows it; a word that it lacks is added, with a guess at its sounds.

    Empty if it has no Latin letter or digit.
    """
    word = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    pieces = re.findall(r"[a-z]+|[0-9]", word)
    if not pieces or decoder.lookup_word(word):
        return word if pieces else ""
    known = [decoder.lookup_word(DIGITS[int(piece)] if piece.isdigit() else piece) for piece in pieces]
    sounds = [phones or " ".join(SOUNDS[letter] for letter in piece) for phones, piece in zip(known, pieces)]
    added = "".join(pieces) + "_guessed"
    if not decoder.lookup_word(added):
        decoder.add_word(added, " ".join(sounds), True)
    return added


def listen(decoder: Any, sound: Float[np.ndarray, "samples"]) -> list[Any]:
    """The words that the decoder finds, without silences and noises; none if it finds no way through the sound."""
    noise = np.random.default_rng(0).standard_normal(len(sound), dtype=np.float32)
    heard = (sound + NOISE * noise).clip(-1, 1)
    decoder.reinit_feat(decoder.config)  # it forgets the clip before, so that the order of clips does not matter
    decoder.start_utt()
    decoder.process_raw((heard * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    return [segment for segment in decoder.seg() or () if segment.word[0] not in "<["]


def fit(segments: list[Any]) -> float:
    """Likelihood of a word's sounds over that of the best sound of each frame: 1 if no other fits better.

    That of the median word, so that one bad guess at the sounds of a word does not make the others doubtful.
    """
    logs = [np.log(max(x.ascore, 1e-300)) / (x.end_frame - x.start_frame + 1) for x in segments]
    return float(np.exp(np.median(logs)))


def timed(texts: list[str], segments: list[Any]) -> list[Word]:
    return [Word(text, FRAME * x.start_frame, FRAME * (x.end_frame + 1)) for text, x in zip(texts, segments)]


def spread(energy: Float[np.ndarray, "frame"], texts: list[str]) -> list[Word]:
    """The words one after the other over the time in which a voice is heard, each as long as its letters ask for.

    energy: as voice() measures it. Where all is silent, the words fill the whole time.
    """
    active = np.flatnonzero(energy > max(energy.max(initial=0) - QUIET, 0))
    active = active if len(active) else np.arange(len(energy))
    borders = np.append(active, active[-1:] + 1) * HOP / RATE if len(active) else np.zeros(2)
    # As in the toy world: 0.06 s for a word and 0.026 s for each of its letters.
    sizes = np.array([2 + len(text) for text in texts], dtype=float)
    shares = np.append(0, np.cumsum(sizes)) / max(sizes.sum(), 1)
    places = np.interp(shares, np.linspace(0, 1, len(borders)), borders)
    return [Word(text, float(start), float(end)) for text, start, end in zip(texts, places, places[1:])]
