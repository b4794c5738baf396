"""What is done to a predicted Mask before a person sees it: close gaps, drop specks, smooth borders, part objects.

Pure functions, Mask to Mask; 255 stays where it is.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask
from core.errors import ConfigError

_PEAK_SHARE: Final = 0.35  # of the side of a disc as large as the median object: objects are no closer than that
_FLATTEN: Final = 1.0  # pixels: sigma of the blur that leaves one peak in each object


@dataclass(frozen=True)
class CleanUp:
    """What to do, in this order; the defaults do nothing.

    smooth: sigma in pixels of the Gaussian that borders are smoothed with.  close: side in pixels of the square that
    closes gaps in a label, onto background only.  split: a line of background, one pixel wide, between objects that
    touch.  drop_below: objects of fewer pixels become background.
    """

    smooth: float = 0.0
    close: int = 0
    split: bool = False
    drop_below: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.smooth <= 50 or not 0 <= self.close <= 199 or not 0 <= self.drop_below <= 10**9:
            raise ConfigError(
                f"This clean-up is not possible: {asdict(self)}.",
                hint="Smooth by 0 to 50 pixels, close with 0 to 199, drop below 0 or more.",
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(**value)


def clean_up(mask: Mask, how: CleanUp) -> Mask:
    """`mask` (H, W) cleaned as `how` says; a new one, or the same where there is nothing to do."""
    if how.smooth:
        mask = smooth_borders(mask, how.smooth)
    if how.close > 1:
        mask = close_gaps(mask, how.close)
    if how.split:
        mask = split_objects(mask)
    if how.drop_below > 1:
        mask = drop_specks(mask, how.drop_below)
    return mask


def smooth_borders(mask: Mask, sigma: float) -> Mask:
    """Each pixel gets the class that prevails around it, weighed by a Gaussian of `sigma` pixels."""
    result, best = mask.copy(), np.full(mask.shape, -1.0, np.float32)
    for class_id in _class_ids(mask, background=True):
        share = cv2.GaussianBlur(
            (mask == class_id).astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101
        )
        wins = share > best
        result[wins], best[wins] = class_id, share[wins]
    result[mask == IGNORE_ID] = IGNORE_ID
    return result


def close_gaps(mask: Mask, side: int) -> Mask:
    """Gaps narrower than `side` pixels within a label are filled, where they were background."""
    result = mask.copy()
    kernel = np.ones((side, side), np.uint8)
    for class_id in _class_ids(mask):
        closed = cv2.morphologyEx((mask == class_id).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
        result[(closed > 0) & (mask == 0)] = class_id
    return result


def drop_specks(mask: Mask, pixels: int) -> Mask:
    """Objects of fewer than `pixels` become background; pixels that touch at a corner are one object."""
    result = mask.copy()
    for class_id in _class_ids(mask):
        _, objects, figures, _ = cv2.connectedComponentsWithStats((mask == class_id).astype(np.uint8), connectivity=8)
        small = figures[:, cv2.CC_STAT_AREA] < pixels
        small[0] = False  # what is around them
        result[small[objects]] = 0
    return result


def split_objects(mask: Mask) -> Mask:
    """Objects of one label that touch are parted where they are narrow, by a line of background one pixel wide.

    Watershed on the distance to the border (Vincent and Soille 1991); each peak of the distance is an object, but two
    peaks nearer than a third of a usual object's diameter are one.
    """
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    result = mask.copy()
    for class_id in _class_ids(mask):
        region = mask == class_id
        inside = cv2.copyMakeBorder(region.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        depth = cv2.GaussianBlur(depth, (0, 0), _FLATTEN)
        peaks = peak_local_max(depth, min_distance=_least_distance(region), labels=region, exclude_border=False)
        markers = np.zeros(mask.shape, np.int32)
        markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        parts = watershed(-depth, markers, mask=region, watershed_line=True)
        result[region & (parts == 0) & _reached(region, markers)] = 0
    return result


def _reached(region: NDArray[np.bool_], markers: NDArray[np.int32]) -> NDArray[np.bool_]:
    """The objects that hold a marker: one too small for a peak stays as it is."""
    _, objects = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    return np.isin(objects, np.unique(objects[markers > 0]))


def _least_distance(region: NDArray[np.bool_]) -> int:
    """Pixels between two peaks, from the median area of the objects as they are."""
    _, _, figures, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    areas = figures[1:, cv2.CC_STAT_AREA]
    return max(2, round(_PEAK_SHARE * 2 * np.sqrt(np.median(areas) / np.pi))) if len(areas) else 2


def _class_ids(mask: Mask, *, background: bool = False) -> list[int]:
    found = [int(i) for i in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)) if i != IGNORE_ID]
    return found if background else [i for i in found if i]
