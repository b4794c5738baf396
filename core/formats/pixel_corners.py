"""Boxes, circles and ellipses by the corners of pixels, as CVAT and Label Studio have them, to points here and back.

There a box from 2 to 6 covers the 4 pixels 2, 3, 4, 5; a Rectangle here reaches over its last pixel. So a box along
pixel edges loses one at its far edges when it comes in, and gets it back when it goes out.
"""

import math
from typing import NamedTuple

import numpy as np

from core.annotation.shapes import MaskShape, PointsXY, Region
from core.formats.labelme_shape import FARTHEST, BrokenShapeError
from core.images import MAX_PIXELS, ImageSize

_THINNEST = 1e-3  # radius in pixels from which on an ellipse is one
_ROUND = 1e-6  # pixels by which the corners of a rectangle may miss it


class Box(NamedTuple):
    """Edges of an upright box, in pixel corners."""

    left: float
    top: float
    right: float
    bottom: float


class TurnedBox(NamedTuple):
    """A box whose first corner stays at (left, top) while it turns clockwise by `degrees`."""

    left: float
    top: float
    width: float
    height: float
    degrees: float

    @property
    def centre(self) -> tuple[float, float]:
        (ax, ay), _, (cx, cy), _ = turned_corners(self)
        return (ax + cx) / 2, (ay + cy) / 2


def corners_of_box(box: Box) -> PointsXY:
    """The two points of a Rectangle. Raises BrokenShapeError for a box along pixel edges that holds no pixel."""
    left, right = sorted((box.left, box.right))  # some tools write negative widths
    top, bottom = sorted((box.top, box.bottom))
    if not all(side == round(side) for side in box):
        return ((left, top), (right, bottom))
    if left == right or top == bottom:
        raise BrokenShapeError("a box without an extent was left out", "# boxes without an extent were left out")
    return ((left, top), (right - 1.0, bottom - 1.0))


def box_of_corners(points_xy: PointsXY) -> Box:
    """What `corners_of_box` takes, for the points of a Rectangle in any order."""
    (x1, y1), (x2, y2) = points_xy
    further = 1.0 if all(side == round(side) for side in (x1, y1, x2, y2)) else 0.0
    return Box(min(x1, x2), min(y1, y2), max(x1, x2) + further, max(y1, y2) + further)


def turned_corners(box: TurnedBox) -> PointsXY:
    """The four corners, clockwise from the first."""
    cosine, sine = _cosine_and_sine(box.degrees)
    across = (box.width * cosine, box.width * sine)
    down = (-box.height * sine, box.height * cosine)
    x, y = box.left, box.top
    return (
        (x, y),
        (x + across[0], y + across[1]),
        (x + across[0] + down[0], y + across[1] + down[1]),
        (x + down[0], y + down[1]),
    )


def turned_about_centre(box: Box, degrees: float) -> TurnedBox:
    """An upright box turned clockwise about its centre."""
    cosine, sine = _cosine_and_sine(degrees)
    width, height = box.right - box.left, box.bottom - box.top
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    left = x - (width * cosine - height * sine) / 2
    top = y - (width * sine + height * cosine) / 2
    return TurnedBox(left, top, width, height, degrees)


