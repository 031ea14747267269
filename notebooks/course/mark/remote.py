"""A student's answer as a function of this process, although it runs in another one, in the sandbox."""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from course.checks.answers import NotAttempted, Wrong
from course.mark import wire
from course.mark.worker import PACKAGE, tensors

START, LONGEST_REPLY = 60.0, 1 << 26  # seconds, bytes
NOTEBOOKS = Path(__file__).parent.parent.parent


class Stopped(Wrong):
    """The process of the answer is gone."""


class Sandbox:
    """One process for one student; a new one takes its place when it dies. Use it as a context.

    seconds: for each call; cpu_seconds: for the process.
    """

    def __init__(self, seconds: float, cpu_seconds: int) -> None:
        self.seconds, self.cpu_seconds = seconds, cpu_seconds
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> Sandbox:
        self.scratch = tempfile.TemporaryDirectory(prefix="mark-")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.scratch.cleanup()

    def stop(self) -> None:
        """It cannot have children, so nothing is left of it."""
        if self.process:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                pipe.close()
            self.process = None

    def start(self) -> None:
        paths = f"{NOTEBOOKS}{os.pathsep}{PACKAGE.parent}"
        environment = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "HOME": self.scratch.name, "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-m", "course.mark.worker", str(self.cpu_seconds)], cwd=self.scratch.name,
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        self.buffer = b""
        try:
            self._reply(START)
        except (OSError, ValueError, Stopped) as problem:
            self.stop()
            raise RuntimeError("the sandbox does not start: `python -m course.mark.worker 60` says why") from problem

    def forget(self) -> None:
        """Stops a process that has written more than it was asked for: its next reply could be an old one."""
        if self.process and (self.buffer or select.select([self.process.stdout], [], [], 0)[0]):
            self.stop()

    def ask(self, method: str, *inputs: Any) -> dict[str, Any]:
        """One request. Raises Wrong with what the answer did wrong, or NotAttempted."""
        if self.process is None:
            self.start()
        request = pickle.dumps((method, inputs))
        try:
            self.process.stdin.write(struct.pack("=Q", len(request)) + request)
            self.process.stdin.flush()
            reply = self._reply(6 * self.seconds if method == "load" else self.seconds)
        except (OSError, ValueError, RecursionError) as problem:  # a broken pipe, or a reply that is no JSON
            self.stop()
            raise Stopped("it ended the process that it ran in") from problem
        if reply.get("status") == "open":
            raise NotAttempted
        if reply.get("status") != "ok":
            raise Wrong(str(reply.get("text", "")))
        return reply

    def _reply(self, seconds: float) -> dict[str, Any]:
        """The next line, within some seconds."""
        until, pipe = time.monotonic() + seconds, self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            if not select.select([pipe], [], [], max(0, until - time.monotonic()))[0]:
                self.stop()
                raise Stopped(f"it takes longer than {seconds:.0f} seconds; does a loop never end?")
            read = os.read(pipe, 1 << 20)
            if not read or len(self.buffer) > LONGEST_REPLY:
                raise Stopped(self._farewell())
            self.buffer += read
        text, _, self.buffer = self.buffer.partition(b"\n")
        reply = json.loads(text)
        if not isinstance(reply, dict):
            raise ValueError("not an object")
        return reply

    def _farewell(self) -> str:
        """Why the process is gone."""
        process = self.process
        try:
            code = process.wait(1)
        except subprocess.TimeoutExpired:
            code = 0
        self.stop()
        if code == -signal.SIGXCPU or code == -signal.SIGKILL:
            return f"it took more than {self.cpu_seconds} seconds of computing"
        return "it ended the process that it ran in" + (f" ({signal.Signals(-code).name})" if code < 0 else "")


def answer(sandbox: Sandbox, cells: list[str], name: str) -> Callable | type:
    """The answer called `name` after these cells. Raises Wrong or NotAttempted."""
    sandbox.forget()
    loaded = sandbox.ask("load", cells, name)
    if loaded.get("class"):
        return _module(sandbox, name)

    def call(*inputs: Any) -> Any:
        return _call(sandbox, inputs, [], None, False)

    call.__name__ = name
    return call


def _call(sandbox: Sandbox, inputs: tuple, weights: list[Tensor], module: int | None, training: bool) -> Any:
    """One call there; a result with a gradient is tied to its inputs here."""
    sent = _leaves(inputs)
    reply = sandbox.ask("call", sent, module, training)
    value = _unpacked(reply)
    packed, watched = reply["value"], value
    if isinstance(value, SimpleNamespace):
        packed, watched = reply["value"]["space"].get("prediction"), getattr(value, "prediction", None)
    if not (isinstance(watched, Tensor) and packed.get("gradient") and torch.is_grad_enabled()):
        return value
    tied = _Tied.apply(sandbox, int(reply["number"]), watched, *tensors(inputs), *weights)
    return SimpleNamespace(**vars(value) | {"prediction": tied}) if isinstance(value, SimpleNamespace) else tied


def _unpacked(reply: dict[str, Any]) -> Any:
    try:
        return wire.unpack(reply["value"])
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError) as problem:
        raise Wrong("what it returns cannot be read") from problem


def _leaves(x: Any) -> Any:
    """The same inputs without the history of their tensors."""
    if isinstance(x, Tensor):
        return x.detach().requires_grad_(x.requires_grad)
    if isinstance(x, (list, tuple)):
        return type(x)(map(_leaves, x))
    if isinstance(x, dict):
        return {key: _leaves(value) for key, value in x.items()}
    if isinstance(x, SimpleNamespace):
        return SimpleNamespace(**_leaves(vars(x)))
    return x


class _Tied(torch.autograd.Function):
    """The identity, whose gradient is asked for in the sandbox."""

    @staticmethod
    def forward(ctx: Any, sandbox: Sandbox, number: int, value: Tensor, *inputs: Tensor) -> Tensor:
        ctx.sandbox, ctx.number, ctx.shapes = sandbox, number, [x.shape for x in inputs]
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        found = _unpacked(ctx.sandbox.ask("gradients", ctx.number, gradient))
        good = isinstance(found, list) and len(found) == len(ctx.shapes)
        for one, shape in zip(found if good else [], ctx.shapes, strict=False):
            good = good and (one is None or (isinstance(one, Tensor) and one.shape == shape))
        if not good:
            raise Wrong("its gradients cannot be read")
        return None, None, None, *found


def _module(sandbox: Sandbox, name: str) -> type[nn.Module]:
    """A class whose modules live in the sandbox; their weights here are copies, for their gradients."""

    class Remote(nn.Module):
        def __init__(self, *inputs: Any) -> None:
            super().__init__()
            made = sandbox.ask("make", inputs)
            self.number, weights = int(made["number"]), _unpacked(made)
            for place, weight in enumerate(weights.values()):
                self.register_parameter(f"weight_{place}", nn.Parameter(weight))

        def forward(self, *inputs: Any) -> Any:
            return _call(sandbox, inputs, list(self.parameters()), self.number, self.training)

    Remote.__name__ = name
    return Remote
