"""Reading an untrusted pickle.

A pickle is a program: it may name any importable function and call it. This reader knows a handful of names, all of
them for numpy arrays, numbers, strings and plain containers, and maps each to a strict rebuilder of our own.
"""

import math
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

PLAIN_KINDS = "biufSU"  # numpy kinds whose bytes can be taken as they are: numbers and strings
UNNEEDED_OPCODES = (
    *(pickle.PERSID, pickle.BINPERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4),
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)


class DataError(ValueError):
    """The data cannot be used; the message is one sentence with the file and the place in it."""


class UnsafePickle(DataError):
    """The pickle asks for something that is not data, and was refused before it could run."""


def read_pickle(path: Path) -> Any:
    """The arrays, numbers, strings and containers in a pickle of any protocol, from Python 2 or 3 and any numpy.

    Arrays are instances of a bare subclass of `np.ndarray`, which `np.asarray` removes.
    Raises UnsafePickle for anything else in the file, DataError for a file that is missing, truncated or damaged.
    """
    try:
        with path.open("rb") as file:
            return _Reader(file, encoding="latin1").load()  # Python 2 wrote the bytes of an array as a string
    except UnsafePickle as refused:
        raise UnsafePickle(f"{path.name} asks for {refused}, which is not plain data, so it was not run.") from None
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}.") from None
    except Exception as problem:
        what = next(iter(str(problem).splitlines()), type(problem).__name__).rstrip(".")
        raise DataError(f"{path.name} is truncated, damaged or no pickle at all ({what}).") from None


def _refuse_opcode(reader: Any) -> None:
    raise UnsafePickle("a persistent id, an extension code or an object of some class")


def _load_bytearray(reader: Any) -> None:
    size = int.from_bytes(reader.read(8), "little")
    reader.append(reader.read(size))  # as bytes: a bytearray would be allocated as large as the file claims


def _load_build(reader: Any) -> None:
    """Fills the array or the dtype that lies below its content on the stack, and nothing else."""
    if not isinstance(reader.stack[-2], _Array | _DType):
        raise UnsafePickle("a change of something other than an array")
    pickle._Unpickler.load_build(reader)


class _Reader(pickle._Unpickler):
    """The unpickler in Python, as fast on bulk data: the one in C allocates a table as large as the file claims."""

    dispatch: ClassVar[Any] = pickle._Unpickler.dispatch | {opcode[0]: _refuse_opcode for opcode in UNNEEDED_OPCODES}
    dispatch |= {pickle.BYTEARRAY8[0]: _load_bytearray, pickle.BUILD[0]: _load_build}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise UnsafePickle(f"{module}.{name}")
        return ALLOWED[module, name]


class _DType:
    """Stands for a numpy dtype during reading, because numpy would trust the pickle on its memory layout."""

    def __init__(self, code: str, *_: Any):
        self.real = np.dtype(str(code))
        if self.real.kind not in PLAIN_KINDS + "O":
            raise UnsafePickle(f"numpy.dtype {code!r}")

    def __setstate__(self, state: tuple) -> None:
        _, order, *structure = state[:5]
        if structure != [None, None, None]:
            raise UnsafePickle("a numpy.dtype with fields")
        if order in ("<", ">"):
            self.real = self.real.newbyteorder(order)

    def plain(self) -> np.dtype:
        """The dtype, if memory of this type holds values and no pointers to objects."""
        if self.real.kind not in PLAIN_KINDS:
            raise UnsafePickle("numpy objects rebuilt from raw bytes")
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
            if not isinstance(content, list) or not all(isinstance(item, (str, bytes, int, float)) for item in content):
                raise UnsafePickle("a numpy array of objects other than strings and numbers")
            real, item_size = dtype.real, 1
        else:
            real, content = dtype.plain(), _raw_bytes(content)
            item_size = real.itemsize
        if any(length < 0 for length in shape) or math.prod(shape) * item_size != len(content):
            raise ValueError(f"an array of shape {shape} does not fit its {len(content)} bytes")
        super().__setstate__((1, shape, real, bool(fortran), content))  # type: ignore[arg-type]


def _raw_bytes(content: str | bytes) -> bytes:
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, bytes):
        raise ValueError("array content that is not bytes")
    return content


def _ndarray(*_: Any) -> None:
    """Stands for numpy.ndarray, which a pickle names as the class to rebuild and never calls."""
    raise UnsafePickle("numpy.ndarray as a function")


def _empty_array(cls: Any, shape: tuple, code: Any) -> _Array:
    if cls is not _ndarray or shape != (0,):
        raise UnsafePickle("a numpy array of another class")
    return np.ndarray.__new__(_Array, (0,), "b")


def _array_from_buffer(content: Any, dtype: _DType, shape: tuple, order: str, axes: tuple | None = None) -> _Array:
    flat = np.frombuffer(_raw_bytes(content), dtype.plain())
    array = flat.reshape(shape, order="F" if order == "F" else "C")
    return (array.transpose(axes) if axes is not None else array).view(_Array)


def _scalar(dtype: _DType, content: str | bytes) -> Any:
    return _array_from_buffer(content, dtype, (), "C")[()]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise UnsafePickle(f"_codecs.encode to {encoding!r}")
    return text.encode("latin1")


ALLOWED = {("numpy", "ndarray"): _ndarray, ("numpy", "dtype"): _DType}
ALLOWED |= {("_codecs", "encode"): _encode, ("collections", "OrderedDict"): dict}
for _core in ("numpy.core", "numpy._core"):
    ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _empty_array
    ALLOWED[f"{_core}.multiarray", "scalar"] = _scalar
    ALLOWED[f"{_core}.numeric", "_frombuffer"] = _array_from_buffer
for _builtins in ("builtins", "__builtin__"):
    ALLOWED |= {(_builtins, "set"): set, (_builtins, "frozenset"): frozenset, (_builtins, "bytes"): lambda: b""}
