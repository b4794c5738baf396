"""What was read from files and may be used as long as they are as they were; the ones used last are kept."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Generic, Protocol, TypeVar

Signature = tuple[tuple[int, int, int, int] | None, ...]


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


def signature_of(*paths: Path) -> Signature:
    """Changes whenever one of the files does: node, bytes and times of each, None for one that is not there."""
    return tuple(_status(path) for path in paths)


def _status(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class KeptDocuments(Generic[T]):
    """Values by path, up to `limit` bytes of memory together, at least one. Shared by all threads."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Path, tuple[Signature, T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, signature: Signature) -> T | None:
        """The value of `path`, None when there is none of this signature."""
        with self._lock:
            signed, value, _ = self._kept.get(path, (None, None, 0))
            if signed != signature:
                return None
            self._kept.move_to_end(path)
            return value

    def put(self, path: Path, signature: Signature, value: T) -> None:
        with self._lock:
            self._kept[path] = (signature, value, value.nbytes)
            self._kept.move_to_end(path)
            while len(self._kept) > 1 and sum(size for _, _, size in self._kept.values()) > self._limit:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
