"""Pictures as tiles of a pyramid: level k is the picture shrunk by 2**k, cut into squares of TILE pixels.

Small pictures are decoded into memory and cut on demand. Large ones are cut once, by a child process of low priority,
into files under cache/tiles, so that the app's own memory does not grow with them:

    python -m core.project.pyramid PROJECT_FOLDER SAMPLE

There, progress.json says how far the child is or why it gave up, builder.json which process it is. The cache may be
deleted at any time.
"""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import psutil

from core.errors import ReadError, UserError
from core.files import locked, read_json, write_bytes, write_json
from core.images import MAX_PIXELS, RGB, ImageSize, read_image
from core.process import give_way
from core.project.decoded import DecodedPictures, halved
from core.project.project import Project
from core.project.shown import TILE, Shown, file_name, look_at, tiles_of
from core.windowed import is_exact, open_windowed, refuse_turned

_AGAIN: Final = 60.0  # seconds after which a build that failed is tried again, if someone asks
_TRIES: Final = 3  # builds that end without a word, as when the system kills them, until that is a failure
_PROGRESS, _BUILDER = "progress.json", "builder.json"
_PNG: Final = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
_WHOLE_BYTES: Final = 14  # of memory for each pixel of a picture that is decoded whole: twice as stored, and as RGB
_BASE_BYTES: Final = 400_000_000  # the process itself, what GDAL keeps, and the levels
_pictures: Final = DecodedPictures()


class Pyramid(NamedTuple):
    """What a browser has to know of a picture. `ready` is False while its tiles are being cut; progress 0..1."""

    size: ImageSize
    levels: int
    stamp: str
    ready: bool
    progress: float
    channels: int  # 1: grey, 3: colour


def open_pyramid(project: Project, shown: Shown, sample: str) -> Pyramid:
    """The state of a picture's tiles; begins to cut those of a large one. Raises ReadError, WriteError."""
    progress = _built(project, shown, sample) if shown.is_large else 1.0
    return Pyramid(shown.size, shown.levels, shown.stamp, progress >= 1, progress, shown.info.channels)


def read_tile(shown: Shown, level: int, column: int, row: int) -> bytes | None:
    """One tile, as PNG in level 0 and as JPEG above; None where the picture has none, or has none yet."""
    across, down = tiles_of(shown.size, level) if 0 <= level < shown.levels else (0, 0)
    if not (0 <= column < across and 0 <= row < down):
        return None
    if not shown.is_large:
        picture = _pictures.level(shown, level)
        part = picture[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
        return _encoded(part, level, shown.info.channels)
    try:
        return shown.tile_path(level, column, row).read_bytes()
    except OSError:  # not yet, or someone deleted a part of the cache: then it is cut anew when the picture is opened
        if _done(shown) >= 1:
            (shown.tiles / _PROGRESS).unlink(missing_ok=True)
        return None


def _encoded(tile: RGB, level: int, channels: int) -> bytes:
    pixels = tile[:, :, 0] if channels == 1 else tile[:, :, ::-1]  # OpenCV wants BGR
    if level:
        return cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, 92))[1].tobytes()
    return cv2.imencode(".png", pixels, _PNG)[1].tobytes()


# ---------------------------------------------------------------------------------------------- large: who builds it


def _built(project: Project, shown: Shown, sample: str) -> float:
    """How much of the tiles is there, 0..1; begins a build where none is under way. Raises ReadError when it failed."""
    if _done(shown) >= 1:
        return 1.0
    with locked(project.folder / ".tiles-lock"):
        told, builder = _read(shown.tiles / _PROGRESS), _read(shown.tiles / _BUILDER)
        if (done := _done(shown)) >= 1 or _lives(builder):
            return done
        if told.get("error") and time.time() - told.get("time", 0.0) < _AGAIN:
            raise ReadError(told["error"], hint=told.get("hint", ""))
        tries = 0 if told.get("error") else int(builder.get("tries", 0))
        if tries >= _TRIES:
            ended = ReadError(
                f"{shown.image.name} could not be cut into tiles: the process was ended {tries} times.",
                hint="Is the memory full? Close other programs, wait a minute and open it again.",
            )
            _tell(shown, 0.0, error=ended.message, hint=ended.hint)
            raise ended
        _begin(project, shown, sample, tries + 1)
    return 0.0


