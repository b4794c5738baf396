"""Outlines along the edges of pixels back to pixels: the inverse of `core.annotation.trace` (FORMATS 22).

A pixel belongs to the rings when its centre lies inside an odd number of them. Labelme's polygons are filled by another
rule, with both edges (`core.annotation.raster`); this one is for formats whose points are pixel corners.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.annotation.shapes import MaskShape, PointsXY, Region
from core.images import ImageSize

_CROSSINGS = 1 << 20  # of edges and rows, in memory at once
_MOST_CROSSINGS = 1 << 26  # of one ring: seconds. What a person or a program draws stays far below


def mask_from_rings(rings: Sequence[PointsXY], label: str, size: ImageSize) -> MaskShape | None:
    """The pixels of `rings` in a picture of `size` as a Shape with a tight box; None when there are none.

    rings: of finite pixel-corner coordinates, open or closed, in any direction. What lies outside is cut off.
    Raises ValueError for a tangle that would take minutes.
    """
    return mask_from_parts([rings], label, size)


def mask_from_parts(parts: Sequence[Sequence[PointsXY]], label: str, size: ImageSize) -> MaskShape | None:
    """As `mask_from_rings` for the union of several: rings of one part make holes, parts over each other do not."""
    boxes = [box for box in (_box(rings, size) for rings in parts) if box]
    if not boxes:
        return None
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    region = np.zeros((bottom - top, right - left), dtype=bool)
    for rings in parts:
        if box := _box(rings, size):
            x, y, width, height = box[0], box[1], box[2] - box[0], box[3] - box[1]
            window = region[y - top : y - top + height, x - left : x - left + width]
            window |= fill_rings(rings, top=y, left=x, height=height, width=width)
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if not rows.size:
        return None
    tight = region[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    first = (float(left + columns[0]), float(top + rows[0]))
    last = (float(left + columns[-1]), float(top + rows[-1]))
    return MaskShape(label=label, points_xy=(first, last), region=tight.copy())


def fill_rings(rings: Iterable[PointsXY], *, top: int, left: int, height: int, width: int) -> Region:
    """The pixels whose centre lies inside of `rings`, even-odd, in a window of the picture: (height, width) bool.

    A centre on an edge belongs to what lies right of or below it, so touching outlines share no pixel.
    Raises ValueError for a tangle that would take minutes.
    """
    turns = np.zeros((height, width + 1), dtype=np.uint8)  # how often a row changes sides before a pixel, modulo 256
    for ring in rings:
        start = np.array(ring, dtype=np.float64).reshape(-1, 2)
        end = np.roll(start, -1, axis=0)
        down = (start[:, 1] <= end[:, 1])[:, None]  # the same edge upwards must cross at the very same places
        _count_turns(turns, np.where(down, start, end), np.where(down, end, start), top, left)
    return np.bitwise_xor.accumulate(turns[:, :-1] & 1, axis=1).astype(bool)


def follows_pixel_edges(rings: Iterable[PointsXY], *, tolerance: float = 0.0) -> bool:
    """Whether all edges are parallel to an axis and all corners whole numbers, within `tolerance` pixels."""
    for ring in rings:
        points = np.array(ring, dtype=np.float64).reshape(-1, 2)
        whole = np.rint(points)
        if not (np.abs(points - whole) <= tolerance).all():
            return False
        if (whole != np.roll(whole, -1, axis=0)).all(axis=1).any():  # an edge that goes along both axes
            return False
    return True


def _box(rings: Sequence[PointsXY], size: ImageSize) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of what lies inside of the picture; None when nothing does."""
    points = np.array([point for ring in rings for point in ring], dtype=np.float64).reshape(-1, 2)
    if not points.size:
        return None
    least = np.clip(np.floor(points.min(axis=0)), 0, (size.width, size.height)).astype(int)
    most = np.clip(np.ceil(points.max(axis=0)), 0, (size.width, size.height)).astype(int)
    return (int(least[0]), int(least[1]), int(most[0]), int(most[1])) if (least < most).all() else None


def _count_turns(
    turns: NDArray[np.uint8], upper: NDArray[np.float64], lower: NDArray[np.float64], top: int, left: int
) -> None:
    """Add one in `turns` where a row of pixel centres crosses an edge. upper, lower: (N, 2), the ends of the edges."""
    height, width = turns.shape[0], turns.shape[1] - 1
    first, stop = (np.clip(np.ceil(ends[:, 1] - 0.5) - top, 0, height).astype(np.int64) for ends in (upper, lower))
    crossing = np.flatnonzero(stop > first)
    counts = (stop - first)[crossing]
    if counts.sum() > _MOST_CROSSINGS:
        raise ValueError(f"its edges cross the rows of the picture {counts.sum():,} times")
    pieces = np.searchsorted(np.cumsum(counts), np.arange(_CROSSINGS, int(counts.sum()), _CROSSINGS))
    for edges, many in zip(np.split(crossing, pieces), np.split(counts, pieces), strict=True):
        edge = np.repeat(edges, many)
        row = np.arange(edge.size) - np.repeat(np.cumsum(many) - many, many) + first[edge]
        slope = (lower[edge, 0] - upper[edge, 0]) / (lower[edge, 1] - upper[edge, 1])
        x = upper[edge, 0] + (row + top + 0.5 - upper[edge, 1]) * slope
        column = np.clip(np.ceil(x - 0.5) - left, 0, width).astype(np.int64)
        np.add.at(turns.reshape(-1), row * (width + 1) + column, 1)
