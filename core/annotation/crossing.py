"""Where closed outlines cross themselves: many outlines at once, by a grid, in about linear time.

Two edges cross when each has its ends strictly on both sides of the other; an outline crosses also where one of its
corners lies on another edge, or on another corner, and it goes through. Touching is no crossing, nor is running along
itself: outlines of thin objects do both. The browser has the same rules in pages/ui/editor/checks.js.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]  # (N, 2) points x, y; not closed
PAIRS: Final = 5_000_000  # pairs of edges looked at before giving up: about a second
_MIXERS: Final = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
_ENTRIES: Final = 8  # cells that an edge may take on average


class Edges(NamedTuple):
    """The edges of several rings, M of them, in order. Those without length are left out."""

    starts: NDArray[np.float64]  # (M, 2)
    ends: NDArray[np.float64]
    ring: NDArray[np.intp]  # which ring
    before: NDArray[np.intp]  # the edge before in the ring
    after: NDArray[np.intp]


class _RingOrder(NamedTuple):
    """For each of M points or edges which ring it is of, and which is before and after it there."""

    ring: NDArray[np.intp]
    before: NDArray[np.intp]
    after: NDArray[np.intp]


class _Listed(NamedTuple):
    """Entries (edge, number of a cell), sorted by cell."""

    edge: NDArray[np.intp]
    cell: NDArray[np.uint64]


def first_crossing(ring: Ring) -> tuple[float, float] | None:
    """A place (x, y) where `ring` crosses itself, None when it does not."""
    return crossings(edges_of(ring, [len(ring)]), 1)[0]


def edges_of(points: Ring, lengths: Sequence[int]) -> Edges:
    """The edges of several rings, the points of which follow each other in `points`, so many of each.

    A point that comes twice in a row counts once.
    """
    whole = _ring_order(np.asarray(lengths, dtype=np.intp))
    kept = np.any(points != points[whole.after], axis=1)
    left = _ring_order(np.bincount(whole.ring[kept], minlength=len(lengths)))
    starts = points[kept]
    return Edges(starts, starts[left.after], left.ring, left.before, left.after)


def _ring_order(lengths: NDArray[np.intp]) -> _RingOrder:
    ring = np.repeat(np.arange(len(lengths)), lengths)
    first, length = (np.cumsum(lengths) - lengths)[ring], lengths[ring]
    place = np.arange(len(ring)) - first
    before, after = first + (place - 1) % length, first + (place + 1) % length
    return _RingOrder(ring, before.astype(np.intp), after.astype(np.intp))


def crossings(edges: Edges, count: int) -> list[tuple[float, float] | None]:
    """For each of `count` rings a place (x, y) where it crosses itself, None when it does not.

    After PAIRS comparisons what is not found yet is not looked for: only outlines of many long edges side by side,
    which no one draws, come there.
    """
    found: list[tuple[float, float] | None] = [None] * count
    if not len(edges.ring):
        return found
    with np.errstate(all="ignore"):  # of numbers near the largest that there are
        listed = _listed_by_cell(edges)
        open_ = np.arange(len(listed.edge))  # entries that may have a further one behind them in the same cell
        step = compared = 0
        while len(open_) and compared < PAIRS:
            step += 1
            open_ = open_[open_ + step < len(listed.edge)]
            open_ = open_[listed.cell[open_] == listed.cell[open_ + step]]
            compared += len(open_)
            first, second = listed.edge[open_], listed.edge[open_ + step]
            crossed, places = _crossed(edges, first, second)
            if crossed.any():
                for ring, place in zip(edges.ring[first[crossed]].tolist(), places[crossed].tolist(), strict=True):
                    found[ring] = found[ring] or (place[0], place[1])
                searched = np.array([place is None for place in found])
                open_ = open_[searched[edges.ring[first]]]
    return found


def _listed_by_cell(edges: Edges) -> _Listed:
    """Each edge once for each cell of its ring's grid that its box touches, in the order of the cells."""
    low, high = np.minimum(edges.starts, edges.ends), np.maximum(edges.starts, edges.ends)
    side = _cell_sides(edges, low, high)[:, None]
    first, last = np.floor(low / side), np.floor(high / side)
    columns, rows = (last - first + 1).astype(np.intp).T
    edge = np.repeat(np.arange(len(rows)), columns * rows)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(columns * rows) - columns * rows, columns * rows)
    cell = first[edge] + np.stack([within % columns[edge], within // columns[edge]], axis=1)
    # where two cells get the same number, some edges are compared for nothing
    numbers = cell.astype(np.int64).astype(np.uint64) * _MIXERS[:2]
    number = (numbers[:, 0] ^ numbers[:, 1]) + edges.ring[edge].astype(np.uint64) * _MIXERS[2]
    order = np.argsort(number)
    return _Listed(edge[order], number[order])


def _cell_sides(edges: Edges, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """The side of the grid's cells of each edge's ring: so small that few edges share one, so large that an edge takes
    _ENTRIES cells on average."""
    count = np.bincount(edges.ring)
    extent = (high - low).max(axis=1)
    side = np.bincount(edges.ring, extent) / np.maximum(count, 1)
    while True:
        columns, rows = np.floor((high - low).T / side[edges.ring]) + 2
        crowded = np.bincount(edges.ring, columns * rows) > _ENTRIES * np.maximum(count, 1)
        if not crowded.any():
            return np.asarray(side[edges.ring])
        side[crowded] *= 2


def _crossed(
    edges: Edges, first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether the outline goes through itself at each pair of edges (ab and cd), (K,), and where, (K, 2)."""
    a, b, c, d = edges.starts[first], edges.ends[first], edges.starts[second], edges.ends[second]
    before_a, before_c = edges.starts[edges.before[first]], edges.starts[edges.before[second]]
    a_at, b_at, c_at, d_at = _side(c, d, a), _side(c, d, b), _side(a, b, c), _side(a, b, d)
    through = (a_at * b_at < 0) & (c_at * d_at < 0)
    away_c, away_d = _turn(a, b, c), _turn(a, b, d)
    places = np.where(through[:, None], c + (away_c / (away_c - away_d))[:, None] * (d - c), c)
    c_inside = (c_at == 0) & _between(a, b, c) & (_side(a, b, before_c) * d_at < 0)
    a_inside = (a_at == 0) & _between(c, d, a) & (_side(c, d, before_a) * b_at < 0)
    places[a_inside] = a[a_inside]
    same = np.all(a == c, axis=1)
    same[same] = _interleaved(*(points[same] for points in (before_a, a, b, before_c, d)))
    neighbours = (edges.after[first] == second) | (edges.before[first] == second)
    return (through | c_inside | a_inside | same) & ~neighbours, places


def _turn(a: Ring, b: Ring, point: Ring) -> NDArray[np.float64]:
    """How far from the line through a and b `point` lies, times the length of ab, positive at its right, row by row."""
    x, y = (point - a).T
    along_x, along_y = (b - a).T
    return np.asarray(along_x * y - along_y * x)


def _side(a: Ring, b: Ring, point: Ring) -> NDArray[np.float64]:
    """-1, 0 or 1: on which side of the line from a to b `point` lies, row by row."""
    return np.sign(_turn(a, b, point))


def _between(a: Ring, b: Ring, point: Ring) -> NDArray[np.bool_]:
    """Whether a `point` on the line through a and b lies between the two."""
    return np.asarray(((point - a) * (point - b)).sum(axis=1) < 0)


def _interleaved(before: Ring, corner: Ring, after: Ring, other_before: Ring, other_after: Ring) -> NDArray[np.bool_]:
    """Whether at `corner` the way other_before - corner - other_after goes through the way before - corner - after."""
    turns_right = _side(before, corner, after) > 0

    def right_and_left(point: Ring) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        at_before, at_after = _side(before, corner, point), _side(corner, after, point)
        right = np.where(turns_right, (at_before > 0) & (at_after > 0), (at_before > 0) | (at_after > 0))
        along = ((at_before == 0) & ~_between(before, point, corner)) | (
            (at_after == 0) & ~_between(after, point, corner)
        )
        return right & ~along, ~right & ~along

    (right, left), (other_right, other_left) = right_and_left(other_before), right_and_left(other_after)
    return np.asarray((right & other_left) | (left & other_right))
