"""Reading an untrusted pickle.

A pickle is a program: it may name any importable function and call it. This reader knows a handful of names, all of
them for arrays, numbers, strings and plain containers, and maps each to a strict rebuilder of our own.
"""

import io
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EINVAL
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dmdlite.data.rebuilders import ALLOWED, BFLOAT16, Array, DType, NotData, fill_storage

UNNEEDED_OPCODES = (
    *(pickle.PERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.INST, pickle.OBJ),
    *(pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)
TORCH_MAGIC, TORCH_VERSION = 0x1950A86A20F9469CFC6C, 1001  # of torch.save before it wrote zip archives
FREE_MEMORY, MOST_EXPANSION = 1 << 26, 200
OPCODE_BYTES, ITEM_BYTES = 100, 40  # about what an opcode and an item of a container fill at most
REMEDIES = {"pandas": "save its .to_numpy() instead", "joblib": "save what joblib.load gives with pickle.dump instead"}


class DataError(ValueError):
    """The data cannot be used; the message is one sentence with the file and the place in it."""


class UnsafePickle(DataError):
    """The pickle asks for something that is not data, and was refused before it could run."""


class Allowance:
    """How much memory a file may still fill: a few bytes of a hostile one could ask for gigabytes."""

    def __init__(self, name: str, size: int):
        self.name = name
        self.most = self.left = FREE_MEMORY + MOST_EXPANSION * size

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise DataError(f"{self.name} would fill more than {MOST_EXPANSION} times its size, which no data does.")


@contextmanager
def opened(path: Path) -> Iterator[tuple[io.BufferedIOBase, Allowance]]:
    try:
        with path.open("rb") as file:
            yield file, Allowance(path.name, os.fstat(file.fileno()).st_size)
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None


@contextmanager
def intact(name: str, kind: str, place: Callable[[], str] = str) -> Iterator[None]:
    """Turns whatever goes wrong in the reading of one part of a file into one sentence; problems of the disk pass."""
    try:
        yield
    except NotData as refused:
        asked = f"{name} asks for {_one_line(refused)}{place()}, which is not plain data, so it was not run"
        remedies = [f"; {remedy}" for module, remedy in REMEDIES.items() if str(refused).startswith(module)]
        raise UnsafePickle("".join([asked, *remedies, "."])) from None
    except Exception as problem:
        of_disk = getattr(problem, "errno", None) not in (None, EINVAL)  # not gzip's, nor a seek to where nothing is
        if isinstance(problem, DataError) or of_disk:
            raise
        what = _one_line(problem) + place()
        raise DataError(f"{name} is truncated, damaged or no {kind} at all ({what}).") from None


def _one_line(problem: Exception) -> str:
    text = "" if isinstance(problem, KeyError) else str(problem)  # of which the text is the key alone
    line = next(iter(text.splitlines()), "").partition(": <")[0].rstrip(".") or type(problem).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in line[:200])


def unpickle(
    file: io.BufferedIOBase, name: str, allowance: Allowance, fetch: Callable[[str], bytes] | None = None
) -> Any:
    """The content of an open pickle, which messages call `name`; `fetch` gives the bytes of a tensor by their key."""
    reader = _Reader(file, allowance)
    with intact(name, "pickle", reader.place):
        return reader.load_all(fetch)


def _refuse_opcode(reader: Any) -> None:
    raise NotData("an extension code or an object of some class")


def _load_bytearray(reader: Any) -> None:
    size = int.from_bytes(reader.read(8), "little")
    reader.append(reader.read(size))  # as bytes: a bytearray would be allocated as large as the file claims


def _load_reduce(reader: Any) -> None:
    reader.pay_for(reader.stack[-1])
    pickle._Unpickler.load_reduce(reader)


def _load_build(reader: Any) -> None:
    """Fills the array or the dtype that lies below its content on the stack, and nothing else."""
    if not isinstance(reader.stack[-2], Array | DType):
        raise NotData("a change of something other than an array")
    reader.pay_for(reader.stack[-1])
    pickle._Unpickler.load_build(reader)


