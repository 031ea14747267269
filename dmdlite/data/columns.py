"""What one split of a file holds under MMSA's keys, and how its numbers, words and labels are checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float, Int, Num

from dmdlite.data.pickles import DataError
from dmdlite.data.readers import is_text, rank


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The values of one split by MMSA's key, and what is wrong with those that nothing has needed so far."""

    data: Mapping[str, Any]
    source: str
    name: str
    problems: dict[str, str] = field(default_factory=dict)  # MMSA's key -> a sentence

    def place(self, key: str) -> str:
        return f"{self.source}, split {self.name!r}, key {key!r}"

    def fail(self, key: str, problem: str) -> NoReturn:
        raise DataError(f"{self.place(key)}: {problem}.")

    def note(self, key: str, problem: str) -> None:
        """Keeps what is wrong for the run that asks for it."""
        self.problems.setdefault(key, f"{self.place(key)}: {problem}.")

    def optional(self, read: Callable, key: str, *arguments: Any) -> Any:
        """What `read` makes of the key; None if it is absent, or unusable, which is noted."""
        if key not in self.data:
            return None
        try:
            return read(key, *arguments)
        except DataError as problem:
            self.problems[key] = str(problem)
            return None

    def numbers(self, key: str) -> Num[np.ndarray, "..."]:
        """An array of numbers; strings of digits are numbers, too, and None is NaN."""
        try:
            array = np.asarray(self.data[key])
        except ValueError:
            self.fail(key, "rows of different lengths")
        if array.dtype.kind in "OUS":
            try:
                array = array.astype(np.float64)
            except (ValueError, TypeError):
                self.fail(key, f"holds {'words' if is_text(array) else array.dtype}, not numbers")
        if array.dtype.kind not in "biuf":
            self.fail(key, f"holds {array.dtype}, not numbers")
        return array

    def integers(self, key: str, *shape: int) -> Int[np.ndarray, "..."]:
        array = self.numbers(key)
        array = array.reshape(shape) if array.squeeze().shape == tuple(size for size in shape if size != 1) else array
        if array.shape != shape:
            self.fail(key, f"shape {array.shape}, not {shape}")
        if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.round(array))).all():
            self.fail(key, "values that are not whole numbers")
        return array.astype(np.int64, copy=False)

    def strings(self, key: str, count: int, between: str) -> list[str]:
        """Any values as str; the parts of a list for one clip are joined."""

        def text(value: Any) -> str:
            if isinstance(value, list | tuple | np.ndarray) and np.ndim(value):
                return between.join(map(text, value))
            empty = isinstance(value, float) and value != value  # a cell of a table
            return "" if empty else value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

        values = self.data[key]
        if not rank(values) or len(values) != count:
            self.fail(key, f"{len(values) if rank(values) else 'not even'} clips, but the features have {count}")
        return [text(value) for value in values]

    def labels(self, key: str, count: int) -> Float[np.ndarray, "clip *outputs"]:
        """NaN where a label is unknown."""
        labels = self.numbers(key).astype(np.float32)
        while labels.ndim > 1 and 1 in labels.shape[1:]:
            labels = labels.squeeze(1 + labels.shape[1:].index(1))
        if labels.ndim not in (1, 2) or labels.shape[1:] == (0,):
            self.fail(key, f"shape {labels.shape}, not (clips,) or (clips, numbers)")
        if len(labels) != count:
            self.fail(key, f"shape {labels.shape}, but the features have {count} clips")
        if np.isinf(labels).any() or np.isnan(labels).all():
            self.fail(key, f"{np.sum(~np.isfinite(labels))} of {labels.size} labels are NaN or infinite")
        return labels

    def classes(self, key: str, count: int) -> np.ndarray:
        """Words or whole numbers (clips,), as in the file; (clips, classes) of 0 and 1 if several hold at once."""
        if is_text(self.data[key]):
            words = np.array(self.strings(key, count, " "))
            if not all(word.strip() for word in words):
                self.fail(key, "empty words")
            return words
        values = self.numbers(key)
        numbers = self.integers(key, *((count,) if values.size == count else (count, *values.shape[1:])))
        if numbers.ndim > 1 and set(np.unique(numbers)) - {0, 1}:
            self.fail(key, f"shape {numbers.shape} with values other than 0 and 1")
        return numbers
