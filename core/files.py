"""Files that are whole or absent: atomic writes, JSON, safe names, natural order."""

import errno
import json
import os
import re
import tempfile
import threading
import unicodedata
from collections.abc import Container, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from core.errors import ReadError, WriteError

_THREADS: Final[dict[Path, threading.Lock]] = {}  # by lock file
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))}


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` to `path` through a temporary file beside it and a rename: readers see the old file or the new one.

    `durable` waits until the disk has it (fsync); leave it out only for what may be lost, as a heartbeat.
    Raises WriteError; the old file is then unchanged.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes 0600, which a colleague on a shared disk could not read
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> WriteError:
    """The WriteError that says why `path` could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WriteError(f"{path.name} was not saved: the disk is full.", hint="Free some space and save again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return WriteError(
            f"{path.name} was not saved: {path.parent} cannot be written.", hint="Check the rights of the folder."
        )
    return WriteError(f"{path.name} was not saved: {error.strerror or error}.", hint="Check the disk and save again.")


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write `value` as indented UTF-8 JSON, atomically. NaN is refused: other tools cannot read it."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    write_bytes(path, text.encode(), durable=durable)


def read_json(path: Path) -> Any:
    """The JSON in `path`. Raises ReadError when it is missing or not JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ReadError(f"{path.name} is not in {path.parent}.", hint="Was the folder moved or renamed?") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ReadError(
            f"{path.name} is not readable JSON ({error}).", hint="Restore it from a copy, or delete it."
        ) from error


def safe_name(text: str, *, limit: int = 100) -> str:
    """`text` as a file name that every system takes: letters of any script, digits, space, dot, dash, underscore.

    Never empty, never a path, at most `limit` characters.
    """
    name = unicodedata.normalize("NFC", text)
    name = re.sub(r"[^\w .()+@-]", "_", name).strip(" .")[:limit].strip(" .")
    while len(name.encode()) > 2 * limit:  # a file system counts bytes, 255 at most
        name = name[:-1]
    return name + "_" if name.lower() in _RESERVED else name or "unnamed"


def unused_name(name: str, used: Container[str]) -> str:
    """`name`, with a number behind it when it is among `used`, which holds names in small letters (casefold)."""
    free, number = name, 1
    while free.casefold() in used:  # on some disks A.png and a.png are the same file
        number += 1
        free = f"{name}-{number}"
    return free


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """A sort key that puts slice2 before slice10."""
    return tuple(
        (0, int(part)) if part.isdecimal() else (1, part.casefold()) for part in re.split(r"(\d+)", text) if part
    )


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`: one thread of one process at a time, across all that open the same folder.

    Without `wait`, raises WriteError at once when another one holds it.
    """
    lock = _THREADS.setdefault(path, threading.Lock())  # on a network disk the file keeps out other processes only
    if not lock.acquire(blocking=wait):
        raise _held(path)
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a")
        except OSError as error:
            raise write_error(path, error) from error
        with file:
            try:
                _lock(file.fileno(), wait)
            except OSError as error:
                raise (write_error(path, error) if wait else _held(path)) from error
            try:
                yield
            finally:
                _unlock(file.fileno())
    finally:
        lock.release()


def _held(path: Path) -> WriteError:
    return WriteError(
        f"Another program of Maskloop is writing to {path.parent}.", hint="Wait until it has ended, or stop it."
    )


if os.name == "nt":  # pragma: no cover
    import msvcrt

    def _lock(handle: int, wait: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

    def _unlock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]

else:
    import fcntl

    def _lock(handle: int, wait: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


def now() -> str:
    """The time as ISO text with zone, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
