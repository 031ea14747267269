"""The words of the toy world: a small grammar of spoken reviews, its vocabulary, and a vector for every word.

One word of each sentence, the *telling word*, carries all its feeling. Words are lower case, without punctuation.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

TELLING_WORDS = (  # from -3 to 3 in steps of 0.2
    "atrocious dreadful horrible awful terrible lousy bad poor disappointing unpleasant annoying weak dull bland"
    " forgettable ordinary passable acceptable decent fine pleasant nice good enjoyable lovely great terrific"
    " excellent fantastic brilliant wonderful"
).split()
VALENCES = (np.arange(len(TELLING_WORDS)) - 15) / 5

DEGREES = {"": 1.0, "really": 1.2, "truly": 1.2, "rather": 0.8, "somewhat": 0.8}  # times the valence
TOPICS = {  # topic -> (preposition, aspects)
    "film": ("in", ("story", "acting", "music", "ending")),
    "restaurant": ("at", ("food", "service", "menu", "coffee")),
    "phone": ("on", ("screen", "battery", "camera", "keyboard")),
    "lecture": ("in", ("opening", "example", "discussion", "summary")),
    "hotel": ("at", ("room", "breakfast", "pool", "garden")),
    "concert": ("at", ("band", "singer", "sound", "crowd")),
    "book": ("in", ("plot", "writing", "dialogue", "language")),
    "game": ("in", ("design", "puzzle", "map", "soundtrack")),
}
OPENERS = ("", "", "um", "well", "so", "okay", "anyway")
FRAMES = ("", "", "i think", "i guess", "we thought", "they say", "for me")
DETERMINERS = ("this", "that", "the")
VERBS = ("was", "is", "felt", "seemed", "looked")
TAILS = ("", "", "you know", "i must say", "if you ask", "in my opinion", "last night", "this time", "as a whole", "um")

# {say} is the degree and the telling word, {a} is "a" or "an" before them.
PATTERNS = (
    "{opener} {frame} {determiner} {topic} {verb} {say} {tail}",
    "{opener} {frame} the {aspect} {preposition} {determiner} {topic} {verb} {say} {tail}",
    "{opener} {frame} the {aspect} {verb} {say} {tail}",
    "{opener} {frame} it was {a} {say} {topic} {tail}",
    "{opener} what {a} {say} {topic} {tail}",
    "{opener} {say} {aspect} {preposition} {determiner} {topic} {tail}",
)
DRAWS = 9  # choices in one sentence

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
LANGUAGE_STEPS = 16  # [CLS], at most 14 words, [SEP]
VECTOR_WIDTH = 16


class Sentence(NamedTuple):
    words: tuple[str, ...]
    telling_word: int  # index into words
    topic: int  # index into TOPICS
    degree: int  # index into DEGREES


def make_sentence(view: float, draws: Float[np.ndarray, "choice"]) -> Sentence:
    """A sentence whose words come closest to `view` (sentiment units).

    draws: uniform numbers in [0, 1), one per choice. None of these choices depends on the view.
    """
    chances = iter(draws)
    pick = lambda options: options[int(next(chances) * len(options))]
    topic, degree = pick(list(TOPICS)), pick(list(DEGREES))
    preposition, aspects = TOPICS[topic]
    telling = TELLING_WORDS[np.abs(VALENCES * DEGREES[degree] - view).argmin()]
    say = f"{degree} {telling}".strip()
    a, pattern = "an" if say[0] in "aeiou" else "a", pick(PATTERNS)
    parts = dict(aspect=aspects, opener=OPENERS, frame=FRAMES, determiner=DETERMINERS, verb=VERBS, tail=TAILS)
    chosen = {part: pick(options) for part, options in parts.items()}
    words = tuple(pattern.format(topic=topic, preposition=preposition, say=say, a=a, **chosen).split())
    return Sentence(words, words.index(telling), list(TOPICS).index(topic), list(DEGREES).index(degree))


@cache
def vocabulary() -> tuple[str, ...]:
    """Special tokens, then all words of the grammar in alphabetical order; a word's id is its index."""
    parts = [*OPENERS, *FRAMES, *DETERMINERS, *VERBS, *TAILS, *DEGREES, *TOPICS, *TELLING_WORDS, *PATTERNS, "a", "an"]
    for preposition, aspects in TOPICS.values():
        parts += [preposition, *aspects]
    return (*SPECIAL_TOKENS, *sorted({word for word in " ".join(parts).split() if "{" not in word}))


@cache
def word_vectors() -> Float[np.ndarray, "word channel"]:
    """One vector per word of the vocabulary, the same in every world.

    Before a fixed rotation mixes them, the 16 numbers are: valence, whether it is a telling word, degree, topic (4),
    and the word's own code (9). [PAD] is zero.
    """
    rng = np.random.default_rng(2023)
    words = vocabulary()
    meanings = np.zeros((len(words), VECTOR_WIDTH))
    meanings[:, 7:] = 0.8 * rng.standard_normal((len(words), 9))
    topic_codes = np.array([[a, b, c, a * b * c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    for code, (topic, (_, aspects)) in zip(topic_codes, TOPICS.items(), strict=True):
        for word in (topic, *aspects):
            meanings[words.index(word), 3:7] = code
    for word, valence in zip(TELLING_WORDS, VALENCES, strict=True):
        meanings[words.index(word), :2] = valence, 2.0
    for word, factor in list(DEGREES.items())[1:]:
        meanings[words.index(word), 2] = 10 * (factor - 1)
    meanings[words.index("[PAD]")] = 0
    rotation, triangle = np.linalg.qr(rng.standard_normal((VECTOR_WIDTH, VECTOR_WIDTH)))
    return meanings @ (rotation * np.sign(np.diag(triangle)))


def encode(words: Sequence[str]) -> Int[np.ndarray, "3 time"]:
    """BERT's three rows for one sentence: token ids with [CLS] and [SEP], attention mask, segment ids."""
    known = vocabulary()
    ids = [known.index(word if word in known else "[UNK]") for word in ("[CLS]", *words, "[SEP]")]
    tokens = np.zeros((3, LANGUAGE_STEPS), dtype=np.int64)
    tokens[0, : len(ids)], tokens[1, : len(ids)] = ids, 1
    return tokens
