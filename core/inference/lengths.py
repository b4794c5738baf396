"""Lengths of many objects at once, in pixels: perimeters, longest diameters, lengths of what is thin.

`numbers` is (H, W) int32: 0 where there is nothing, else the number of the object from 1 on. Objects are 8-connected
and do not touch each other. Results are float64 of shape (count,), of the objects 1 to count.
"""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int32]
Floats = NDArray[np.float64]
_HULL_POINTS: Final = 1024  # compared with all others at once
_DIAGONAL: Final = float(np.sqrt(2))


class Runs(NamedTuple):
    """Runs of pixels of one object in a row, in reading order: (R,) each. stop: the column after the last."""

    number: NDArray[np.int32]
    row: NDArray[np.intp]
    start: NDArray[np.intp]
    stop: NDArray[np.intp]


def runs_of(numbers: Numbers) -> Runs:
    """All runs of `numbers`."""
    framed = np.pad(numbers, ((0, 0), (1, 1)))
    change = framed[:, 1:] != framed[:, :-1]
    row, start = np.nonzero(change & (framed[:, 1:] > 0))
    _, stop = np.nonzero(change & (framed[:, :-1] > 0))
    return Runs(numbers[row, start], row, start, stop)


def perimeters(numbers: Numbers, count: int) -> Floats:
    """By Crofton's formula: how often lines in four directions cross the border, each counted by their distance.

    Right on average over the directions of a border (a large disc within 1 %); a square along the axes comes out 5 %
    too short, one of few pixels 10 %. The edge of the picture is a border.
    """
    framed: Numbers = np.pad(numbers, 1)
    straight = _crossings(framed[:, :-1], framed[:, 1:], count) + _crossings(framed[:-1], framed[1:], count)
    slanting = _crossings(framed[:-1, :-1], framed[1:, 1:], count) + _crossings(framed[1:, :-1], framed[:-1, 1:], count)
    return np.asarray(np.pi / 8 * (straight + slanting / _DIAGONAL))


def _crossings(one: Numbers, other: Numbers, count: int) -> Floats:
    """How many pairs of pixels lie on both sides of the border of each object."""
    differ = one != other
    found = np.bincount(one[differ], minlength=count + 1) + np.bincount(other[differ], minlength=count + 1)
    return found[1:].astype(np.float64)


def longest_diameters(runs: Runs, count: int) -> Floats:
    """The largest distance between two corners of pixels of each object (the maximum Feret diameter)."""
    order = np.argsort(runs.number, kind="stable")
    number, row, start, stop = (part[order] for part in runs)
    corners = np.stack([start, row, start, row + 1, stop, row, stop, row + 1], axis=1).astype(np.int32).reshape(-1, 2)
    bounds = np.searchsorted(number, np.arange(1, count + 2)) * 4
    result = np.zeros(count)
    for i, (first, last) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        result[i] = _widest(corners[first:last])
    return result


def _widest(points: NDArray[np.int32]) -> float:
    """The largest distance between two of `points` (N, 2): both are on the convex hull."""
    hull = cv2.convexHull(points)[:, 0].astype(np.int64) if len(points) > 4 else points.astype(np.int64)
    most = 0
    for start in range(0, len(hull), _HULL_POINTS):
        apart = hull[start : start + _HULL_POINTS, None] - hull
        most = max(most, int((apart**2).sum(axis=2).max()))
    return float(np.sqrt(most))


def skeleton_lengths(numbers: Numbers, count: int, wanted: NDArray[np.bool_]) -> Floats:
    """The length of the middle line with all its branches, of the objects for which `wanted` (count,); else NaN.

    Thinned to lines of one pixel (Zhang and Suen 1984); a step to a side counts 1, one to a corner the square root of
    2. Between the centres of pixels, so ends are drawn in by up to half the width; a line that runs neither along an
    axis nor a diagonal comes out up to 8 % too long.
    """
    result = np.full(count, np.nan)
    if not wanted.any():
        return result
    from skimage.morphology import skeletonize

    thin = np.concatenate([[False], wanted])[numbers]
    left, top, width, height = cv2.boundingRect(thin.view(np.uint8))
    window = (slice(top, top + height), slice(left, left + width))
    line = skeletonize(thin[window])
    ids = np.pad(np.where(line, numbers[window], 0), 1)
    here = ids > 0
    right, below = here[:, :-1] & here[:, 1:], here[:-1] & here[1:]
    straight = _count(ids[:, :-1][right], count) + _count(ids[:-1][below], count)
    corner, other = here[:-1, :-1] & here[1:, 1:], here[1:, :-1] & here[:-1, 1:]
    # where three pixels of four are there, the way leads over the sides
    slanting = _count(ids[:-1, :-1][corner & ~here[1:, :-1] & ~here[:-1, 1:]], count)
    slanting += _count(ids[1:, :-1][other & ~here[:-1, :-1] & ~here[1:, 1:]], count)
    result[wanted] = (straight + _DIAGONAL * slanting)[wanted]
    return result


def _count(numbers: Numbers, count: int) -> Floats:
    return np.bincount(numbers, minlength=count + 1)[1:].astype(np.float64)
