"""The pixels of a MaskShape within a box of the picture: read, written, and the box that holds them tightly."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from core.annotation.shapes import MaskShape, PointsXY, Region
from core.images import MAX_PIXELS


class Box(NamedTuple):
    """Whole pixels of a picture; it may reach over the edge."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def corners_xy(self) -> PointsXY:
        """First and last pixel, as a MaskShape has them."""
        return ((float(self.left), float(self.top)), (float(self.right - 1), float(self.bottom - 1)))

    @property
    def is_possible(self) -> bool:
        """Whether memory has room for its pixels, a byte each."""
        return 0 < self.width * self.height <= MAX_PIXELS

    def joined(self, other: "Box") -> "Box":
        """The least box that holds both."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Box(left, top, max(self.right, other.right) - left, max(self.bottom, other.bottom) - top)

    def cut(self, other: "Box") -> "Box":
        """What both hold; without width or height where that is nothing."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(left, top, max(0, right - left), max(0, bottom - top))


def box_of(shape: MaskShape) -> Box:
    """The box that the region of `shape` fills."""
    (left, top), _ = shape.points_xy
    height, width = shape.region.shape
    return Box(int(left), int(top), width, height)


def tight_box(region: Region) -> Box | None:
    """The least box around what is set in `region`, (H, W), seen from its corner; None when nothing is."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def is_tight(region: Region) -> bool:
    """Whether `region` has a pixel at each of its four edges."""
    return bool(region.size and region[0].any() and region[-1].any() and region[:, 0].any() and region[:, -1].any())


def tightened(shape: MaskShape) -> MaskShape | None:
    """`shape` with the least box around its pixels, None when it has none."""
    if is_tight(shape.region):
        return shape
    tight = tight_box(shape.region)
    if tight is None:
        return None
    region = shape.region[_window(tight, Box(0, 0, 0, 0))].copy()
    corner = box_of(shape)
    box = tight._replace(left=corner.left + tight.left, top=corner.top + tight.top)
    return replace(shape, points_xy=box.corners_xy, region=region)


def pixels_in(shape: MaskShape, box: Box) -> Region:
    """Which pixels of `box` are in `shape`, (height, width) bool; a copy."""
    found = np.zeros((box.height, box.width), dtype=np.bool_)
    own = box_of(shape)
    both = own.cut(box)
    if both.width and both.height:
        found[_window(both, box)] = shape.region[_window(both, own)]
    return found


def with_pixels(shape: MaskShape, box: Box, region: Region) -> MaskShape | None:
    """`shape` whose pixels in `box` are those of `region`, in the least box around all; None when none is left."""
    own = box_of(shape)
    # what comes in may be empty at its edges: the box grows by what is set, or a copy of all pixels is made for nothing
    tight = tight_box(region)
    added = own if tight is None else tight._replace(left=box.left + tight.left, top=box.top + tight.top)
    whole = own.joined(added)
    if whole == own:
        pixels = shape.region.copy()
    else:
        pixels = np.zeros((whole.height, whole.width), dtype=np.bool_)
        pixels[_window(own, whole)] = shape.region
    both = whole.cut(box)
    if both.width and both.height:
        pixels[_window(both, whole)] = region[_window(both, box)]
    return tightened(replace(shape, points_xy=whole.corners_xy, region=pixels))


def _window(box: Box, corner: Box) -> tuple[slice, slice]:
    """The rows and columns of `box` in an array that begins at the corner of another."""
    top, left = box.top - corner.top, box.left - corner.left
    return slice(top, top + box.height), slice(left, left + box.width)
