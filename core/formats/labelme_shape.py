"""One shape of a Labelme file: JSON object to Shape and back."""

import base64
import binascii
import io
import math
from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.shapes import KIND_WORDS, SHAPE_KINDS, MaskShape, PointsXY, Region, Shape
from core.errors import ReadError
from core.formats.note import Note
from core.images import MAX_PIXELS, guarded

FARTHEST: Final = 1_000_000  # pixels; Pillow takes half a minute to draw a circle ten times as large
SHAPE_KEYS: Final = ("label", "points", "group_id", "description", "shape_type", "flags", "mask")
# Of a region, rows are much alike: so small and 5 times as fast as Pillow (4000 x 4000 pixels: 33 ms, not 172).
_PNG: Final = (
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
)


class BrokenShapeError(Exception):
    """A shape that cannot be; its note says why it was left out."""

    def __init__(self, text: str, many: str) -> None:
        super().__init__(text)
        self.note = Note("ignored", text, many)


def read_shape(item: object) -> tuple[Shape, list[Note]]:
    """The Shape of one entry of "shapes". Raises BrokenShapeError."""
    if not isinstance(item, Mapping):
        raise BrokenShapeError("a shape was not an object and was left out", "# shapes were not objects and left out")
    notes: list[Note] = []
    label = _read_label(item.get("label"), notes)
    kind = item.get("shape_type") or "polygon"  # absent in version 3 files
    points_xy = _read_points(item.get("points"), str(kind))
    kind = _known_kind(str(kind), points_xy, notes)
    if kind == "rectangle" and len(points_xy) == 4:
        points_xy = (points_xy[0], points_xy[2])
    common: dict[str, Any] = {
        "label": label,
        "group_id": _read_group(item.get("group_id"), notes),
        "description": None if item.get("description") is None else str(item["description"]),
        "flags": _read_flags(item.get("flags")),
        "extra": {str(key): value for key, value in item.items() if key not in SHAPE_KEYS},
    }
    if kind == "mask":
        region = read_region(item.get("mask"))
        return MaskShape(points_xy=_mask_box(points_xy, region), region=region, **common), notes
    try:
        return SHAPE_KINDS[kind](points_xy=points_xy, **common), notes
    except ValueError as error:
        raise _wrong_count(kind, len(points_xy)) from error


def write_shape(shape: Shape) -> dict[str, Any]:
    """The entry of "shapes" for one Shape, with its keys in Labelme's order and the foreign ones last."""
    return {
        "label": shape.label,
        "points": [[x, y] for x, y in shape.points_xy],
        "group_id": shape.group_id,
        "description": shape.description,
        "shape_type": shape.kind,
        "flags": dict(shape.flags),
        "mask": write_region(shape.region) if isinstance(shape, MaskShape) else None,
        **shape.extra,
    }


# ------------------------------------------------------------------------------------------------------------ fields


def _read_label(value: object, notes: list[Note]) -> str:
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    printable = "".join(letter if ord(letter) >= 32 else " " for letter in text)
    label = printable.strip().encode("utf-8", errors="replace").decode()
    if not label:
        raise BrokenShapeError("a shape without a label was left out", "# shapes without a label were left out")
    if label != value:
        notes.append(Note("assumed", f"the label {value!r} was read as {label!r}"))
    return label


def _read_points(value: object, kind: str) -> PointsXY:
    shown = KIND_WORDS.get(kind, kind)
    if not isinstance(value, list) or not value:
        raise BrokenShapeError(f"a {shown} without points was left out", "# shapes without points were left out")
    points: list[tuple[float, float]] = []
    for point in value:
        try:
            x, y = (float(number) for number in point)
        except (TypeError, ValueError, OverflowError):
            x = y = math.nan
        if not (math.isfinite(x) and math.isfinite(y)):
            raise BrokenShapeError(
                f"a {shown} had a point that is not a pair of numbers and was left out",
                "# shapes had points that are not pairs of numbers and were left out",
            )
        if max(abs(x), abs(y)) > FARTHEST:
            raise BrokenShapeError(
                f"a {shown} had a point more than a million pixels away and was left out",
                "# shapes had points more than a million pixels away and were left out",
            )
        points.append((x, y))
    return tuple(points)


