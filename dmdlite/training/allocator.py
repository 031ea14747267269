"""A setting of the memory allocator that makes training faster."""

import ctypes
import sys


def keep_freed_memory() -> None:
    """Asks the C library of Linux to keep freed memory instead of returning it to the system.

    Every step allocates and frees the same large blocks; zeroing them anew takes a tenth to a quarter of its time.
    """
    if sys.platform == "linux":
        change = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)  # glibc has it
        change(-1, 2**31 - 1)  # M_TRIM_THRESHOLD in bytes: never
        change(-3, 2**25)  # M_MMAP_THRESHOLD in bytes: the highest one allowed
