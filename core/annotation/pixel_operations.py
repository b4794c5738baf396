"""Operations of the editor on the pixels of Shapes. Each wants indices that are there, each once, and in order."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.annotation.pixels import Box, box_of, pixels_in, tightened
from core.annotation.polygons import without_holes
from core.annotation.raster import drawn_box, mask_like, mask_of, shape_to_mask_shape
from core.annotation.shapes import MaskShape, PointsXY, Polygon, Shape
from core.annotation.splice import Options, Reshaped, Splice
from core.errors import ConfigError
from core.images import ImageSize


def add_polygon(
    shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Options, size: ImageSize
) -> Reshaped:
    """The one Shape becomes a mask that has the pixels of the polygon, too."""
    if len(at) > 1:
        raise ConfigError(f"A polygon can be added to one shape, {len(at)} are chosen.", hint="Choose one, or merge.")
    shape = shapes[at[0]]
    drawn = _polygon_mask(points_xy, shape, size)
    before = shape_to_mask_shape(shape, size)
    after = _union([mask for mask in (before, drawn) if mask is not None], like=shape)
    if before is not None and after.region.sum() == before.region.sum():
        return Reshaped((), "The polygon lies within the shape already.")
    return Reshaped((Splice(at[0], 1, (after,)),))


def subtract_polygon(
    shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Options, size: ImageSize
) -> Reshaped:
    """Each Shape that the polygon reaches into becomes a mask without the polygon's pixels."""
    drawn = _polygon_mask(points_xy, shapes[at[-1]], size)
    splices = []
    for i in reversed(at):
        left, changed = _without(shapes[i], (drawn,), size)
        if changed and left is None:
            raise ConfigError("Nothing would be left of the shape.", hint="Delete it instead.")
        if left is not None and changed:
            splices.append(Splice(i, 1, (left,)))
    return Reshaped(tuple(splices), "" if splices else "The polygon does not reach into the shape.")


def fill_holes(
    shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Options, size: ImageSize
) -> Reshaped:
    """Each Shape that has holes becomes a mask without."""
    splices, filled = [], 0
    for i in reversed(at):
        mask = mask_of(shapes[i], size)
        region, holes = without_holes(mask.region)
        if holes:
            splices.append(Splice(i, 1, (replace(mask, region=region),)))
            filled += holes
    counted = "1 hole was filled." if filled == 1 else f"{filled} holes were filled."
    return Reshaped(tuple(splices), counted if filled else "There are no holes.")


def merge(
    shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Options, size: ImageSize
) -> Reshaped:
    """The Shapes, of one label, become one mask at the place of the topmost."""
    if len(at) < 2:
        raise ConfigError("To merge, two shapes are needed.", hint="Choose another one with Shift.")
    labels = sorted({shapes[i].label for i in at})
    if len(labels) > 1:
        raise ConfigError(f"Shapes of different labels cannot be merged: {', '.join(labels)}.", hint="Relabel first.")
    masks = [mask for i in at if (mask := shape_to_mask_shape(shapes[i], size)) is not None]
    if not masks:
        raise ConfigError("None of the shapes has a pixel in the picture.", hint="Delete them instead.")
    merged = _union(masks, like=shapes[at[-1]])
    return Reshaped((Splice(at[-1], 1, (merged,)), *(Splice(i, 1, ()) for i in reversed(at[:-1]))))


def remove_underlying(
    shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Options, size: ImageSize
) -> Reshaped:
    """The pixels of the Shapes are taken out of all that are painted before them; what loses all is removed."""
    upper = [(i, mask) for i in at if (mask := shape_to_mask_shape(shapes[i], size)) is not None]
    edges = np.array([(i, *box_of(mask).corners_xy[0], *box_of(mask).corners_xy[1]) for i, mask in upper])
    splices, emptied = [], 0
    for i in reversed(range(at[-1] if upper else 0)):
        box = drawn_box(shapes[i], size)
        over = (edges[:, 0] > i) & (edges[:, 1] < box.right) & (edges[:, 2] < box.bottom)
        over &= (edges[:, 3] >= box.left) & (edges[:, 4] >= box.top)
        left, changed = _without(shapes[i], [upper[k][1] for k in np.flatnonzero(over)], size)
        if changed:
            splices.append(Splice(i, 1, () if left is None else (left,)))
            emptied += left is None
    if not splices:
        return Reshaped((), "Nothing lies under it.")
    hidden = "1 shape that was wholly hidden is" if emptied == 1 else f"{emptied} shapes that were wholly hidden are"
    return Reshaped(tuple(splices), f"{hidden} removed." if emptied else "")


def to_mask(
    shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Options, size: ImageSize
) -> Reshaped:
    """Each Shape as a mask of the pixels that it paints."""
    drawn = [i for i in reversed(at) if not isinstance(shapes[i], MaskShape)]
    splices = tuple(Splice(i, 1, (mask_of(shapes[i], size),)) for i in drawn)
    return Reshaped(splices, "" if splices else "It is a mask already.")


def _polygon_mask(points_xy: PointsXY, like: Shape, size: ImageSize) -> MaskShape:
    if len(set(points_xy)) < 3:
        raise ConfigError(f"A polygon needs 3 points, this one has {len(set(points_xy))}.", hint="Click once more.")
    drawn = shape_to_mask_shape(Polygon(label=like.label, points_xy=points_xy), size)
    if drawn is None:
        raise ConfigError("The polygon lies outside of the picture.")
    return drawn


def _union(masks: Sequence[MaskShape], *, like: Shape) -> MaskShape:
    box = box_of(masks[0])
    for mask in masks[1:]:
        box = box.joined(box_of(mask))
    if not box.is_possible:
        raise ConfigError(
            f"The shapes lie too far apart for one mask: its box would be {box.width} x {box.height} pixels.",
            hint="Give them one group instead: shapes of one label and group are one object.",
        )
    region = np.zeros((box.height, box.width), dtype=np.bool_)
    for mask in masks:
        own = box_of(mask)
        region[own.top - box.top : own.bottom - box.top, own.left - box.left : own.right - box.left] |= mask.region
    return mask_like(like, box, region)


def _without(shape: Shape, taken: Sequence[MaskShape], size: ImageSize) -> tuple[MaskShape | None, bool]:
    """What is left of `shape` without the pixels of `taken`, and whether it had any of them."""
    mask = shape_to_mask_shape(shape, size) if taken else None
    if mask is None:
        return None, False
    box, region, changed = box_of(mask), mask.region.copy(), False
    for other in taken:
        common = box.cut(box_of(other))
        if common.width and common.height:
            window = region[_rows_and_columns(common, box)]
            hidden = pixels_in(other, common)
            changed = changed or bool((window & hidden).any())
            window &= ~hidden
    return (tightened(replace(mask, region=region)), True) if changed else (mask, False)


def _rows_and_columns(box: Box, corner: Box) -> tuple[slice, slice]:
    top, left = box.top - corner.top, box.left - corner.left
    return slice(top, top + box.height), slice(left, left + box.width)
