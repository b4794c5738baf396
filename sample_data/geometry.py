"""Rotated rectangles, and polygons cut at the edge of the picture.

Points are (x, y) in pixels, arrays (N, 2) float64; angles are radians from the x axis towards the y axis.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Points = NDArray[np.float64]  # (N, 2), x then y


class Box(NamedTuple):
    """A rectangle turned by `angle`, which is that of its length."""

    centre: tuple[float, float]
    angle: float
    length: float
    depth: float


def rectangle(box: Box) -> Points:
    """Its four corners in order."""
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (box.length / 2, box.depth / 2)
    return turned(half, box.angle) + box.centre


def turned(points: Points, angle: float) -> Points:
    """`points` turned about (0, 0)."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def region(outline: Points, size: int) -> NDArray[np.bool_]:
    """(size, size): the pixels of a polygon as Labelme fills it, edges included."""
    canvas = Image.new("1", (size, size))
    ImageDraw.Draw(canvas).polygon([(x, y) for x, y in outline.tolist()], fill=1, outline=1)
    return np.array(canvas)


def cut_to_picture(outline: Points, size: int) -> Points | None:
    """The part of a polygon inside the picture, to 1/100 pixel; None when that is nothing, or more than one piece."""
    if outline.min() >= 0 and outline.max() <= size - 1:
        return outline.round(2)
    inside = outline
    for axis in (0, 1):
        for limit, sign in ((0.0, 1), (size - 1.0, -1)):
            inside = _half_plane(inside, axis, limit, sign)
            if len(inside) < 3:
                return None
    inside = inside.round(2)
    seen = region(outline, size)
    # Two pieces would hang together by a line along the picture's edge.
    pieces = cv2.connectedComponents(seen.astype(np.uint8), connectivity=8)[0] - 1
    return inside if pieces == 1 and seen.sum() >= 12 else None


def _half_plane(points: Points, axis: int, limit: float, sign: int) -> Points:
    """The part of a polygon where sign * (coordinate - limit) >= 0."""
    kept: list[Points] = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        here, there = sign * (start[axis] - limit), sign * (end[axis] - limit)
        if here >= 0:
            kept.append(start)
        if here * there < 0:
            kept.append(start + (end - start) * here / (here - there))
    return np.array(kept).reshape(-1, 2)
