"""From probabilities to class ids by a threshold for each label, and the thresholds that fit labelled pictures best.

`probabilities` are (C, H, W) uint8, background first, 255 is sure. Thresholds are probabilities, 0 to 1.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask
from core.errors import ConfigError
from core.inference.metrics import ratios

USUAL: Final = 0.5


def decide(probabilities: NDArray[np.uint8], thresholds: Mapping[int, float]) -> Mask:
    """(H, W) class ids. A label is possible where its probability reaches its threshold.

    Where several are, the one whose probability is the largest multiple of its threshold; of equals the first. Where
    none is, background. A label that `thresholds` does not name is possible where it is more probable than any other
    class, and counts as if its threshold were a half; so without thresholds the most probable class is chosen.

    Raises ConfigError for a threshold that is not above 0 and at most 1, or of a class that is no label here.
    """
    _check(thresholds, len(probabilities))
    result = np.zeros(probabilities.shape[1:], np.uint8)
    highest = np.zeros(result.shape, np.float32)
    most = np.zeros_like(result)  # of the classes before
    leader = np.zeros_like(result)
    for class_id, plane in enumerate(probabilities):
        leads = plane > most if class_id else np.ones(result.shape, np.bool_)
        np.copyto(leader, class_id, where=leads)
        np.maximum(most, plane, out=most)
    for class_id, plane in enumerate(probabilities[1:], start=1):
        threshold = thresholds.get(class_id, USUAL)
        possible = plane >= threshold * 255 if class_id in thresholds else leader == class_id
        multiple = plane.astype(np.float32) / np.float32(threshold * 255)
        wins = possible & (multiple > highest)
        np.copyto(result, class_id, where=wins)
        np.copyto(highest, multiple, where=wins)
    return result


def calibrated_thresholds(pairs: Iterable[tuple[NDArray[np.uint8], Mask]]) -> dict[int, float]:
    """For each label that the truth shows, the threshold of the best IoU over all pictures together.

    pairs: probabilities and truth (H, W) of pictures that the model has not learned from, 255 counts nowhere. All
    thresholds that tell apart two of the 256 values are tried, halfway between these, so 0.5 is among them; of equals
    the one nearest to it, then the lower. Each label is judged alone, as if there were no other. Few pictures fit a
    threshold to their accidents: compare on others before you trust it.

    Raises ConfigError when pictures and truths do not fit each other.
    """
    counts: NDArray[np.int64] | None = None  # (C, 2, 256): of each class, how often each value stands beside and on it
    for probabilities, truth in pairs:
        if probabilities.shape[1:] != truth.shape or (counts is not None and len(probabilities) != len(counts)):
            raise ConfigError(
                f"Probabilities of shape {probabilities.shape} do not fit a mask of shape {truth.shape}, "
                "or the pictures before.",
                hint="Take predictions of one model, and the masks of the same pictures.",
            )
        if counts is None:
            counts = np.zeros((len(probabilities), 2, 256), np.int64)
        known = truth != IGNORE_ID
        drawn = truth[known]
        for class_id, plane in enumerate(probabilities):
            values = plane[known].astype(np.intp) + 256 * (drawn == class_id)
            counts[class_id] += np.bincount(values, minlength=512).reshape(2, 256)
    if counts is None:
        return {}
    return {i: _best(counts[i]) for i in range(1, len(counts)) if counts[i, 1].any()}


def _best(counts: NDArray[np.int64]) -> float:
    """The threshold of the best IoU of one class. counts: (2, 256), values beside and on it."""
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]  # false alarms and hits where a value of 1, 2, ... is enough
    iou = ratios(above[1], counts[1].sum() + above[0])
    thresholds = (np.arange(1, 256) - 0.5) / 255
    best = np.flatnonzero(iou == iou.max())
    return float(thresholds[best[np.argmin(np.round(np.abs(thresholds[best] - USUAL), 9))]])


def _check(thresholds: Mapping[int, float], classes: int) -> None:
    for class_id, threshold in thresholds.items():
        if not 0 < threshold <= 1:
            raise ConfigError(f"A threshold of {threshold} is not possible.", hint="Choose above 0, up to 1.")
        if not 1 <= class_id < classes:
            raise ConfigError(
                f"There is a threshold for the class {class_id}, but the labels are 1 to {classes - 1}.",
                hint="Choose thresholds of the model that made the prediction.",
            )
