"""Pictures for looking: a Mask over its picture, and where a prediction is right or wrong."""

import cv2
import numpy as np

from core.annotation.labels import IGNORE_ID, Color, LabelSet
from core.annotation.raster import Mask
from core.images import RGB

IGNORE_COLOR: Color = (128, 128, 128)
HIT: Color = (0, 158, 115)  # green: drawn and found
MISS: Color = (0, 114, 178)  # blue: drawn, not found
FALSE_ALARM: Color = (213, 94, 0)  # vermilion: found, not drawn (distinct from green for colour-blind people)


def colors(labels: LabelSet) -> RGB:
    """(256, 3) uint8: the colour of each class id; ids without a label and 255 are grey."""
    table = np.full((256, 3), IGNORE_COLOR, dtype=np.uint8)
    for class_id, label in enumerate(labels.labels):
        table[class_id] = label.color
    return table


def overlay(image: RGB, mask: Mask, labels: LabelSet, *, opacity: float = 0.5, outline: bool = True) -> RGB:
    """`image` with the classes of `mask` in their colours, background untouched, and a solid line around each region.

    image: (H, W, 3); mask: (H, W) of the same size; opacity: 0 shows the picture only, 1 the colours only.
    """
    return _blend(image, colors(labels)[mask], mask != 0, opacity, _edges(mask) if outline else None)


def error_picture(image: RGB, truth: Mask, prediction: Mask, *, opacity: float = 0.6) -> RGB:
    """`image` with hits green, misses blue and false alarms orange; unlabelled pixels are left as they are.

    A pixel given to the wrong class of two is a miss. All arrays have the same height and width.
    """
    labelled = truth != IGNORE_ID
    hit = labelled & (truth != 0) & (truth == prediction)
    miss = labelled & (truth != 0) & (truth != prediction)
    alarm = labelled & (truth == 0) & (prediction != 0)
    tint = np.zeros_like(image)
    for region, color in ((hit, HIT), (miss, MISS), (alarm, FALSE_ALARM)):
        tint[region] = color
    return _blend(image, tint, hit | miss | alarm, opacity, None)


def _blend(image: RGB, tint: RGB, where: np.ndarray, opacity: float, edges: np.ndarray | None) -> RGB:
    mixed = cv2.addWeighted(image, 1 - opacity, tint, opacity, 0)
    result = np.where(where[:, :, None], mixed, image)
    if edges is not None and opacity > 0:
        result[edges] = tint[edges]
    return np.asarray(result, dtype=np.uint8)


def _edges(mask: Mask) -> np.ndarray:
    """Pixels of a region that touch another class."""
    eroded = cv2.erode(mask, np.ones((3, 3), np.uint8))
    dilated = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    return np.asarray((mask != 0) & ((eroded != mask) | (dilated != mask)))
