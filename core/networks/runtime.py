"""The process that computes: its memory allocator, and how its threads wait."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

NICENESS: Final = 15  # about 1/30 of the share of a program that wants the core at the same time
_AUTOGROUP: Final = Path("/proc/self/autogroup")
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


def share_cores() -> None:
    """Let threads that wait for each other sleep instead of spin. Takes effect only before torch is imported.

    Beside other busy programs on two cores a training step took 0.5 s this way and 20 s with the default: the thread
    that spins keeps the core which the thread it waits for would need. A person's own OMP_WAIT_POLICY stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def give_way() -> None:
    """Let every other program of this machine go first: pages answer while this process computes.

    Where Linux schedules by autogroup (its default), niceness counts only within a session: a worker in a session of
    its own is not nice to anyone until its group is (man 7 sched). The group of a session that others share is left
    alone. Does nothing on Windows.
    """
    if not hasattr(os, "nice"):
        return
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # no autogroups here
            _AUTOGROUP.write_text(str(NICENESS))
