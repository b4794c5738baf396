"""Windows: rectangles of one size that cover a picture with an overlap, and how their predictions blend.

Windows form a grid, and their weights are a product of a row and a column part; so the weights of all windows over a
pixel can be made to sum to one beforehand, and a prediction needs no second pass to divide by them.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.images import RGB, ImageSize

SINGLE: Final = 1.3  # up to this many windows long, a picture is one window
SMALLEST: Final = 0.75  # of the wished side; smaller windows see too little around
_FLOOR: Final = 1e-3  # least weight in a window, before the sum is made one


class Window(NamedTuple):
    """A rectangle of a picture. It may reach past the bottom and right edge, where the picture goes on mirrored."""

    top: int
    left: int
    height: int
    width: int


class Axis(NamedTuple):
    """Windows along one side of a picture: all `side` pixels long, from `starts` on."""

    length: int  # of the picture
    side: int
    starts: tuple[int, ...]


class WindowPlan(NamedTuple):
    """All Windows of a picture, as a grid."""

    rows: Axis
    columns: Axis

    @property
    def total(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    def row(self, index: int) -> list[Window]:
        """The Windows of one row of the grid, from left to right."""
        top, side = self.rows.starts[index], self.rows.side
        return [Window(top, left, side, self.columns.side) for left in self.columns.starts]

    @property
    def windows(self) -> list[Window]:
        return [window for index in range(len(self.rows.starts)) for window in self.row(index)]


def plan_windows(size: ImageSize, *, window: int, overlap: float, multiple_of: int) -> WindowPlan:
    """Windows of at most about `window` pixels a side that cover every pixel of a picture of `size`.

    overlap: the least part of a window that it shares with the next, 0 to 0.9.  Heights, widths and places are
    multiples of `multiple_of`: a network that halves the picture then sees the same pixels together in each window, so
    neighbours agree where they overlap. Windows are spread evenly and sized for the fewest pixels in all; the last may
    reach out of the picture by less than one multiple. A side of up to 1.3 windows gets one window.
    """
    if not 0 <= overlap <= 0.9:
        raise ValueError(f"the overlap must be 0 to 0.9, got {overlap}")
    if min(size) < 1 or window < 1:
        raise ValueError(f"a picture of {size} cannot be cut into windows of {window}")
    return WindowPlan(_axis(size.height, window, overlap, multiple_of), _axis(size.width, window, overlap, multiple_of))


def _axis(length: int, window: int, overlap: float, multiple_of: int) -> Axis:
    """All counting is in multiples: a window of 16 of them may stand 12 from the next at an overlap of 0.2."""
    longest, covered = _multiples(window, multiple_of), _multiples(length, multiple_of)
    if length <= longest * multiple_of * SINGLE:
        return Axis(length, covered * multiple_of, (0,))
    sides = range(math.ceil(longest * SMALLEST), longest + 1)
    side = min(sides, key=lambda side: (side * (_gaps(covered, side, overlap) + 1), -side))
    gaps = _gaps(covered, side, overlap)
    starts = tuple(i * (covered - side) // gaps * multiple_of for i in range(gaps + 1))
    return Axis(length, side * multiple_of, starts)


def _gaps(covered: int, side: int, overlap: float) -> int:
    """How many times a window of `side` must move on to reach the end; one fewer than windows."""
    stride = max(1, math.floor(side * (1 - overlap) + 1e-9))
    return math.ceil((covered - side) / stride)


def _multiples(length: int, of: int) -> int:
    return -(-length // of)


def blend_weights(axis: Axis) -> NDArray[np.float32]:
    """(windows, side) float32: a Gaussian for each window, its sigma an eighth of it; above 0, summing to 1."""
    centre = (axis.side - 1) / 2
    bell = np.exp(-0.5 * ((np.arange(axis.side) - centre) / (axis.side / 8)) ** 2).clip(_FLOOR)
    total = np.zeros(axis.starts[-1] + axis.side)
    for start in axis.starts:
        total[start : start + axis.side] += bell
    return np.stack([bell / total[start : start + axis.side] for start in axis.starts]).astype(np.float32)


def cut_window(image: RGB, window: Window) -> RGB:
    """The pixels of `window`; past the picture's edge it goes on mirrored, as often as it takes."""
    part = image[window.top : window.top + window.height, window.left : window.left + window.width]
    missing = (window.height - part.shape[0], window.width - part.shape[1])
    if not any(missing):
        return part
    return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")