class _Reader(pickle._Unpickler):
    """The unpickler in Python, as fast on bulk data: the one in C allocates a table as large as the file claims."""

    dispatch: ClassVar[Any] = pickle._Unpickler.dispatch | {opcode[0]: _refuse_opcode for opcode in UNNEEDED_OPCODES}
    dispatch |= {pickle.BYTEARRAY8[0]: _load_bytearray, pickle.REDUCE[0]: _load_reduce, pickle.BUILD[0]: _load_build}
    dispatch |= {pickle.FRAME[0]: lambda reader: reader.read(8)}  # so that every opcode passes through read_bytes

    def __init__(self, file: io.BufferedIOBase, allowance: Allowance):
        super().__init__(file, encoding="latin1")  # Python 2 wrote the bytes of an array as a string
        self._file_read, self.file, self.allowance = self.read_bytes, file, allowance
        self.metastack, self.stack, self.storages = [], [], {}

    def read_bytes(self, size: int) -> bytes:
        self.allowance.spend(OPCODE_BYTES)
        return self.file.read(min(size, self.allowance.most))  # which allocates before it reads

    def pay_for(self, arguments: Any) -> None:
        """Arguments may be copied, and a short program can do so again and again."""
        sized = [part for part in arguments if hasattr(part, "__len__")]
        self.allowance.spend(sum(len(part) * (1 if isinstance(part, str | bytes) else ITEM_BYTES) for part in sized))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return lambda content: _Reader(io.BytesIO(content), self.allowance).load_all()
        if (module, name) not in ALLOWED:
            raise NotData(f"{module}.{name}")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> np.ndarray:
        """The numbers of a tensor, to be filled after the pickle has been read."""
        if type(pid) is not tuple or pid[0] != "storage" or pid[5:] not in ((), (None,)):
            raise NotData("a persistent id")
        _, dtype, key, _, count = pid[:5]
        if key not in self.storages:
            self.allowance.spend(4 * count + count * dtype.itemsize)
            self.storages[key] = dtype, np.zeros(count, np.float32 if dtype == BFLOAT16 else dtype)
        return self.storages[key][1]

    def load(self) -> Any:
        self.memo = {}
        return super().load()

    def load_all(self, fetch: Callable[[str], bytes] | None = None) -> Any:
        """One pickle; or those of an old torch.save: magic number, version, system, content, keys of its storages."""
        content, keys = self.load(), self.storages
        if type(content) is int and content == TORCH_MAGIC:
            if self.load() != TORCH_VERSION or self.load()["little_endian"] is not True:
                raise ValueError("torch.save in another version or byte order")
            content, keys, fetch = self.load(), self.load(), self._next_storage
        if keys and fetch is None:
            raise NotData("a persistent id")
        for key in keys:
            dtype, numbers = self.storages[key]
            fill_storage(numbers, dtype, fetch(key))
        return content

    def _next_storage(self, key: str) -> bytes:
        count = int.from_bytes(self.file.read(8), "little")
        return self.read_bytes(count * self.storages[key][0].itemsize)

    def place(self) -> str:
        """ " in split 'train', key 'labels'", say, from the dicts that are still being filled."""
        items = [item for stack in (*self.metastack, self.stack) for item in (*stack, _MARK)]
        keys, at = [], 0
        while at + 1 < len(items) and type(items[at]) is dict:
            at += 1
            if items[at] is _MARK:  # key, value, key, value and so on, to be put into the dict together
                at += 1
                while at + 2 < len(items) and type(items[at + 2]) is str and _finished(items[at + 1]):
                    at += 2
            if at == len(items) or type(items[at]) is not str:
                break
            keys.append(repr(items[at][:40]))
            at += 1
        return "" if not keys else f" at {keys[0]}" if len(keys) == 1 else f" in split {keys[0]}, key {keys[1]}"


_MARK = object()  # where the unpickler has set one part of its stack aside


def _finished(value: Any) -> bool:
    return not callable(value) and value is not _MARK and not (type(value) is dict and not value)
