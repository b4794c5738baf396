"""A Prediction as Shapes that a person looks through: one an object, without specks, each with its confidence."""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import LabelSet
from core.annotation.pixels import Box
from core.annotation.shapes import MaskShape, Region
from core.inference.predict import Prediction

MAX_SHAPES: Final = 2_000
MIN_PIXELS: Final = 9
MIN_SHARE: Final = 0.00005  # of the picture; what is smaller is a speck


class Suggestion(NamedTuple):
    """shapes: in the order of the labels, then by their first row.  note: what was left out, or ""."""

    shapes: tuple[MaskShape, ...]
    note: str


def suggest_shapes(prediction: Prediction, labels: LabelSet, *, most: int = MAX_SHAPES) -> Suggestion:
    """The objects of a Prediction, whose class ids are those of `labels`, as masks; of more than `most` the largest.

    Objects below MIN_PIXELS, or MIN_SHARE of the picture, are left out. `extra` of each Shape holds the mean
    probability of its pixels, 0 to 1, as "confidence".
    """
    least = max(MIN_PIXELS, round(MIN_SHARE * prediction.mask.size))  # so there are 20,000 objects at most
    specks, objects = 0, list[tuple[int, MaskShape]]()
    for class_id, label in enumerate(labels.names[1:], start=1):
        region = (prediction.mask == class_id).astype(np.uint8)
        count, ids, stats, _ = cv2.connectedComponentsWithStats(region, connectivity=8)
        large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= least]
        specks += count - 1 - len(large)
        for i in large:
            box = Box(*stats[i, :4].tolist())
            window = slice(box.top, box.bottom), slice(box.left, box.right)
            shape = _shape(label, box, ids[window] == i, prediction.confidence[window])
            objects.append((int(stats[i, cv2.CC_STAT_AREA]), shape))
    largest = sorted(range(len(objects)), key=lambda k: -objects[k][0])[:most]
    return Suggestion(tuple(objects[k][1] for k in sorted(largest)), _note(specks, least, len(objects), most))


def _shape(label: str, box: Box, region: Region, confidence: NDArray[np.uint8]) -> MaskShape:
    probability = float(confidence[region].mean()) / 255
    return MaskShape(label=label, points_xy=box.corners_xy, extra={"confidence": round(probability, 3)}, region=region)


def _note(specks: int, least: int, objects: int, most: int) -> str:
    notes = []
    if specks:
        counted = "1 speck" if specks == 1 else f"{specks:,} specks"
        notes.append(f"{counted} of fewer than {least:,} pixels left out.")
    if objects > most:
        notes.append(f"Of {objects:,} objects these are the {most:,} largest.")
    return " ".join(notes)
