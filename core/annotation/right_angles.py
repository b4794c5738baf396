"""Objects with nearly right angles, such as buildings, get exactly right ones.

Of each object the main direction is found, its outline is simplified, each edge of that becomes parallel or
perpendicular to the direction, and what the new outline encloses replaces the object, where it is nearly the same.
"""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.fill import fill_rings
from core.annotation.labels import IGNORE_ID
from core.annotation.polygons import without_holes
from core.annotation.raster import Mask, count_objects
from core.annotation.shapes import PointsXY, Region

LEAST_IOU: Final = 0.85  # of an object as it was and as it becomes
_LEAST_PIXELS: Final = 16  # in fewer no direction can be told
_LEAST_STRAIGHT: Final = 0.6  # 1: all of the outline runs along or across one direction, 0: as a circle's
_STRAIGHT_TOLERANCE: Final = 0.06  # of the square root of the area, for that: a circle becomes an octagon, no square
_CORNER_COST: Final = 0.01  # of the area: two more corners must explain twice as much of it
_TOLERANCES: Final = (0.02, 0.04, 0.08, 0.14, 0.2)  # of the square root of the area
_LEAST_TOLERANCE: Final = 1.0  # pixels: what is finer are the steps of pixels
_MOST_CORNERS: Final = 60
_FRAME: Final = 2  # pixels around an object that it may grow into

Points = NDArray[np.float64]  # (N, 2) x, y of pixel corners; rings are not closed


class Squared(NamedTuple):
    """corners: of the outline with right angles.  region: what it encloses.  iou: with the object as it was."""

    corners: Points
    region: Region
    iou: float


def square_objects(mask: Mask) -> Mask:
    """`mask` (H, W) of class ids with right angles where an object keeps an IoU of LEAST_IOU; the others stay.

    Objects keep their number, their label and their holes: they grow onto background only, and not up to another one
    of their label. 255 stays.
    """
    result, background = mask.copy(), mask == 0
    for class_id in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist():
        if class_id in (0, IGNORE_ID):
            continue
        _, objects, figures, _ = cv2.connectedComponentsWithStats((mask == class_id).astype(np.uint8), connectivity=8)
        for number, (left, top, width, height, area) in enumerate(figures.tolist()):
            if number == 0 or area < _LEAST_PIXELS:
                continue
            rows = slice(max(0, top - _FRAME), top + height + _FRAME)
            columns = slice(max(0, left - _FRAME), left + width + _FRAME)
            own = objects[rows, columns] == number
            new = square_region(own)
            if new is not None:
                _replace(result[rows, columns], own, new & (own | background[rows, columns]), class_id)
    return result


def square_region(region: Region) -> Region | None:
    """One object, (H, W) bool, with right angles; None where it has none, or would change too much.

    Holes are squared in the direction of the outline where they can be, else they stay as they are.
    """
    solid = without_holes(region)[0]
    best: Squared | None = None
    angle = 0.0
    for direction in _directions(solid):
        found = squared(solid, direction)
        if found is not None and (best is None or _cost(found) < _cost(best)):
            best, angle = found, direction
    if best is None:
        return None
    new = best.region.copy()
    _cut_holes(new, solid & ~region, angle)
    return new if _iou(region, new) >= LEAST_IOU and _same_parts(region, new) else None


def squared(solid: Region, angle: float) -> Squared | None:
    """An object without holes, its edges turned to the nearest of `angle` (radians) and the one across it.

    Of several tolerances the best: few corners, few pixels changed. None where no outline keeps LEAST_IOU.
    """
    ring = _contour(solid)
    turned = ring @ _rotation(-angle)
    best: Squared | None = None
    for share in _TOLERANCES:
        tolerance = max(_LEAST_TOLERANCE, share * float(np.sqrt(np.count_nonzero(solid))))
        corners = _right_angled(turned, tolerance)
        if corners is None:
            continue
        corners = corners @ _rotation(angle)
        points: PointsXY = tuple(map(tuple, corners.tolist()))
        region = fill_rings([points], top=0, left=0, height=solid.shape[0], width=solid.shape[1])
        found = Squared(corners, region, _iou(solid, region))
        if found.iou >= LEAST_IOU and (best is None or _cost(found) < _cost(best)):
            best = found
    return best


def _cost(found: Squared) -> float:
    return 1 - found.iou + _CORNER_COST * len(found.corners)


