"""The process in the sandbox: knows a student's cells, calls their answers, and knows neither checks nor solutions.

Reads pickled requests of the trusted parent from its standard input and answers each with one line of JSON.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

from course.mark import sandbox

COURSE = Path(__file__).parent.parent
PACKAGE = Path(find_spec("dmdlite").origin).parent
MORE_MEMORY = 1 << 30  # for answers, beyond what PyTorch and the package take
CLOSED = {"checks", "mark", "figures", "widgets", "playground"}  # what holds answers, and what only draws
OPEN = ("__init__.py", "checks/__init__.py", "checks/answers.py", "checks/layers.py", "mark/__init__.py",
        "mark/answers.py", "mark/wire.py")  # fmt: skip


def close() -> None:
    """Before anything else is imported."""
    python = [Path(place) for place in {sys.prefix, sys.base_prefix, *sys.path} if place]
    python = [place for place in python if place.is_dir() and place not in (COURSE.parent, COURSE.parent.parent)]
    system = [Path(place) for place in ("/usr", "/lib", "/lib64", "/etc/localtime", "/sys/devices/system/cpu")]
    single = [part for part in COURSE.iterdir() if part.name not in CLOSED]
    devices = [
        Path("/dev/null"),
        Path("/dev/urandom"),
        Path("/proc/self"),
        Path("/proc/cpuinfo"),
        Path("/proc/meminfo"),
    ]
    sandbox.restrict(
        files=[*(COURSE / name for name in OPEN), *devices],
        folders=[*python, *system, PACKAGE, *single],
        listed=[COURSE.parent, PACKAGE.parent, Path.cwd()],
        cpu_seconds=int(sys.argv[1]),
    )


class Worker:
    """Serves one student."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.results: dict[int, tuple[Any, list[Any]]] = {}
        self.modules: dict[int, Any] = {}

    def load(self, cells: list[str], name: str) -> dict[str, Any]:
        """Runs what the cells define, and picks the answer."""
        from course.checks.answers import NotAttempted, guarded
        from course.mark.answers import namespace

        self.results.clear()
        self.modules.clear()
        names = namespace(cells)
        if name not in names:
            raise NotAttempted
        self.answer = guarded(names[name], None)
        return {"class": isinstance(self.answer, type), "name": name}

    def call(self, inputs: tuple, module: int | None, training: bool) -> dict[str, Any]:
        """One call of the answer, or of a module that it made; keeps the graph of its gradients."""
        from course.mark import wire

        leaves = list(tensors(inputs))
        if module is None:
            result = self.answer(*inputs)
        else:
            part = self.modules[module].train(training)
            result, leaves = part(*inputs), [*leaves, *part.parameters()]
        number = len(self.results)
        watched = getattr(result, "prediction", result)
        self.results[number] = watched, leaves
        return {"value": wire.pack(result), "number": number}

    def gradients(self, number: int, gradient: Any) -> dict[str, Any]:
        """What the gradient of a result is in its inputs."""
        import torch

        from course.mark import wire

        result, leaves = self.results[number]
        found = torch.autograd.grad(result, leaves, gradient, retain_graph=True, allow_unused=True)
        return {"value": wire.pack(list(found))}

    def make(self, inputs: tuple) -> dict[str, Any]:
        """Makes a module of a class."""
        import torch

        from course.checks.answers import Wrong, describe
        from course.mark import wire

        part = self.answer(*inputs)
        if not isinstance(part, torch.nn.Module):
            raise Wrong(f"the class should be a torch.nn.Module, not {describe(part)}")
        self.modules[len(self.modules)] = part
        weights = {name: weight.detach() for name, weight in part.named_parameters()}
        return {"number": len(self.modules) - 1, "value": wire.pack(weights)}


def tensors(x: Any) -> Iterator[Any]:
    """The tensors in some inputs that ask for a gradient, always in the same order."""
    from torch import Tensor

    if isinstance(x, Tensor) and x.requires_grad:
        yield x
    elif isinstance(x, (list, tuple, dict, SimpleNamespace)):
        for part in x.values() if isinstance(x, dict) else vars(x).values() if isinstance(x, SimpleNamespace) else x:
            yield from tensors(part)


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Until there are no more requests."""
    from course.checks.answers import NotAttempted, Wrong, is_a_stub, said
    from course.mark import wire

    worker = Worker()
    replies.write(wire.line({"status": "ready"}))
    while header := requests.read(8):
        method, inputs = pickle.loads(requests.read(struct.unpack("=Q", header)[0]))
        try:
            reply = {"status": "ok"} | getattr(worker, method)(*inputs)
        except NotAttempted:
            reply = {"status": "open"}
        except Wrong as problem:
            reply = {"status": "wrong", "text": str(problem)}
        except (Exception, SystemExit) as problem:
            stub = is_a_stub(problem)
            reply = (
                {"status": "open"} if stub else {"status": "wrong", "text": f"it stops with an error\n{said(problem)}"}
            )
        replies.write(wire.line(reply))


def main() -> None:
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    for stream in (0, 1):  # standard error is the parent's affair
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    close()
    import torch

    import course.checks.layers  # noqa: F401

    torch.set_num_threads(1)
    sandbox.limit_memory(MORE_MEMORY)
    serve(requests, replies)


if __name__ == "__main__":
    main()
