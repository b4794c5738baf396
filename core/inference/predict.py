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
from core.inference.thresholds import decide
from core.inference.uncertainty import confidence_of
from core.inference.windows import Window, cut_window
from core.networks.card import ModelCard

_SPARSE: Final = 97  # a prime: each so many-th pixel tells at a glance that a window is not black


class Prediction(NamedTuple):
    """mask: (H, W) class ids.  confidence: (H, W) uint8, the probability of the class there times 255."""

    mask: Mask
    confidence: NDArray[np.uint8]


class Undecided(NamedTuple):
    """What a network says before thresholds and clean-up, which may be chosen anew without it.

    mask, confidence: (H, W), of the most probable class.  probabilities: (C, H, W) uint8, times 255.
    """

    mask: Mask
    confidence: NDArray[np.uint8]
    probabilities: NDArray[np.uint8]


def predict(
    image: RGB,
    backend: Backend,
    *,
    config: PredictConfig | None = None,
    memory: WindowMemory | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Prediction:
    """Class ids, by the thresholds and cleaned up as the card says, and confidence of each pixel of `image` (H, W, 3).

    The picture may be of any size. Windows that are black all over hold no data: they are background and cost nothing.
    See `probability_rows`.
    """
    size, card = ImageSize(*image.shape[:2]), backend.card
    prediction = Prediction(np.empty(size, np.uint8), np.empty(size, np.uint8))
    for top, probabilities in probability_rows(
        size, reader_of(image), backend, config=config, memory=memory, progress=progress, cancelled=cancelled
    ):
        rows = slice(top, top + probabilities.shape[1])
        decide_rows(probabilities, card, prediction.mask[rows], prediction.confidence[rows])
    return prediction._replace(mask=clean_up(prediction.mask, card.clean_up))


def predict_undecided(
    image: RGB,
    backend: Backend,
    *,
    config: PredictConfig | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Undecided:
    """The same before thresholds and clean-up; `decided` gives what `predict` does."""
    size = ImageSize(*image.shape[:2])
    found = Undecided(
        np.empty(size, np.uint8),
        np.empty(size, np.uint8),
        np.empty((backend.card.network.classes, *size), np.uint8),
    )
    for top, probabilities in probability_rows(
        size, reader_of(image), backend, config=config, progress=progress, cancelled=cancelled
    ):
        rows = slice(top, top + probabilities.shape[1])
        most_probable(probabilities, found.mask[rows], found.confidence[rows])
        found.probabilities[:, rows] = _as_bytes(probabilities)
    return found


def decided(undecided: Undecided, card: ModelCard) -> Prediction:
    """What `predict` gives with the thresholds and the clean-up of `card`."""
    mask, confidence = undecided.mask, undecided.confidence
    if card.thresholds:
        mask = decide(undecided.probabilities, card.class_thresholds)
        confidence = confidence_of(undecided.probabilities, mask)
    return Prediction(clean_up(mask, card.clean_up), confidence)


def decide_rows(probabilities: NDArray[np.float32], card: ModelCard, mask: Mask, confidence: NDArray[np.uint8]) -> None:
    """Write the class ids that `probabilities` (C, H, W) and the card's thresholds give, and 255 times their own."""
    if not card.thresholds:
        most_probable(probabilities, mask, confidence)
        return
    values = _as_bytes(probabilities)
    mask[:] = decide(values, card.class_thresholds)
    confidence[:] = confidence_of(values, mask)


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


def _as_bytes(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    found = np.empty(probabilities.shape, np.uint8)
    for target, part in zip(found, probabilities, strict=True):
        cv2.convertScaleAbs(part, dst=target, alpha=255)  # rounds, and ends at 255
    return found
