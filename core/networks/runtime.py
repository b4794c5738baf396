"""The process that computes: its memory allocator."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h


def tune_allocator() -> bool:
    """Make glibc keep freed memory for the next tensor instead of giving it back to the kernel; True where it was done.

    Each large activation is otherwise mapped and unmapped anew: 1.4 million page faults a training step, 1.7 times
    slower in fp32 (SPEED 3). Call it first thing in a process that trains or predicts, not in the app: a process keeps
    its peak afterwards. Does nothing where the C library is not glibc.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    settings = ((_M_MMAP_THRESHOLD, 1 << 30), (_M_TRIM_THRESHOLD, (1 << 31) - 1), (_M_TOP_PAD, 64 << 20))
    return all(libc.mallopt(name, value) == 1 for name, value in settings)
