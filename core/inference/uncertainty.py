"""How unsure a model is: of each pixel, of each object, of a whole picture, and which pictures to look at first.

`probabilities` are (C, H, W) uint8, background first, 255 is sure; the classes add up to 255, but for rounding.
All of it is what the model says of itself: where it is sure and wrong, nothing here finds it.
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask
from core.errors import ConfigError

_FAINT: Final = 26  # of 255: a tenth. Both were chosen on nuclei, buildings and steel, and held on whales and roads
_SMOOTH: Final = 0.01
Probabilities = NDArray[np.uint8]  # (C, H, W)
Map = NDArray[np.uint8]  # (H, W)


class ObjectConfidence(NamedTuple):
    """numbers: (H, W) int32, 0 where no object is. class_ids, values: of the objects 1 to N; values 0 to 1."""

    numbers: NDArray[np.int32]
    class_ids: NDArray[np.int64]
    values: NDArray[np.float64]


def entropy(probabilities: Probabilities) -> Map:
    """(H, W) uint8: 0 where one class is sure, 255 where all classes are equally probable."""
    classes = len(probabilities)
    total = np.zeros(probabilities.shape[1:], np.float32)
    if classes < 2:
        return total.astype(np.uint8)
    share = np.arange(256) / 255
    share[0] = 1  # adds nothing either
    table = (-share * np.log(share) / math.log(classes) * 255).astype(np.float32)
    for plane in probabilities:
        total += table[plane]
    return np.asarray(cv2.convertScaleAbs(total) if total.size else total, np.uint8)


def disagreement(one: Probabilities, other: Probabilities) -> Map:
    """(H, W) uint8: how much probability lies with other classes in `other` than in `one`; 255 is all of it.

    Half the sum of absolute differences over the classes (the total variation distance). For two predictions of one
    picture, as it is and mirrored (and mirrored back). Raises ConfigError when the shapes differ.
    """
    if one.shape != other.shape:
        raise ConfigError(
            f"Predictions of {_shape(one)} and of {_shape(other)} cannot be compared.",
            hint="Take two predictions of one picture by one model.",
        )
    total = np.zeros(one.shape[1:], np.float32)
    for a, b in zip(one, other, strict=True):
        total += cv2.absdiff(a, b) if a.size else 0
    return np.asarray(np.minimum(np.rint(total / 2), 255), np.uint8)


def confidence_of(probabilities: Probabilities, mask: Mask) -> Map:
    """(H, W) uint8: the probability of the class that `mask` has there; 0 where it is 255."""
    result = np.zeros(mask.shape, np.uint8)
    for class_id, plane in enumerate(probabilities):
        np.copyto(result, plane, where=mask == class_id)
    return result


def object_confidence(probabilities: Probabilities, mask: Mask) -> ObjectConfidence:
    """The mean probability that the pixels of each 8-connected object of `mask` are of its class."""
    numbers = np.zeros(mask.shape, np.int32)
    class_ids: list[int] = []
    values = [np.zeros(0)]
    for class_id in range(1, len(probabilities)):
        inside = mask == class_id
        if not inside.any():  # OpenCV crashes on a picture without pixels
            continue
        count, found, figures, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
        ids = found[inside]
        sums = np.bincount(ids, weights=probabilities[class_id][inside], minlength=count)[1:]
        values.append(sums / figures[1:, cv2.CC_STAT_AREA] / 255)
        numbers[inside] = ids + len(class_ids)
        class_ids += [class_id] * (count - 1)
    return ObjectConfidence(numbers, np.array(class_ids, np.int64), np.concatenate(values))


def picture_doubt(probabilities: Probabilities, mask: Mask) -> float:
    """0 to 1: one minus the Dice of all labels together that the model itself expects of its `mask`.

    Twice the probability inside of the regions, over the pixels of the regions and the probability anywhere: the soft
    Dice confidence (Borges et al. 2024, arXiv 2402.10665). It does not grow with how many borders a picture has, as the
    mean entropy of active learning does (Settles 2009), and counts what was faintly seen and not drawn. Ours: less than
    _FAINT is none, and _SMOOTH of the picture is taken to be right in any case, so that a picture in which the model
    sees nearly nothing is not the first to be looked at. Where `mask` is 255 nothing counts.
    """
    known = mask != IGNORE_ID
    right = 255 * _SMOOTH * 2 * mask.size
    both = right
    for class_id, plane in enumerate(probabilities[1:], start=1):
        region = mask == class_id
        seen = np.where(known & (plane >= _FAINT), plane, 0)
        right += 2 * int(seen[region].sum(dtype=np.int64))
        both += 255 * int(np.count_nonzero(region)) + int(seen.sum(dtype=np.int64))
    return 1 - right / both if both else 0.0


def look_first(doubts: Mapping[str, float]) -> list[str]:
    """The names of pictures, the one with the most doubt (see `picture_doubt`) first; the same doubt by name."""
    return sorted(doubts, key=lambda name: (-doubts[name], name))


def _shape(probabilities: Probabilities) -> str:
    classes, height, width = probabilities.shape
    return f"{width} x {height} pixels in {classes} classes"
