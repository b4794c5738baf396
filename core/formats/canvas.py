"""The pixels of Shapes, object by object, as large as the object only: what an export of objects asks for thousands
of times a picture."""

import math
from collections.abc import Iterable

import numpy as np
from PIL import Image

from core.annotation.raster import LINE_WIDTH, paint_shape
from core.annotation.shapes import Circle, MaskShape, Region, Shape
from core.formats.rle import Crop
from core.images import ImageSize

_MARGIN = LINE_WIDTH + 2  # pixels that a line or point may reach beyond its points
_Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom are one further


class Canvas:
    """A picture's size of empty pixels, on which Shapes are painted, read off and wiped away again."""

    def __init__(self, size: ImageSize) -> None:
        self._canvas = Image.new("L", (size.width, size.height))

    def crop(self, strokes: Iterable[tuple[Shape, bool]]) -> Crop:
        """What is left when Shapes are painted (True) and cut out (False) in turn; what lies outside is cut off."""
        boxes = []
        for shape, painted in strokes:
            paint_shape(self._canvas, shape, int(painted))
            if painted:
                boxes.append(self._reach(shape))
        box = tuple(pick(sides) for pick, sides in zip((min, min, max, max), zip(*boxes, strict=True), strict=True))
        left, top, right, bottom = box
        if left >= right or top >= bottom:
            return crop_to_drawn(np.zeros((0, 0), dtype=bool))
        region = np.asarray(self._canvas.crop(box)).astype(bool)
        self._canvas.paste(0, box)
        return crop_to_drawn(region, top=top, left=left)

    def _reach(self, shape: Shape) -> _Box:
        """The part of the picture outside of which a Shape paints nothing."""
        left, top, right, bottom = extent(shape)
        width, height = self._canvas.size
        return (
            max(math.floor(left) - _MARGIN, 0),
            max(math.floor(top) - _MARGIN, 0),
            min(math.ceil(right) + _MARGIN, width),
            min(math.ceil(bottom) + _MARGIN, height),
        )


def extent(shape: Shape) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the points, of a circle its edge."""
    if isinstance(shape, Circle):
        (x, y), edge = shape.points_xy
        radius = math.dist((x, y), edge)
        return x - radius, y - radius, x + radius, y + radius
    xs, ys = zip(*shape.points_xy, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def crop_to_drawn(region: Region, *, top: int = 0, left: int = 0) -> Crop:
    """The box of what is drawn in `region`, (H, W) bool, a window of a picture with its corner at (top, left)."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if not rows.size:
        return Crop(0, 0, np.zeros((0, 0), dtype=bool))
    drawn = region[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Crop(top + int(rows[0]), left + int(columns[0]), np.ascontiguousarray(drawn))


def mask_shape(crop: Crop, label: str) -> MaskShape:
    """The pixels of a Crop, which must not be empty, as a Shape."""
    height, width = crop.region.shape
    corners = (
        (float(crop.left), float(crop.top)),
        (float(crop.left + width - 1), float(crop.top + height - 1)),
    )
    return MaskShape(label=label, points_xy=corners, region=crop.region)
