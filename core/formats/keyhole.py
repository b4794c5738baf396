"""Holes for formats whose polygons have one ring only: a hole hangs on a bridge, an edge walked there and back.

Filled by the even-odd rule such a ring gives the same pixels as outer ring and holes, for the bridge has no width.
"""

from typing import Final

import numpy as np

from core.annotation.shapes import PointsXY
from core.annotation.trace import Outline

_NO_AREA: Final = 1e-12


def keyhole_of(outline: Outline) -> PointsXY:
    """One ring for an Outline from `trace_region`. Each bridge goes left from a hole to the next edge, along a row."""
    rings = [outline.outer, *outline.holes]
    starts = [0, *(ring.index(min(ring)) for ring in outline.holes)]  # of a hole: the upper end of its leftmost edge
    hung: dict[tuple[int, int], list[tuple[float, PointsXY]]] = {}  # ring and edge -> where holes hang, and their paths
    walls = _Walls(rings)
    # from right to left: when the turn of a ring comes, all that hangs on it is known
    for k in sorted(range(1, len(rings)), key=lambda k: rings[k][starts[k]], reverse=True):
        x, y = rings[k][starts[k]]
        path = (*_path(rings[k], starts[k], k, hung), (x, y))
        hung.setdefault(walls.left_of(x, y), []).append((y, path))
    return _path(rings[0], 0, 0, hung)


def has_bridge(ring: PointsXY) -> bool:
    """Whether a ring is a keyhole: walked there and back along an edge, with an area on both sides of it."""
    edges = [(p, q) for p, q in zip(ring, (*ring[1:], *ring[:1]), strict=True) if p != q]
    known = set(edges)
    if not any((q, p) in known for p, q in edges):
        return False
    loops: list[list[tuple[float, float]]] = [[]]
    bridges: list[tuple[tuple[float, float], tuple[float, float]]] = []
    areas = 0
    for p, q in edges:
        if (q, p) not in known:
            loops[-1].append(p)
        elif bridges and bridges[-1] == (q, p):
            bridges.pop()
            areas += _has_area(loops.pop())
        else:
            bridges.append((p, q))
            loops.append([])
    return areas + sum(map(_has_area, loops)) > 1


class _Walls:
    """The edges of all rings that run up or down."""

    def __init__(self, rings: list[PointsXY]) -> None:
        found = [
            (p[0], min(p[1], q[1]), max(p[1], q[1]), k, i)
            for k, ring in enumerate(rings)
            for i, (p, q) in enumerate(zip(ring, (*ring[1:], ring[0]), strict=True))
            if p[0] == q[0]
        ]
        self._edges = [(k, i) for *_, k, i in found]
        self._xs, self._tops, self._bottoms = (np.array([wall[n] for wall in found]) for n in range(3))

    def left_of(self, x: float, y: float) -> tuple[int, int]:
        """Ring and edge of the wall that one meets first when going left from (x, y)."""
        met = np.flatnonzero((self._xs < x) & (self._tops <= y) & (y <= self._bottoms))
        return self._edges[met[np.argmax(self._xs[met])]]


def _path(ring: PointsXY, start: int, k: int, hung: dict[tuple[int, int], list[tuple[float, PointsXY]]]) -> PointsXY:
    """The points of ring `k` from `start` on, not closed, with what hangs on its edges."""
    path: list[tuple[float, float]] = []
    for i in (*range(start, len(ring)), *range(start)):
        path.append(ring[i])
        upwards = ring[(i + 1) % len(ring)][1] < ring[i][1]
        for y, inner in sorted(hung.get((k, i), ()), key=lambda hanging: hanging[0], reverse=upwards):
            path += [(ring[i][0], y), *inner, (ring[i][0], y)]
    return tuple(point for n, point in enumerate(path) if n == 0 or point != path[n - 1])


def _has_area(loop: list[tuple[float, float]]) -> bool:
    if len(loop) < 3:
        return False
    xs, ys = (np.array(loop) - loop[0]).T
    return abs(float(np.sum(xs * np.roll(ys, -1) - np.roll(xs, -1) * ys))) > _NO_AREA
