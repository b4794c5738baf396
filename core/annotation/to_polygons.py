"""Shapes as polygons that paint the same pixels."""

import numpy as np

from core.annotation.pixels import box_of, pixels_in
from core.annotation.polygons import outline, parts_of, without_holes
from core.annotation.raster import drawn_box, mask_of, region_in_box
from core.annotation.shapes import MaskShape, PointsXY, Polygon, Shape
from core.annotation.splice import Options, Reshaped, Splice
from core.errors import ConfigError
from core.images import ImageSize


def to_polygons(
    shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Options, size: ImageSize
) -> Reshaped:
    """Each Shape as one polygon a part, which paints the same pixels.

    options: tolerance, pixels that an outline may stray to need fewer points (0: none, exact); holes, "keep" (a mask
    with holes stays a mask, because Labelme's polygons have none) or "drop" (they are filled). The note says how
    many pixels the polygons have in common with the masks, as IoU, where that is not all.
    """
    tolerance, drop = _polygon_options(options)
    splices, whole, same, together = [], 0, 0, 0
    for i in reversed(at):
        if isinstance(shapes[i], Polygon) and tolerance == 0:
            continue
        mask = mask_of(shapes[i], size)
        region, holes = without_holes(mask.region)
        if holes and not drop:
            whole += 1
            continue
        polygons = [
            _polygon_like(shapes[i], _moved(outline(part, tolerance=tolerance), mask)) for part in parts_of(region)
        ]
        splices.append(Splice(i, 1, tuple(polygons)))
        both, either = _overlap(mask, polygons, size)
        same, together = same + both, together + either
    notes = []
    if whole:
        kept = "1 shape with holes stays a mask" if whole == 1 else f"{whole} shapes with holes stay masks"
        notes.append(f"{kept}: a polygon cannot have holes.")
    elif not splices:
        notes.append("It is a polygon already.")
    if same < together:
        notes.append(f"IoU with the pixels before: {min(same / together, 0.9999):.4f}.")
    return Reshaped(tuple(splices), " ".join(notes))


def _polygon_options(options: Options) -> tuple[float, bool]:
    """The tolerance, and whether holes are dropped."""
    tolerance, holes = options.get("tolerance", 0), options.get("holes", "keep")
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance <= 1000:
        raise ConfigError(f"A tolerance of {tolerance!r} pixels is not possible.", hint="Choose 0 to 1000.")
    if holes not in ("keep", "drop"):
        raise ConfigError(f"Holes cannot be treated as {holes!r}.", hint="Choose keep or drop.")
    return float(tolerance), holes == "drop"


def _moved(points_xy: PointsXY, mask: MaskShape) -> PointsXY:
    """Points seen from the corner of the mask's box, in the picture."""
    (left, top), _ = mask.points_xy
    return tuple((x + left, y + top) for x, y in points_xy)


def _polygon_like(shape: Shape, points_xy: PointsXY) -> Polygon:
    return Polygon(
        label=shape.label,
        points_xy=points_xy,
        group_id=shape.group_id,
        description=shape.description,
        flags=shape.flags,
        extra=shape.extra,
    )


def _overlap(mask: MaskShape, polygons: list[Polygon], size: ImageSize) -> tuple[int, int]:
    """Pixels that the mask and the polygons have in common, and those that either has."""
    box = box_of(mask)
    for polygon in polygons:
        box = box.joined(drawn_box(polygon, size))
    painted = np.zeros((box.height, box.width), dtype=np.bool_)
    for polygon in polygons:
        own = drawn_box(polygon, size)
        window = painted[own.top - box.top : own.bottom - box.top, own.left - box.left : own.right - box.left]
        window |= region_in_box(polygon, own)
    given = pixels_in(mask, box)
    return int((painted & given).sum()), int((painted | given).sum())
