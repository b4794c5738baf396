"""Metrics from one confusion matrix: counts add up over pictures, ratios do not, so ratios are made last.

Micro IoU, the mean over classes and the IoU of one class differ by up to 0.2 on the same prediction (ENGINE 0), so each
figure carries its name wherever it is shown.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

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

    @property
    def pixels(self) -> "PixelCounts":
        """The counts of each class, without who was taken for whom."""
        return PixelCounts(np.diagonal(self.counts).copy(), self.counts.sum(axis=1), self.counts.sum(axis=0))

    def iou(self) -> list[float | None]:
        """Intersection over union of each class; None for a class in neither truth nor prediction."""
        return nan_to_none(self.pixels.iou())

    def dice(self) -> list[float | None]:
        """Dice (F1) of each class; None for a class in neither truth nor prediction."""
        return nan_to_none(self.pixels.dice())

    def precision(self) -> list[float | None]:
        """The part of the pixels predicted as a class that are of it; None for a class that was not predicted."""
        return nan_to_none(self.pixels.precision())

    def recall(self) -> list[float | None]:
        """The part of the pixels of a class that were predicted as it; None for a class that truth does not show."""
        return nan_to_none(self.pixels.recall())

    @property
    def mean_iou(self) -> float | None:
        """The mean IoU of all classes that occur, background included."""
        return mean_of(self.iou())

    @property
    def mean_iou_foreground(self) -> float | None:
        """The mean IoU of the classes that occur, without background."""
        return mean_of(self.iou()[1:])

    @property
    def mean_dice(self) -> float | None:
        """The mean Dice of all classes that occur, background included."""
        return mean_of(self.dice())

    @property
    def mean_dice_foreground(self) -> float | None:
        """The mean Dice of the classes that occur, without background."""
        return mean_of(self.dice()[1:])

    @property
    def micro_iou(self) -> float | None:
        """Hits of all classes over hits, misses and false alarms of all classes, background included."""
        hits, truth, predicted = (int(counts.sum()) for counts in self.pixels)
        return _ratio(hits, truth + predicted - hits)

    @property
    def pixel_accuracy(self) -> float | None:
        """The part of labelled pixels that got their class."""
        return _ratio(int(np.trace(self.counts)), int(self.counts.sum()))

    def to_json(self, labels: LabelSet) -> dict[str, Any]:
        """All metrics by name; classes by the name of their Label, background among them. None where undefined."""
        return {
            "classes": self.pixels.to_json(labels),
            "mean_iou": self.mean_iou,
            "mean_iou_foreground": self.mean_iou_foreground,
            "mean_dice": self.mean_dice,
            "mean_dice_foreground": self.mean_dice_foreground,
            "micro_iou": self.micro_iou,
            "pixel_accuracy": self.pixel_accuracy,
        }


class PixelCounts(NamedTuple):
    """Pixels of each class, (..., C): found and right, in truth, predicted. They add up over pictures.

    Ratios are float64 of the same shape, NaN where nothing is to be divided by.
    """

    hits: NDArray[Any]
    truth: NDArray[Any]
    predicted: NDArray[Any]

    def iou(self) -> NDArray[np.float64]:
        """Intersection over union."""
        return ratios(self.hits, self.truth + self.predicted - self.hits)

    def dice(self) -> NDArray[np.float64]:
        """Dice, which is F1."""
        return ratios(2 * self.hits, self.truth + self.predicted)

    def precision(self) -> NDArray[np.float64]:
        """Right of what was predicted."""
        return ratios(self.hits, self.predicted)

    def recall(self) -> NDArray[np.float64]:
        """Found of what is there."""
        return ratios(self.hits, self.truth)

    def to_json(self, labels: LabelSet) -> dict[str, dict[str, float | None]]:
        """The four ratios of each class, of counts of shape (C,), by the name of its Label."""
        columns = (nan_to_none(values) for values in (self.iou(), self.dice(), self.precision(), self.recall()))
        rows = zip(*columns, strict=True)
        names = ("iou", "dice", "precision", "recall")
        return {name: dict(zip(names, row, strict=True)) for name, row in zip(labels.names, rows, strict=True)}


def ratios(parts: NDArray[Any], wholes: NDArray[Any]) -> NDArray[np.float64]:
    """parts / wholes, NaN where the whole is 0."""
    found = np.full(np.shape(parts), np.nan)
    return np.divide(parts, wholes, out=found, where=np.asarray(wholes) > 0)


def nan_to_none(values: NDArray[np.float64]) -> list[float | None]:
    """Numbers as JSON has them: None where there is none."""
    return [None if np.isnan(value) else float(value) for value in values]


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of those that are not None; None when all are."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
