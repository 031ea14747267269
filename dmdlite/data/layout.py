"""One split's arrays under MMSA's keys (github.com/thuiar/MMSA, README.md:108-128), checked and made a FeatureSplit.

The streams that are read have to be sound. What else is unusable is noted, and raised by the run that asks for it.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from dmdlite.config import MODALITIES
from dmdlite.data import padding
from dmdlite.data.columns import Columns
from dmdlite.data.padding import Extent
from dmdlite.data.pickles import DataError
from dmdlite.data.readers import listed, rank
from dmdlite.data.splits import KEYS, FeatureSplit


@dataclass(frozen=True)
class Stream:
    """One stream of features, checked."""

    x: Float[np.ndarray, "clip time width"]
    lengths: Int[np.ndarray, "clip"] | None  # where the file has clips of different lengths
    present: Bool[np.ndarray, "clip"]  # false where the whole clip is NaN: it was not recorded
    replaced: int  # values that were set to zero


@dataclass(frozen=True, kw_only=True)
class Layout(Columns):
    """The arrays of one split.

    modalities: those that are read. invalid: "zero" sets NaN and infinities to 0, and says how many; "refuse" does not.
    scan: whether to look at every feature value; without it they are not read at all.
    """

    modalities: Sequence[str] = MODALITIES
    invalid: str = "refuse"
    scan: bool = True

    def split(self) -> FeatureSplit:
        """The split without its classes, which `make_splits` numbers alike in all splits."""
        streams = {m: self.stream(KEYS[m]) for m in self.modalities if KEYS[m] in self.data}
        tokens = self.optional(self.tokens, "text_bert") if "language" in self.modalities else None
        count = self.clips({KEYS[m]: len(stream.x) for m, stream in streams.items()}, tokens)
        if tokens is not None and len(tokens) != count:
            tokens = self.note("text_bert", f"{len(tokens)} clips, but the features have {count}")
        extents = self.extents(streams, tokens, count)
        of = {m: self.optional(self.labels, f"regression_labels_{key[0]}", count) for m, key in KEYS.items()}
        labels = self.optional(self.labels, "regression_labels", count)
        return FeatureSplit(
            features={m: stream.x for m, stream in streams.items()},
            lengths={m: lengths for m, (_, lengths) in extents.items()},
            labels=np.full(count, np.nan, np.float32) if labels is None else labels,
            ids=self.optional(self.strings, "id", count, "$_$") or [f"{self.name}_{i}" for i in range(count)],
            raw_text=self.optional(self.strings, "raw_text", count, " ") or [""] * count,
            tokens=tokens,
            source=self.source,
            name=self.name,
            replaced=int(self.data.get("replaced", 0)) + sum(stream.replaced for stream in streams.values()),
            starts={m: starts for m, (starts, _) in extents.items() if starts.any()},
            present={m: x for m, stream in streams.items() if not (x := self.present(m, stream.present)).all()},
            extractor=self.extractor(count),
            labels_of={m: x for m, x in of.items() if x is not None},
            problems=self.problems,
        )

    def extractor(self, count: int) -> str:
        names = sorted(set(self.optional(self.strings, "extractor", count, " ") or [""]))
        if len(names) > 1:
            self.fail("extractor", f"features of several extractors, {listed(names)}, which mean different things")
        return names[0]

    def clips(self, counts: Mapping[str, int], tokens: np.ndarray | None) -> int:
        """The number of clips, in which all streams agree."""
        counts = dict(counts) or ({} if tokens is None else {"text_bert": len(tokens)})
        if not counts:
            wanted = " or ".join(repr(KEYS[m]) for m in self.modalities)
            raise DataError(f"{self.source}, split {self.name!r} has no stream {wanted}; it has {listed(self.data)}.")
        first, count = next(iter(counts.items()))
        for key, found in counts.items():
            if found != count:
                self.fail(key, f"{found} clips, but {first!r} has {count}")
        if not count:
            self.fail(first, "empty, the split has no clips")
        return count

    def tokens(self, key: str) -> Int[np.ndarray, "clip 3 time"]:
        shape = self.numbers(key).shape
        if len(shape) != 3 or shape[1] != 3 or shape[2] == 0:
            self.fail(key, f"shape {shape}, not (clips, 3, time)")
        tokens = self.integers(key, *shape)
        if (tokens < 0).any():
            self.fail(key, "negative token ids")
        if (tokens[:, 1] > 1).any():
            self.fail(key, "an attention mask (row 1) with values other than 0 and 1")
        return tokens

    def stream(self, key: str) -> Stream:
        """(clips, time, width) from arrays, lists of clips of different lengths, or one vector for each clip."""
        array, lengths = self.data[key], None
        if rank(array) == 3 and (isinstance(array, list | tuple) or array.dtype == object):
            try:
                array, lengths = padding.stacked(list(array))
            except (ValueError, TypeError) as problem:
                self.fail(key, f"holds {problem}")
        else:
            array = self.numbers(key)
        array = array[:, None] if array.ndim == 2 else array
        if array.ndim != 3:
            self.fail(key, f"rank {array.ndim}, not 3 (clips, time, width) or 2 (clips, width)")
        if 0 in array.shape[1:]:
            self.fail(key, f"shape {array.shape} has no time steps or no width")
        if array.dtype not in (np.float16, np.float32):
            with np.errstate(over="ignore"):
                array = array.astype(np.float32)
        if not self.scan:
            return Stream(array, lengths, np.ones(len(array), bool), 0)
        present = np.array([not np.isnan(clip).all() for clip in array], bool)
        array, replaced = self.repaired(key, array, present)
        return Stream(array, lengths, present, replaced)

    def repaired(self, key: str, array: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, int]:
        """The array with zeros for what is not finite, where that is allowed, and how many values were set to zero.

        Audio's -inf becomes 0, as in MMSA, and a clip without a single number: it was not recorded.
        """
        recorded = [clip for clip, there in zip(array, present) if there]  # views: a large array needs no second one
        silent = int(sum(np.count_nonzero(clip == -np.inf) for clip in recorded)) if key == "audio" else 0
        odd = int(sum(np.count_nonzero(~np.isfinite(clip)) for clip in recorded) - silent)
        if odd and self.invalid != "zero":
            advice = "--invalid zero (in Python: invalid='zero') sets them to 0"
            self.fail(key, f"{odd} values are NaN or infinite; {advice}")
        if silent:
            warnings.warn(f"{self.place(key)}: {silent} × -inf was set to 0, as MMSA does.", stacklevel=2)
        if odd:
            warnings.warn(f"{self.place(key)}: {odd} NaN or infinite values were set to 0.", stacklevel=2)
        whole = present.all() and not odd + silent
        return array if whole else np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0), odd + silent

    def extents(self, streams: Mapping[str, Stream], tokens: np.ndarray | None, count: int) -> dict[str, Extent]:
        """The real steps of each clip, by modality; a length of 0 counts as 1.

        Stored lengths come first, then language's token mask. In an aligned file (equal time steps), vision and audio
        are as long as language, as in MMSA. Otherwise the zeros behind a clip, or in front of all clips, are padding.
        """
        found: dict[str, Extent] = {}
        words = None if tokens is None else (tokens[:, 1].argmax(axis=1), np.maximum(tokens[:, 1].sum(axis=1), 1))
        times = {stream.x.shape[1] for stream in streams.values()}
        for m, stream in streams.items():
            x, key = stream.x, f"{KEYS[m]}_lengths"
            lengths = np.ones(count, int) if x.shape[1] == 1 else stream.lengths
            if lengths is None:
                stored = key if key in self.data else "lengths"
                lengths = self.optional(self.lengths, stored, count, x.shape[1])
            if lengths is not None:
                found[m] = self.placed(m, x, lengths)
            elif m == "language" and words is not None and tokens.shape[2] == x.shape[1]:
                found[m] = words
            elif m != "language" and len(times) == 1 and "language" in found:
                found[m] = padding.placed(x, found["language"][1]) or found["language"]
            else:
                found[m] = padding.found(x)
        return found if words is None else {"language": words} | found

    def lengths(self, key: str, count: int, time: int) -> Int[np.ndarray, "clip"]:
        lengths = self.integers(key, count)
        if lengths.min() < 0:
            self.fail(key, f"a length of {lengths.min()}")
        if lengths.max() > time:
            self.fail(key, f"a length of {lengths.max()}, longer than the {time} time steps of the sequence")
        return np.maximum(lengths, 1)

    def placed(self, modality: str, x: np.ndarray, lengths: Int[np.ndarray, "clip"]) -> Extent:
        """The extent of clips of known lengths, on the side where their values are."""
        key = KEYS[modality]
        if not self.scan:
            return self.integers(f"{key}_starts", len(x)) if f"{key}_starts" in self.data else 0 * lengths, lengths
        if (extent := padding.placed(x, lengths)) is None:
            self.note(f"{key}_lengths", "some clips have values beyond their length, behind it and in front of it")
        return extent or (0 * lengths, lengths)

    def present(self, modality: str, recorded: Bool[np.ndarray, "clip"]) -> Bool[np.ndarray, "clip"]:
        """Which clips have the modality: (clips,) under its own key, or its column of "availability"."""
        count = len(recorded)
        marks = self.optional(self.integers, f"{KEYS[modality]}_available", count)
        if marks is None:
            of_all = self.optional(self.integers, "availability", count, len(MODALITIES))
            marks = None if of_all is None else of_all[:, MODALITIES.index(modality)]
        return recorded if marks is None else recorded & (marks > 0)
