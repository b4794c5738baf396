"""Shapes, edits and documents as the browser's editor sends and gets them, and Shapes and Edits of ours.

    {"kind": "polygon", "label": "car", "points": [[x, y], ...], "group_id": null, "description": null, "flags": {}, "extra": {}}
    {"kind": "mask", "label": "car", "box": [left, top, width, height], "rle": [n0, n1, ...], ...the same other keys}

Points are (x, y) in pixels of the picture. `rle` are runs row by row in the box, the first of pixels that are not drawn.
What comes in is not trusted: whatever cannot be raises ReadError with one sentence.
"""  # noqa: E501

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from core.annotation.pixels import Box, box_of
from core.annotation.shapes import SHAPE_KINDS, MaskShape, PointsXY, Shape
from core.errors import ReadError
from core.formats.labelme_shape import FARTHEST, SHAPE_KEYS
from core.formats.labelme_text import finite
from core.formats.rle import decode_runs, encode_runs
from core.project.document import Document
from core.project.edits import Edit, Paint, Replace, Reshape
from core.project.steps import Replaced

MOST_POINTS: Final = 200_000  # of one Shape
_DEEPEST: Final = 50  # lists and objects within one another in `extra`

Wire = dict[str, Any]


def shape_to_wire(shape: Shape) -> Wire:
    wire: Wire = {"kind": shape.kind, "label": shape.label}
    if isinstance(shape, MaskShape):
        wire |= {"box": list(box_of(shape)), "rle": encode_runs(shape.region)}
    else:
        wire["points"] = [[x, y] for x, y in shape.points_xy]
    others = {"group_id": shape.group_id, "description": shape.description, "flags": dict(shape.flags)}
    return wire | others | {"extra": finite(shape.extra)}


def splice_to_wire(step: Replaced) -> Wire:
    return {"at": step.at, "remove": len(step.removed), "add": [shape_to_wire(item.shape) for item in step.added]}


def document_to_wire(document: Document, *, undo: str | None, redo: str | None) -> Wire:
    """A document with its Shapes in painting order."""
    return {
        **stamp_to_wire(document),
        "width": document.rest.size.width,
        "height": document.rest.size.height,
        "shapes": [shape_to_wire(item.shape) for item in document.drawing],
        "undo": undo,
        "redo": redo,
    }


def stamp_to_wire(document: Document) -> Wire:
    stamp = document.stamp
    return {"version": stamp.version, "state": stamp.state, "author": stamp.author, "time": stamp.time}


def shape_from_wire(value: object) -> Shape:
    """The Shape that came in; keys that are not known are left out. Raises ReadError."""
    item = _object(value, "A shape")
    kind = item.get("kind")
    if not isinstance(kind, str) or kind not in SHAPE_KINDS:
        raise ReadError(
            f"A shape of the kind {_shown(kind)} is not known.", hint=f"Known are {', '.join(SHAPE_KINDS)}."
        )
    common: dict[str, Any] = {
        "label": _label(item.get("label")),
        "group_id": None if item.get("group_id") is None else _whole(item["group_id"], "A group id"),
        "description": None if item.get("description") is None else _text(item["description"], "A description"),
        "flags": {plain(key): bool(flag) for key, flag in _object(item.get("flags") or {}, "The flags").items()},
        "extra": _extra(item.get("extra") or {}),
    }
    if kind == "mask":
        box = _box(item.get("box"))
        region = _runs(item.get("rle"), box)
        return MaskShape(points_xy=box.corners_xy, region=region, **common)
    try:
        return SHAPE_KINDS[kind](points_xy=_points(item.get("points"), kind), **common)
    except ValueError as error:
        raise ReadError(f"A shape cannot be: {error}.", hint="Draw it again.") from error


