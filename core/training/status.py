"""What state a Run is in: a union whose members carry what that state has, read from status.json.

Liveness is the process that status.json names, or its heartbeat where that process is on another machine. `os.kill(pid,
0)` would not do: a finished child that nobody has waited for still answers it.
"""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from core.errors import ReadError
from core.files import read_json, write_json
from core.training.columns import read_columns

STALE_AFTER: Final = 8.0  # seconds without a heartbeat; the worker beats every 2
STATE_FILE: Final = "last/state.safetensors"  # in the Run's folder: what is needed to go on
_LOG_TAIL: Final = 30  # lines


@dataclass(frozen=True)
class Waiting:
    """Made or begun, but no Step yet: the libraries load."""


@dataclass(frozen=True)
class Running:
    """Epochs count from 1; `epoch` is the one that is under way."""

    epoch: int
    epochs: int
    heartbeat: float  # seconds since 1970
    seconds: float  # trained so far
    seconds_left: float | None  # None before the first measurement
    doing: str  # "trains", "validates", "compares"


@dataclass(frozen=True)
class Finished:
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Stopped:
    """A person stopped it; `last_epoch` is complete and can be gone on from (0: none)."""

    last_epoch: int
    seconds: float


@dataclass(frozen=True)
class Failed:
    message: str
    hint: str
    log_tail: str


@dataclass(frozen=True)
class Interrupted:
    """The process is gone without a word: killed, machine off. `last_epoch` can be gone on from (0: none)."""

    last_epoch: int
    reason: str


Status = Waiting | Running | Finished | Stopped | Failed | Interrupted


def write_status(folder: Path, status: Mapping[str, Any]) -> None:
    write_json(folder / "status.json", dict(status), durable=False)


def process_of(pid: int) -> dict[str, Any]:
    """What identifies a process: its number alone is given to another one later."""
    return {"pid": pid, "process_created": psutil.Process(pid).create_time(), "host": socket.gethostname()}


def _process_state(status: Mapping[str, Any]) -> bool | None:
    """Whether the process of a status lives; None when that cannot be known from here."""
    if "pid" not in status or status.get("host") != socket.gethostname():
        return None
    try:
        process = psutil.Process(int(status["pid"]))
        same = abs(process.create_time() - float(status["process_created"])) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return None


def has_process(folder: Path) -> bool:
    return bool(_process_state(raw_status(folder)))


def raw_status(folder: Path) -> dict[str, Any]:
    """status.json as it stands; empty where it cannot be read."""
    try:
        value = read_json(folder / "status.json")
    except ReadError:
        return {}
    return value if isinstance(value, dict) else {}


def read_status(folder: Path) -> Status:
    value = raw_status(folder)
    state, epoch, seconds = value.get("state"), int(value.get("epoch", 0)), float(value.get("seconds", 0.0))
    if state == "waiting":
        gone = "pid" in value and _process_state(value) is False
        return Interrupted(last_epoch(folder), "The training process ended while it loaded.") if gone else Waiting()
    if state == "running":
        return _running(folder, value)
    if state == "finished":
        return Finished(epoch, seconds)
    if state == "stopped":
        return Stopped(last_epoch(folder), seconds)
    if state == "failed":
        return Failed(str(value.get("message", "")), str(value.get("hint", "")), log_tail(folder))
    reason = str(value.get("reason", "")) or "Its status cannot be read."
    return Interrupted(last_epoch(folder), reason)


def _running(folder: Path, value: Mapping[str, Any]) -> Status:
    lives, heartbeat = _process_state(value), float(value.get("heartbeat", 0.0))
    if lives is False or (lives is None and time.time() - heartbeat > STALE_AFTER):
        return Interrupted(last_epoch(folder), "The training process is gone.")
    left = value.get("seconds_left")
    return Running(
        epoch=int(value.get("epoch", 0)),
        epochs=int(value.get("epochs", 0)),
        heartbeat=heartbeat,
        seconds=float(value.get("seconds", 0.0)),
        seconds_left=None if left is None else float(left),
        doing=str(value.get("doing", "trains")),
    )


def last_epoch(folder: Path) -> int:
    """The last complete Epoch that can be gone on from; 0 when there is none."""
    if not (folder / STATE_FILE).is_file():
        return 0
    epochs = read_columns(folder / "metrics.csv").get("epoch", [])
    return int(epochs[-1] or 0) if epochs else 0


def log_tail(folder: Path, *, lines: int = _LOG_TAIL) -> str:
    """The end of log.txt."""
    try:
        with (folder / "log.txt").open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
