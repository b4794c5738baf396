"""Shapes as outlines along the edges of their pixels, for formats that know polygons only."""

import math
from dataclasses import replace

import numpy as np

from core.annotation.raster import LINE_WIDTH, POINT_RADIUS, shape_to_region
from core.annotation.shapes import Circle, Line, LineStrip, MaskShape, Point, Points, PointsXY, Shape
from core.annotation.trace import Outline, trace_region
from core.images import ImageSize


def shape_outlines(shape: Shape, size: ImageSize) -> list[Outline]:
    """The outlines of the pixels that `shape` paints in a picture of `size`; what lies outside is cut off."""
    if isinstance(shape, MaskShape):
        left, top = (int(value) for value in shape.points_xy[0])
        row, column = max(-top, 0), max(-left, 0)
        region = shape.region[row : max(size.height - top, 0), column : max(size.width - left, 0)]
        return trace_region(region, top=top + row, left=left + column) if region.size else []
    left, top, right, bottom = _window(shape, size)
    if left >= right or top >= bottom:
        return []
    # whole pixels, and never below zero: Pillow cuts coordinates towards zero
    moved = replace(shape, points_xy=tuple((x - left, y - top) for x, y in shape.points_xy))
    return trace_region(shape_to_region(moved, ImageSize(bottom - top, right - left)), top=top, left=left)


def without_touching(outline: Outline) -> Outline:
    """The same outline, its rings cut where they meet themselves in a corner, as GIS programs ask for."""
    (outer, *pockets) = sorted(_loops(outline.outer), key=_area, reverse=True)
    return Outline(outer, (*pockets, *(loop for hole in outline.holes for loop in _loops(hole))))


def _loops(ring: PointsXY) -> list[PointsXY]:
    """A ring cut wherever it comes to a corner again."""
    loops: list[PointsXY] = []
    path: list[tuple[float, float]] = []
    place: dict[tuple[float, float], int] = {}
    for point in ring:
        start = place.get(point)
        if start is not None:
            loops.append(tuple(path[start:]))
            for passed in path[start:]:
                del place[passed]
            del path[start:]
        place[point] = len(path)
        path.append(point)
    return [*loops, tuple(path)]


def _area(ring: PointsXY) -> float:
    """Positive for a ring that runs clockwise on the screen, around what it holds."""
    xs, ys = np.array(ring).T
    return float(np.sum(xs * np.roll(ys, -1) - np.roll(xs, -1) * ys)) / 2


def _window(shape: Shape, size: ImageSize) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of the picture that `shape` can touch."""
    xs, ys = zip(*shape.points_xy, strict=True)
    reach: float = 1
    if isinstance(shape, Circle):
        xs, ys, reach = xs[:1], ys[:1], math.dist(*shape.points_xy) + 1
    elif isinstance(shape, Point | Points):
        reach = POINT_RADIUS + 1
    elif isinstance(shape, Line | LineStrip):
        reach = LINE_WIDTH
    return (
        max(math.floor(min(xs) - reach), 0),
        max(math.floor(min(ys) - reach), 0),
        min(math.ceil(max(xs) + reach) + 1, size.width),
        min(math.ceil(max(ys) + reach) + 1, size.height),
    )
