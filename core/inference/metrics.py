"""Metrics from one confusion matrix: counts add up over pictures, ratios do not, so ratios are made last.

Micro IoU, the mean over classes and the IoU of one class differ by up to 0.2 on the same prediction (ENGINE 0), so each
figure carries its name wherever it is shown.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask

_CHUNK = 1 << 20  # pixels counted at once: the pair numbers take 8 bytes a pixel


class ConfusionMatrix:
    """Pixel counts of truth against prediction. `counts[t, p]`: pixels of class t that were predicted as p, int64."""

    def __init__(self, num_classes: int) -> None:
        self.counts: NDArray[np.int64] = np.zeros((num_classes, num_classes), np.int64)

    @property
    def num_classes(self) -> int:
        return len(self.counts)

    def add(self, truth: Mask, prediction: Mask) -> None:
        """Count the pixels of one picture; where truth is 255 (not labelled) nothing counts.

        Raises ValueError when the sizes differ or a class id is not below `num_classes`.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"truth is {truth.shape}, prediction {prediction.shape}")
        classes = self.num_classes
        counts = np.zeros(256 * 256, np.int64)
        flat_truth, flat_prediction = truth.ravel(), prediction.ravel()
        for start in range(0, truth.size, _CHUNK):
            pairs = flat_truth[start : start + _CHUNK].astype(np.intp)
            pairs <<= 8
            pairs |= flat_prediction[start : start + _CHUNK]
            counts += np.bincount(pairs, minlength=256 * 256)
        table = counts.reshape(256, 256)
        table[IGNORE_ID] = 0
        if table[classes:].any() or table[:, classes:].any():
            seen = int(np.argwhere(table).max())
            raise ValueError(f"class id {seen} is out of range, there are {classes} classes")
        self.counts += table[:classes, :classes]

    def merge(self, other: "ConfusionMatrix") -> None:
        """Add the counts of `other`."""
        self.counts += other.counts

    def iou(self) -> list[float | None]:
        """Intersection over union of each class; None for a class in neither truth nor prediction."""
        hits, truth, predicted = self._sums()
        return _ratios(hits, truth + predicted - hits)

    def dice(self) -> list[float | None]:
        """Dice (F1) of each class; None for a class in neither truth nor prediction."""
        hits, truth, predicted = self._sums()
        return _ratios(2 * hits, truth + predicted)

    @property
    def mean_iou(self) -> float | None:
        """The mean IoU of all classes that occur, background included."""
        return _mean(self.iou())

    @property
    def mean_iou_foreground(self) -> float | None:
        """The mean IoU of the classes that occur, without background."""
        return _mean(self.iou()[1:])

    @property
    def mean_dice(self) -> float | None:
        """The mean Dice of all classes that occur, background included."""
        return _mean(self.dice())

    @property
    def micro_iou(self) -> float | None:
        """Hits of all classes over hits, misses and false alarms of all classes, background included."""
        hits, truth, predicted = self._sums()
        return _ratio(int(hits.sum()), int((truth + predicted - hits).sum()))

    @property
    def pixel_accuracy(self) -> float | None:
        """The part of labelled pixels that got their class."""
        return _ratio(int(np.trace(self.counts)), int(self.counts.sum()))

    def to_json(self, labels: LabelSet) -> dict[str, Any]:
        """All metrics by name; classes by the name of their Label, background among them. None where undefined."""
        per_class = zip(labels.names, self.iou(), self.dice(), strict=True)
        return {
            "classes": {name: {"iou": iou, "dice": dice} for name, iou, dice in per_class},
            "mean_iou": self.mean_iou,
            "mean_iou_foreground": self.mean_iou_foreground,
            "mean_dice": self.mean_dice,
            "micro_iou": self.micro_iou,
            "pixel_accuracy": self.pixel_accuracy,
        }

    def _sums(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Hits, pixels in truth and pixels predicted of each class."""
        return np.diagonal(self.counts), self.counts.sum(axis=1), self.counts.sum(axis=0)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _ratios(parts: NDArray[np.int64], wholes: NDArray[np.int64]) -> list[float | None]:
    return [_ratio(int(part), int(whole)) for part, whole in zip(parts, wholes, strict=True)]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
