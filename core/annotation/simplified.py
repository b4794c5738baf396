"""Outlines of a Mask with fewer points than its pixels have, holes kept, for exports as polygons.

In corners of pixels, as `core.annotation.trace`. For Labelme's polygons, which have no holes and run through the
middles of pixels, see `core.annotation.polygons.outline`.
"""

import itertools
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.crossing import first_crossing
from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask
from core.annotation.trace import Outline, trace_region
from core.errors import ConfigError

_LEAST: Final = 0.25  # pixels: with less nothing can be left out
_MOST: Final = 1000.0
_PAIRS: Final = 1 << 22  # pairs of edges compared at once

_Points = NDArray[np.float64]  # (N, 2) x, y; not closed


def simplified_outlines(mask: Mask, labels: LabelSet, tolerance: float) -> list[tuple[str, Outline]]:
    """Label and Outline of each 4-connected part of `mask` (H, W); background and 255 have none.

    tolerance: pixels that the exact outline may lie away from the simplified one (Douglas and Peucker 1973); 0: exact.
    No ring crosses itself or another one of its part, and holes stay inside and apart: where they would not, less is
    left out. Of two neighbours the common border may become two. Raises ConfigError for a tolerance that is negative or
    above 1000, and for a class id that has no label.
    """
    if not 0 <= tolerance <= _MOST:
        raise ConfigError(f"A tolerance of {tolerance} pixels is not possible.", hint=f"Choose 0 to {_MOST:.0f}.")
    found = []
    for class_id in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist():
        if class_id in (0, IGNORE_ID):
            continue
        if class_id >= len(labels):
            raise ConfigError(
                f"The mask has the class {class_id}, but there are {len(labels)} labels with background.",
                hint="Choose the labels that the mask was made with.",
            )
        found += [
            (labels.names[class_id], simplified_outline(part, tolerance)) for part in trace_region(mask == class_id)
        ]
    return found


def simplified_outline(outline: Outline, tolerance: float) -> Outline:
    """`outline` with the points that are needed to stay within `tolerance` pixels of it."""
    exact = [np.array(ring, np.float64) for ring in (outline.outer, *outline.holes)]
    while tolerance >= _LEAST:
        rings = [_simplified(ring, tolerance) for ring in exact]
        if _is_sound(rings):
            outer, *holes = (tuple((x, y) for x, y in ring.tolist()) for ring in rings)
            return Outline(outer, tuple(holes))
        tolerance /= 2
    return outline


def _simplified(ring: _Points, tolerance: float) -> _Points:
    # not cv2.approxPolyDP: its last pass leaves out points that are further away than the tolerance
    from skimage.measure import approximate_polygon

    far = int(
        np.argmax(((ring - ring.mean(axis=0)) ** 2).sum(axis=1))
    )  # where it starts stays: it had better be a corner
    closed = np.concatenate([ring[far:], ring[: far + 1]])
    return np.asarray(approximate_polygon(closed, tolerance)[:-1], np.float64)


def _is_sound(rings: list[_Points]) -> bool:
    """Whether each ring encloses something and crosses nothing, and holes lie in the first ring, not in each other."""
    if any(len(ring) < 3 or first_crossing(ring) is not None for ring in rings):
        return False
    boxes = [(ring.min(axis=0), ring.max(axis=0)) for ring in rings]
    for i, j in itertools.combinations(range(len(rings)), 2):
        (least, most), (other_least, other_most) = boxes[i], boxes[j]
        if (least > other_most).any() or (other_least > most).any():
            if i == 0:
                return False  # a hole outside
            continue
        if _meet(rings[i], rings[j]):
            return False
        if i == 0:
            if not _inside(rings[j][0], rings[0]):
                return False
        elif _inside(rings[i][0], rings[j]) or _inside(rings[j][0], rings[i]):
            return False
    return True


def _inside(point: _Points, ring: _Points) -> bool:
    """Whether `point` lies inside of `ring` or on it."""
    return cv2.pointPolygonTest(ring.astype(np.float32), point.tolist(), False) >= 0


def _meet(one: _Points, other: _Points) -> bool:
    """Whether an edge of one ring meets an edge of the other."""
    a, b = one, np.roll(one, -1, axis=0)
    c, d = other, np.roll(other, -1, axis=0)
    near = (np.maximum(a, b) >= other.min(axis=0)).all(axis=1) & (np.minimum(a, b) <= other.max(axis=0)).all(axis=1)
    a, b = a[near], b[near]
    rows = max(1, _PAIRS // len(c))
    for start in range(0, len(a), rows):
        p, q = a[start : start + rows, None], b[start : start + rows, None]
        apart = (_side(c, d, p) * _side(c, d, q) > 0) | (_side(p, q, c) * _side(p, q, d) > 0)
        apart |= (np.maximum(p, q) < np.minimum(c, d)).any(axis=2) | (np.maximum(c, d) < np.minimum(p, q)).any(axis=2)
        if not apart.all():
            return True
    return False


def _side(start: _Points, end: _Points, point: _Points) -> _Points:
    """Above 0 where `point` lies on one side of the line, below where on the other, 0 on it."""
    along, to = end - start, point - start
    return np.asarray(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])
