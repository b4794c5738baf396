"""Pictures as tiles of a pyramid: level k is the picture shrunk by 2**k, cut into squares of TILE pixels.

Small pictures are decoded into memory and cut on demand. Large ones are cut once, by a child process of low priority,
into files under cache/tiles, so that the app's own memory does not grow with them:

    python -m core.project.pyramid PROJECT_FOLDER SAMPLE

The cache may be deleted at any time.
"""

import hashlib
import shutil
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from glob import escape
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np

from core.errors import ReadError, UserError
from core.files import locked, read_json, safe_name, write_bytes, write_json
from core.images import MAX_PIXELS, RGB, ImageSize, IntensityRule, probe_image, read_image, shrink
from core.process import give_way
from core.project.project import Project
from core.windowed import open_windowed

TILE: Final = 512
THUMBNAIL: Final = 160
LARGE: Final = 40_000_000  # pixels from which on tiles lie on disk
_KEPT: Final = 300_000_000  # bytes of decoded pictures in this process
_STALE: Final = 20.0  # seconds without a sign of life after which a build is begun anew
_PROGRESS: Final = "progress.json"


class Pyramid(NamedTuple):
    """What a browser has to know of a picture. `ready` is False while its tiles are being cut; progress 0..1."""

    size: ImageSize
    levels: int
    stamp: str
    ready: bool
    progress: float


