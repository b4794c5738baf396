"""A picture through a Backend: what the person sees and what validation measures."""

from collections.abc import Callable
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.clean_up import clean_up
from core.annotation.raster import Mask
from core.images import RGB, ImageSize
from core.inference.backend import Backend
from core.inference.rows import PredictConfig, Reader, WindowMemory, probability_rows
from core.inference.windows import Window, cut_window

_SPARSE: Final = 97  # a prime: each so many-th pixel tells at a glance that a window is not black


class Prediction(NamedTuple):
    """mask: (H, W) class ids.  confidence: (H, W) uint8, the probability of the most probable class times 255."""

    mask: Mask
    confidence: NDArray[np.uint8]


def predict(
    image: RGB,
    backend: Backend,
    *,
    config: PredictConfig | None = None,
    memory: WindowMemory | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Prediction:
    """Class ids, cleaned up as the card says, and confidence of each pixel of `image` (H, W, 3), of any size.

    Windows that are black all over hold no data: they are background and cost nothing. See `probability_rows`.
    """
    size = ImageSize(*image.shape[:2])
    prediction = Prediction(np.empty(size, np.uint8), np.empty(size, np.uint8))
    for top, probabilities in probability_rows(
        size, reader_of(image), backend, config=config, memory=memory, progress=progress, cancelled=cancelled
    ):
        rows = slice(top, top + probabilities.shape[1])
        most_probable(probabilities, prediction.mask[rows], prediction.confidence[rows])
    return prediction._replace(mask=clean_up(prediction.mask, backend.card.clean_up))


def predict_probabilities(
    image: RGB,
    backend: Backend,
    *,
    config: PredictConfig | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> NDArray[np.uint8]:
    """(C, H, W) uint8: the probability of each class times 255, nothing cleaned up. As `predict` otherwise."""
    size = ImageSize(*image.shape[:2])
    found = np.empty((backend.card.network.classes, *size), np.uint8)
    for top, probabilities in probability_rows(
        size, reader_of(image), backend, config=config, progress=progress, cancelled=cancelled
    ):
        for rows, part in zip(found[:, top : top + probabilities.shape[1]], probabilities, strict=True):
            cv2.convertScaleAbs(part, dst=rows, alpha=255)
    return found


def reader_of(image: RGB) -> Reader:
    """What gives `probability_rows` the windows of a picture in memory."""

    def read(window: Window) -> RGB | None:
        pixels = cut_window(image, window)
        if not pixels[::_SPARSE].any() and not pixels.any():
            return None
        return pixels

    return read


def most_probable(probabilities: NDArray[np.float32], mask: Mask, confidence: NDArray[np.uint8]) -> None:
    """Write the class id of the greatest of `probabilities` (C, H, W) to `mask`, and 255 times it to `confidence`."""
    best = probabilities[0].copy()
    mask.fill(0)
    for class_id in range(1, len(probabilities)):  # argmax over the first axis would be several times slower
        np.copyto(mask, class_id, where=probabilities[class_id] > best)
        np.maximum(best, probabilities[class_id], out=best)
    cv2.convertScaleAbs(best, dst=confidence, alpha=255)  # rounds, and ends at 255