def _right_angled(ring: Points, tolerance: float) -> Points | None:
    """The corners of `ring` simplified to `tolerance` with each edge horizontal or vertical; None if there are none."""
    at = _simplified(ring, tolerance)
    if not 4 <= len(at) <= _MOST_CORNERS:
        return None
    steps = np.roll(ring[at], -1, axis=0) - ring[at]
    across = np.abs(steps[:, 1]) > np.abs(steps[:, 0])  # vertical edges
    starts = np.flatnonzero(across != np.roll(across, 1))  # edges of one kind that follow each other are one edge
    if len(starts) < 4:
        return None
    first = np.array(at)[starts]
    places = np.empty(len(starts))
    for i, (begin, end) in enumerate(zip(first, np.roll(first, -1), strict=True)):
        run = ring[begin : end + 1] if begin < end else np.concatenate([ring[begin:], ring[: end + 1]])
        places[i] = np.median(run[:, 0 if across[starts[i]] else 1])  # corners are rounded, the middle is straight
    vertical = across[starts]
    before = np.roll(places, 1)  # a corner lies where an edge meets the one before it
    return np.stack([np.where(vertical, places, before), np.where(vertical, before, places)], axis=1)


def _simplified(ring: Points, tolerance: float) -> list[int]:
    """Which points of `ring` are left by Douglas and Peucker's rule."""
    single = ring.astype(np.float32)
    kept = cv2.approxPolyDP(single[:, None], tolerance, True)[:, 0]
    numbers = {point: i for i, point in enumerate(map(tuple, single.tolist()))}
    return sorted(numbers[point] for point in map(tuple, kept.tolist()))


def _directions(solid: Region) -> list[float]:
    """Angles in radians that may be the main one; none when the outline has no right angles.

    The mean direction of the simplified outline's edges by their length, each turned four times as far, so that those
    at right angles are one; and the side of the least rectangle around it.
    """
    ring = _contour(solid)
    tolerance = max(_LEAST_TOLERANCE, _STRAIGHT_TOLERANCE * float(np.sqrt(np.count_nonzero(solid))))
    corners = ring[_simplified(ring, tolerance)]
    steps = np.roll(corners, -1, axis=0) - corners
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    turned = (lengths * np.exp(4j * np.arctan2(steps[:, 1], steps[:, 0]))).sum()
    if np.abs(turned) < _LEAST_STRAIGHT * lengths.sum():
        return []
    (_, _), (_, _), degrees = cv2.minAreaRect(ring.astype(np.float32))
    return [float(np.angle(turned)) / 4, float(np.deg2rad(degrees))]


def _contour(solid: Region) -> Points:
    """Halfway between the pixels of `solid` and those around it: it cuts the steps of a slanting edge in the middle."""
    from skimage.measure import find_contours

    rings = find_contours(np.pad(solid, 1).astype(np.float64), 0.5, fully_connected="high")
    longest = max(rings, key=len)[:-1, ::-1]
    return np.asarray(longest - 0.5, np.float64)  # one pixel of frame away, half a pixel from centre to corner


def _cut_holes(new: Region, holes: Region, angle: float) -> None:
    """Take each of `holes`, connected by sides, out of `new`: with right angles where it keeps LEAST_IOU."""
    _, parts, figures, _ = cv2.connectedComponentsWithStats(holes.astype(np.uint8), connectivity=4)
    for number, (left, top, width, height, area) in enumerate(figures[1:].tolist(), start=1):
        rows = slice(max(0, top - _FRAME), top + height + _FRAME)
        columns = slice(max(0, left - _FRAME), left + width + _FRAME)
        hole = parts[rows, columns] == number
        inner = squared(hole, angle) if area >= _LEAST_PIXELS else None
        new[rows, columns] &= ~(hole if inner is None else inner.region)


def _same_parts(old: Region, new: Region) -> bool:
    """Whether both are as many pieces with as many holes."""
    return count_objects(old) == count_objects(new) and without_holes(old)[1] == without_holes(new)[1]


def _replace(window: Mask, own: Region, new: Region, class_id: int) -> None:
    """Put `new` in the place of `own`, unless what others hold leaves too little of it. window: a view of the Mask."""
    others = ((window == class_id) & ~own).astype(np.uint8)
    free = (window == 0) & (cv2.dilate(others, np.ones((3, 3), np.uint8)) == 0)
    new = new & (own | free)
    if _iou(own, new) >= LEAST_IOU and _same_parts(own, new):
        window[own] = 0
        window[new] = class_id


def _iou(one: Region, other: Region) -> float:
    either = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / either if either else 0.0


def _rotation(angle: float) -> Points:
    """What points (N, 2) are multiplied by to be turned by `angle`."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, sine], [-sine, cosine]])
