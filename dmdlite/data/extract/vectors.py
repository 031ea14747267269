"""A vector for every word, offline and the same on every machine.

The first three numbers say what a word does to the feeling of a sentence. They come from VADER (Hutto and Gilbert 2014,
MIT licence), whose 7,500 English words ten people rated one by one. The other numbers only tell words apart: they are
hashes of letters. Words that are spelt alike lie close together; "film" and "movie" do not. No word looks at its
neighbours, so "not good" is what the model makes of two vectors. Real word vectors need a language model.
"""

import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Float

from dmdlite.data.extract.setup import extra

LETTERS = 29
MEASURES = {  # name -> (unit, what it is); all but the last are 0 for words that VADER does not have
    "valence": ("-4 to 4", 'how unpleasant or pleasant the word is: "horrible" -2.5, "nice" 1.8'),
    "degree": ("-1, 0 or 1", '"barely" weakens what follows, "really" strengthens it'),
    "negation": ("0 or 1", '"not", "never", "without" and their kind'),
    **{f"letters_{i}": ("about -1 to 1", "a hash of the word and of its letters by threes") for i in range(LETTERS)},
}
NAMES = tuple(MEASURES)


def vectors(words: Sequence[str]) -> Float[np.ndarray, "word measure"]:
    """The measures of each word (see MEASURES); capitals do not matter.

    Raises ValueError if vaderSentiment is missing.
    """
    return np.array([vector(word.lower()) for word in words], dtype=np.float32).reshape(len(words), len(NAMES))


@cache
def vector(word: str) -> tuple[float, ...]:
    valences, degrees, negations = lexicon()
    letters = f"<{word}>"
    parts = [letters] + [letters[i : i + 3] for i in range(len(letters) - 2)]
    # Random numbers that depend on the letters alone, of length 1 on average.
    codes = sum(np.random.default_rng(zlib.crc32(part.encode())).standard_normal(LETTERS) for part in parts)
    codes = codes / np.sqrt(len(parts) * LETTERS)
    return valences.get(word, 0.0), np.sign(degrees.get(word, 0.0)), float(word in negations), *codes


@cache
def lexicon() -> tuple[dict[str, float], dict[str, float], frozenset[str]]:
    """Valences and degrees by word, and the words that negate."""
    with extra():
        from vaderSentiment.vaderSentiment import BOOSTER_DICT, NEGATE, SentimentIntensityAnalyzer
    return SentimentIntensityAnalyzer().lexicon, BOOSTER_DICT, frozenset(NEGATE)
