"""What a process holds; Linux only."""

from pathlib import Path


def memory_mb(key: str) -> float:
    """VmRSS (now) or VmHWM (the most so far) of this process, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(key))
