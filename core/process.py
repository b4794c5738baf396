"""How a process that computes behaves beside others."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

NICENESS: Final = 15  # about 1/30 of the share of a program that wants the core at the same time
_AUTOGROUP: Final = Path("/proc/self/autogroup")


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
