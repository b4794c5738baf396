"""One feature of GeoJSON as Shapes, and back (FORMATS 3.6). Its geometry is in pixel corners of the upright picture.

A Polygon with holes, or along pixel edges, becomes the very pixels; other outlines stay Polygons. What a geometry does
not tell (the kind of a Shape, its group, its description) stands in our own property `maskloop`, and counts only as
long as the geometry is still the one that was written with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from core.annotation.fill import follows_pixel_edges, mask_from_parts
from core.annotation.shapes import (
    Line,
    LineStrip,
    MaskShape,
    OrientedRectangle,
    Point,
    Points,
    PointsXY,
    Polygon,
    Shape,
)
from core.formats.geo import XY
from core.formats.geojson_feature import Feature, Piece, Rings, as_object, label_of
from core.formats.labelme_shape import FARTHEST, BrokenShapeError, read_shape, write_shape
from core.formats.shape_outline import shape_outlines, without_touching
from core.images import MAX_PIXELS, ImageSize

OWN_KEY: Final = "maskloop"
NO_LABEL: Final = "object"
_TOLD: Final = ("shape_type", "group_id", "description", "flags")  # keys of Labelme that a geometry does not have
_TRACED: Final = 1e-4  # pixels

# ------------------------------------------------------------------------------------------------------------- shapes


def feature_shapes(feature: Feature, size: ImageSize) -> list[Shape]:
    """The Shapes of a feature without a problem, its geometry in pixel corners. Several are one object.

    size: of the picture, 0 x 0 when not known. Raises BrokenShapeError.
    """
    label = label_of(feature.properties)[0] or NO_LABEL
    if any(not (np.abs(ring) <= FARTHEST).all() for piece in feature.pieces for ring in piece.rings):
        raise BrokenShapeError(
            "a geometry reached more than a million pixels away and was left out",
            "# geometries reached more than a million pixels away and were left out",
        )
    plain = _plain_shapes(feature.pieces, label, size)
    own = as_object(feature.properties.get(OWN_KEY)) or {}
    drawn = _as_drawn(as_object(own.get("shape")), own.get("reversed") is True, feature.pieces, plain, size)
    return plain if drawn is None else [drawn]


def _plain_shapes(pieces: Sequence[Piece], label: str, size: ImageSize) -> list[Shape]:
    shapes: list[Shape] = []
    polygons = [_as_points(piece.rings) for piece in pieces if piece.kind == "Polygon"]
    if polygons:
        rings = [ring for polygon in polygons for ring in polygon]
        if follows_pixel_edges(rings, tolerance=_TRACED) or len(rings) > len(polygons):
            shapes.append(_pixels_of(polygons, label, size))
        else:
            shapes += [Polygon(label=label, points_xy=ring) for ring in rings]
    for piece in pieces:
        (points,) = _as_points(piece.rings[:1])
        if piece.kind == "Point":
            shapes.append(Point(label=label, points_xy=points))
        elif piece.kind == "MultiPoint":
            shapes.append(Points(label=label, points_xy=points))
        elif piece.kind == "LineString":
            if len(points) < 2:
                raise BrokenShapeError("a line of one point was left out", "# lines of one point were left out")
            two = len(points) == 2
            shapes.append(Line(label=label, points_xy=points) if two else LineStrip(label=label, points_xy=points))
    return shapes


def _pixels_of(polygons: Sequence[Sequence[PointsXY]], label: str, size: ImageSize) -> MaskShape:
    if not size.pixels:  # not known: as large as the outlines
        width, height = (max(int(max(point[axis] for point in polygon[0])) for polygon in polygons) for axis in (0, 1))
        size = ImageSize(max(height, 0) + 1, max(width, 0) + 1)
    try:
        if size.pixels > MAX_PIXELS:
            raise ValueError("it would have too many pixels")
        shape = mask_from_parts(polygons, label, size)
    except ValueError as error:
        raise BrokenShapeError(f"an outline was left out: {error}", "# outlines too large were left out") from error
    if shape is None:
        raise BrokenShapeError(
            "an outline marks no pixel and was left out", "# outlines mark no pixel and were left out"
        )
    return shape


def _as_points(rings: Rings) -> list[PointsXY]:
    return [tuple((x, y) for x, y in ring.tolist()) for ring in rings]


def _as_drawn(
    told: Mapping[str, Any] | None, turned: bool, pieces: Sequence[Piece], plain: Sequence[Shape], size: ImageSize
) -> Shape | None:
    """The Shape as we wrote it beside its geometry; None when the geometry is not that one any more."""
    if told is None or not plain:
        return None
    label = plain[0].label
    try:
        if told.get("shape_type") == MaskShape.kind:
            point, _ = read_shape({**told, "label": label, "shape_type": "point", "points": [[0, 0]]})
            (mask,) = plain
            common = {key: getattr(point, key) for key in ("label", "group_id", "description", "flags", "extra")}
            return replace(mask, **common) if isinstance(mask, MaskShape) else None
        if "points" in told:
            drawn, _ = read_shape({**told, "label": label})
            return drawn if _marks(drawn, size) == list(plain) else None
        if len(pieces) != 1 or len(pieces[0].rings) != 1:
            return None
        points = pieces[0].rings[0].tolist()
        drawn, _ = read_shape({**told, "label": label, "points": points[::-1] if turned else points})
        return drawn if _geometry_kind(drawn) == pieces[0].kind else None
    except (BrokenShapeError, ValueError, TypeError):
        return None


def _marks(shape: Shape, size: ImageSize) -> list[MaskShape]:
    parts = [(outline.outer, *outline.holes) for outline in shape_outlines(shape, size)]
    mask = mask_from_parts(parts, shape.label, size)
    return [mask] if mask else []


# ------------------------------------------------------------------------------------------------------------- writing


def write_feature(shape: Shape, size: ImageSize, to_written: Callable[[XY], XY]) -> dict[str, Any] | None:
    """The geometry of `shape`, and what of it the geometry does not tell, as {"geometry", "shape", "reversed"}.

    to_written: pixel corners as the coordinates to write. None when a Shape that needs pixels marks none.
    """
    entry = write_shape(shape)
    told = {
        key: value for key, value in entry.items() if key in shape.extra or (key in _TOLD and value not in (None, {}))
    }
    kind = _geometry_kind(shape)
    if kind is None or (kind == "Polygon" and follows_pixel_edges([shape.points_xy], tolerance=_TRACED)):
        outlines = [without_touching(outline) for outline in shape_outlines(shape, size)]
        if not outlines:
            return None
        if not isinstance(shape, MaskShape):
            told["points"] = entry["points"]
        written = [_closed((outline.outer, *outline.holes), to_written)[0] for outline in outlines]
        several = len(written) > 1
        geometry = {"type": "MultiPolygon" if several else "Polygon", "coordinates": written if several else written[0]}
        return {"geometry": geometry, "shape": told}
    if kind == "Polygon":
        rings, turned = _closed([shape.points_xy], to_written)
        return {
            "geometry": {"type": kind, "coordinates": rings},
            "shape": told,
            **({"reversed": True} if turned else {}),
        }
    points = to_written(np.array(shape.points_xy)).tolist()
    return {"geometry": {"type": kind, "coordinates": points[0] if kind == "Point" else points}, "shape": told}


def _geometry_kind(shape: Shape) -> str | None:
    """The geometry whose positions are the points of `shape`; None when it needs the outline of its pixels."""
    match shape:
        case Polygon() | OrientedRectangle():
            return "Polygon"
        case Point():
            return "Point"
        case Points():
            return "MultiPoint"
        case Line() | LineStrip():
            return "LineString"
    return None


def _closed(rings: Sequence[PointsXY], to_written: Callable[[XY], XY]) -> tuple[list[list[list[float]]], bool]:
    """Rings that end where they begin, the outer one counter-clockwise, holes clockwise; whether the outer turned."""
    written = []
    turned = False
    for i, ring in enumerate(rings):
        points = to_written(np.array(ring))
        xs, ys = (points - points[0]).T
        counter_clockwise = float(np.sum(xs * np.roll(ys, -1) - np.roll(xs, -1) * ys)) >= 0
        if counter_clockwise != (i == 0):
            points = points[::-1]
            turned = turned or i == 0
        whole = np.rint(points)
        corners = (whole.astype(np.int64) if (whole == points).all() else points).tolist()
        written.append([*corners, corners[0]])
    return written, turned