def levels_of(size: ImageSize) -> int:
    """How many levels there are until one tile holds all."""
    return max(0, (max(size) - 1) // TILE).bit_length() + 1


def picture_stamp(project: Project, sample: str) -> str:
    """Changes with the picture's file and the rule by which it is shown."""
    status = project.sample(sample).image.stat()
    return shown_stamp(f"{status.st_mtime_ns:x}-{status.st_size:x}", project.settings.intensity)


def shown_stamp(file_stamp: str, rule: IntensityRule) -> str:
    """The same from the stamp of the file that the index has."""
    return hashlib.sha256(f"{file_stamp} {rule}".encode()).hexdigest()[:12]


def open_pyramid(project: Project, sample: str) -> Pyramid:
    """The state of a picture's tiles; begins to cut those of a large one. Raises ReadError."""
    size, stamp = project.image_info(sample).size, picture_stamp(project, sample)
    progress = 1.0 if size.pixels < LARGE else _built(project, sample, stamp)
    return Pyramid(size, levels_of(size), stamp, progress >= 1, progress)


def read_tile(project: Project, sample: str, level: int, column: int, row: int) -> bytes | None:
    """One tile, as PNG in level 0 and as JPEG above; None where the picture has none, or has none yet."""
    size = project.image_info(sample).size
    if not 0 <= level < levels_of(size) or column < 0 or row < 0:
        return None
    if size.pixels >= LARGE:
        path = _folder(project, sample, picture_stamp(project, sample)) / _tile_name(level, column, row)
        return path.read_bytes() if path.is_file() else None
    picture = _decoded(project, sample, level)
    tile = picture[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
    return _encoded(tile, level) if tile.size else None


def read_thumbnail(project: Project, sample: str) -> bytes:
    """The picture as JPEG, its longer side THUMBNAIL pixels; kept on disk. Raises ReadError."""
    stamp = picture_stamp(project, sample)
    path = project.folder / "cache" / "thumbnails" / f"{safe_name(sample)}-{stamp}.jpg"
    if path.is_file():
        return path.read_bytes()
    data = _jpeg(_small(project, sample), quality=85)
    write_bytes(path, data, durable=False)
    return data


def _small(project: Project, sample: str) -> RGB:
    image, rule = project.sample(sample).image, project.settings.intensity
    size = probe_image(image).size
    if size.pixels > MAX_PIXELS:
        with open_windowed(image, rule) as picture:
            return shrink(picture.shrunk(4 * THUMBNAIL), THUMBNAIL)
    return shrink(read_image(image, intensity=rule), THUMBNAIL)


# ---------------------------------------------------------------------------------------------- small: in memory


class _Decoded:
    """Decoded pictures, level by level; those used last stay. One thread decodes a picture, others wait for it."""

    def __init__(self) -> None:
        self._levels: OrderedDict[str, dict[int, RGB]] = OrderedDict()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def level(self, key: str, path: Path, project: Project, level: int) -> RGB:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._lock:
                found = self._levels.get(key, {})
            if 0 not in found:
                found = {0: read_image(path, intensity=project.settings.intensity)}
            for k in range(1, level + 1):
                if k not in found:
                    found[k] = _halved(found[k - 1])
        with self._lock:
            self._levels[key] = found
            self._levels.move_to_end(key)
            while len(self._levels) > 1 and self._size() > _KEPT:
                dropped, _ = self._levels.popitem(last=False)
                self._locks.pop(dropped, None)
        return found[level]

    def _size(self) -> int:
        return sum(picture.nbytes for levels in self._levels.values() for picture in levels.values())


_pictures: Final = _Decoded()


def _decoded(project: Project, sample: str, level: int) -> RGB:
    path = project.sample(sample).image
    return _pictures.level(f"{path}:{picture_stamp(project, sample)}", path, project, level)


def _halved(picture: RGB) -> RGB:
    """Half the size, rounded up, each pixel the mean of four."""
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encoded(tile: RGB, level: int) -> bytes:
    if level:
        return _jpeg(tile, quality=92)
    return cv2.imencode(".png", tile[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _jpeg(picture: RGB, *, quality: int) -> bytes:
    return cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


# ------------------------------------------------------------------------------------------------ large: on disk


def _folder(project: Project, sample: str, stamp: str) -> Path:
    return project.folder / "cache" / "tiles" / f"{safe_name(sample)}-{stamp}"


def _tile_name(level: int, column: int, row: int) -> str:
    return f"{level}/{column}-{row}.{'jpg' if level else 'png'}"


def _built(project: Project, sample: str, stamp: str) -> float:
    """How much of the tiles is there, 0..1; begins a build where none is under way. Raises ReadError when it failed."""
    folder = _folder(project, sample, stamp)
    with locked(project.folder / ".tiles-lock"):
        told = read_json(folder / _PROGRESS) if (folder / _PROGRESS).is_file() else {}
        if told.get("error"):
            raise ReadError(told["error"], hint=told.get("hint", ""))
        if told.get("done", 0.0) >= 1 or time.time() - told.get("time", 0.0) < _STALE:
            return float(told.get("done", 0.0))
        _tell(folder, 0.0)
    command = [sys.executable, "-m", "core.project.pyramid", str(project.folder), sample]
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(command, cwd=root, start_new_session=True, stdin=subprocess.DEVNULL)
    threading.Thread(target=child.wait, daemon=True).start()  # so that no zombie stays
    return 0.0


def _tell(folder: Path, done: float, **more: str) -> None:
    write_json(folder / _PROGRESS, {"done": done, "time": time.time(), **more}, durable=False)


def build_pyramid(project: Project, sample: str) -> None:
    """Cut the tiles of all levels of a large picture to files. Memory: a band of rows, or the picture decoded once."""
    stamp = picture_stamp(project, sample)
    folder = _folder(project, sample, stamp)
    for other in folder.parent.glob(f"{escape(safe_name(sample))}-*"):
        if other != folder and len(other.name) == len(folder.name):
            shutil.rmtree(other, ignore_errors=True)  # of the picture as it was before
    _tell(folder, 0.0)
    try:
        size = project.image_info(sample).size
        waiting: list[list[RGB]] = [[] for _ in range(levels_of(size))]
        last = time.monotonic()
        for top, band in _bands(project, sample, size):
            _cut(folder, 0, top // TILE, band)
            _pass_on(folder, waiting, 0, top // TILE, band, final=top + TILE >= size.height)
            if time.monotonic() - last > 0.5:
                last = time.monotonic()
                _tell(folder, min(0.999, (top + TILE) / size.height))
        _tell(folder, 1.0)
    except UserError as error:
        _tell(folder, 0.0, error=error.message, hint=error.hint)


def _bands(project: Project, sample: str, size: ImageSize) -> Iterator[tuple[int, RGB]]:
    """The picture in bands of TILE rows."""
    image, rule = project.sample(sample).image, project.settings.intensity
    if size.pixels <= MAX_PIXELS:
        whole = read_image(image, intensity=rule)
        for top in range(0, size.height, TILE):
            yield top, whole[top : top + TILE]
        return
    with open_windowed(image, rule) as picture:
        for top in range(0, size.height, TILE):
            yield top, picture.rows(top, min(TILE, size.height - top))


def _pass_on(folder: Path, waiting: list[list[RGB]], level: int, row: int, band: RGB, *, final: bool) -> None:
    """Shrink a band into the level above; two of them make a band there."""
    if level + 1 >= len(waiting):
        return
    waiting[level + 1].append(_halved(band))
    if len(waiting[level + 1]) == 2 or final:
        whole = np.concatenate(waiting[level + 1])
        waiting[level + 1].clear()
        _cut(folder, level + 1, row // 2, whole)
        _pass_on(folder, waiting, level + 1, row // 2, whole, final=final)


def _cut(folder: Path, level: int, row: int, band: RGB) -> None:
    for column in range(-(-band.shape[1] // TILE)):
        tile = band[:, column * TILE : (column + 1) * TILE]
        write_bytes(folder / _tile_name(level, column, row), _encoded(tile, level), durable=False)


if __name__ == "__main__":
    give_way()
    build_pyramid(Project.open(Path(sys.argv[1])), sys.argv[2])
