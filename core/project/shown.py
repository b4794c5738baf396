"""A picture as it is shown: its header, the stamp that its tiles and thumbnail are kept under, and it made small."""

import hashlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import cv2

from core.errors import ReadError, WriteError
from core.files import safe_name, write_bytes
from core.images import RGB, ImageInfo, ImageSize, IntensityRule, probe_image, read_image, shrink
from core.project.project import Project
from core.project.sample import Sample
from core.windowed import read_small

TILE: Final = 512  # pixels, a tile's side
THUMBNAIL: Final = 160  # pixels, the longer side
LARGE: Final = 40_000_000  # pixels from which on tiles lie on disk


class Shown(NamedTuple):
    """A picture as it is now. `stamp` changes with its file and with the rule by which it is shown."""

    image: Path
    file: str  # changes with it
    info: ImageInfo
    rule: IntensityRule
    stamp: str
    tiles: Path  # folder for them
    thumbnail: Path

    @property
    def size(self) -> ImageSize:
        return self.info.size

    @property
    def is_large(self) -> bool:
        return self.size.pixels >= LARGE

    @property
    def levels(self) -> int:
        return levels_of(self.size)

    def is_current(self) -> bool:
        """Whether the file is still the one that was looked at."""
        return _stamp_of(self.image) == self.file

    def tile_path(self, level: int, column: int, row: int) -> Path:
        """Where a tile of a large picture lies."""
        return self.tiles / f"{level}/{column}-{row}.{'jpg' if level else 'png'}"


def levels_of(size: ImageSize) -> int:
    """How many levels there are until one tile holds all."""
    return max(0, (max(size) - 1) // TILE).bit_length() + 1


def tiles_of(size: ImageSize, level: int) -> tuple[int, int]:
    """How many tiles a level has across and down."""
    side = TILE << level
    return -(-size.width // side), -(-size.height // side)


def look_at(project: Project, sample: Sample) -> Shown:
    """What is known of a picture without decoding it. Raises ReadError."""
    image, rule = sample.image, project.settings.intensity
    file = _stamp_of(image)
    if not file:
        raise ReadError(f"{image.name} is not there any more.", hint="Was it moved or renamed?")
    stamp = shown_stamp(file, rule)
    cache, name = project.folder / "cache", f"{file_name(sample.name)}-{stamp}"
    info = _probe(image, file)
    return Shown(image, file, info, rule, stamp, cache / "tiles" / name, cache / "thumbnails" / f"{name}.jpg")


def shown_stamp(file: str, rule: IntensityRule) -> str:
    """The stamp of a picture whose file has the stamp that the index writes."""
    return hashlib.sha256(f"{file} {rule}".encode()).hexdigest()[:12]


def _stamp_of(image: Path) -> str:
    """As the index writes it; empty when the file is not there."""
    try:
        status = image.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


@lru_cache(maxsize=1000)
def _probe(image: Path, file: str) -> ImageInfo:
    """The header, read again only when the file's stamp is another."""
    return probe_image(image)


def file_name(sample: str) -> str:
    """The beginning of a file name for a Sample; no two Samples have the same."""
    if safe_name(sample) == sample:
        return sample
    return f"{safe_name(sample, limit=80)}@{hashlib.sha256(sample.encode()).hexdigest()[:8]}"


def read_thumbnail(shown: Shown) -> bytes:
    """The picture as JPEG, its longer side THUMBNAIL pixels; kept on disk where that can be written."""
    with suppress(OSError):
        return shown.thumbnail.read_bytes()
    small = small_picture(shown, THUMBNAIL)
    data = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    with suppress(WriteError):
        write_bytes(shown.thumbnail, data, durable=False)
    return data


def small_picture(shown: Shown, side: int) -> RGB:
    """The picture with its longer side at most `side`, 512 at most where its tiles are there. Raises ReadError."""
    if shown.is_large:
        with suppress(OSError):
            data = shown.tile_path(shown.levels - 1, 0, 0).read_bytes()
            return shrink(read_image(data, name=shown.image.name), side)
    return read_small(shown.image, side, shown.rule)
