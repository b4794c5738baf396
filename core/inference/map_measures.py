"""Areas and lengths of what lies on a map, from pixel corners.

On a map in metres or feet they are those of the map's plane. On one in degrees they are metres on its ellipsoid:
areas through a cylindrical equal-area projection, on which edges along meridians and parallels stay straight, so the
area of a pixel is exact; lengths with the radii of curvature in the middle of each edge.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from core.images import ImageSize

XY = NDArray[np.float64]  # (n, 2)

_IN_WKT: Final = re.compile(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([\d.]+),\s*([\d.]+)')


class Ellipsoid(NamedTuple):
    """radius: the semi-major axis in metres.  squared: the first eccentricity, squared."""

    radius: float
    squared: float


class Measures(NamedTuple):
    """to_map: pixel corners (n, 2) to the map.  area, length: of a Polygon in pixel corners.  unit: of the length."""

    to_map: Callable[[XY], XY]
    area: Callable[[Any], float]
    length: Callable[[Any], float]
    unit: str


def measures_of(crs: Any | None, transform: Any | None, size: ImageSize) -> Measures:
    """How a raster with `crs` (rasterio's) and `transform` (Affine) is measured; in pixels without either."""
    to_map = _as_it_is if transform is None else _by(transform)
    if transform is None or crs is None:
        return Measures(to_map, lambda shape: float(shape.area), lambda shape: float(shape.length), "pixel")
    if crs.is_geographic:
        globe = _ellipsoid(crs)
        middle = float(to_map(np.array([[size.width / 2, size.height / 2]]))[0, 0])
        return Measures(
            to_map,
            lambda shape: float(shapely.transform(shape, lambda xy: _equal_area(to_map(xy), middle, globe)).area),
            lambda shape: sum(_ground_length(to_map(ring), globe) for ring in _rings(shape)),
            "metre",
        )
    scale = abs(float(transform.determinant))
    return Measures(
        to_map,
        lambda shape: float(shape.area) * scale,
        lambda shape: float(shapely.transform(shape, to_map).length),
        crs.linear_units,
    )


def _as_it_is(corners: XY) -> XY:
    return corners


def _by(transform: Any) -> Callable[[XY], XY]:
    a, b, c, d, e, f = tuple(transform)[:6]

    def to_map(corners: XY) -> XY:
        return np.asarray(corners @ np.array([[a, d], [b, e]]) + (c, f))

    return to_map


def _rings(shape: Any) -> list[XY]:
    return [shapely.get_coordinates(ring) for ring in (shape.exterior, *shape.interiors)]


def _ellipsoid(crs: Any) -> Ellipsoid:
    """That of a geographic system: a map may be of the Moon."""
    found = _IN_WKT.search(crs.to_wkt())
    radius, inverse = (float(found[1]), float(found[2])) if found else (6_378_137.0, 298.257223563)
    flattening = 1 / inverse if inverse else 0.0
    return Ellipsoid(radius, flattening * (2 - flattening))


def _equal_area(degrees: XY, middle: float, globe: Ellipsoid) -> XY:
    """Longitude and latitude on Lambert's cylinder, in metres; x is 0 at the longitude `middle` (Snyder 1987, 10)."""
    radius, squared = globe
    sine, e = np.sin(np.radians(degrees[:, 1])), math.sqrt(squared)
    authalic = (1 - squared) * (sine / (1 - squared * sine**2) + (np.arctanh(e * sine) / e if e else sine))
    return np.column_stack([radius * np.radians(degrees[:, 0] - middle), radius * authalic / 2])


def _ground_length(degrees: XY, globe: Ellipsoid) -> float:
    """Metres along a line of (longitude, latitude)."""
    radius, squared = globe
    longitude, latitude = np.radians(degrees).T
    middle = (latitude[:-1] + latitude[1:]) / 2
    bend = 1 - squared * np.sin(middle) ** 2
    north = radius * (1 - squared) / bend**1.5 * np.diff(latitude)
    east = radius / np.sqrt(bend) * np.cos(middle) * np.diff(longitude)
    return float(np.hypot(north, east).sum())
