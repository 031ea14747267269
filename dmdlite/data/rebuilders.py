"""What a pickle may ask for: strict rebuilders of plain containers, of numpy arrays, and of tensors as numpy arrays.

None of them hands numpy what a file claims before its bytes were seen to fit the claim. Nothing calls torch.
"""

import math
from types import NoneType
from typing import Any

import numpy as np

PLAIN_KINDS = "biufSU"  # numpy kinds whose bytes can be taken as they are: numbers and strings
PLAIN_OBJECTS = (str, bytes, int, float, NoneType, np.generic, list, tuple, dict, np.ndarray)
BFLOAT16 = np.dtype("V2")  # numpy has no such type; these numbers become float32
STORAGES = dict(Float="<f4", Double="<f8", Half="<f2", BFloat16=BFLOAT16, Bool="?")
STORAGES |= dict(Long="<i8", Int="<i4", Short="<i2", Char="i1", Byte="u1")


class NotData(Exception):
    """Says what a pickle asks for beside data."""


class DType:
    """Replaces a numpy dtype during reading, because numpy would trust the pickle on its memory layout."""

    def __init__(self, code: str, *_: Any):
        self.real = np.dtype(str(code))
        if self.real.kind not in PLAIN_KINDS + "O":
            raise NotData(f"numpy.dtype {code!r}")

    def __setstate__(self, state: tuple) -> None:
        _, order, *structure = state[:5]
        if structure != [None, None, None]:
            raise NotData("a numpy.dtype with fields")
        if order in ("<", ">"):
            self.real = self.real.newbyteorder(order)

    def plain(self) -> np.dtype:
        """The dtype, if memory of this type holds values and no pointers to objects."""
        if self.real.kind == "O":
            raise NotData("numpy objects rebuilt from raw bytes")
        return self.real


