"""How well the borders of a class agree: boundary IoU, 95 % Hausdorff distance and mean distance, in pixels.

The border of a region is its pixels that touch, by a side, a pixel of another class or the edge of the picture; its
band is its pixels within some pixels of one of another class (B. Cheng et al., Boundary IoU, 2021). Pixels that are not
labelled belong to no region, and no border runs along them: nobody knows what is there.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask
from core.annotation.shapes import Region
from core.images import ImageSize

BAND_SHARE: Final = 0.02  # of the picture's diagonal, as in the paper
CASES: Final = ("both", "missed", "false alarm", "hidden", "absent")
Case = Literal["both", "missed", "false alarm", "hidden", "absent"]
_CROSS: Final = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_Bits = NDArray[np.uint8]  # (H, W) of 0 and 1


@dataclass(frozen=True)
class BoundaryScore:
    """One class in one picture.

    case: "both" have it; "missed": truth alone; "false alarm": the prediction alone; "absent": neither; "hidden": both
    have it, but the border of one runs where nothing is labelled. shared, either: pixels in both bands, and in at least
    one. hausdorff_95, mean_distance: in pixels, None but in the case "both".
    """

    case: Case
    shared: int = 0
    either: int = 0
    hausdorff_95: float | None = None
    mean_distance: float | None = None

    @property
    def iou(self) -> float | None:
        """Boundary IoU; 0 for a class that was missed or is a false alarm, None where there is no band."""
        return self.shared / self.either if self.either else None


def band_width(size: ImageSize, share: float = BAND_SHARE) -> int:
    """Whole pixels, one at least."""
    return max(1, round(share * math.hypot(size.height, size.width)))


def measure_boundaries(truth: Mask, prediction: Mask, num_classes: int, *, band: float) -> list[BoundaryScore]:
    """A score for each class id from 1 to below `num_classes`, whose bands are `band` pixels wide.

    Background has none: its borders are those of the others. Where truth is 255 nothing counts.
    """
    hidden = truth == IGNORE_ID
    ignored = hidden if hidden.any() else None
    scores = []
    for class_id in range(1, num_classes):
        found = prediction == class_id
        if ignored is not None:
            found &= ~ignored
        scores.append(measure_boundary(truth == class_id, found, band=band, hidden=ignored))
    return scores


def measure_boundary(truth: Region, prediction: Region, *, band: float, hidden: Region | None = None) -> BoundaryScore:
    """The borders of two regions of one picture, which have no pixel in `hidden`.

    hausdorff_95 is the larger of the two 95th percentiles: of the distances from each border pixel of the one to the
    border of the other, and back. mean_distance is the mean of all these distances.
    """
    drawn, found = truth.view(np.uint8), prediction.view(np.uint8)
    left, top, width, height = cv2.boundingRect(drawn | found)
    if not width:
        return BoundaryScore("absent")
    reach = math.ceil(band) + 1  # what lies farther from every pixel of the regions decides nothing
    window = (slice(max(0, top - reach), top + height + reach), slice(max(0, left - reach), left + width + reach))
    # Beyond the picture is another class; the same frame around a smaller window is too far away to matter.
    drawn, found = _framed(drawn[window]), _framed(found[window])
    unknown = _framed(hidden[window].view(np.uint8)) if hidden is not None else None
    bands = [_band(region, unknown, band) for region in (drawn, found)]
    shared, either = int((bands[0] & bands[1]).sum()), int((bands[0] | bands[1]).sum())
    if not drawn.any() or not found.any():
        return BoundaryScore("missed" if drawn.any() else "false alarm", shared, either)
    borders = [_border(region, unknown) for region in (drawn, found)]
    if not borders[0].any() or not borders[1].any():
        return BoundaryScore("hidden", shared, either)
    there, back = _distances(borders[0], borders[1]), _distances(borders[1], borders[0])
    hausdorff = max(float(np.percentile(there, 95)), float(np.percentile(back, 95)))
    mean = (float(there.sum(dtype=np.float64)) + float(back.sum(dtype=np.float64))) / (there.size + back.size)
    return BoundaryScore("both", shared, either, hausdorff, mean)


def _framed(bits: _Bits) -> _Bits:
    return np.asarray(cv2.copyMakeBorder(bits, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0), np.uint8)


def _band(region: _Bits, unknown: _Bits | None, width: float) -> _Bits:
    """The pixels of `region` within `width` of another class."""
    solid = region if unknown is None else region | unknown
    near = cv2.distanceTransform(solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= width
    return near.view(np.uint8) & region


def _border(region: _Bits, unknown: _Bits | None) -> _Bits:
    """The pixels of `region` with another class above, below, left or right."""
    solid = region if unknown is None else region | unknown
    return region & ~np.asarray(cv2.erode(solid, _CROSS), np.uint8)


def _distances(border: _Bits, other: _Bits) -> NDArray[np.float32]:
    """From each pixel of `border` to the nearest of `other`."""
    found = cv2.distanceTransform(1 - other, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[border.view(np.bool_)]
    return np.asarray(found, np.float32)
