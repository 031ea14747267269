"""What an answer returned, as one line of JSON that can be read without running anything."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


def pack(x: Any) -> Any:
    """A value as JSON can hold it; of what it cannot hold, the name of the type is left."""
    if x is None or isinstance(x, (bool, str)):
        return x
    if isinstance(x, (int, float)) and not isinstance(x, np.generic):
        return x
    if isinstance(x, Tensor) and x.device.type == "cpu" and str(x.dtype).removeprefix("torch.") in DTYPES:
        return {"tensor": _numbers(x.detach().contiguous().numpy()), "gradient": x.requires_grad}
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.name in DTYPES:
        return {"array": _numbers(np.asarray(x))}
    if hasattr(x, "prediction"):  # of a fusion
        return {"space": {name: pack(getattr(x, name)) for name in ("prediction", "features") if hasattr(x, name)}}
    if isinstance(x, (list, tuple)):
        return {"tuple" if isinstance(x, tuple) else "list": [pack(value) for value in x]}
    if isinstance(x, dict) and all(isinstance(key, str) for key in x):
        return {"dict": {key: pack(value) for key, value in x.items()}}
    return {"other": type(x).__name__}


def unpack(x: Any) -> Any:
    """The reverse. Raises ValueError, TypeError or KeyError on what `pack` never writes."""
    if not isinstance(x, dict):
        return x
    kind, value = next(iter(x.items()))
    if kind == "tensor":
        return torch.from_numpy(_array(value))
    if kind == "array":
        return _array(value)[()]
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(unpack(part) for part in value)
    if kind in ("dict", "space"):
        return (dict if kind == "dict" else SimpleNamespace)(**{name: unpack(part) for name, part in value.items()})
    name = str(value)[:40]
    return type(name if name.isidentifier() else "object", (), {})()


def line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _numbers(x: np.ndarray) -> list[Any]:
    return [x.dtype.name, list(x.shape), base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()]


def _array(packed: list[Any]) -> np.ndarray:
    kind, shape, data = packed
    if kind not in DTYPES:
        raise ValueError(f"numbers of the kind {kind!r}")
    return np.frombuffer(base64.b64decode(data, validate=True), dtype=kind).reshape([int(n) for n in shape]).copy()
