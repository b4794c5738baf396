"""Shapes as outlines along the edges of their pixels, for formats that know polygons only."""

import math
from dataclasses import replace

from core.annotation.raster import LINE_WIDTH, POINT_RADIUS, shape_to_region
from core.annotation.shapes import Circle, Line, LineStrip, MaskShape, Point, Points, Shape
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
