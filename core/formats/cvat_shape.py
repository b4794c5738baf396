"""One shape of CVAT's XML: element to Shape and back (FORMATS 3.3). What is drawn by hand keeps its coordinates."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from core.annotation.raster import shape_to_region
from core.annotation.shapes import (
    Circle,
    Line,
    LineStrip,
    MaskShape,
    OrientedRectangle,
    Point,
    Points,
    PointsXY,
    Polygon,
    Rectangle,
    Shape,
)
from core.formats.label_text import clean_label
from core.formats.labelme_shape import FARTHEST, BrokenShapeError
from core.formats.note import Note
from core.formats.pixel_corners import (
    Box,
    box_of_corners,
    circle_points,
    corners_of_box,
    drawn_mask,
    ellipse_mask,
    radius_of,
    turned_about_centre,
    turned_box_of,
    turned_corners,
    within_picture,
)
from core.formats.rle import decode_runs, encode_runs
from core.images import MAX_PIXELS, ImageSize

EXTRA_KEY: Final = "cvat"  # of a Shape's `extra`: what else the element held, as text; its <attribute>s by name
ATTRIBUTES: Final = "attributes"
SHAPES: Final = ("box", "polygon", "polyline", "points", "ellipse", "mask")
_OURS: Final = (
    *("label", "z_order", "group_id", "points", "xtl", "ytl", "xbr", "ybr", "rotation"),
    *("cx", "cy", "rx", "ry", "rle", "left", "top", "width", "height"),
)
_USUAL: Final = {"occluded": "0", "source": "manual"}  # written always, kept when they differ
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS: Final = {"points": "set of points"}


class Written(NamedTuple):
    """An element.  attributes: those of the tag.  children: <attribute>s by name."""

    tag: str
    attributes: dict[str, str]
    children: dict[str, str]


# ---------------------------------------------------------------------------------------------------------- reading


def read_element(element: Element, size: ImageSize) -> tuple[Shape, list[Note]]:
    """The Shape of an element of SHAPES on a picture of `size`, 0 x 0 when not known. Raises BrokenShapeError."""
    notes: list[Note] = []
    label = clean_label(element.get("label", ""))
    if not label:
        raise BrokenShapeError("a shape without a label was left out", "# shapes without a label were left out")
    shape = _READERS[element.tag](element, label, size, notes)
    extra = _read_extra(element)
    return replace(shape, group_id=_read_group(element, notes), extra={EXTRA_KEY: extra} if extra else {}), notes


def z_order(element: Element) -> int:
    """The layer of an element; 0 when it has none."""
    try:
        return int(element.get("z_order", "0"))
    except ValueError:
        return 0


def _read_box(element: Element, label: str, size: ImageSize, notes: list[Note]) -> Shape:
    box = Box(*(_number(element, key, "box") for key in ("xtl", "ytl", "xbr", "ybr")))
    degrees = _number(element, "rotation", "box", absent=0.0) % 360
    points_xy = corners_of_box(box)
    if degrees:
        return OrientedRectangle(label=label, points_xy=turned_corners(turned_about_centre(box, degrees)))
    return Rectangle(label=label, points_xy=points_xy)


def _read_polygon(element: Element, label: str, size: ImageSize, notes: list[Note]) -> Shape:
    points_xy = _read_points(element)
    if len(points_xy) < 3:
        raise BrokenShapeError(
            "a polygon had fewer than 3 points and was left out", "# polygons had fewer than 3 points and were left out"
        )
    return Polygon(label=label, points_xy=points_xy)


def _read_polyline(element: Element, label: str, size: ImageSize, notes: list[Note]) -> Shape:
    points_xy = _read_points(element)
    if len(points_xy) < 2:
        raise BrokenShapeError(
            "a polyline of a single point was left out", "# polylines of a single point were left out"
        )
    return (Line if len(points_xy) == 2 else LineStrip)(label=label, points_xy=points_xy)


def _read_point_set(element: Element, label: str, size: ImageSize, notes: list[Note]) -> Shape:
    points_xy = _read_points(element)
    return (Point if len(points_xy) == 1 else Points)(label=label, points_xy=points_xy)


def _read_ellipse(element: Element, label: str, size: ImageSize, notes: list[Note]) -> Shape:
    x, y, radius_x, radius_y = (_number(element, key, "ellipse") for key in ("cx", "cy", "rx", "ry"))
    degrees = _number(element, "rotation", "ellipse", absent=0.0)
    if min(radius_x, radius_y) < 0:
        raise BrokenShapeError(
            "an ellipse of a negative radius was left out", "# ellipses of a negative radius were left out"
        )
    if radius_x == radius_y:
        return Circle(label=label, points_xy=circle_points(x, y, radius_x))
    notes.append(Note("assumed", "an ellipse was read as its pixels", "# ellipses were read as their pixels"))
    return ellipse_mask((x, y), (radius_x, radius_y), degrees, size, label)


def _read_mask(element: Element, label: str, size: ImageSize, notes: list[Note]) -> Shape:
    left, top, width, height = (_whole(element, key) for key in ("left", "top", "width", "height"))
    if size.pixels and (width > size.width or height > size.height):
        raise BrokenShapeError(
            f"a mask of {width} x {height} pixels was left out, its picture has {size}",
            "# masks larger than their pictures were left out",
        )
    runs = element.get("rle", "").split(",")
    try:
        region = decode_runs([] if runs == [""] else runs, height, width)
    except ValueError as error:
        raise BrokenShapeError(
            f"a mask was left out: {error}", "# masks whose runs cannot be read were left out"
        ) from error
    mask = drawn_mask(region, label, top=top, left=left)
    if mask is None:
        raise BrokenShapeError("a mask without a pixel was left out", "# masks without a pixel were left out")
    return mask


_READERS: Final = {
    "box": _read_box,
    "polygon": _read_polygon,
    "polyline": _read_polyline,
    "points": _read_point_set,
    "ellipse": _read_ellipse,
    "mask": _read_mask,
}


def _read_points(element: Element) -> PointsXY:
    """The pairs of points="x,y;x,y"."""
    shown = _WORDS.get(element.tag, element.tag)
    text = element.get("points", "").strip().strip(";")
    if not text:
        raise BrokenShapeError(f"a {shown} without points was left out", "# shapes without points were left out")
    pairs = [pair.split(",") for pair in text.split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise _not_numbers(shown)
    return tuple((_checked(x, shown), _checked(y, shown)) for x, y in pairs)


def _number(element: Element, key: str, shown: str, *, absent: float = math.nan) -> float:
    text = element.get(key)
    if text is None and not math.isnan(absent):
        return absent
    return _checked(text or "", shown)


def _whole(element: Element, key: str) -> int:
    value = _number(element, key, "mask")
    if value != round(value):
        raise _not_numbers("mask")
    return int(value)


def _checked(text: str, shown: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _not_numbers(shown)
    if abs(value) > FARTHEST:
        raise BrokenShapeError(
            f"a {shown} had a point more than a million pixels away and was left out",
            "# shapes had points more than a million pixels away and were left out",
        )
    return value


def _not_numbers(shown: str) -> BrokenShapeError:
    return BrokenShapeError(
        f"a {shown} had coordinates that are not numbers and was left out",
        "# shapes had coordinates that are not numbers and were left out",
    )


def _read_group(element: Element, notes: list[Note]) -> int | None:
    """CVAT's group; 0 is none."""
    try:
        return int(element.get("group_id", "0")) or None
    except ValueError:
        notes.append(Note("ignored", "a group id that is not a whole number was left out", "# group ids were left out"))
        return None


