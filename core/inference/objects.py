"""Objects that were found: connected pixels of a class in truth, matched with those in the prediction.

Two objects match when their IoU is above a half. Then no other object can have more than half in common with either, so
matches are unique and there is nothing to search for.
"""

from typing import Any, Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask
from core.annotation.shapes import Region
from core.inference.metrics import ratios

MATCH_IOU: Final = 0.5
Connectivity = Literal[4, 8]
_TABLE: Final = 1 << 24  # pairs of objects up to which counting in a table beats sorting


class ObjectCounts(NamedTuple):
    """Objects of classes, of any shape: found, missed, and predicted where there is none. They add up over pictures.

    Ratios are float64 of the same shape, NaN where nothing is to be divided by.
    """

    hits: NDArray[Any]
    misses: NDArray[Any]
    false_alarms: NDArray[Any]

    def precision(self) -> NDArray[np.float64]:
        """Right of the objects predicted."""
        return ratios(self.hits, self.hits + self.false_alarms)

    def recall(self) -> NDArray[np.float64]:
        """Found of the objects that are there."""
        return ratios(self.hits, self.hits + self.misses)

    def f1(self) -> NDArray[np.float64]:
        """Twice the hits over the objects of both."""
        return ratios(2 * self.hits, 2 * self.hits + self.misses + self.false_alarms)


class Matched(NamedTuple):
    """What matching two regions gave."""

    hits: int
    misses: int
    false_alarms: int


def measure_objects(truth: Mask, prediction: Mask, num_classes: int, *, connectivity: Connectivity = 8) -> ObjectCounts:
    """Counts for each class id from 1 to below `num_classes`, three arrays of shape (num_classes - 1,).

    Where truth is 255, nothing is labelled: see `match_objects`.
    """
    hidden = truth == IGNORE_ID
    ignored = hidden if hidden.any() else None
    found = [
        match_objects(truth == class_id, prediction == class_id, hidden=ignored, connectivity=connectivity)
        for class_id in range(1, num_classes)
    ]
    hits, misses, false_alarms = np.array(found, np.int64).reshape(-1, 3).T
    return ObjectCounts(hits, misses, false_alarms)


def match_objects(
    truth: Region, prediction: Region, *, hidden: Region | None = None, connectivity: Connectivity = 8
) -> Matched:
    """The connected objects of two regions of one picture.

    hidden: pixels that are not labelled. They count in no IoU, and an object predicted there for its larger part is no
    false alarm: nobody knows. They do not cut a predicted object in two.
    """
    left, top, width, height = cv2.boundingRect(truth.view(np.uint8) | prediction.view(np.uint8))
    window = (slice(top, top + height), slice(left, left + width))
    if not width:
        return Matched(0, 0, 0)
    drawn, drawn_area = _objects(truth[window], connectivity)
    found, found_area = _objects(prediction[window], connectivity)
    seen_area = found_area
    if hidden is not None:
        seen_area = found_area - np.bincount(found[hidden[window]], minlength=len(found_area))
    pairs, shared = _overlaps(drawn, found, len(drawn_area), len(found_area))
    in_truth, in_prediction = np.divmod(pairs, len(found_area))
    matching = shared > MATCH_IOU * (drawn_area[in_truth] + seen_area[in_prediction] - shared)
    hits = int(matching.sum())
    counts = 2 * seen_area >= found_area
    counts[0] = False  # where nothing is predicted
    counts[in_prediction[matching]] = True
    return Matched(hits, len(drawn_area) - 1 - hits, int(counts.sum()) - hits)


def _objects(region: Region, connectivity: Connectivity) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The number of the object at each pixel, 0 for none; and how many pixels each number has."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(region.view(np.uint8), connectivity=connectivity)
    return np.asarray(numbers, np.int32), stats[:, cv2.CC_STAT_AREA].astype(np.int64)


def _overlaps(
    drawn: NDArray[np.int32], found: NDArray[np.int32], drawn_count: int, found_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of objects with pixels in common, as number in `drawn` * found_count + number in `found`; and how many."""
    common = (drawn > 0) & (found > 0)
    pairs = drawn[common].astype(np.int64) * found_count + found[common]
    if drawn_count * found_count > _TABLE:
        return np.unique(pairs, return_counts=True)
    counts = np.bincount(pairs)
    present = np.flatnonzero(counts)
    return present, counts[present]
