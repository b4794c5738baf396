"""What is done to a predicted Mask before a person sees it: close gaps, fill holes, cut whiskers, part objects.

Pure functions, Mask to Mask; 255 stays where it is.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask
from core.annotation.right_angles import square_objects
from core.annotation.shapes import Region
from core.errors import ConfigError

_PEAK_SHARE: Final = 0.35  # of the side of a disc as large as the median object: objects are no closer than that
_MOST_SMOOTH: Final = 50
_MOST_SIDE: Final = 199
_MOST_PIXELS: Final = 10**9
_FLATTEN: Final = 1.0  # pixels: sigma of the blur that leaves one peak in each object
_CROSS: Final = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


@dataclass(frozen=True)
class CleanUp:
    """What to do; the defaults do nothing. Whatever the order of the fields, it is done in this order:

    smooth: sigma in pixels of the Gaussian that borders are smoothed with.  close: side in pixels of the square that
    closes gaps in a label, onto background only.  fill: holes of fewer pixels within one label become it; after
    `close`, which makes holes of bays.  open: side in pixels of the square that cuts whiskers and bridges narrower
    than it off a label; after `fill`, so that the thin wall around a hole is none.  split: a line of background, one
    pixel wide, between objects that touch.  drop_below: objects of fewer pixels become background; after all that
    makes objects small.  right_angles: objects with nearly right angles get right ones; last, so nothing bends them.
    """

    smooth: float = 0.0
    close: int = 0
    split: bool = False
    drop_below: int = 0
    fill: int = 0
    open: int = 0
    right_angles: bool = False

    def __post_init__(self) -> None:
        counts = {"close": _MOST_SIDE, "open": _MOST_SIDE, "fill": _MOST_PIXELS, "drop_below": _MOST_PIXELS}
        possible = (
            _is_number(self.smooth)
            and 0 <= self.smooth <= _MOST_SMOOTH
            and all(type(getattr(self, name)) is int and 0 <= getattr(self, name) <= counts[name] for name in counts)
            and isinstance(self.split, bool)
            and isinstance(self.right_angles, bool)
        )
        if not possible:
            raise ConfigError(
                f"This clean-up is not possible: {asdict(self)}.",
                hint=f"Smooth by 0 to {_MOST_SMOOTH} pixels, close and open with whole numbers from 0 to {_MOST_SIDE}, "
                "fill holes and drop objects below 0 or more.",
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(**value)


def clean_up(mask: Mask, how: CleanUp) -> Mask:
    """`mask` (H, W) cleaned as `how` says; a new one, or the same where there is nothing to do."""
    if not mask.size:  # OpenCV crashes on a picture without pixels
        return mask
    if how.smooth:
        mask = smooth_borders(mask, how.smooth)
    if how.close > 1:
        mask = close_gaps(mask, how.close)
    if how.fill > 1:
        mask = fill_small_holes(mask, how.fill)
    if how.open > 1:
        mask = cut_whiskers(mask, how.open)
    if how.split:
        mask = split_objects(mask)
    if how.drop_below > 1:
        mask = drop_specks(mask, how.drop_below)
    if how.right_angles:
        mask = square_objects(mask)
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
    for class_id in _class_ids(mask):
        square, there, back = _square(side)
        widened = cv2.dilate((mask == class_id).astype(np.uint8), square, anchor=there)
        closed = cv2.erode(widened, square, anchor=back)
        result[(closed > 0) & (mask == 0)] = class_id
    return result


def cut_whiskers(mask: Mask, side: int) -> Mask:
    """Whatever of a label no square of `side` pixels fits into becomes background.

    Beyond the picture's edge, and where nothing is labelled, the label is taken to go on.
    """
    result, hidden = mask.copy(), mask == IGNORE_ID
    for class_id in _class_ids(mask):
        region = mask == class_id
        # a frame as wide as the square: a label that ends at the edge of the picture is not narrow there
        wide = cv2.copyMakeBorder((region | hidden).astype(np.uint8), side, side, side, side, cv2.BORDER_REPLICATE)
        square, there, back = _square(side)
        core = cv2.erode(wide, square, anchor=there)
        opened = cv2.dilate(core, square, anchor=back)[side:-side, side:-side]
        result[region & (opened == 0)] = 0
    return result


def fill_small_holes(mask: Mask, pixels: int) -> Mask:
    """Holes of fewer than `pixels` get the label around them.

    A hole is background, connected by sides, that one label alone surrounds: neither the picture's edge, nor another
    label, nor what is not labelled.
    """
    height, width = mask.shape
    count, parts, figures, _ = cv2.connectedComponentsWithStats((mask == 0).astype(np.uint8), connectivity=4)
    left, top = figures[:, cv2.CC_STAT_LEFT], figures[:, cv2.CC_STAT_TOP]
    right, bottom = left + figures[:, cv2.CC_STAT_WIDTH], top + figures[:, cv2.CC_STAT_HEIGHT]
    small = (left > 0) & (top > 0) & (right < width) & (bottom < height) & (figures[:, cv2.CC_STAT_AREA] < pixels)
    small[0] = False  # what is not background
    within = small[parts]
    numbers = parts[within]
    highest, lowest = np.zeros(count, np.uint16), np.zeros(count, np.uint16)  # the second counts down from 256
    np.maximum.at(highest, numbers, cv2.dilate(mask, _CROSS)[within])
    upside_down = np.where(mask == 0, 0, 256 - mask.astype(np.uint16)).astype(np.uint16)
    np.maximum.at(lowest, numbers, cv2.dilate(upside_down, _CROSS)[within])
    filling = np.where((highest + lowest == 256) & (highest != IGNORE_ID), highest, 0).astype(np.uint8)
    result = mask.copy()
    result[within] = filling[numbers]
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


def _reached(region: Region, markers: NDArray[np.int32]) -> Region:
    """The objects that hold a marker: one too small for a peak stays as it is."""
    _, objects = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    return np.isin(objects, np.unique(objects[markers > 0]))


def _least_distance(region: Region) -> int:
    """Pixels between two peaks, from the median area of the objects as they are."""
    _, _, figures, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    areas = figures[1:, cv2.CC_STAT_AREA]
    return max(2, round(_PEAK_SHARE * 2 * np.sqrt(np.median(areas) / np.pi))) if len(areas) else 2


def _class_ids(mask: Mask, *, background: bool = False) -> list[int]:
    found = [int(i) for i in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)) if i != IGNORE_ID]
    return found if background else [i for i in found if i]


def _square(side: int) -> tuple[NDArray[np.uint8], tuple[int, int], tuple[int, int]]:
    """The kernel, and its anchors on the way there and back: of an even side they lie left and right of the middle."""
    there, back = side // 2, (side - 1) // 2
    return np.ones((side, side), np.uint8), (there, there), (back, back)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