def edit_from_wire(value: object) -> Edit:
    """One edit of a change. Raises ReadError."""
    item = _object(value, "An edit")
    match item.get("kind"):
        case "splice":
            at, remove = _whole(item.get("at"), "An index"), _whole(item.get("remove"), "A number of shapes")
            return Replace(at, remove, tuple(shape_from_wire(shape) for shape in _list(item.get("add"), "The shapes")))
        case "paint":
            box = _box(item.get("box"))
            return Paint(_whole(item.get("at"), "An index"), box, _runs(item.get("rle"), box))
        case "op":
            points = item.get("points")
            return Reshape(
                name=_text(item.get("name"), "The name of an operation"),
                at=tuple(_whole(at, "An index") for at in _list(item.get("at"), "The indices")),
                points_xy=() if points is None else _points(points, "line"),
                options=_object(item.get("options") or {}, "The options"),
            )
        case kind:
            raise ReadError(f"An edit of the kind {_shown(kind)} is not known.", hint="Known are splice, paint and op.")


def plain(text: str) -> str:
    """`text` as a file can hold it: half of a letter pair, which has no UTF-8, becomes a question mark."""
    return text.encode("utf-8", errors="replace").decode()


# ------------------------------------------------------------------------------------------------------------ fields


def _label(value: object) -> str:
    text = _text(value, "A label")
    label = "".join(letter if ord(letter) >= 32 else " " for letter in text).strip()  # as the reader of files does
    if not label:
        raise ReadError("A shape has no label.", hint="Choose one.")
    return label


def _points(value: object, kind: str) -> PointsXY:
    items = _list(value, f"The points of a {kind}")
    if len(items) > MOST_POINTS:
        raise ReadError(f"A {kind} has {len(items):,} points; {MOST_POINTS:,} is the most.", hint="Draw it in parts.")
    points = []
    for item in items:
        if not isinstance(item, list) or len(item) != 2 or not all(_is_number(number) for number in item):
            raise ReadError(f"A point of a {kind} is not a pair of numbers: {_shown(item)}.", hint="Draw it again.")
        x, y = item
        if max(abs(x), abs(y)) > FARTHEST:
            raise ReadError(f"A point of a {kind} lies more than a million pixels away.", hint="Draw it again.")
        points.append((float(x), float(y)))
    return tuple(points)


def _box(value: object) -> Box:
    numbers = _list(value, "A box")
    if len(numbers) != 4:
        raise ReadError(f"A box of {len(numbers)} numbers cannot be.", hint="It is left, top, width, height.")
    box = Box(*(_whole(number, "A side of a box") for number in numbers))
    if max(abs(box.left), abs(box.top)) > FARTHEST or min(box.width, box.height) < 1 or not box.is_possible:
        raise ReadError(f"A box of {box.width} x {box.height} pixels at {box.left}, {box.top} cannot be.")
    return box


def _runs(value: object, box: Box) -> Any:
    runs = _list(value, "The runs of a mask")
    if not all(type(run) is int for run in runs):
        raise ReadError("The runs of a mask are not whole numbers.")
    try:
        return decode_runs(runs, box.height, box.width)
    except ValueError as error:
        raise ReadError(f"A mask cannot be: {error}.") from error


def _extra(value: object) -> Mapping[str, Any]:
    item = _object(value, "The key extra of a shape")
    if _depth(item) > _DEEPEST:
        raise ReadError("The key extra of a shape holds too many objects within one another.")
    text = json.dumps(finite({key: item[key] for key in item if key not in SHAPE_KEYS}), ensure_ascii=False)
    extra: Mapping[str, Any] = json.loads(plain(text))  # as it will be read from the file
    return extra


def _depth(value: object) -> int:
    """How many lists and objects lie within one another; counting ends where there are too many."""
    depth, level = 0, [value]
    while depth <= _DEEPEST and (level := [item for item in level if isinstance(item, dict | list)]):
        level = [part for item in level for part in (item.values() if isinstance(item, dict) else item)]
        depth += 1
    return depth


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ReadError(f"{name} is not an object: {_shown(value)}.")
    return value


def _list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ReadError(f"{name} {'are' if name.endswith('s') else 'is'} not a list: {_shown(value)}.")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ReadError(f"{name} is not a text: {_shown(value)}.")
    return plain(value)


def _whole(value: object, name: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or abs(value) > 2**53:
        raise ReadError(f"{name} is not a whole number: {_shown(value)}.")
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) is int


def _shown(value: object) -> str:
    """`value` as it is quoted in a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