class Array(np.ndarray):
    """An array that checks what a pickle fills it with."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, content = state
        if self.shape != (0,):
            raise ValueError("an array is filled twice")
        if dtype.real.kind != "O":
            content = _raw_bytes(content)
        elif not isinstance(content, list) or not all(isinstance(item, PLAIN_OBJECTS) for item in content):
            raise NotData("a numpy array of objects other than strings, numbers, lists and arrays")
        check_fit(shape, dtype.real, len(content))
        super().__setstate__((1, shape, dtype.real, bool(fortran), content))  # type: ignore[arg-type]


class _MaskedArray(Array):
    """Masked numbers become NaN, which is how features say that a number is missing."""

    def __setstate__(self, state: tuple) -> None:
        *start, content, mask, _ = state
        numbers = np.frombuffer(_raw_bytes(content), start[2].plain()).copy()
        hidden = np.frombuffer(_raw_bytes(mask), bool)
        if hidden.any() and numbers.dtype.kind != "f":
            raise ValueError("masked values that cannot become NaN, because they are not floating-point numbers")
        numbers[hidden] = np.nan if hidden.any() else 0
        super().__setstate__((*start, numbers.tobytes()))


def check_fit(shape: tuple[int, ...], dtype: np.dtype, size: int) -> None:
    """Raises ValueError unless an array of this shape has exactly this many bytes, or objects."""
    if dtype.kind not in PLAIN_KINDS + "O" or dtype.itemsize == 0:
        raise ValueError(f"an array of {dtype}, which is neither numbers nor strings")
    if any(length < 0 for length in shape) or math.prod(shape) * (dtype.itemsize if dtype.kind != "O" else 1) != size:
        raise ValueError(f"an array of shape {tuple(shape)} does not fit what it has, {size} bytes or objects")


def array_of(content: bytes | str, dtype: np.dtype, shape: tuple[int, ...], order: str = "C") -> np.ndarray:
    content = _raw_bytes(content)
    check_fit(shape, dtype, len(content))
    return np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")


def _raw_bytes(content: str | bytes) -> bytes:
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, bytes):
        raise ValueError("array content that is not bytes")
    return content


def _ndarray(*_: Any) -> None:
    """Replaces numpy.ndarray, which a pickle names as the class to rebuild and never calls."""
    raise NotData("numpy.ndarray as a function")


def _empty_array(cls: Any, shape: tuple, code: Any) -> Array:
    if cls is not _ndarray or shape != (0,):
        raise NotData("a numpy array of another class")
    return np.ndarray.__new__(Array, (0,), "b")


def _array_from_buffer(content: Any, dtype: DType, shape: tuple, order: str, axes: tuple | None = None) -> Array:
    array = array_of(content, dtype.plain(), shape, order)
    return (array.transpose(axes) if axes is not None else array).view(Array)


def _scalar(dtype: DType, content: str | bytes) -> Any:
    return _array_from_buffer(content, dtype, (), "C")[()]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise NotData(f"_codecs.encode to {encoding!r}")
    return text.encode("latin1")


def _default_dict(factory: Any = None) -> dict:
    if factory not in (None, _FACTORY, set, frozenset):
        raise NotData("a collections.defaultdict with a function of its own")
    return {}


def _tensor(storage: Any, offset: int, shape: tuple, steps: tuple, *_: Any) -> np.ndarray:
    """A view of a storage, unless it leaves the storage or is larger because it repeats its numbers."""
    if not isinstance(storage, np.ndarray) or storage.dtype.kind == "O" or storage.strides != (storage.itemsize,):
        raise ValueError("a tensor of something other than numbers")
    last = offset + sum((length - 1) * step for length, step in zip(shape, steps, strict=True))
    count = math.prod(shape)
    if min((offset, *shape, *steps)) < 0 or count > len(storage) or (count and last >= len(storage)):
        raise ValueError(f"a tensor of shape {tuple(shape)} does not fit its {len(storage)} numbers")
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, [step * storage.itemsize for step in steps])


def fill_storage(numbers: np.ndarray, dtype: np.dtype, content: bytes) -> None:
    raw = array_of(content, np.dtype("<u2") if dtype == BFLOAT16 else dtype, numbers.shape)
    numbers[:] = (raw.astype(np.uint32) << 16).view(np.float32) if dtype == BFLOAT16 else raw


_FACTORY = object()  # stands for the type of a missing value in a defaultdict, and cannot be called
ALLOWED = {("numpy", "ndarray"): _ndarray, ("numpy", "dtype"): DType, ("_codecs", "encode"): _encode}
ALLOWED |= {("collections", "OrderedDict"): dict, ("collections", "defaultdict"): _default_dict}
for _core in ("numpy.core", "numpy._core"):
    for _module in ("multiarray", "_multiarray_umath", "numeric"):
        ALLOWED[f"{_core}.{_module}", "_reconstruct"] = _empty_array
        ALLOWED[f"{_core}.{_module}", "scalar"] = _scalar
        ALLOWED[f"{_core}.{_module}", "_frombuffer"] = _array_from_buffer
for _ma in ("numpy.ma", "numpy.ma.core"):
    ALLOWED[_ma, "MaskedArray"] = _ndarray
    ALLOWED[_ma, "_mareconstruct"] = lambda cls, *base: _empty_array(*base).view(_MaskedArray)
for _builtins in ("builtins", "__builtin__"):
    ALLOWED |= {(_builtins, "set"): set, (_builtins, "frozenset"): frozenset, (_builtins, "bytes"): lambda: b""}
    ALLOWED |= {(_builtins, name): _FACTORY for name in "dict list tuple int long float str bool".split()}
ALLOWED["torch._utils", "_rebuild_tensor_v2"] = _tensor
ALLOWED["torch._utils", "_rebuild_parameter"] = lambda tensor, *_: tensor
ALLOWED |= {("torch", f"{kind}Storage"): np.dtype(code) for kind, code in STORAGES.items()}
