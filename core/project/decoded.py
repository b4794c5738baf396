"""Decoded pictures and their levels in the app's memory, for tiles that are cut on demand."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from core.images import RGB, read_image
from core.project.shown import Shown

KEPT: Final = 300_000_000  # bytes
_AT_ONCE: Final = 2  # pictures that are being decoded; each takes a few times its size meanwhile


@dataclass
class _Levels:
    """Level after level, made by whoever holds `lock`. `size` is in bytes, guarded by the lock of the cache."""

    levels: list[RGB] = field(default_factory=list)
    size: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class DecodedPictures:
    """The pictures used last, up to `limit` bytes. One thread decodes a picture, others wait for it."""

    def __init__(self, *, limit: int = KEPT) -> None:
        self._limit = limit
        self._known: OrderedDict[str, _Levels] = OrderedDict()
        self._lock = threading.Lock()
        self._decoding = threading.BoundedSemaphore(_AT_ONCE)

    def level(self, shown: Shown, level: int) -> RGB:
        """The picture shrunk by 2**level, (H, W, 3), not to be changed. Raises ReadError."""
        key = f"{shown.image}:{shown.stamp}"
        with self._lock:
            known = self._known.setdefault(key, _Levels())
            self._known.move_to_end(key)
        try:
            with known.lock:
                self._make(known.levels, shown, level)
                found, size = known.levels[level], sum(picture.nbytes for picture in known.levels)
        except BaseException:
            with self._lock:
                if not known.size and self._known.get(key) is known:
                    del self._known[key]
            raise
        with self._lock:
            known.size = max(size, known.size)
            self._forget(keep=known)
        return found

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        with self._lock:
            return sum(known.size for known in self._known.values())

    def _make(self, levels: list[RGB], shown: Shown, level: int) -> None:
        if not levels:
            with self._decoding:
                levels.append(read_image(shown.image, intensity=shown.rule))
        while len(levels) <= level:
            levels.append(halved(levels[-1]))

    def _forget(self, keep: _Levels) -> None:
        """Drop what was used longest ago until the rest fits. What is being decoded stays, or it would be twice."""
        total = sum(known.size for known in self._known.values())
        for key, known in list(self._known.items()):
            if total > self._limit and known is not keep and known.size:
                del self._known[key]
                total -= known.size


def halved(picture: RGB) -> RGB:
    """Half the size, rounded up, each pixel the mean of four."""
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
