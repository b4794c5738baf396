"""Regions as polygons by Labelme's rule of filling: both edges inclusive, so an outline runs through pixel indices.

Filled by `core.annotation.raster`, an outline of tolerance 0 gives exactly its Region back (holes apart).
"""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.crossing import first_crossing
from core.annotation.shapes import PointsXY, Region

_NARROW: Final = 0.5  # width of the polygon of a line of pixels; Pillow cuts the fraction off again

Ring = NDArray[np.float64]  # (N, 2) points x, y; not closed


class Part(NamedTuple):
    """An 8-connected part of a Region, seen from (left, top). region: its box only."""

    left: int
    top: int
    region: Region


def parts_of(region: Region) -> list[Part]:
    """The 8-connected parts of `region`, (H, W) bool, by their first pixel in reading order."""
    count, ids, boxes, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    return [
        Part(x, y, ids[y : y + height, x : x + width] == i)
        for i, (x, y, width, height) in ((i, boxes[i, :4].tolist()) for i in range(1, count))
    ]


def without_holes(region: Region) -> tuple[Region, int]:
    """`region`, (H, W) bool, with its holes filled, and how many there were.

    A hole is background that is 4-connected and does not reach the edge of the array; the gap between two pixels
    that touch by a corner is closed, as everywhere here.
    """
    outside = np.pad(~region, 1, constant_values=True)
    count, ids = cv2.connectedComponents(outside.astype(np.uint8), connectivity=4)
    return (ids != ids[0, 0])[1:-1, 1:-1], count - 2  # neither the region itself nor what is around it


def outline(part: Part, *, tolerance: float = 0.0) -> PointsXY:
    """The polygon around a Part without holes, in coordinates of the picture.

    tolerance: how far in pixels the outline may stray from the exact one; it never crosses itself, so of a thin part
    less may be left out than the tolerance allows.  0: filled, it is the Part.
    """
    found, _ = cv2.findContours(part.region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    exact = found[0][:, 0].astype(np.float64)
    ring = exact
    while tolerance >= 0.25:  # below that, of pixel steps nothing can be left out
        simple = cv2.approxPolyDP(found[0], tolerance, True)[:, 0].astype(np.float64)
        if len(simple) >= 3 and first_crossing(simple) is None:
            ring = simple
            break
        tolerance /= 2
    return tuple((x + part.left, y + part.top) for x, y in _with_area(ring).tolist())


def _with_area(ring: Ring) -> Ring:
    """`ring`, or what paints the same pixels if it is a point or a line: as such it would be no polygon."""
    if len(ring) >= 3:
        return ring
    corners = np.array([(0, 0), (_NARROW, 0), (_NARROW, _NARROW), (0, _NARROW)])
    swept = (ring[:, None] + corners).reshape(-1, 2).astype(np.float32)
    return np.asarray(cv2.convexHull(swept)[:, 0], dtype=np.float64)
