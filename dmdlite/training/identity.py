"""What makes a run this run, beside its numbers: the code, the first weights, the optimizer and its schedule."""

import functools
import hashlib
import math
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmdlite.config import TrainingConfig
from dmdlite.models.saving import name_of
from dmdlite.sources import code_digests
from dmdlite.training import loop

CHANGED = {"code": "the code has changed since", "own_code": "your own code has changed since"}
FIXED = {"data": "on other data", "initial_weights": "initial weights differ"}
FIXED |= {"training.log_test": "which has not logged the test scores of every epoch"}
PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), range)
OPENED = (nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
METHODS = (types.FunctionType, staticmethod, classmethod, property)
WRAPPERS = (functools.partial, types.MethodType, staticmethod, classmethod, property)
WRAPPED = ("func", "args", "keywords", "__func__", "__self__", "fget", "fset", "fdel")


def identity(model: nn.Module, training: TrainingConfig, *own: Any) -> dict[str, Any]:
    """Digests and settings by name. Call it before training, while the model has its first weights."""
    optimizer = loop.make_optimizer(model, training)
    schedule = loop.make_schedule(optimizer, training).scheduler
    groups = {str(i): _settings(group) for i, group in enumerate(optimizer.param_groups)}
    return {
        "optimizer": {"class": name_of(optimizer), "groups": groups},
        "schedule": {"class": name_of(schedule), **_settings(schedule.state_dict())},
        "own_code": own_code(model, optimizer, schedule, training.optimizer, training.scheduler, *own),
        "code": code_digests(),
        "initial_weights": weights_digest(model),
    }


def first_difference(there: dict[str, Any], here: dict[str, Any]) -> str | None:
    """How two descriptions of runs differ, in words; not by the version, the source of the data, or epochs to add."""
    theirs, ours = (_flat({**x, "dmdlite": None, "data": x.get("data", {}).get("fingerprint")}) for x in (there, here))
    other = [name for name in ours | theirs if theirs.get(name) != ours.get(name)]
    if "training.epochs" in other and theirs.get("training.epochs", 0) < ours.get("training.epochs", 0):
        other.remove("training.epochs")
    if "training.log_test" in other and theirs.get("training.log_test"):
        other.remove("training.log_test")  # it has logged more than is asked for
    if not other:
        return None
    kind = other[0].partition(".")[0]
    if kind in CHANGED:
        parts = [name.partition(".")[2] for name in other if name.startswith(f"{kind}.")]
        return f"{CHANGED[kind]}: {', '.join(filter(None, parts[:3]))}{' …' if len(parts) > 3 else ''}"
    return (
        FIXED.get(kind)
        or FIXED.get(other[0])
        or f"{other[0]} is {theirs.get(other[0])!r} there and {ours.get(other[0])!r} here"
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {prefix + name: value}
    return flat


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values, and the number of parameters."""
    plain = {name: len(x) if name == "params" else x for name, x in values.items()}
    kinds = (bool, int, float, str, list, tuple, type(None))
    return {name: x for name, x in plain.items() if isinstance(x, kinds) and x not in (math.inf, -math.inf)}


def weights_digest(model: nn.Module) -> str:
    """Digest of the name, type, shape and bytes of every weight and buffer."""
    digest = hashlib.sha256()
    for name, x in model.state_dict().items():
        digest.update(f"{name} {x.dtype} {tuple(x.shape)}".encode() + _bytes(x))
    return digest.hexdigest()[:16]


def _bytes(x: Tensor | np.ndarray) -> bytes:
    return (x if isinstance(x, np.ndarray) else x.detach().cpu().reshape(-1).view(torch.uint8).numpy()).tobytes()


def own_code(*objects: Any) -> dict[str, str]:
    """name -> digest of every function and class that these objects use and that no library has brought.

    What counts is the bytecode, which is what runs, even if the file has been edited since; and what it refers to:
    defaults, closures, globals, attributes of classes and instances, and so on from there. Objects of a library's class
    count by the name of the class alone, unless they are modules, dataclasses, arrays or containers.
    """
    notes: dict[str, list[Any]] = {}
    seen: dict[int, Any] = {}  # holds the objects, so that no other gets the id of one

    def read(x: Any, owner: str | None) -> None:
        """Notes x, which `owner` refers to, and all that x consists of."""
        if owner is not None:
            notes.setdefault(owner, []).append(x if isinstance(x, PLAIN) else name_of(x))
        if isinstance(x, PLAIN) or id(x) in seen:
            return
        seen[id(x)] = x
        kind = x if isinstance(x, type) else type(x)
        own = is_own(x.__globals__.get("__name__") if isinstance(x, types.FunctionType) else kind.__module__)
        for part in _parts(x, own):
            read(part, name_of(x) if own else owner)
        read(getattr(x, "__dict__", {}).get("__wrapped__"), None)  # what a decorator hides

    for x in objects:
        read(x, None)
    return {name: hashlib.sha256(repr(noted).encode()).hexdigest()[:16] for name, noted in notes.items()}


@functools.cache
def is_own(module: str | None) -> bool:
    """Whether a module is neither dmdlite, nor installed, nor of the standard library. A notebook is one's own."""
    root = str(module).partition(".")[0]
    if root in ("dmdlite", "None") or root in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return root in ("__main__", "__mp_main__") or not {"site-packages", "dist-packages"} & set(Path(file).parts)


def _parts(x: Any, own: bool) -> Iterable[Any]:
    """What can change how x works; not the mode of a module, and not its weights, which have a digest."""
    if isinstance(x, (types.FunctionType, type)):
        return () if not own else _class_parts(x) if isinstance(x, type) else _function_parts(x)
    if isinstance(x, (Tensor, np.ndarray)):
        return [str(x.dtype), str(tuple(x.shape)), hashlib.sha256(_bytes(x)).hexdigest()]
    if isinstance(x, WRAPPERS):
        return [getattr(x, name, None) for name in WRAPPED]
    if isinstance(x, Mapping):
        return [*(key for key in x if isinstance(key, str)), *x.values()]
    if isinstance(x, (list, tuple, set, frozenset)):
        return sorted(x, key=repr) if isinstance(x, (set, frozenset)) else list(x)
    if own or is_dataclass(x) or isinstance(x, OPENED):
        return [type(x), {name: part for name, part in vars(x).items() if name not in ("training", "_parameters")}]
    return ()


def _function_parts(x: types.FunctionType) -> Iterator[Any]:
    codes = [x.__code__]
    for code in codes:
        codes += [part for part in code.co_consts if isinstance(part, types.CodeType)]
        constants = [part for part in code.co_consts if not isinstance(part, types.CodeType)]
        constants = [sorted(map(repr, part)) if isinstance(part, frozenset) else part for part in constants]
        signature = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
        yield repr((code.co_code, code.co_exceptiontable, constants, code.co_names, signature))
    yield from (x.__defaults__, x.__kwdefaults__)
    yield from (cell.cell_contents for cell in x.__closure__ or () if cell != types.CellType())
    yield from _read_globals(x.__globals__, {name for code in codes for name in code.co_names}, set())


def _read_globals(space: Mapping[str, Any], names: set[str], entered: set[str]) -> Iterator[Any]:
    """The values of these names, and of those among them that are attributes of modules of one's own."""
    for x in (space[name] for name in sorted(names & space.keys())):
        if not isinstance(x, types.ModuleType):
            yield x
        elif is_own(x.__name__) and x.__name__ not in entered:
            entered.add(x.__name__)
            yield from _read_globals(vars(x), names, entered)


def _class_parts(x: type) -> Iterator[Any]:
    yield from x.__bases__
    for name, value in sorted(vars(x).items()):
        if isinstance(value, METHODS) or not name.startswith("__"):
            yield from (name, value)
