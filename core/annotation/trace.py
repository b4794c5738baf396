"""Regions to outlines along the edges of their pixels: exact, holes kept (FORMATS 22).

The points are pixel corners: the outline of the pixel (0, 0) alone is (0, 0), (1, 0), (1, 1), (0, 1). Filled by
the rule "pixels whose centre lies inside, even-odd", the rings of a Region give the Region back.
"""

from typing import NamedTuple

import cv2
import numpy as np

from core.annotation.shapes import PointsXY, Region

_RIGHT, _DOWN, _LEFT, _UP = range(4)  # directions of an edge; the Region lies at its right hand
_STEP = ((0, 1), (1, 0), (0, -1), (-1, 0))  # (row, column)
Corner = tuple[int, int]  # row, column


class Outline(NamedTuple):
    """One 4-connected part of a Region. The outer ring runs clockwise on the screen, the holes counter-clockwise.

    Rings are not closed (the last point is not the first again), have a point only where they turn, and never touch
    themselves along an edge.
    """

    outer: PointsXY
    holes: tuple[PointsXY, ...]


def trace_region(region: Region, *, top: int = 0, left: int = 0) -> list[Outline]:
    """The Outlines of `region`, (H, W) bool, in reading order; `top` and `left` are added to the points."""
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=4)
    outlines = []
    for i in range(1, count):
        x, y, width, height = (int(value) for value in boxes[i, :4])
        rings = _rings(parts[y : y + height, x : x + width] == i)
        shifted = [tuple((px + x + left, py + y + top) for px, py in ring) for ring in rings]
        # of a 4-connected part exactly one ring runs clockwise: the outer one
        outer = next(k for k, ring in enumerate(rings) if _signed_area(ring) > 0)
        outlines.append(Outline(shifted[outer], tuple(ring for k, ring in enumerate(shifted) if k != outer)))
    return outlines


def _rings(region: Region) -> list[PointsXY]:
    """All closed rings of directed pixel edges, the Region at their right hand."""
    padded = np.pad(region, 1).astype(np.int8)
    down = np.diff(padded, axis=0)[:, 1:-1]  # (H + 1, W): 1 where the Region begins below the edge, -1 where it ends
    along = np.diff(padded, axis=1)[1:-1]  # (H, W + 1)
    ways: dict[Corner, list[int]] = {}  # the directions in which edges leave a corner
    for direction, where, shift in ((_RIGHT, down == 1, (0, 0)), (_LEFT, down == -1, (0, 1)),
                                    (_UP, along == 1, (1, 0)), (_DOWN, along == -1, (0, 0))):  # fmt: skip
        rows, columns = np.nonzero(where)
        for corner in zip((rows + shift[0]).tolist(), (columns + shift[1]).tolist(), strict=True):
            ways.setdefault(corner, []).append(direction)
    rings = []
    for corner in list(ways):
        while corner in ways:
            rings.append(_take_ring(ways, corner, ways[corner][0]))
    return rings


def _take_ring(ways: dict[Corner, list[int]], start: Corner, first: int) -> PointsXY:
    """Follow the edges from `start` until they close, and take them out of `ways`. A point is kept where they turn."""
    taken, turns = [], []
    corner, heading = start, first
    while True:
        taken.append((corner, heading))
        corner = (corner[0] + _STEP[heading][0], corner[1] + _STEP[heading][1])
        # where two pixels meet at a corner only, each keeps to its own: turn right
        way = ways[corner][0] if len(ways[corner]) == 1 else (heading + 1) % 4
        if way != heading:
            turns.append((float(corner[1]), float(corner[0])))
        if (corner, way) == (start, first):
            break
        heading = way
    for corner, heading in taken:
        ways[corner].remove(heading)
        if not ways[corner]:
            del ways[corner]
    return tuple(turns)


def _signed_area(ring: PointsXY) -> float:
    xs, ys = np.array(ring).T
    return float(np.sum(xs * np.roll(ys, -1) - np.roll(xs, -1) * ys)) / 2