def _known_kind(kind: str, points_xy: PointsXY, notes: list[Note]) -> str:
    """The kind of ours that stands for `kind`; a note says where they differ."""
    if kind == "rotation":  # X-AnyLabeling
        same = len(points_xy) == 4
        kind = "oriented_rectangle" if same else "polygon"
    elif kind == "quadrilateral":
        notes.append(Note("assumed", "a quadrilateral was read as a polygon", "# quadrilaterals were read as polygons"))
        kind = "polygon"
    elif kind == "rectangle" and len(points_xy) == 4 and not _is_upright_box(points_xy):
        notes.append(
            Note("assumed", "a rectangle of 4 points was read as a polygon", "# rectangles were read as polygons")
        )
        kind = "polygon"
    if kind not in SHAPE_KINDS:
        raise BrokenShapeError(
            f"a shape of the type {kind!r}, which is unknown here, was left out",
            f"# shapes of the type {kind!r}, which is unknown here, were left out",
        )
    return kind


def _is_upright_box(points_xy: PointsXY) -> bool:
    """Whether four points are the corners of an upright rectangle in turn, as X-AnyLabeling writes them."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points_xy
    return (ay == by and bx == cx and cy == dy and dx == ax) or (ax == bx and by == cy and cx == dx and dy == ay)


def _read_group(value: object, notes: list[Note]) -> int | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        return int(value)
    if value is not None:
        notes.append(Note("ignored", "a group id that is not a whole number was left out", "# group ids were left out"))
    return None


def _read_flags(value: object) -> dict[str, bool]:
    return {str(key): bool(flag) for key, flag in value.items()} if isinstance(value, Mapping) else {}


def _wrong_count(kind: str, count: int) -> BrokenShapeError:
    if kind == "polygon":
        return BrokenShapeError(
            "a polygon had fewer than 3 points and was left out", "# polygons had fewer than 3 points and were left out"
        )
    shown = KIND_WORDS.get(kind, kind)
    return BrokenShapeError(
        f"a {shown} of {count} point{'s' if count > 1 else ''} is impossible and was left out",
        f"# shapes of the type {kind} had an impossible number of points and were left out",
    )


# ------------------------------------------------------------------------------------------------------------- masks


def read_region(value: object) -> Region:
    """The PNG of a mask shape, 1-bit or 8-bit, as bool: everything but 0 is drawn. Raises BrokenShapeError."""
    try:
        data = base64.b64decode(value) if isinstance(value, str) else b""
        pixels = guarded("The mask", lambda: _decode(data))
    except (binascii.Error, ValueError, ReadError) as error:
        raise BrokenShapeError(
            "a mask whose pixels cannot be read was left out", "# masks whose pixels cannot be read were left out"
        ) from error
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels != 0)
    channels = 3 if pixels.shape[2] > 2 else 1  # some tools write colours; alpha is not drawing
    return np.asarray(pixels[:, :, :channels].any(axis=2), dtype=np.bool_)


def _decode(data: bytes) -> NDArray[Any]:
    with Image.open(io.BytesIO(data)) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError(f"{picture.width} x {picture.height} pixels are too many")
        return np.asarray(picture)


def _mask_box(points_xy: PointsXY, region: Region) -> PointsXY:
    """First and last pixel of the box. Fractional corners: as Labelme 7.1, round to even and trust the PNG's extent."""
    if len(points_xy) != 2:
        raise _wrong_count("mask", len(points_xy))
    (x1, y1), (x2, y2) = points_xy
    left, top, right, bottom = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
    height, width = region.shape
    if abs(right - left + 1 - width) > 1 or abs(bottom - top + 1 - height) > 1:
        raise BrokenShapeError(
            "a mask whose pixels do not fill its box was left out",
            "# masks whose pixels do not fill their boxes were left out",
        )
    first_x, first_y = float(round(left)), float(round(top))
    return ((first_x, first_y), (first_x + width - 1, first_y + height - 1))


def write_region(region: Region) -> str:
    """The pixels of a mask shape in Labelme's own form since 5.5: an 8-bit PNG of 0 and 1, as base64."""
    if region.size == 0:
        raise ValueError("a mask without pixels cannot be written")
    _, data = cv2.imencode(".png", np.ascontiguousarray(region).view(np.uint8), _PNG)
    return base64.b64encode(data.tobytes()).decode()
