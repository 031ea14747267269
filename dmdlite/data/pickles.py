"""Reading a pickle that nobody has vouched for.

A pickle is a program: it may name any importable function and call it. This reader knows a handful of names, all of
them for numpy arrays, numbers, strings and plain containers, and even those stand for our own strict rebuilders.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

PLAIN_KINDS = "biufSU"  # numpy kinds whose bytes can be taken as they are: numbers and strings
UNNEEDED_OPCODES = (
    *(pickle.PERSID, pickle.BINPERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4),
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)


class DataError(ValueError):
    """The data cannot be used; the message is one sentence that names the file and the place in it."""


class UnsafePickle(DataError):
    """The pickle asks for something that is not data; it was refused before it could run."""


class _Refused(Exception):
    """Carries the name of what a pickle asked for."""


def read_pickle(path: str | Path) -> Any:
    """The arrays, numbers, strings and containers in a pickle of any protocol, by Python 2 or 3, any numpy.

    Arrays come as a bare subclass of `np.ndarray`; `np.asarray` takes it off.
    Raises UnsafePickle for anything else in the file, DataError for a file that is missing, truncated or damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _Reader(file).load()
    except _Refused as refused:
        raise UnsafePickle(f"{path.name} asks for {refused}, which is not plain data, so it was not run.") from None
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None
    except Exception as problem:
        what = next(iter(str(problem).splitlines()), type(problem).__name__).rstrip(".")
        raise DataError(f"{path.name} is truncated, damaged or no pickle at all ({what}).") from None


def _refuse_opcode(reader: _Reader) -> None:
    raise _Refused("a persistent id, an extension code or an object of some class")


def _load_bytearray(reader: _Reader) -> None:
    size = int.from_bytes(reader.read(8), "little")
    reader.append(reader.read(size))  # as bytes: a bytearray would be allocated as large as the file says


class _Reader(pickle._Unpickler):
    """The standard library's unpickler in Python.

    The faster one in C fills memory with a table as large as the file says; bulk data is read no slower by this one.
    """

    dispatch = pickle._Unpickler.dispatch | {opcode[0]: _refuse_opcode for opcode in UNNEEDED_OPCODES}
    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="latin1")  # Python 2 wrote the bytes of an array as a string

    def find_class(self, module: str, name: str) -> _Rebuilder:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None


class _Rebuilder:
    """A function under a name that a pickle may ask for. The pickle can call it and do nothing else with it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise _Refused("a change of the functions that rebuild it")


class _DType:
    """Stands for a numpy dtype while the pickle is read: numpy would take the pickle's word for its memory layout."""

    def __init__(self, code: str, *_: Any):
        self.real = np.dtype(str(code))
        if self.real.kind not in PLAIN_KINDS + "O":
            raise _Refused(f"numpy.dtype {code!r}")

    def __setstate__(self, state: tuple) -> None:
        _, order, *structure = state[:5]
        if structure != [None, None, None]:
            raise _Refused("a numpy.dtype with fields")
        if order in ("<", ">"):
            self.real = self.real.newbyteorder(order)

    def plain(self) -> np.dtype:
        """The dtype, if memory of this type holds values and no pointers to objects."""
        if self.real.kind not in PLAIN_KINDS:
            raise _Refused("numpy objects rebuilt from raw bytes")
        if self.real.itemsize == 0:
            raise ValueError("values of no size")
        return self.real


class _Array(np.ndarray):
    """An array that checks what a pickle fills it with."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, content = state
        if self.shape != (0,):
            raise ValueError("an array is filled twice")
        if dtype.real.kind == "O":
            _check_objects(shape, content)
            real = dtype.real
        else:
            real, content = dtype.plain(), _raw_bytes(content)
            _check_size(shape, len(content), real.itemsize)
        super().__setstate__((1, shape, real, bool(fortran), content))


def _check_size(shape: tuple[int, ...], size: int, item_size: int) -> None:
    if any(length < 0 for length in shape) or math.prod(shape) * item_size != size:
        raise ValueError(f"an array of shape {shape} does not fit its {size} bytes")


def _check_objects(shape: tuple[int, ...], content: Any) -> None:
    if not isinstance(content, list) or not all(isinstance(item, (str, bytes, int, float)) for item in content):
        raise _Refused("a numpy array of objects other than strings and numbers")
    _check_size(shape, len(content), 1)


def _raw_bytes(content: str | bytes) -> bytes:
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, bytes):
        raise ValueError("array content that is not bytes")
    return content


def _empty_array(cls: Any, shape: tuple, code: Any) -> _Array:
    if cls is not _NDARRAY or shape != (0,):
        raise _Refused("a numpy array of another class")
    return np.ndarray.__new__(_Array, (0,), "b")


def _array_from_buffer(content: bytes, dtype: _DType, shape: tuple, order: str, axes: tuple | None = None) -> _Array:
    flat = np.frombuffer(_raw_bytes(content), dtype.plain())
    array = flat.reshape(shape, order="F" if order == "F" else "C")
    return (array.transpose(axes) if axes is not None else array).view(_Array)


def _scalar(dtype: _DType, content: str | bytes) -> np.generic:
    real, content = dtype.plain(), _raw_bytes(content)
    _check_size((), len(content), real.itemsize)
    return np.frombuffer(content, real)[0]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise _Refused(f"_codecs.encode to {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _not_called(*_: Any) -> None:
    raise _Refused("numpy.ndarray as a function")


_NDARRAY = _Rebuilder(_not_called)
ALLOWED = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Rebuilder(_DType),
    ("_codecs", "encode"): _Rebuilder(_encode),
    ("collections", "OrderedDict"): _Rebuilder(dict),
}
for _core in ("numpy.core", "numpy._core"):
    ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _Rebuilder(_empty_array)
    ALLOWED[f"{_core}.multiarray", "scalar"] = _Rebuilder(_scalar)
    ALLOWED[f"{_core}.numeric", "_frombuffer"] = _Rebuilder(_array_from_buffer)
for _builtins in ("builtins", "__builtin__"):
    ALLOWED[_builtins, "set"] = _Rebuilder(set)
    ALLOWED[_builtins, "frozenset"] = _Rebuilder(frozenset)
    ALLOWED[_builtins, "bytes"] = _Rebuilder(_no_bytes)
