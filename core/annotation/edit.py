"""Pure corrections of a Mask, and of the Annotation that it came from: each function returns a new one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.annotation.labels import IGNORE, IGNORE_ID, LabelSet
from core.annotation.raster import Mask, paint_shape, region_to_shapes
from core.annotation.shapes import Annotation, MaskShape, PointsXY, Region, Shape
from core.images import ImageSize

NOBODY: Final = -1
Window = tuple[slice, slice]  # rows and columns
Owners = NDArray[np.int32]  # (H, W): index of the topmost Shape at each pixel, NOBODY where there is none


@dataclass(frozen=True)
class Stroke:
    """One sweep of a round brush in picture coordinates: its path, its diameter in picture pixels, what it paints.

    A brush `width` of 1 paints the pixels that the path passes through.
    """

    points_xy: PointsXY
    width: float
    class_id: int


def paint_strokes(mask: Mask, strokes: Iterable[Stroke]) -> Mask:
    """`mask` with each stroke painted over it in order; class id 0 erases."""
    painted = mask.copy()
    size = ImageSize(*mask.shape)
    for stroke in strokes:
        part, moved = _around(stroke, size)  # a short stroke on a large picture costs only what it touches
        window = painted[part]
        window[stroke_region(moved, ImageSize(*window.shape))] = stroke.class_id
    return painted


def _around(stroke: Stroke, size: ImageSize) -> tuple[tuple[slice, slice], Stroke]:
    """The rows and columns that a stroke can touch, and the stroke as seen from their corner."""
    if not stroke.points_xy:
        return (slice(0), slice(0)), stroke
    reach = stroke.width / 2 + 1
    xs, ys = zip(*stroke.points_xy, strict=True)
    top, bottom = _pixels(min(ys) - reach, max(ys) + reach, size.height)
    left, right = _pixels(min(xs) - reach, max(xs) + reach, size.width)
    points = tuple((x - left, y - top) for x, y in stroke.points_xy)
    return (slice(top, max(top, bottom)), slice(left, max(left, right))), replace(stroke, points_xy=points)


def stroke_region(stroke: Stroke, size: ImageSize) -> Region:
    """Pixels whose centre lies within half a width of the path, and those that the path itself crosses; (H, W) bool."""
    region = np.zeros(size, dtype=bool)
    if not stroke.points_xy:
        return region
    radius = stroke.width / 2
    path = np.asarray(stroke.points_xy, dtype=np.float64)
    starts, ends = (path, path) if len(path) == 1 else (path[:-1], path[1:])
    for (x0, y0), (x1, y1) in zip(starts, ends, strict=True):
        top, bottom = _pixels(min(y0, y1) - radius, max(y0, y1) + radius, size.height)
        left, right = _pixels(min(x0, x1) - radius, max(x0, x1) + radius, size.width)
        if top >= bottom or left >= right:
            continue
        ys, xs = np.mgrid[top:bottom, left:right] + 0.5  # pixel centres
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((xs - x0) * dx + (ys - y0) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        near = (xs - x0 - along * dx) ** 2 + (ys - y0 - along * dy) ** 2 <= radius * radius
        region[top:bottom, left:right] |= near
    # a thin stroke would leave gaps between centres
    canvas = Image.new("1", (size.width, size.height))
    ImageDraw.Draw(canvas).line([(float(np.floor(x)), float(np.floor(y))) for x, y in path], fill=1)
    if len(path) == 1:
        ImageDraw.Draw(canvas).point((float(np.floor(path[0, 0])), float(np.floor(path[0, 1]))), fill=1)
    return region | np.asarray(canvas)


def _pixels(low: float, high: float, limit: int) -> tuple[int, int]:
    return max(0, int(np.floor(low))), min(limit, int(np.ceil(high)) + 1)


def merge_edited(annotation: Annotation, edited: Mask, labels: LabelSet) -> Annotation:
    """The Annotation after its Mask was painted over; it rasterises to exactly `edited`, (H, W) of the same size.

    Shapes whose visible pixels are as they were stay as they are, in order. What is left of the others becomes
    MaskShapes with the group, flags and description that the Shape had; new pixels that touch one of these, or a
    MaskShape, grow it, and other new pixels are objects of their own. Shapes of labels that `labels` does not have
    paint nothing and stay.
    """
    if edited.shape != annotation.size:
        raise ValueError(f"the edited mask must be {annotation.size}, got {edited.shape}")
    shapes = annotation.shapes
    ids = [_class_of(shape, labels) for shape in shapes]
    classes = np.array([*(i or 0 for i in ids), 0], dtype=np.uint8)  # by index; the last one is NOBODY's
    kept = [i for i, class_id in enumerate(ids) if class_id is not None]
    owners = remaining = _owners(annotation, kept)
    changed = classes[owners] != edited
    leaving = set(np.unique(owners[changed]).tolist()) - {NOBODY} | _grown(shapes, classes, owners, changed, edited)
    dropped: set[int] = set()
    while leaving:
        dropped |= leaving
        kept = [i for i in kept if i not in dropped]
        remaining = _owners(annotation, kept)
        # background cannot be painted over a Shape, so one that shows where nothing shall be has to go as well
        leaving = set(np.unique(remaining[(edited == 0) & (classes[remaining] != 0)]).tolist())
    missing = classes[remaining] != edited
    if not missing.any():
        return replace(annotation, shapes=tuple(shape for i, shape in enumerate(shapes) if i not in dropped))
    window = _window(missing)
    whose = np.where(missing[window] & ~changed[window], owners[window], NOBODY)
    pieces = _pieces(shapes, whose, np.where(missing[window], edited[window], 0), labels, window)
    return replace(annotation, shapes=(*(shape for i, shape in enumerate(shapes) if i not in dropped), *pieces))


def _window(region: Region) -> Window:
    """The rows and columns that hold all of `region`."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _class_of(shape: Shape, labels: LabelSet) -> int | None:
    return labels.id_of(shape.label) if shape.label in labels or shape.label == IGNORE else None


