"""How large each object of a Mask is, where it lies, and what the picture and the model say there.

Lengths and areas are in pixels and, where the size of a pixel is known, in the unit too.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.pixels import Box
from core.annotation.raster import Mask
from core.errors import ConfigError
from core.inference.lengths import Numbers, longest_diameters, perimeters, runs_of, skeleton_lengths

_THIN: Final = 0.4  # 4 pi area / perimeter squared: a disc has 1, a strip six times as long as wide this
_BLOCK: Final = 1 << 21  # pixels summed up at once


@dataclass(frozen=True, slots=True)
class ObjectMeasure:
    """One connected object (pixels that touch at a corner are one).

    index: from 1 on, through all labels of the picture, in the order of the labels, then of first pixels.  centroid_xy:
    the middle of the pixel (0, 0) is (0, 0).  perimeter: Crofton's, see `lengths.perimeters`.  length: the longest
    diameter, between corners of pixels.  skeleton: the length of the middle line with its branches, None unless the
    object is thin.  diameter: of the disc of the same area.  mean_intensity: 0 to 255, of all channels.
    mean_confidence: 0 to 1.  `_px` is in pixels; `_unit` in `unit` (areas in its square), None where the size of a
    pixel is not known.
    """

    label: str
    class_id: int
    index: int
    centroid_xy: tuple[float, float]
    box: Box
    area_px: int
    perimeter_px: float
    length_px: float
    skeleton_px: float | None
    diameter_px: float
    area_unit: float | None
    perimeter_unit: float | None
    length_unit: float | None
    skeleton_unit: float | None
    diameter_unit: float | None
    unit: str
    mean_intensity: float | None
    mean_confidence: float | None
    touches_border: bool


def measure(
    mask: Mask,
    labels: LabelSet,
    *,
    image: NDArray[np.uint8] | None = None,
    confidence: NDArray[np.uint8] | None = None,
    pixel_size: float | None = None,
    unit: str = "px",
) -> list[ObjectMeasure]:
    """Every object of `mask` (H, W), whose class ids are those of `labels`; 255 is none.

    image: (H, W) or (H, W, 3).  confidence: (H, W), 255 is sure.  pixel_size: the side of a pixel in `unit`.
    Raises ConfigError for a class id that has no label, pictures of another size, an impossible pixel size.
    """
    _check(mask, labels, image, confidence, pixel_size)
    found: list[ObjectMeasure] = []
    for class_id in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist():
        if class_id in (0, IGNORE_ID):
            continue
        _, numbers, figures, centroids = cv2.connectedComponentsWithStats(
            (mask == class_id).astype(np.uint8), connectivity=8
        )
        columns = _columns(np.asarray(numbers, np.int32), figures[1:], image, confidence)
        for index, i in enumerate(columns.order.tolist(), start=len(found) + 1):
            pixels = columns.at(i)
            box = Box(*figures[i + 1, :4].tolist())
            found.append(
                ObjectMeasure(
                    label=labels.names[class_id],
                    class_id=class_id,
                    index=index,
                    centroid_xy=(float(centroids[i + 1, 0]), float(centroids[i + 1, 1])),
                    box=box,
                    area_px=pixels["area"],
                    perimeter_px=pixels["perimeter"],
                    length_px=pixels["length"],
                    skeleton_px=pixels["skeleton"],
                    diameter_px=pixels["diameter"],
                    area_unit=_times(pixels["area"], None if pixel_size is None else pixel_size**2),
                    perimeter_unit=_times(pixels["perimeter"], pixel_size),
                    length_unit=_times(pixels["length"], pixel_size),
                    skeleton_unit=_times(pixels["skeleton"], pixel_size),
                    diameter_unit=_times(pixels["diameter"], pixel_size),
                    unit=unit,
                    mean_intensity=pixels["intensity"],
                    mean_confidence=_times(pixels["confidence"], 1 / 255),
                    touches_border=_touches(box, mask.shape),
                )
            )
    return found


class _Columns(NamedTuple):
    """What was measured of the objects of one label, (count,) each. order: by first pixels."""

    order: NDArray[np.intp]
    values: dict[str, NDArray[Any] | None]

    def at(self, i: int) -> dict[str, Any]:
        row = {name: None if column is None else column[i].item() for name, column in self.values.items()}
        return {name: None if value != value else value for name, value in row.items()}  # NaN: not measured


def _columns(
    numbers: Numbers, figures: NDArray[np.int32], image: NDArray[np.uint8] | None, confidence: NDArray[np.uint8] | None
) -> _Columns:
    count = len(figures)
    area = figures[:, cv2.CC_STAT_AREA].astype(np.int64)
    perimeter = perimeters(numbers, count)
    runs = runs_of(numbers)
    first = np.full(count, len(runs.number), np.int64)
    np.minimum.at(first, runs.number - 1, np.arange(len(runs.number)))
    return _Columns(
        np.argsort(first),
        {
            "area": area,
            "perimeter": perimeter,
            "length": longest_diameters(runs, count),
            "skeleton": skeleton_lengths(numbers, count, 4 * np.pi * area < _THIN * perimeter**2),
            "diameter": np.sqrt(4 * area / np.pi),
            "intensity": None if image is None else _means(numbers, area, image),
            "confidence": None if confidence is None else _means(numbers, area, confidence),
        },
    )


def _means(numbers: Numbers, area: NDArray[np.int64], values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The mean of `values`, (H, W) or (H, W, channels), in each object."""
    sums = np.zeros(len(area) + 1)
    rows = max(1, _BLOCK // max(1, numbers.shape[1]))
    for top in range(0, numbers.shape[0], rows):
        part = numbers[top : top + rows]
        inside = part > 0
        chosen = values[top : top + rows][inside]
        weights = chosen if chosen.ndim == 1 else chosen.mean(axis=1, dtype=np.float32)
        sums += np.bincount(part[inside], weights=weights, minlength=len(sums))
    return np.asarray(sums[1:] / area)


def _check(
    mask: Mask,
    labels: LabelSet,
    image: NDArray[np.uint8] | None,
    confidence: NDArray[np.uint8] | None,
    pixel_size: float | None,
) -> None:
    drawn = mask[mask != IGNORE_ID]
    if drawn.size and int(drawn.max()) >= len(labels):
        raise ConfigError(
            f"The mask has the class {int(drawn.max())}, but there are {len(labels)} labels with background.",
            hint="Choose the labels that the mask was made with.",
        )
    for what, other in (("picture", image), ("confidence", confidence)):
        if other is not None and other.shape[:2] != mask.shape:
            raise ConfigError(
                f"The {what} has {other.shape[1]} x {other.shape[0]} pixels, "
                f"the mask {mask.shape[1]} x {mask.shape[0]}.",
                hint="Choose the one that the mask belongs to.",
            )
    if pixel_size is not None and not 0 < pixel_size < float("inf"):
        raise ConfigError(f"A pixel size of {pixel_size} is not possible.", hint="Choose a length above 0.")


def _times(value: float | None, factor: float | None) -> float | None:
    return None if value is None or factor is None else value * factor


def _touches(box: Box, shape: tuple[int, ...]) -> bool:
    return box.left == 0 or box.top == 0 or box.right == shape[1] or box.bottom == shape[0]
