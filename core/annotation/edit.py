"""Pure corrections of a Mask: each function returns a new one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from core.annotation.raster import Mask
from core.annotation.shapes import PointsXY, Region
from core.images import ImageSize


@dataclass(frozen=True)
class Stroke:
    """One sweep of a round brush in picture coordinates: its path, its diameter in picture pixels, what it paints.

    A brush `width` of 1 paints the pixels that the path passes through.
    """

    points_xy: PointsXY
    width: float
    class_id: int


def paint_strokes(mask: Mask, strokes: Iterable[Stroke]) -> Mask:
    """`mask` with each stroke painted over it in order; class id 0 erases."""
    painted = mask.copy()
    size = ImageSize(*mask.shape)
    for stroke in strokes:
        part, moved = _around(stroke, size)  # a short stroke on a large picture costs only what it touches
        window = painted[part]
        window[stroke_region(moved, ImageSize(*window.shape))] = stroke.class_id
    return painted


def _around(stroke: Stroke, size: ImageSize) -> tuple[tuple[slice, slice], Stroke]:
    """The rows and columns that a stroke can touch, and the stroke as seen from their corner."""
    if not stroke.points_xy:
        return (slice(0), slice(0)), stroke
    reach = stroke.width / 2 + 1
    xs, ys = zip(*stroke.points_xy, strict=True)
    top, bottom = _pixels(min(ys) - reach, max(ys) + reach, size.height)
    left, right = _pixels(min(xs) - reach, max(xs) + reach, size.width)
    points = tuple((x - left, y - top) for x, y in stroke.points_xy)
    return (slice(top, max(top, bottom)), slice(left, max(left, right))), replace(stroke, points_xy=points)


def stroke_region(stroke: Stroke, size: ImageSize) -> Region:
    """Pixels whose centre lies within half a width of the path, and those that the path itself crosses; (H, W) bool."""
    region = np.zeros(size, dtype=bool)
    if not stroke.points_xy:
        return region
    radius = stroke.width / 2
    path = np.asarray(stroke.points_xy, dtype=np.float64)
    starts, ends = (path, path) if len(path) == 1 else (path[:-1], path[1:])
    for (x0, y0), (x1, y1) in zip(starts, ends, strict=True):
        top, bottom = _pixels(min(y0, y1) - radius, max(y0, y1) + radius, size.height)
        left, right = _pixels(min(x0, x1) - radius, max(x0, x1) + radius, size.width)
        if top >= bottom or left >= right:
            continue
        ys, xs = np.mgrid[top:bottom, left:right] + 0.5  # pixel centres
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((xs - x0) * dx + (ys - y0) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        near = (xs - x0 - along * dx) ** 2 + (ys - y0 - along * dy) ** 2 <= radius * radius
        region[top:bottom, left:right] |= near
    # a thin stroke would leave gaps between centres
    canvas = Image.new("1", (size.width, size.height))
    ImageDraw.Draw(canvas).line([(float(np.floor(x)), float(np.floor(y))) for x, y in path], fill=1)
    if len(path) == 1:
        ImageDraw.Draw(canvas).point((float(np.floor(path[0, 0])), float(np.floor(path[0, 1]))), fill=1)
    return region | np.asarray(canvas)


def _pixels(low: float, high: float, limit: int) -> tuple[int, int]:
    return max(0, int(np.floor(low))), min(limit, int(np.ceil(high)) + 1)
