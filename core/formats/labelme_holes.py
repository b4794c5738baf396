"""Holes as X-AnyLabeling's users draw them: a polygon marked `difficult` inside of another one of its group."""

import math
from collections.abc import Sequence
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
    marked = [i for i, shape in enumerate(shapes) if _is_marked(shape)]
    groups: dict[tuple[int | None, str], list[int]] = {}
    for i, shape in enumerate(shapes if marked else ()):
        if isinstance(shape, Polygon) and shape.group_id is not None and not _is_marked(shape):
            groups.setdefault((shape.group_id, shape.label), []).append(i)
    for i in marked:
        around = [k for k in groups.get((shapes[i].group_id, shapes[i].label), ()) if _encloses(shapes[k], shapes[i])]
        if around:
            holes.setdefault(min(around, key=lambda k: _area(shapes[k])), []).append(i)
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
    left, top, right, bottom = _box(outline)
    x1, y1, x2, y2 = _box(hole)
    return x1 >= left - _BORDER and y1 >= top - _BORDER and x2 <= right + _BORDER and y2 <= bottom + _BORDER


def _area(shape: Shape) -> float:
    left, top, right, bottom = _box(shape)
    return (right - left) * (bottom - top)


def _cut(outline: Shape, holes: Sequence[Shape]) -> MaskShape | None:
    """What is left of an outline; None when it keeps no pixel, or is too large for memory."""
    _, low, right, high = _box(outline)
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
    told = replace(mask, group_id=outline.group_id, description=outline.description)
    return replace(told, flags=outline.flags, extra=outline.extra)


def _box(shape: Shape) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the points."""
    xs, ys = zip(*shape.points_xy, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
