"""A setting of the memory allocator that makes training faster."""

import ctypes
import sys


def keep_freed_memory() -> None:
    """On Linux freed memory stays with the process: zeroing it anew takes a tenth to a quarter of a training step."""
    if sys.platform == "linux":
        change = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)  # glibc has it
        change(-1, 2**31 - 1)  # M_TRIM_THRESHOLD in bytes: never
        change(-3, 2**25)  # M_MMAP_THRESHOLD in bytes: the highest one allowed
