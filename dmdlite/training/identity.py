"""What makes a run this run, beside its numbers: the code, the first weights, the optimizer and its schedule."""

from __future__ import annotations

import functools
import hashlib
import math
import sys
import types
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmdlite.config import TrainingConfig
from dmdlite.models.base import name_of
from dmdlite.sources import code_digests
from dmdlite.training import loop

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), range)
OPENED = (nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
WRAPPERS = (functools.partial, types.MethodType, staticmethod, classmethod, property)
WRAPPED = ("func", "args", "keywords", "__func__", "__self__", "fget", "fset", "fdel")
FUNCTIONS = (types.FunctionType, staticmethod, classmethod, property)
NO_PART = {"training", "_parameters"}  # of a module: the mode does not matter, and the weights have a digest


def identity(model: nn.Module, training: TrainingConfig) -> dict[str, Any]:
    """Digests and settings by name. Call it before training, while the model has its first weights."""
    optimizer = loop.make_optimizer(model, training)
    schedule = loop.make_schedule(optimizer, training)
    groups = {str(i): _settings(group) for i, group in enumerate(optimizer.param_groups)}
    return {
        "optimizer": {"class": name_of(optimizer), "groups": groups},
        "schedule": {"class": name_of(schedule), **_settings(schedule.state_dict())},
        "own_code": own_code(model, optimizer, schedule),
        "code": code_digests(),
        "initial_weights": weights_digest(model),
    }


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain ones; of the parameters, how many there are."""
    plain = {name: list(x) if isinstance(x, tuple) else x for name, x in values.items() if name != "params"}
    finite = {name: x for name, x in plain.items() if not isinstance(x, float) or math.isfinite(x)}
    kept = {name: x for name, x in finite.items() if isinstance(x, (bool, int, float, str, list, type(None)))}
    return kept | ({"parameters": len(values["params"])} if "params" in values else {})


def weights_digest(model: nn.Module) -> str:
    """Of every weight and buffer: its name, type, shape and bytes."""
    digest = hashlib.sha256()
    for name, x in model.state_dict().items():
        digest.update(f"{name} {x.dtype} {tuple(x.shape)}".encode())
        digest.update(x.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def own_code(*objects: Any) -> dict[str, str]:
    """name -> digest of every function and class that these objects use and that is not part of a library.

    Bytecode is what counts, not the file: it is what runs, whatever has been edited since. The digest of a function
    includes its constants, defaults, closure, and the values of the globals that it reads; it follows the functions and
    classes among them. Objects of a library's class count by the name of the class, unless they are modules or
    dataclasses.
    """
    reader = _Reader()
    for x in objects:
        reader.read(x, None)
    return {name: hashlib.sha256(repr(notes).encode()).hexdigest()[:16] for name, notes in reader.notes.items()}


@functools.cache
def is_own(module: str | None) -> bool:
    """Whether a module is neither dmdlite, nor of the standard library, nor installed; notebooks are one's own."""
    root = str(module).partition(".")[0]
    if root in ("dmdlite", "builtins", "None") or (root in sys.stdlib_module_names and root != "__main__"):
        return False
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return not {"site-packages", "dist-packages"} & set(Path(file).parts)


class _Reader:
    """Notes what the code of one's own consists of, each function and class under its name."""

    def __init__(self):
        self.notes: dict[str, list[Any]] = {}
        self.seen: dict[Any, Any] = {}  # holds the objects, so that no other gets the id of one

    def read(self, x: Any, owner: str | None) -> None:
        """Follows x, which `owner` refers to; without an owner only what is one's own is noted."""
        self.note(owner, x if isinstance(x, PLAIN) else name_of(x))
        if isinstance(x, PLAIN) or id(x) in self.seen:
            return
        self.seen[id(x)] = x
        if isinstance(x, types.FunctionType):
            if is_own(x.__globals__.get("__name__")):
                self.read_function(x, name_of(x))
        elif isinstance(x, type):
            if is_own(x.__module__):
                self.read_class(x, name_of(x))
        elif isinstance(x, (Tensor, np.ndarray)):
            self.note(owner, hashlib.sha256(np.ascontiguousarray(x).tobytes()).digest() if owner else None)
        else:
            self.read_all(_parts(x), name_of(x) if is_own(type(x).__module__) else owner)
        self.read(getattr(x, "__dict__", {}).get("__wrapped__"), None)  # what a decorator has hidden

    def read_all(self, parts: Iterable[Any], owner: str | None) -> None:
        for part in parts:
            self.read(part, owner)

    def read_function(self, x: types.FunctionType, owner: str) -> None:
        names = self.read_code(x.__code__, owner)
        cells = [cell.cell_contents for cell in x.__closure__ or () if cell != types.CellType()]
        self.read_all([x.__defaults__, x.__kwdefaults__, *cells], owner)
        self.read_names(x.__globals__, names, owner)

    def read_code(self, code: types.CodeType, owner: str) -> set[str]:
        """Returns the names of the globals and attributes that it uses."""
        inner = [x for x in code.co_consts if isinstance(x, types.CodeType)]
        constants = [x for x in code.co_consts if not isinstance(x, types.CodeType)]
        constants = [sorted(map(repr, x)) if isinstance(x, frozenset) else x for x in constants]
        signature = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self.note(owner, (code.co_code, code.co_exceptiontable, constants, code.co_names, signature))
        return set(code.co_names).union(*(self.read_code(x, owner) for x in inner))

    def read_names(self, space: Mapping[str, Any], names: set[str], owner: str) -> None:
        for name in sorted(names & space.keys()):
            x = space[name]
            if not isinstance(x, types.ModuleType):
                self.read(x, owner)
            elif is_own(x.__name__) and (key := (x.__name__, *sorted(names))) not in self.seen:
                self.seen[key] = x
                self.read_names(vars(x), names, owner)

    def read_class(self, x: type, owner: str) -> None:
        self.note(owner, [name_of(base) for base in x.__bases__])
        self.read_all(x.__bases__, None)
        for name, value in sorted(vars(x).items()):
            if isinstance(value, FUNCTIONS) or not name.startswith("__"):
                self.note(owner, name)
                self.read(value, owner)

    def note(self, owner: str | None, x: Any) -> None:
        if owner is not None:
            self.notes.setdefault(owner, []).append(x)


def _parts(x: Any) -> list[Any]:
    """What an object consists of, as far as it can change what it does."""
    if isinstance(x, WRAPPERS):
        return [getattr(x, name, None) for name in WRAPPED]
    if isinstance(x, Mapping):
        return [part for item in x.items() for part in item if part is not item[0] or isinstance(part, str)]
    if isinstance(x, (list, tuple)):
        return list(x)
    if isinstance(x, (set, frozenset)):
        return sorted(x, key=repr)
    if isinstance(x, OPENED) or is_dataclass(x) or is_own(type(x).__module__):
        return [type(x), {name: part for name, part in vars(x).items() if name not in NO_PART}]
    return []
