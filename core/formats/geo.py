"""Where a picture lies on a map: the tags of a GeoTIFF, or a world file beside the picture (FORMATS 3.6)."""

import io
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from core.errors import ReadError
from core.formats.source import Source, SourceFile
from core.images import ImageSize, guarded, probe_image

XY = NDArray[np.float64]  # (n, 2)
Affine = tuple[float, float, float, float, float, float]

WGS84: Final = 4326
NOWHERE: Final = 1e15
_MOST_CALLS: Final = 2000  # of GDAL: a second or two
_SCALE, _TIEPOINT, _TRANSFORM, _KEYS = 33550, 33922, 34264, 34735  # TIFF tags
_MODEL, _RASTER, _GEOGRAPHIC, _PROJECTED = 1024, 1025, 2048, 3072  # keys inside of _KEYS
_IS_GEOGRAPHIC, _IS_POINT, _USER_DEFINED = 2, 2, 32767
_UNTOUCHED: Final[Affine] = (1, 0, 0, 0, 1, 0)
_TIFF_MAGIC: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WORLD_SUFFIXES: Final = {
    ".tif": (".tfw", ".tifw"),
    ".tiff": (".tfw", ".tiffw", ".tifw"),
    ".jpg": (".jgw", ".jpgw"),
    ".jpeg": (".jgw", ".jpegw", ".jpgw"),
    ".png": (".pgw", ".pngw"),
    ".bmp": (".bpw", ".bmpw"),
}


