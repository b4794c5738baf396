"""Shapes to pixels and back. Filling equals labelme's own `shape_to_mask` pixel for pixel: both edges inclusive,
lines 10 px wide, points of radius 5 (FORMATS 3.1; the labelme package is the oracle in the tests)."""

import math
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.annotation.labels import IGNORE, IGNORE_ID, LabelSet
from core.annotation.pixels import Box, box_of, is_tight, pixels_in, tightened
from core.annotation.shapes import (
    Annotation,
    Circle,
    Line,
    LineStrip,
    MaskShape,
    OrientedRectangle,
    Point,
    Points,
    Polygon,
    Rectangle,
    Region,
    Shape,
)
from core.errors import ConfigError
from core.images import MAX_PIXELS, ImageSize

Mask = NDArray[np.uint8]  # (H, W) class ids; 255 = not labelled
LINE_WIDTH = 10
POINT_RADIUS = 5
_CANVAS = 64_000_000  # pixels drawn on at a time
_ROUND_LIMIT = 100_000  # radius from which on Pillow's circle is slow: 28 s at ten millions


def shape_to_region(shape: Shape, size: ImageSize) -> Region:
    """The pixels that `shape` covers in a picture of `size`, (H, W) bool; what lies outside is cut off."""
    if isinstance(shape, MaskShape):
        region = np.zeros(size, dtype=bool)
        _paint_mask(region, shape, True)
        return region
    canvas = Image.new("L", (size.width, size.height))
    _draw(ImageDraw.Draw(canvas), shape, 1)
    return np.asarray(canvas).astype(bool)