def _read_extra(element: Element) -> dict[str, Any]:
    kept: dict[str, Any] = {
        key: value for key, value in element.attrib.items() if key not in _OURS and _USUAL.get(key) != value
    }
    attributes = {
        child.get("name", ""): child.text or "" for child in element if child.tag == "attribute" and child.get("name")
    }
    return {**kept, ATTRIBUTES: attributes} if attributes else kept


# ---------------------------------------------------------------------------------------------------------- writing


def write_element(shape: Shape, size: ImageSize) -> Written | None:
    """The element that paints the same pixels on a picture of `size` when it is read; None when there are none.

    z_order and group_id are the caller's.
    """
    tag, geometry = _geometry(shape, size)
    if not tag:
        return None
    told = shape.extra.get(EXTRA_KEY)
    kept = told if isinstance(told, Mapping) else {}
    attributes = {
        str(key): str(value)
        for key, value in kept.items()
        if isinstance(value, str | int | float) and key not in (*_OURS, ATTRIBUTES) and _NAME.fullmatch(str(key))
    }
    children = kept.get(ATTRIBUTES)
    return Written(
        tag,
        {"label": shape.label, **_USUAL, **attributes, **geometry},
        {str(key): str(value) for key, value in children.items()} if isinstance(children, Mapping) else {},
    )


