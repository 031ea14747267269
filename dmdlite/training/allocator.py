"""A setting of the memory allocator that makes training faster."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def keep_freed_memory() -> None:
    """Asks the C library of Linux to keep freed memory instead of returning it to the system.

    Every step allocates and frees the same large blocks; zeroing them anew takes a tenth to a quarter of its time.
    """
    if sys.platform == "linux":
        never, mmap_threshold_limit = 2**31 - 1, 2**25  # bytes
        change = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)  # glibc has it
        change(M_TRIM_THRESHOLD, never)
        change(M_MMAP_THRESHOLD, mmap_threshold_limit)