def _owners(annotation: Annotation, kept: Iterable[int]) -> Owners:
    canvas = Image.new("I", (annotation.size.width, annotation.size.height), NOBODY)
    for i in kept:
        paint_shape(canvas, annotation.shapes[i], i)
    return np.array(canvas, dtype=np.int32)


def _grown(
    shapes: Sequence[Shape], classes: NDArray[np.uint8], owners: Owners, changed: Region, edited: Mask
) -> set[int]:
    """MaskShapes that new pixels of their class touch. They are pixels anyway, so they take them in."""
    new = np.nonzero(changed & (edited != 0))
    near = _neighbours(owners, new)
    touching = np.unique(near[classes[near] == edited[new]]).tolist()
    return {i for i in touching if isinstance(shapes[i], MaskShape)}


def _pieces(
    shapes: Sequence[Shape], whose: Owners, painted: Mask, labels: LabelSet, place: Window
) -> tuple[MaskShape, ...]:
    """MaskShapes that paint the classes of `painted`, the part at `place` of the picture.

    whose: the Shape that a pixel belonged to, if it is not new.
    """
    pieces: list[MaskShape] = []
    for class_id in np.flatnonzero(np.bincount(painted.ravel(), minlength=256)).tolist():
        if class_id == 0:
            continue
        label = IGNORE if class_id == IGNORE_ID else labels.names[class_id]
        region = painted == class_id
        owners = _with_new(whose, region)
        _, objects, boxes, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
        for k, (left, top, width, height) in enumerate(boxes[1:, :4].tolist(), start=1):
            window = slice(top, top + height), slice(left, left + width)
            part, part_owners = objects[window] == k, owners[window]
            for i in np.unique(part_owners[part]).tolist():
                at = {"top": place[0].start + top, "left": place[1].start + left}
                found = region_to_shapes(part & (part_owners == i), label, **at)
                pieces += found if i == NOBODY else [_like(shapes[i], piece) for piece in found]
    return tuple(pieces)


def _with_new(whose: Owners, region: Region) -> Owners:
    """The owners inside `region`, where each object of new pixels goes to the owner that it touches most."""
    owners = np.where(region, whose, np.int32(NOBODY))
    count, objects = cv2.connectedComponents((region & (owners == NOBODY)).astype(np.uint8), connectivity=8)
    new = np.nonzero(objects)
    near = _neighbours(owners, new)
    pairs = np.stack([np.broadcast_to(objects[new], near.shape)[near != NOBODY], near[near != NOBODY]])
    found, contact = np.unique(pairs, axis=1, return_counts=True)
    order = np.argsort(contact, kind="stable")
    taken = np.full(count, NOBODY, dtype=np.int32)
    taken[found[0][order]] = found[1][order]  # the most contact comes last and stays
    return np.where(objects > 0, taken[objects], owners)


def _neighbours(owners: Owners, pixels: tuple[NDArray[np.intp], ...]) -> Owners:
    """The owners around each of N pixels and at it, (9, N)."""
    rows, columns = pixels
    if len(rows) == 0:
        return np.full((9, 0), NOBODY, dtype=np.int32)
    top, left = rows.min(), columns.min()
    window = owners[max(0, top - 1) : rows.max() + 2, max(0, left - 1) : columns.max() + 2]
    padded = np.pad(window, 1, constant_values=NOBODY)
    rows, columns = rows - max(0, top - 1), columns - max(0, left - 1)
    return np.stack([padded[rows + down, columns + right] for down in range(3) for right in range(3)])


def _like(source: Shape, part: MaskShape) -> MaskShape:
    """`part` with what the person said about the Shape that it came from."""
    return replace(part, group_id=source.group_id, description=source.description, flags=source.flags)
