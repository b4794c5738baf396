"""One region of Label Studio's JSON: an entry of "result" to Shape and back (FORMATS 3.7).

Places and sizes are percent of the picture's width and height, whatever way it was turned for viewing.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from core.annotation.raster import shape_to_region
from core.annotation.shapes import (
    Circle,
    MaskShape,
    OrientedRectangle,
    Point,
    PointsXY,
    Polygon,
    Rectangle,
    Shape,
)
from core.formats.label_studio_brush import decode_brush, encode_brush
from core.formats.label_text import clean_label
from core.formats.labelme_shape import FARTHEST, BrokenShapeError
from core.formats.note import Note
from core.formats.pixel_corners import (
    Box,
    TurnedBox,
    box_of_corners,
    circle_points,
    corners_of_box,
    drawn_mask,
    ellipse_mask,
    radius_of,
    turned_box_of,
    turned_corners,
    within_picture,
)
from core.formats.rle import Crop
from core.images import ImageSize

EXTRA_KEY: Final = "label_studio"  # of a Shape's `extra`: what else the region held
KINDS: Final = {  # what a control is called -> its kind; labelled by themselves or by a control "Labels"
    "polygonlabels": "polygon",
    "rectanglelabels": "rectangle",
    "ellipselabels": "ellipse",
    "brushlabels": "brush",
    "keypointlabels": "keypoint",
}
_GEOMETRY: Final = ("polygon", "rectangle", "ellipse", "brush", "keypoint", "labels", *KINDS)
_SNAP: Final = 1e-6  # pixels within which percent of a whole number are taken for it
_HIDDEN: Final = 4  # last digits that rounding may change on the way to percent and back
_POINT_WIDTH: Final = 0.5  # percent; how large a point is shown
_OURS: Final = ("id", "type", "value", "original_width", "original_height", "from_name", "to_name", "meta")
_USUAL: Final = {"image_rotation": 0, "origin": "manual"}
Result = Mapping[str, Any]


def is_region(result: Result) -> bool:
    """Whether an entry of "result" is something drawn, not an answer to a question."""
    return str(result.get("type", "")).lower() in _GEOMETRY


def label_of(result: Result) -> str:
    """The label of a region; "" when it has none."""
    value = result.get("value")
    kind = str(result.get("type", "")).lower()
    for key in (kind, "labels", *KINDS):
        names = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(names, list) and names:
            return clean_label(names[0])
    return ""


def size_of_result(result: Result) -> ImageSize | None:
    """The size of the picture as a region tells it."""
    sides = [result.get("original_height"), result.get("original_width")]
    known = [side for side in sides if isinstance(side, int | float) and not isinstance(side, bool)]
    if len(known) < 2 or not all(1 <= side <= FARTHEST for side in known):
        return None
    return ImageSize(int(known[0]), int(known[1]))


# ---------------------------------------------------------------------------------------------------------- reading


def read_region(result: Result, label: str, size: ImageSize) -> tuple[Shape, list[Note]]:
    """The Shape of an entry that `is_region` on a picture of `size`. Raises BrokenShapeError."""
    value = result.get("value")
    if not isinstance(value, Mapping):
        raise BrokenShapeError("a region without a value was left out", "# regions without a value were left out")
    notes: list[Note] = []
    shape = _read_value(value, label, size, notes)
    names: list[Any] = next((value[key] for key in ("labels", *KINDS) if isinstance(value.get(key), list)), [])
    if len(names) > 1:
        notes.append(
            Note(
                "ignored",
                f"of several labels of one region only {label!r} was read",
                "of several labels of a region only the first was read, in # regions",
            )
        )
    extra = {str(key): item for key, item in result.items() if key not in _OURS and (key, item) not in _USUAL.items()}
    description = _read_meta(result.get("meta"))
    return replace(shape, description=description, extra={EXTRA_KEY: extra} if extra else {}), notes


def _read_value(value: Result, label: str, size: ImageSize, notes: list[Note]) -> Shape:
    if "rle" in value:
        return _read_brush(value, label, size)
    if "points" in value:
        return _read_polygon(value, label, size)
    if "radiusX" in value:
        return _read_ellipse(value, label, size, notes)
    if "height" in value:
        return _read_rectangle(value, label, size)
    if "x" in value and "y" in value:
        x, y = _numbers(value, ("x", "y"), "point")
        return Point(label=label, points_xy=((_pixels(x, size.width), _pixels(y, size.height)),))
    raise BrokenShapeError("a region of an unknown form was left out", "# regions of an unknown form were left out")


def _read_brush(value: Result, label: str, size: ImageSize) -> Shape:
    try:
        crop = decode_brush(value["rle"], size)
    except ValueError as error:
        raise BrokenShapeError(
            f"a mask was left out: {error}", "# masks whose runs cannot be read were left out"
        ) from error
    mask = drawn_mask(crop.region, label, top=crop.top, left=crop.left)
    if mask is None:
        raise BrokenShapeError("a mask without a pixel was left out", "# masks without a pixel were left out")
    return mask


def _read_polygon(value: Result, label: str, size: ImageSize) -> Shape:
    pairs = value["points"]
    if not isinstance(pairs, list) or len(pairs) < 3:
        raise BrokenShapeError(
            "a polygon had fewer than 3 points and was left out", "# polygons had fewer than 3 points and were left out"
        )
    points: list[tuple[float, float]] = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise _not_numbers("polygon")
        x, y = (_checked(number, "polygon") for number in pair)
        points.append((_pixels(x, size.width), _pixels(y, size.height)))
    return Polygon(label=label, points_xy=tuple(points))


def _read_rectangle(value: Result, label: str, size: ImageSize) -> Shape:
    x, y, across, down = _numbers(value, ("x", "y", "width", "height"), "rectangle")
    degrees = _checked(value.get("rotation") or 0, "rectangle") % 360
    left, top = _pixels(x, size.width), _pixels(y, size.height)
    width, height = _pixels(across, size.width), _pixels(down, size.height)
    points_xy = corners_of_box(Box(*(_snapped(side) for side in (left, top, left + width, top + height))))
    if degrees:
        return OrientedRectangle(label=label, points_xy=turned_corners(TurnedBox(left, top, width, height, degrees)))
    return Rectangle(label=label, points_xy=points_xy)


def _read_ellipse(value: Result, label: str, size: ImageSize, notes: list[Note]) -> Shape:
    x, y, radius_x, radius_y = _numbers(value, ("x", "y", "radiusX", "radiusY"), "ellipse")
    degrees = _checked(value.get("rotation") or 0, "ellipse")
    centre = (_pixels(x, size.width), _pixels(y, size.height))
    radii = (_pixels(radius_x, size.width), _pixels(radius_y, size.height))
    if min(radii) < 0:
        raise BrokenShapeError(
            "an ellipse of a negative radius was left out", "# ellipses of a negative radius were left out"
        )
    if abs(radii[0] - radii[1]) < _SNAP:
        return Circle(label=label, points_xy=circle_points(*centre, radii[0]))
    notes.append(Note("assumed", "an ellipse was read as its pixels", "# ellipses were read as their pixels"))
    return ellipse_mask(centre, radii, degrees, size, label)


def _read_meta(meta: object) -> str | None:
    """What a person wrote about a region."""
    lines = meta.get("text") if isinstance(meta, Mapping) else None
    if isinstance(lines, str):
        return lines
    return "\n".join(map(str, lines)) if isinstance(lines, list) and lines else None


def _pixels(percent: float, side: int) -> float:
    """Percent as pixels; a number of few digits that only rounding hides is found again (17.000000000000004)."""
    value = percent * side / 100
    short = round(value, 6)
    return short if abs(short - value) <= _HIDDEN * math.ulp(value) else value


def _snapped(value: float) -> float:
    return float(round(value)) if abs(value - round(value)) < _SNAP else value


def _numbers(value: Result, keys: Iterable[str], shown: str) -> list[float]:
    return [_checked(value.get(key), shown) for key in keys]


def _checked(number: object, shown: str) -> float:
    if isinstance(number, bool) or not isinstance(number, int | float) or number != number:
        raise _not_numbers(shown)
    if abs(number) > FARTHEST:  # infinities, too
        raise BrokenShapeError(
            f"a {shown} lay far outside of its picture and was left out",
            "# shapes lay far outside of their pictures and were left out",
        )
    return float(number)


def _not_numbers(shown: str) -> BrokenShapeError:
    return BrokenShapeError(
        f"a {shown} had coordinates that are not numbers and was left out",
        "# shapes had coordinates that are not numbers and were left out",
    )


# ---------------------------------------------------------------------------------------------------------- writing


def write_region(shape: Shape, number: int, size: ImageSize) -> dict[str, Any] | None:
    """The entry of "result" that paints the same pixels when it is read; None when there are none."""
    kind, value = _write_value(shape, size)
    if kind == "brush" or not _is_read_as(shape, value, size):
        kind = "brush"
        value = _write_brush(shape, size)
        if value is None:
            return None
    told = shape.extra.get(EXTRA_KEY)
    kept = {key: item for key, item in told.items() if key not in _OURS} if isinstance(told, Mapping) else {}
    return {
        "id": f"r{number}",
        "type": f"{kind}labels",
        "from_name": kind,
        "to_name": "image",
        "original_width": size.width,
        "original_height": size.height,
        **_USUAL,
        **kept,
        "value": {**(value or {}), f"{kind}labels": [shape.label]},
        **({"meta": {"text": [shape.description]}} if shape.description else {}),
    }


def _write_value(shape: Shape, size: ImageSize) -> tuple[str, dict[str, Any] | None]:
    """Kind of control, and its value without the label; None for what has to be written as pixels."""
    match shape:
        case Polygon():
            return "polygon", _polygon_value(shape.points_xy, size)
        case Rectangle():
            left, top, right, bottom = box_of_corners(shape.points_xy)
            return "rectangle", _box_value(TurnedBox(left, top, right - left, bottom - top, 0.0), size)
        case OrientedRectangle():
            turned = turned_box_of(shape.points_xy)
            if turned is None:
                return "polygon", _polygon_value(shape.points_xy, size)
            return "rectangle", _box_value(turned, size)
        case Circle():
            (x, y), radius = shape.points_xy[0], radius_of(shape.points_xy)
            if radius <= FARTHEST:
                place = {"x": _percent(x, size.width), "y": _percent(y, size.height)}
                radii = {"radiusX": _percent(radius, size.width), "radiusY": _percent(radius, size.height)}
                return "ellipse", {**place, **radii, "rotation": 0}
        case Point():
            x, y = shape.points_xy[0]
            place = {"x": _percent(x, size.width), "y": _percent(y, size.height)}
            return "keypoint", {**place, "width": _POINT_WIDTH}
    return "brush", None


def _polygon_value(points_xy: PointsXY, size: ImageSize) -> dict[str, Any]:
    points = [[_percent(x, size.width), _percent(y, size.height)] for x, y in points_xy]
    return {"points": points, "closed": True}


def _box_value(box: TurnedBox, size: ImageSize) -> dict[str, Any]:
    return {
        "x": _percent(box.left, size.width),
        "y": _percent(box.top, size.height),
        "width": _percent(box.width, size.width),
        "height": _percent(box.height, size.height),
        "rotation": box.degrees,
    }


def _write_brush(shape: Shape, size: ImageSize) -> dict[str, Any] | None:
    mask = within_picture(shape, size) if isinstance(shape, MaskShape) else None
    if not isinstance(shape, MaskShape):
        mask = drawn_mask(shape_to_region(shape, size), shape.label)
    if mask is None:
        return None
    (left, top), _ = mask.points_xy
    return {"format": "rle", "rle": encode_brush(Crop(int(top), int(left), mask.region), size)}


def _percent(value: float, side: int) -> float:
    """The percent that are read as this very number, where there are any."""
    lower = higher = percent = float(value) * 100 / side
    for _ in range(_HIDDEN):
        for candidate in (lower, higher):
            if _pixels(candidate, side) == value:
                return candidate
        lower, higher = math.nextafter(lower, -math.inf), math.nextafter(higher, math.inf)
    return percent


def _is_read_as(shape: Shape, value: Mapping[str, Any] | None, size: ImageSize) -> bool:
    """Whether `value` gives the points of `shape`, or at least its pixels."""
    try:
        again, _ = read_region({"value": value}, shape.label, size)
    except BrokenShapeError:
        return False
    if again.points_xy == shape.points_xy:
        return True
    return np.array_equal(shape_to_region(shape, size), shape_to_region(again, size))
