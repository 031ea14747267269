"""The least time a step can take on a device: its floating-point operations, or its bytes, at the measured rates."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

SIZES = {"cpu": 2048, "cuda": 8192}  # rows and columns of the matrices that a device's rate is measured with


def synchronize(device: str) -> None:
    """Waits until a GPU has done what it was told; a CPU has."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(run: Callable[[], Any], device: str) -> float:
    """How long one call takes."""
    synchronize(device)
    start = perf_counter()
    run()
    synchronize(device)
    return perf_counter() - start


@cache
def matmul_rate(device: str, dtype: torch.dtype = torch.float32, size: int | None = None) -> float:
    """Floating-point operations per second of a large matrix product, the best of several."""
    n = size or SIZES[device]
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return 2 * n**3 / min(seconds_of(lambda: a @ b, device) for _ in range(8))


@cache
def copy_rate(device: str, size: int = 2**28) -> float:
    """Bytes read and written per second by a large copy, the best of several."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / min(seconds_of(lambda: target.copy_(source), device) for _ in range(8))


def count_flops(run: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products and convolutions in one call.

    Fused attention is taken apart for this, since the counter does not know all of its kernels.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def moved_bytes(model: torch.nn.Module, step: Callable[[], Any]) -> int:
    """Bytes of the parameters, of their gradients, and of what the forward pass keeps for the backward pass."""
    owned = {x.untyped_storage().data_ptr() for x in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return 2 * sum(x.nbytes for x in model.parameters()) + sum(kept.values())


def flop_floor(run: Callable[[], Any], device: str, dtype: torch.dtype = torch.float32) -> float:
    """Seconds that the operations of one call take at the device's rate."""
    return count_flops(run) / matmul_rate(device, dtype)


def bytes_floor(model: torch.nn.Module, step: Callable[[], Any], device: str) -> float:
    """Seconds that the bytes of one training step take at the device's rate."""
    return moved_bytes(model, step) / copy_rate(device)