def _begin(project: Project, shown: Shown, sample: str, tries: int) -> None:
    _tell(shown, 0.0)
    command = [sys.executable, "-m", "core.project.pyramid", str(project.folder), sample]
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(command, cwd=root, start_new_session=True, stdin=subprocess.DEVNULL)
    builder = {"tries": tries, "pid": child.pid}
    with suppress(psutil.NoSuchProcess):  # it may have ended already; then progress.json says how
        builder["created"] = psutil.Process(child.pid).create_time()
    threading.Thread(target=child.wait, daemon=True).start()  # so that no zombie stays
    write_json(shown.tiles / _BUILDER, builder, durable=False)


def _lives(builder: dict[str, Any]) -> bool:
    """Whether that process is there still; its number alone is given to another one later."""
    try:
        process = psutil.Process(int(builder["pid"]))
        same = abs(process.create_time() - float(builder["created"])) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (KeyError, TypeError, ValueError, psutil.Error):
        return False


def _done(shown: Shown) -> float:
    done = _read(shown.tiles / _PROGRESS).get("done")
    return float(done) if isinstance(done, int | float) else 0.0


def _read(path: Path) -> dict[str, Any]:
    """What the file says; nothing where it is not there, or damaged: then a build begins anew."""
    try:
        value = read_json(path)
    except ReadError:
        return {}
    return value if isinstance(value, dict) else {}


def _tell(shown: Shown, done: float, **more: str) -> None:
    write_json(shown.tiles / _PROGRESS, {"done": done, "time": time.time(), **more}, durable=False)


# ---------------------------------------------------------------------------------------------- large: the building


def build_pyramid(shown: Shown, sample: str) -> None:
    """Cut the tiles of all levels of a large picture to files, or tell in progress.json why that cannot be."""
    for other in shown.tiles.parent.glob(f"{escape(file_name(sample))}-*"):
        if other != shown.tiles and len(other.name) == len(shown.tiles.name):
            shutil.rmtree(other, ignore_errors=True)  # of the picture as it was before
    try:
        _tell(shown, 0.0)
        waiting: list[list[RGB]] = [[] for _ in range(shown.levels)]
        last = time.monotonic()
        for top, band in _bands(shown):
            _pass_on(shown, waiting, 0, top // TILE, band, final=top + TILE >= shown.size.height)
            if time.monotonic() - last > 0.3:
                last = time.monotonic()
                _tell(shown, min(0.999, (top + TILE) / shown.size.height))
        _tell(shown, 1.0)
    except UserError as error:
        for level in range(shown.levels):  # half of the tiles serve nobody, and the disk may be full of them
            shutil.rmtree(shown.tiles / str(level), ignore_errors=True)
        _tell(shown, 0.0, error=error.message, hint=error.hint)


def _bands(shown: Shown) -> Iterator[tuple[int, RGB]]:
    """The picture in bands of TILE rows: in parts where that gives the very same pixels, or it is too large."""
    height, pixels = shown.size.height, shown.size.pixels
    tops = range(0, height, TILE)
    if pixels <= MAX_PIXELS and not is_exact(shown.image, shown.rule):
        _check_memory(shown, _WHOLE_BYTES * pixels)
        whole = read_image(shown.image, intensity=shown.rule)
        yield from ((top, whole[top : top + TILE]) for top in tops)
        return
    with open_windowed(shown.image, shown.rule) as picture:
        refuse_turned(picture, shown.image.name)
        _check_memory(shown, TILE * (3 * picture.row_bytes + 9 * shown.size.width))
        yield from ((top, picture.rows(top, min(TILE, height - top))) for top in tops)


def _check_memory(shown: Shown, needed: int) -> None:
    free, needed = psutil.virtual_memory().available, needed + _BASE_BYTES
    if needed > free:
        raise ReadError(
            f"Cutting {shown.image.name} takes {needed / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are free.",
            hint="Close other programs, and open it again in a minute.",
        )


def _pass_on(shown: Shown, waiting: list[list[RGB]], level: int, row: int, band: RGB, *, final: bool) -> None:
    """Cut a band into tiles, and shrink it into the level above, where two of them make a band."""
    for column in range(-(-band.shape[1] // TILE)):
        tile = band[:, column * TILE : (column + 1) * TILE]
        data = _encoded(tile, level, shown.info.channels)
        write_bytes(shown.tile_path(level, column, row), data, durable=False)
    if level + 1 == len(waiting):
        return
    waiting[level + 1].append(halved(band))
    if len(waiting[level + 1]) == 2 or final:
        above = np.concatenate(waiting[level + 1])
        waiting[level + 1].clear()
        _pass_on(shown, waiting, level + 1, row // 2, above, final=final)


def main(arguments: Sequence[str]) -> None:
    give_way()
    folder, sample = arguments
    project = Project.open(Path(folder))
    build_pyramid(look_at(project, project.sample(sample)), sample)


if __name__ == "__main__":
    main(sys.argv[1:])
