"""Outlines along pixel edges, as `trace_region` makes them, back to their very pixels; rings are (n, 2) x, y."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.annotation.shapes import Region
from core.formats.canvas import crop_to_drawn
from core.formats.rle import Crop
from core.images import MAX_PIXELS, ImageSize

_MOST_PIXELS = 4 * MAX_PIXELS  # of the boxes of all rings together
Ring = NDArray[np.float64]  # (n, 2), not closed


def is_along_edges(ring: Ring) -> bool:
    """Whether all edges run along pixel edges."""
    steps = np.roll(ring, -1, axis=0) - ring
    return bool((np.rint(ring) == ring).all() and ((steps == 0).any(axis=1)).all())


def fill_outlines(rings: Sequence[Ring], size: ImageSize) -> Crop | None:
    """The pixels whose centres lie inside of any ring, each ring even-odd; None when there would be too many."""
    low = np.min([ring.min(axis=0) for ring in rings], axis=0).astype(np.int64)
    high = np.max([ring.max(axis=0) for ring in rings], axis=0).astype(np.int64)
    if size.pixels:
        low, high = np.maximum(low, 0), np.minimum(high, (size.width, size.height))
    width, height = (int(side) for side in np.maximum(high - low, 0))
    if (width + 1) * height > MAX_PIXELS:
        return None
    inside = [np.clip(ring.astype(np.int64), low, np.maximum(high, low)) - low for ring in rings]
    if sum(np.prod(np.ptp(ring, axis=0)) for ring in inside) > _MOST_PIXELS:
        return None
    region = np.zeros((height, width), dtype=bool)
    for ring in inside:
        (left, top), (right, bottom) = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
        region[top:bottom, left:right] |= _fill_ring(ring - (left, top), bottom - top, right - left)
    return crop_to_drawn(region, top=int(low[1]), left=int(low[0]))


def _fill_ring(ring: NDArray[np.int64], height: int, width: int) -> Region:
    """The inside of a ring in its own box."""
    x, y = ring.T
    flips = np.zeros((height + 1, width + 1), dtype=np.uint8)  # only their parity counts, so they may run over
    for ends in (y, np.roll(y, -1)):  # between its two ends an edge flips all that lies right of it
        np.add.at(flips, (ends, x), np.uint8(1))
    np.cumsum(flips, axis=0, out=flips)
    np.cumsum(flips, axis=1, out=flips)
    return (flips[:-1, :-1] & 1).astype(bool)


def ring_area(ring: Ring) -> float:
    """The area inside, as surveyors compute it; a ring that crosses itself counts parts twice or not at all."""
    x, y = (ring - ring[0]).T
    return abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) / 2