@dataclass(frozen=True)
class GeoReference:
    """From pixel corners of the upright picture to a map, and back.

    transform: (a, b, c, d, e, f), so that a pixel corner (x, y) lies at (a x + b y + c, d x + e y + f).
    epsg: the number of the map's coordinate system; None when the file does not name one.
    """

    transform: Affine
    epsg: int | None

    def to_map(self, points: XY) -> XY:
        """(n, 2) pixel corners as map coordinates."""
        a, b, c, d, e, f = self.transform
        return points @ np.array([[a, d], [b, e]]) + (c, f)

    def to_pixels(self, points: XY) -> XY:
        """(n, 2) map coordinates as pixel corners."""
        a, b, c, d, e, f = self.transform
        return (points - (c, f)) @ np.linalg.inv(np.array([[a, d], [b, e]]))

    def box(self, size: ImageSize) -> tuple[float, float, float, float]:
        """The least and most x and y on the map of a picture of `size`: left, bottom, right, top."""
        corners = self.to_map(np.array([(x, y) for x in (0, size.width) for y in (0, size.height)], dtype=np.float64))
        (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
        return float(left), float(bottom), float(right), float(top)


def read_geo(picture: bytes, world: bytes | None = None) -> GeoReference | None:
    """Where a picture lies: from its own tags, else from `world`, the bytes of its world file; None when none says."""
    found = _from_tags(picture) or (_from_world(world) if world else None)
    if found is None or not _can_be(found.transform):
        return None
    return GeoReference(_upright(found.transform, picture), found.epsg)


def world_file_of(picture: SourceFile, source: Source) -> SourceFile | None:
    """The world file beside a picture: photo.jgw, photo.jpgw or photo.wld for photo.jpg."""
    bare = picture.name.removesuffix(picture.name[-len(picture.suffix) :]) if picture.suffix else picture.name
    wanted = {f"{bare}{suffix}".casefold() for suffix in (*_WORLD_SUFFIXES.get(picture.suffix, ()), ".wld")}
    return next((file for file in source.files if file.name.casefold() in wanted), None)


def reproject(points: XY, epsg: int, to_epsg: int) -> XY | None:
    """(n, 2) x and y (longitude before latitude) from one system to another; None without rasterio, or such a system.

    A point that has no place there comes out as (NOWHERE, NOWHERE).
    """
    try:
        from rasterio.crs import CRS
        from rasterio.errors import RasterioError
        from rasterio.warp import transform
    except ImportError:
        return None
    try:
        systems = CRS.from_epsg(epsg), CRS.from_epsg(to_epsg)
    except (RasterioError, ValueError):
        return None
    moved = np.full_like(points, NOWHERE)
    blocks = [(0, len(points))]
    for _ in range(_MOST_CALLS):
        if not blocks:
            break
        start, stop = blocks.pop()
        part = points[start:stop]
        try:
            moved[start:stop] = np.column_stack(transform(*systems, part[:, 0].tolist(), part[:, 1].tolist())[:2])
        except Exception:  # whatever GDAL says of a point without a place there; halve until the others are through
            middle = (start + stop) // 2
            blocks += [(start, middle), (middle, stop)] if stop - start > 1 else []
    moved[~np.isfinite(moved).all(axis=1)] = NOWHERE
    return moved


# ---------------------------------------------------------------------------------------------------------- GeoTIFF


def _from_tags(picture: bytes) -> GeoReference | None:
    if picture[:4] not in _TIFF_MAGIC:
        return None
    try:
        tags = guarded("The picture", lambda: _read_tags(picture))
        return guarded("The picture", lambda: _from_values(tags))
    except ReadError:
        return None  # its pixels may be well all the same


def _read_tags(picture: bytes) -> dict[int, Any]:
    with tifffile.TiffFile(io.BytesIO(picture)) as tiff:
        tags = tiff.pages.first.tags
        return {code: tags[code].value for code in (_SCALE, _TIEPOINT, _TRANSFORM, _KEYS) if code in tags}


def _from_values(tags: dict[int, Any]) -> GeoReference | None:
    if _TRANSFORM in tags:
        matrix = [float(value) for value in tags[_TRANSFORM]]
        a, b, c, d, e, f = matrix[0], matrix[1], matrix[3], matrix[4], matrix[5], matrix[7]
    elif _SCALE in tags and _TIEPOINT in tags:
        a, down = (float(value) for value in tags[_SCALE][:2])
        column, row, _, x, y = (float(value) for value in tags[_TIEPOINT][:5])
        b, c, d, e, f = 0.0, x - column * a, 0.0, -down, y + row * down
    else:
        return None
    numbers = [int(value) for value in tags.get(_KEYS, ())]
    entries = zip(numbers[4::4], numbers[5::4], numbers[7::4], strict=False)
    keys = {key: value for key, place, value in entries if place == 0}  # place 0: the value stands here
    if keys.get(_RASTER) == _IS_POINT:  # the tags speak of the centres of pixels
        c, f = c - (a + b) / 2, f - (d + e) / 2
    epsg = keys.get(_GEOGRAPHIC if keys.get(_MODEL) == _IS_GEOGRAPHIC else _PROJECTED)
    return GeoReference((a, b, c, d, e, f), epsg if epsg and epsg != _USER_DEFINED else None)


# -------------------------------------------------------------------------------------------------------- world files


def _from_world(data: bytes) -> GeoReference | None:
    """Six lines: a, d, b, e, and the map coordinates of the centre of the first pixel."""
    try:
        a, d, b, e, c, f = (float(line.replace(",", ".")) for line in data.decode("ascii").split()[:6])
    except ValueError:
        return None
    return GeoReference((a, b, c - (a + b) / 2, d, e, f - (d + e) / 2), None)


def _can_be(transform: Affine) -> bool:
    a, b, _, d, e, _ = transform
    area = a * e - b * d
    return (
        all(map(math.isfinite, transform))
        and math.isfinite(1 / area if area else math.inf)
        and transform
        not in (
            _UNTOUCHED,
            (1, 0, 0, 0, -1, 0),
        )
    )


def _upright(transform: Affine, picture: bytes) -> Affine:
    """`transform`, which speaks of the stored pixels, for the picture as it is seen."""
    try:
        info = probe_image(picture)
    except ReadError:
        return transform
    height, width = info.stored_size
    # the stored pixel corner (x, y) of an upright one: x = p u + q v + r, y = s u + t v + w
    turn = {
        2: (-1, 0, width, 0, 1, 0),
        3: (-1, 0, width, 0, -1, height),
        4: (1, 0, 0, 0, -1, height),
        5: (0, 1, 0, 1, 0, 0),
        6: (0, 1, 0, -1, 0, height),
        7: (0, -1, width, -1, 0, height),
        8: (0, -1, width, 1, 0, 0),
    }.get(info.orientation)
    if turn is None:
        return transform
    a, b, c, d, e, f = transform
    p, q, r, s, t, w = turn
    return (a * p + b * s, a * q + b * t, a * r + b * w + c, d * p + e * s, d * q + e * t, d * r + e * w + f)