def region_in_box(shape: Shape, box: Box) -> Region:
    """The pixels of `shape_to_region` within `box`, which lies in the picture; (box.height, box.width) bool.

    Costs what the box and the columns left of it cost, not the picture.
    """
    if isinstance(shape, MaskShape):
        return pixels_in(shape, box)
    region = np.zeros((box.height, box.width), dtype=np.bool_)
    rows = max(1, _CANVAS // max(1, box.right))
    for top in range(box.top, box.bottom, rows):
        # Only rows are cut off: Pillow computes columns in single precision, so moved sideways it rounds differently
        canvas = Image.new("L", (box.right, min(rows, box.bottom - top)))
        _draw(ImageDraw.Draw(canvas), shape, 1, top=top)
        drawn = canvas.crop((box.left, 0, box.right, canvas.height))  # here, because numpy's view copies all of it
        region[top - box.top : top - box.top + canvas.height] = np.asarray(drawn)
    return region


def drawn_box(shape: Shape, size: ImageSize) -> Box:
    """A box in the picture that holds all pixels of `shape`, at most some pixels too large; maybe of no width."""
    picture = Box(0, 0, size.width, size.height)
    if isinstance(shape, MaskShape):
        return box_of(shape).cut(picture)
    xs, ys = zip(*shape.points_xy, strict=True)
    reach = 2.0  # drawing rounds
    match shape:
        case Circle():
            xs, ys, reach = xs[:1], ys[:1], reach + _radius(shape)
        case Point() | Points():
            reach += POINT_RADIUS
        case Line() | LineStrip():
            reach += LINE_WIDTH
    left, right = _whole(min(xs) - reach, size.width), _whole(max(xs) + reach, size.width)
    top, bottom = _whole(min(ys) - reach, size.height), _whole(max(ys) + reach, size.height)
    return Box(left, top, right - left, bottom - top).cut(picture)


def shape_to_mask_shape(shape: Shape, size: ImageSize) -> MaskShape | None:
    """The pixels of `shape` in a picture of `size` as a mask with all else that the shape has; None without pixels.

    Its box is the least one.  Raises ConfigError when that box has more than MAX_PIXELS.
    """
    box = drawn_box(shape, size)
    if isinstance(shape, MaskShape) and box == box_of(shape) and is_tight(shape.region):
        return shape
    if not box.width or not box.height:
        return None
    if not box.is_possible:
        raise ConfigError(
            f"A mask of {box.width} x {box.height} pixels is too large.",
            hint=f"{MAX_PIXELS // 1_000_000} megapixels are the most. Cut the shape into smaller ones.",
        )
    return tightened(mask_like(shape, box, region_in_box(shape, box)))


def mask_of(shape: Shape, size: ImageSize) -> MaskShape:
    """Like shape_to_mask_shape; raises ConfigError also for a shape without a pixel in the picture."""
    mask = shape_to_mask_shape(shape, size)
    if mask is None:
        raise ConfigError("The shape has no pixel in the picture.", hint="Move it into the picture, or delete it.")
    return mask


def mask_like(shape: Shape, box: Box, region: Region) -> MaskShape:
    """A mask of these pixels, (box.height, box.width) bool, with what the person said about `shape`."""
    return MaskShape(
        label=shape.label,
        points_xy=box.corners_xy,
        group_id=shape.group_id,
        description=shape.description,
        flags=shape.flags,
        extra=shape.extra,
        region=region,
    )


def annotation_to_mask(annotation: Annotation, labels: LabelSet, *, unknown: int = 0) -> Mask:
    """Class ids of all Shapes, (H, W) uint8: later Shapes over earlier ones, `__ignore__` as 255.

    Shapes whose label is not in `labels` paint the id `unknown` (0: as if not drawn; 255: left out of training).
    """
    canvas = Image.new("L", (annotation.size.width, annotation.size.height))
    for shape in annotation.shapes:
        known = shape.label in labels or shape.label == IGNORE
        if known or unknown != 0:
            paint_shape(canvas, shape, labels.id_of(shape.label) if known else unknown)
    return np.array(canvas)


def paint_shape(canvas: Image.Image, shape: Shape, value: int) -> None:
    """Set the pixels of `shape` on a canvas of mode L or I; what lies outside is cut off."""
    if isinstance(shape, MaskShape):
        x, y = shape.points_xy[0]
        canvas.paste(value, (int(x), int(y)), Image.fromarray(shape.region.astype(np.uint8) * np.uint8(255)))
    else:
        _draw(ImageDraw.Draw(canvas), shape, value)


def mask_to_shapes(mask: Mask, labels: LabelSet, *, split_objects: bool = True) -> tuple[MaskShape, ...]:
    """Shapes of type mask that paint exactly `mask` again, holes kept; 255 becomes `__ignore__`.

    split_objects: one Shape for each 8-connected object, else one for each class.
    """
    shapes: list[MaskShape] = []
    for class_id in np.unique(mask):
        if class_id == 0:
            continue
        label = IGNORE if class_id == IGNORE_ID else labels.names[class_id]
        region = mask == class_id
        shapes += region_to_shapes(region, label) if split_objects else [_mask_shape(region, label)]
    return tuple(shapes)


def count_objects(region: Region) -> int:
    """How many 8-connected objects `region` holds."""
    return cv2.connectedComponents(region.astype(np.uint8), connectivity=8)[0] - 1


def region_to_shapes(region: Region, label: str, *, top: int = 0, left: int = 0) -> list[MaskShape]:
    """One Shape for each 8-connected object of `region`, a window of a picture with its corner at (top, left)."""
    count, ids, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    shapes = []
    for i in range(1, count):
        x, y, width, height = (int(value) for value in stats[i, :4])
        part = ids[y : y + height, x : x + width] == i
        shapes.append(_boxed(part, left + x, top + y, label))
    return shapes


def _mask_shape(region: Region, label: str) -> MaskShape:
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return _boxed(region[top : rows[-1] + 1, left : columns[-1] + 1].copy(), left, top, label)


def _boxed(region: Region, left: int, top: int, label: str) -> MaskShape:
    height, width = region.shape
    corners = ((float(left), float(top)), (float(left + width - 1), float(top + height - 1)))
    return MaskShape(label=label, points_xy=corners, region=region)


def _paint_mask(target: NDArray[np.generic], shape: MaskShape, value: int | bool) -> None:
    """Set the pixels of a mask shape in `target`; the part outside is cut off."""
    (x1, y1), _ = shape.points_xy
    left, top = int(x1), int(y1)
    height, width = shape.region.shape
    inside = target[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    row, column = max(-top, 0), max(-left, 0)
    part = shape.region[row : row + inside.shape[0], column : column + inside.shape[1]]
    inside[: part.shape[0], : part.shape[1]][part] = value


def _draw(draw: ImageDraw.ImageDraw, shape: Shape, value: int, *, top: int = 0) -> None:
    """Draw on a canvas that begins at the row `top` of the picture."""
    # Pillow cuts fractions off towards zero, so that has to come before the shift
    points = [(x, float(math.trunc(y)) - top) for x, y in shape.points_xy] if top else list(shape.points_xy)
    match shape:
        case Polygon() | OrientedRectangle():
            draw.polygon(points, outline=value, fill=value)
        case Rectangle():
            (x0, y0), (x1, y1) = points
            draw.rectangle(((min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))), outline=value, fill=value)
        case Circle():
            _disc(draw, *shape.points_xy[0], _radius(shape), value, top)
        case Point() | Points():
            for x, y in shape.points_xy:
                _disc(draw, x, y, POINT_RADIUS, value, top)
        case Line() | LineStrip():
            draw.line(points, fill=value, width=LINE_WIDTH)


def _radius(circle: Circle) -> float:
    (x, y), (edge_x, edge_y) = circle.points_xy
    radius = math.hypot(x - edge_x, y - edge_y)
    # Labelme computes it so, which may differ in the last digit; of large numbers the squares would overflow
    return radius if radius > _ROUND_LIMIT else math.sqrt((x - edge_x) ** 2 + (y - edge_y) ** 2)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, value: int, top: int) -> None:
    if radius > _ROUND_LIMIT:
        _large_disc(draw, x, y - top, radius, value)
        return
    above, below = (float(math.trunc(edge)) - top for edge in (y - radius, y + radius))
    draw.ellipse(((x - radius, above), (x + radius, below)), outline=value, fill=value)


def _large_disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, value: int) -> None:
    """Row by row: what Pillow would draw, but for single pixels at the edge."""
    width, height = draw.im.size
    for row in range(height):
        away = abs(row - y)
        if away <= radius:
            half = math.sqrt(radius - away) * math.sqrt(radius + away)  # their product might be too large a number
            draw.line([(_whole(x - half, width), row), (_whole(x + half, width), row)], fill=value)


def _whole(value: float, limit: int) -> int:
    """`value` cut off to -1 to limit + 1, and its fraction."""
    return int(min(max(value, -1.0), limit + 1.0))


def class_pixels(mask: Mask, classes: Iterable[int]) -> dict[int, int]:
    """How many pixels each of `classes` has."""
    counts = np.bincount(mask.ravel(), minlength=256)
    return {class_id: int(counts[class_id]) for class_id in classes}
