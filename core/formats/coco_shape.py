"""One annotation of COCO: its "segmentation" or "bbox" as Shapes, and a Region as a "segmentation" (FORMATS 3.2).

Coordinates are pixel corners. What is drawn by hand stays a Polygon; outlines along pixel edges become the very pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.shapes import MaskShape, Polygon, Rectangle, Shape
from core.annotation.trace import trace_region
from core.formats.canvas import Canvas, mask_shape
from core.formats.coco_table import LABELME_KEY
from core.formats.labelme_shape import FARTHEST, BrokenShapeError, read_shape
from core.formats.note import Note
from core.formats.outline import Ring, fill_outlines, is_along_edges, ring_area
from core.formats.rle import Crop, decode_coco_crop, encode_coco
from core.images import ImageSize

EXTRA_KEY: Final = "coco"  # of a Shape's `extra`: what else the annotation held
KEYS: Final = ("id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd", LABELME_KEY)
_MANY_PIECES: Final = 100  # from here on runs are shorter than outlines


class Entry(NamedTuple):
    """One annotation as read. Several Shapes are one object.  area: in pixels, for the order of painting."""

    shapes: tuple[Shape, ...]
    area: float
    notes: tuple[Note, ...]


# ---------------------------------------------------------------------------------------------------------- reading


def read_entry(item: Mapping[str, Any], label: str, size: ImageSize, *, canvas: Canvas | None, own: bool) -> Entry:
    """The Shapes of an annotation on a picture of `size` (0 x 0 when not known). Raises BrokenShapeError.

    canvas: of the picture, when it may hold Shapes as they were drawn.  own: the file is our own export.
    """
    notes: list[Note] = []
    segmentation = item.get("segmentation")
    if isinstance(segmentation, Mapping):
        shapes, area = _read_runs(segmentation, label, size)
    elif isinstance(segmentation, list) and segmentation:
        shapes, area = _read_rings(item, segmentation, label, size, own, notes)
    elif segmentation is None or segmentation == []:
        shapes, area = _read_box(item.get("bbox"), label)
        notes.append(
            Note(
                "assumed",
                "an object has a box and no outline; it was read as a rectangle",
                "# objects have a box and no outline; they were read as rectangles",
            )
        )
    else:
        raise BrokenShapeError(
            "an outline of an unknown form was left out", "# outlines of an unknown form were left out"
        )
    if item.get("iscrowd") in (1, True):
        notes.append(
            Note(
                "assumed",
                "a crowd (iscrowd 1) was read as an ordinary object",
                "# crowds (iscrowd 1) were read as ordinary objects",
            )
        )
    drawn = item.get(LABELME_KEY)
    if canvas is not None and isinstance(drawn, list) and isinstance(shapes[0], MaskShape):
        shapes = _as_drawn(drawn, shapes[0], canvas) or shapes
    extra = {str(key): value for key, value in item.items() if key not in KEYS}
    if extra:
        shapes = [replace(shape, extra={**shape.extra, EXTRA_KEY: extra}) for shape in shapes]
    return Entry(tuple(shapes), area, tuple(notes))


def _read_runs(segmentation: Mapping[str, Any], label: str, size: ImageSize) -> tuple[list[Shape], float]:
    try:
        crop = decode_coco_crop(segmentation)
    except ValueError as error:
        raise BrokenShapeError(
            f"a mask was left out: {error}", "# masks whose runs cannot be read were left out"
        ) from error
    height, width = (int(side) for side in segmentation["size"])
    if size.pixels and size != (height, width):
        raise BrokenShapeError(
            f"a mask of {width} x {height} pixels was left out, its picture has {size}",
            "# masks of another size than their pictures were left out",
        )
    return [_mask(crop, label)], float(np.count_nonzero(crop.region))


def _read_rings(
    item: Mapping[str, Any], lists: list[Any], label: str, size: ImageSize, own: bool, notes: list[Note]
) -> tuple[list[Shape], float]:
    """One or several lists of x, y, x, y, ...: their union."""
    if isinstance(lists[0], int | float):  # some tools leave the outer list out
        lists = [lists]
    if len(lists) == 1 and isinstance(lists[0], list) and len(lists[0]) == 4:
        notes.append(
            Note("assumed", "an outline of 4 numbers was read as a box", "# outlines of 4 numbers were read as boxes")
        )
        return _read_box(item.get("bbox") or lists[0], label)
    rings = []
    for numbers in lists:
        try:
            rings.append(_read_ring(numbers))
        except BrokenShapeError as error:
            if len(lists) == 1:
                raise
            notes.append(error.note)
    if not rings:
        raise BrokenShapeError(
            "an object without an outline was left out", "# objects without an outline were left out"
        )
    if all(is_along_edges(ring) for ring in rings):
        (left, top), (right, bottom) = rings[0].min(axis=0).tolist(), rings[0].max(axis=0).tolist()
        is_box = len(rings) == 1 and len(rings[0]) == 4 and ring_area(rings[0]) == (right - left) * (bottom - top)
        if is_box and not own:
            return _read_box([left, top, right - left, bottom - top], label)
        crop = fill_outlines(rings, size)
        if crop is not None:
            return [_mask(crop, label)], float(np.count_nonzero(crop.region))
    shapes = [Polygon(label=label, points_xy=tuple(map(tuple, ring.tolist()))) for ring in rings]
    return list(shapes), sum(ring_area(ring) for ring in rings)


def _read_ring(numbers: object) -> Ring:
    values = _read_numbers(numbers, "a polygon", "polygons")
    if len(values) % 2:
        raise BrokenShapeError(
            "a polygon with an odd number of coordinates was left out",
            "# polygons with an odd number of coordinates were left out",
        )
    if len(values) < 6:
        raise BrokenShapeError(
            "a polygon had fewer than 3 points and was left out", "# polygons had fewer than 3 points and were left out"
        )
    ring = values.reshape(-1, 2)
    return ring[:-1] if len(ring) > 3 and (ring[0] == ring[-1]).all() else ring


def _read_box(box: object, label: str) -> tuple[list[Shape], float]:
    """x, y, width, height. A box along pixel edges covers the same pixels here as in COCO."""
    if box is None:
        raise BrokenShapeError(
            "an object with neither outline nor box was left out",
            "# objects with neither outline nor box were left out",
        )
    values = _read_numbers(box, "a box", "boxes")
    if len(values) != 4 or not (values[2:] > 0).all():
        raise BrokenShapeError("a box without an extent was left out", "# boxes without an extent were left out")
    left, top, width, height = values.tolist()
    last = 1.0 if np.array_equal(np.rint(values), values) else 0.0  # rectangles here reach over their last pixel
    points = ((left, top), (left + width - last, top + height - last))
    return [Rectangle(label=label, points_xy=points)], width * height


def _read_numbers(value: object, one: str, many: str) -> NDArray[np.float64]:
    try:
        if not isinstance(value, list):
            raise TypeError("no list")
        values = np.fromiter(value, dtype=np.float64, count=len(value))
    except (TypeError, ValueError, OverflowError):
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise BrokenShapeError(
            f"{one} had coordinates that are not numbers and was left out",
            f"# {many} had coordinates that are not numbers and were left out",
        )
    if values.size and np.abs(values).max() > FARTHEST:
        raise BrokenShapeError(
            f"{one} had a point more than a million pixels away and was left out",
            f"# {many} had points more than a million pixels away and were left out",
        )
    return values


def _mask(crop: Crop, label: str) -> MaskShape:
    if not crop.region.size:
        raise BrokenShapeError("a mask without a pixel was left out", "# masks without a pixel were left out")
    return mask_shape(crop, label)


def _as_drawn(drawn: list[Any], shape: MaskShape, canvas: Canvas) -> list[Shape] | None:
    """The Shapes as we wrote them beside their pixels; None when the pixels have been changed since."""
    try:
        if len(drawn) == 1 and drawn[0].get("shape_type") == MaskShape.kind:
            # its pixels are known; a point stands in for them, so that the other keys are read as always
            told, _ = read_shape({**drawn[0], "label": shape.label, "shape_type": "point", "points": [[0, 0]]})
            return [
                replace(
                    shape,
                    group_id=told.group_id,
                    description=told.description,
                    flags=told.flags,
                    extra=told.extra,
                )
            ]
        shapes = [replace(read_shape({**entry, "label": shape.label})[0], label=shape.label) for entry in drawn]
    except (BrokenShapeError, TypeError, AttributeError):
        return None
    if not shapes or any(isinstance(one, MaskShape) for one in shapes):
        return None
    crop = canvas.crop((one, True) for one in shapes)
    same = (crop.left, crop.top) == shape.points_xy[0] and np.array_equal(crop.region, shape.region)
    return shapes if same else None


# ---------------------------------------------------------------------------------------------------------- writing


def write_segmentation(crop: Crop, size: ImageSize) -> dict[str, Any] | list[list[int]]:
    """The exact pixels of a Crop that is not empty: outlines along their edges, runs where outlines cannot hold them.

    The lists of COCO are united, so they hold no hole.
    """
    around = np.pad(crop.region, 1).astype(np.uint8)
    pieces = cv2.connectedComponents(around, connectivity=4)[0] - 1
    holes = cv2.connectedComponents(1 - around, connectivity=8)[0] - 2
    if holes or pieces > _MANY_PIECES:
        return encode_coco(crop.region, size=size, top=crop.top, left=crop.left)
    outlines = trace_region(crop.region, top=crop.top, left=crop.left)
    return [[int(number) for point in outline.outer for number in point] for outline in outlines]


def write_as_drawn(shapes: Sequence[Shape]) -> list[dict[str, Any]]:
    """What the pixels of one object do not tell: its Shapes as Labelme has them, but for their label and their pixels.

    Empty when the pixels tell all, or when there are several Shapes and a mask among them.
    """
    if len(shapes) > 1 and any(isinstance(shape, MaskShape) for shape in shapes):
        return []
    entries = []
    for shape in shapes:
        extra = {key: value for key, value in shape.extra.items() if key != EXTRA_KEY}
        told = {"group_id": shape.group_id, "description": shape.description, "flags": dict(shape.flags), **extra}
        if isinstance(shape, MaskShape):
            if told == {"group_id": None, "description": None, "flags": {}}:
                continue
            entries.append({"shape_type": shape.kind, **told})
        else:
            entries.append({"shape_type": shape.kind, "points": [list(point) for point in shape.points_xy], **told})
    return entries