def turned_box_of(points_xy: PointsXY) -> TurnedBox | None:
    """The box that has these four corners, turned by more than 0 degrees; None when they are no rectangle."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points_xy
    if math.dist((bx - ax, by - ay), (cx - dx, cy - dy)) > _ROUND:
        return None
    width, height = math.dist((ax, ay), (bx, by)), math.dist((bx, by), (cx, cy))
    if abs(math.dist((ax, ay), (cx, cy)) - math.hypot(width, height)) > _ROUND or min(width, height) < _ROUND:
        return None
    if (bx - ax) * (cy - by) < (by - ay) * (cx - bx):  # counter-clockwise: begin at the second corner, go back
        ax, ay, bx, by = bx, by, ax, ay
        cx, cy = dx, dy
    degrees = math.degrees(math.atan2(by - ay, bx - ax)) % 360
    if degrees:
        return TurnedBox(ax, ay, width, height, degrees)
    return TurnedBox(bx, by, height, width, math.degrees(math.atan2(cy - by, cx - bx)) % 360)


def circle_points(x: float, y: float, radius: float) -> PointsXY:
    """Centre and edge of a Circle, so that their distance is `radius` to the last digit where that can be."""
    edges = ((x + radius, y), (x - radius, y), (x, y + radius), (x, y - radius))
    return ((x, y), next((edge for edge in edges if _radius((x, y), edge) == radius), edges[0]))


def radius_of(points_xy: PointsXY) -> float:
    """The radius of a Circle, computed as drawing it does."""
    return _radius(*points_xy)


def ellipse_mask(
    centre: tuple[float, float], radii: tuple[float, float], degrees: float, size: ImageSize, label: str
) -> MaskShape:
    """The pixels whose centres lie in an ellipse that is turned clockwise, cut to a picture of `size`.

    size: 0 x 0 when it is not known; then only what lies left of or above the picture is cut off.
    Raises BrokenShapeError when no pixel is left, or far too many.
    """
    (x, y), (radius_x, radius_y) = centre, radii
    cosine, sine = _cosine_and_sine(degrees)
    empty = BrokenShapeError("an ellipse without a pixel was left out", "# ellipses without a pixel were left out")
    if min(radii) < _THINNEST:
        raise empty
    reach_x, reach_y = (
        math.hypot(radius_x * cosine, radius_y * sine),
        math.hypot(radius_x * sine, radius_y * cosine),
    )
    width, height = (size.width, size.height) if size.pixels else (FARTHEST, FARTHEST)
    left, right = max(math.floor(x - reach_x), 0), min(math.ceil(x + reach_x), width)
    top, bottom = max(math.floor(y - reach_y), 0), min(math.ceil(y + reach_y), height)
    if left >= right or top >= bottom:
        raise empty
    if (right - left) * (bottom - top) > MAX_PIXELS:
        raise BrokenShapeError("an ellipse too large for memory was left out", "# ellipses too large were left out")
    # a dx^2 + 2 b dx dy + c dy^2 <= 1, solved for the first and last dx of each row
    a = (cosine / radius_x) ** 2 + (sine / radius_y) ** 2
    b = cosine * sine * (radius_x**-2 - radius_y**-2)
    c = (sine / radius_x) ** 2 + (cosine / radius_y) ** 2
    dy = np.arange(top, bottom) + 0.5 - y
    square = (b * dy) ** 2 - a * (c * dy**2 - 1)
    half = np.sqrt(np.maximum(square, 0)) / a
    middle = x - 0.5 - left - b * dy / a  # as a column of the box
    first = np.maximum(np.ceil(middle - half), 0)
    last = np.where(square >= 0, np.minimum(np.floor(middle + half), right - left - 1), -1)
    columns = np.arange(right - left)
    region = (columns >= first[:, None]) & (columns <= last[:, None])
    mask = drawn_mask(region, label, top=top, left=left)
    if mask is None:
        raise empty
    return mask


def drawn_mask(region: Region, label: str, *, top: int = 0, left: int = 0) -> MaskShape | None:
    """The drawn box of `region`, a window of a picture with its corner at (top, left); None when nothing is drawn."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if not rows.size:
        return None
    drawn = np.ascontiguousarray(region[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    corners = (
        (float(left + columns[0]), float(top + rows[0])),
        (float(left + columns[-1]), float(top + rows[-1])),
    )
    return MaskShape(label=label, points_xy=corners, region=drawn)


def within_picture(shape: MaskShape, size: ImageSize) -> MaskShape | None:
    """The part of a mask that lies in a picture of `size`; None when none of its pixels does."""
    (x, y), _ = shape.points_xy
    left, top = int(x), int(y)
    row, column = max(-top, 0), max(-left, 0)
    inside = shape.region[row : max(size.height - top, 0), column : max(size.width - left, 0)]
    return drawn_mask(inside, shape.label, top=top + row, left=left + column)


def _radius(centre: tuple[float, float], edge: tuple[float, float]) -> float:
    return math.sqrt((centre[0] - edge[0]) ** 2 + (centre[1] - edge[1]) ** 2)


def _cosine_and_sine(degrees: float) -> tuple[float, float]:
    """Exact for quarter turns."""
    quarter = (degrees % 360) / 90
    if quarter == int(quarter):
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarter) % 4]
    angle = math.radians(degrees)
    return math.cos(angle), math.sin(angle)