def _geometry(shape: Shape, size: ImageSize) -> tuple[str, dict[str, str]]:
    match shape:
        case MaskShape():
            return _mask(shape, size)
        case Rectangle():
            return "box", dict(
                zip(("xtl", "ytl", "xbr", "ybr"), map(_text, box_of_corners(shape.points_xy)), strict=True)
            )
        case OrientedRectangle():
            return _turned_box(shape, size) or ("polygon", _points(shape))
        case Circle():
            return _ellipse(shape, size) or _pixels(shape, size)
        case Polygon():
            return "polygon", _points(shape)
        case Line() | LineStrip():
            return "polyline", _points(shape)
        case Point() | Points():
            return "points", _points(shape)


def _mask(shape: MaskShape, size: ImageSize) -> tuple[str, dict[str, str]]:
    """CVAT's masks lie inside of their picture."""
    inside = within_picture(shape, size)
    if inside is None:
        return "", {}
    (left, top), _ = inside.points_xy
    height, width = inside.region.shape
    box = {"left": int(left), "top": int(top), "width": width, "height": height}
    return "mask", {
        "rle": ", ".join(map(str, encode_runs(inside.region))),
        **{key: str(value) for key, value in box.items()},
    }


def _pixels(shape: Shape, size: ImageSize) -> tuple[str, dict[str, str]]:
    mask = drawn_mask(shape_to_region(shape, size), shape.label)
    return _mask(mask, size) if mask else ("", {})


def _ellipse(shape: Circle, size: ImageSize) -> tuple[str, dict[str, str]] | None:
    (x, y), radius = shape.points_xy[0], radius_of(shape.points_xy)
    again = replace(shape, points_xy=circle_points(x, y, radius))
    if radius > FARTHEST or not _same_pixels(shape, again, size):
        return None
    return "ellipse", {"cx": _text(x), "cy": _text(y), "rx": _text(radius), "ry": _text(radius)}


def _turned_box(shape: OrientedRectangle, size: ImageSize) -> tuple[str, dict[str, str]] | None:
    """As a box with a rotation, when that gives the same pixels; with two decimals, when it gives the same points."""
    turned = turned_box_of(shape.points_xy)
    if turned is None:
        return None
    x, y = turned.centre
    half_width, half_height = turned.width / 2, turned.height / 2
    exact = (x - half_width, y - half_height, x + half_width, y + half_height, turned.degrees)
    for numbers in (tuple(round(number, 2) for number in exact), exact):
        degrees = numbers[4] % 360
        if not degrees:
            continue
        box = Box(*numbers[:4])
        again = replace(shape, points_xy=turned_corners(turned_about_centre(box, degrees)))
        if again.points_xy == shape.points_xy or (numbers is exact and _same_pixels(shape, again, size)):
            sides = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(_text, box), strict=True))
            return "box", {**sides, "rotation": _text(degrees)}
    return None


def _same_pixels(one: Shape, other: Shape, size: ImageSize) -> bool:
    if one.points_xy == other.points_xy:
        return True
    if size.pixels > MAX_PIXELS:
        return False
    return np.array_equal(shape_to_region(one, size), shape_to_region(other, size))


def _points(shape: Shape) -> dict[str, str]:
    return {"points": ";".join(f"{_text(x)},{_text(y)}" for x, y in shape.points_xy)}


def _text(value: float) -> str:
    """With two decimals as CVAT writes, or as many as are needed to read the very same number."""
    short = f"{value:.2f}"
    return short if float(short) == value else repr(float(value))
