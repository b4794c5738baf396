"""Holes as X-AnyLabeling's users draw them: a polygon marked `difficult` inside of another one of its group."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image

from core.annotation.raster import paint_shape
from core.annotation.shapes import MaskShape, Polygon, Shape
from core.formats.note import Note
from core.formats.pixel_corners import drawn_mask
from core.images import MAX_PIXELS

_MARK: Final = "difficult"  # Labelme's own files have no such key
_CUT: Final = (
    "a polygon marked difficult inside of another one of its group was read as a hole",
    "# polygons marked difficult inside of others of their group were read as holes",
)
_UNCUT: Final = (
    "a polygon marked difficult could not be cut out of the one around it and was read as a polygon",
    "# polygons marked difficult could not be cut out of those around them and were read as polygons",
)
_BORDER: Final = 1.0  # pixels by which a hole may reach over its outline, as hands draw


def cut_holes(shapes: Sequence[Shape]) -> tuple[list[Shape], list[Note]]:
    """`shapes` with each polygon that has holes as the mask of its pixels, in its place, the holes gone.

    A polygon marked difficult that lies in none of its group and label is no hole and stays as it is.
    """
    holes: dict[int, list[int]] = {}  # place of an outline -> places of its holes
    for i, shape in enumerate(shapes):
        if _is_marked(shape) and shape.group_id is not None:
            outline = next((k for k, other in enumerate(shapes) if _encloses(other, shape)), None)
            if outline is not None:
                holes.setdefault(outline, []).append(i)
    masks: dict[int, MaskShape] = {}
    notes: list[Note] = []
    for outline, places in holes.items():
        mask = _cut(shapes[outline], [shapes[i] for i in places])
        if mask is None:
            notes += [Note("ignored", *_UNCUT)] * len(places)
        else:
            masks[outline] = mask
            notes += [Note("assumed", *_CUT)] * len(places)
    gone = {i for outline in masks for i in holes[outline]}
    return [masks.get(i, shape) for i, shape in enumerate(shapes) if i not in gone], notes


def _is_marked(shape: Shape) -> bool:
    return isinstance(shape, Polygon) and shape.extra.get(_MARK) is True


def _encloses(outline: Shape, hole: Shape) -> bool:
    if not isinstance(outline, Polygon) or _is_marked(outline):
        return False
    if (outline.group_id, outline.label) != (hole.group_id, hole.label):
        return False
    left, top, right, bottom = _box([outline])
    inner = _box([hole])
    return (
        inner[0] >= left - _BORDER
        and inner[1] >= top - _BORDER
        and inner[2] <= right + _BORDER
        and inner[3] <= bottom + _BORDER
    )


def _cut(outline: Shape, holes: Sequence[Shape]) -> MaskShape | None:
    """What is left of an outline; None when it keeps no pixel, or is too large for memory."""
    _, low, right, high = _box([outline])
    top = max(math.floor(low) - 1, 0)
    width, height = math.ceil(right) + 2, math.ceil(high) + 2 - top
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        return None
    canvas = Image.new("L", (width, height))  # moved up only: moved sideways, Pillow would round differently
    for value, shape in ((1, outline), *((0, hole) for hole in holes)):
        moved = tuple((x, y - top) for x, y in shape.points_xy)
        paint_shape(canvas, replace(shape, points_xy=moved), value)
    mask = drawn_mask(np.asarray(canvas).astype(bool), outline.label, top=top)
    if mask is None:
        return None
    kept = {"group_id": outline.group_id, "description": outline.description}
    return replace(mask, **kept, flags=outline.flags, extra=outline.extra)


def _box(shapes: Iterable[Shape]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the points."""
    xs, ys = zip(*(point for shape in shapes for point in shape.points_xy), strict=True)
    return min(xs), min(ys), max(xs), max(ys)
