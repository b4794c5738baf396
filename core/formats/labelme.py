"""Labelme's JSON, versions 3 to 7 and the dialect of X-AnyLabeling: bytes to Annotation and back (FORMATS 3.1).

A shape that cannot be is left out and said in the notes; the rest of the file is read. Keys that are not ours are kept.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PureWindowsPath
from typing import Any, Final

from core.annotation.shapes import Annotation, Circle, MaskShape, PointsXY, Shape
from core.errors import ReadError
from core.formats.labelme_holes import cut_holes
from core.formats.labelme_shape import BrokenShapeError, read_shape
from core.formats.labelme_text import file_text, shape_text
from core.formats.note import Note
from core.formats.reading import MaskRoom
from core.formats.source import Source
from core.images import ImageInfo, ImageSize, turn_upright

UNKNOWN_SIZE: Final = ImageSize(0, 0)
_TOP_KEYS: Final = ("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")
_LATIN = re.compile(rb"[A-Za-z][\x80-\xff]{1,3}[A-Za-z]")  # accents stand inside words, Chinese does not


class NotLabelmeError(ReadError):
    """JSON of another kind; nothing is wrong with it."""


@dataclass(frozen=True)
class LabelmeFile:
    """One file as read. `annotation.size` is what the file says (as drawn), UNKNOWN_SIZE when it says nothing.

    image_path: with slashes, relative to the file; "" when it has none.  image_data: the embedded picture's bytes.
    """

    name: str
    annotation: Annotation
    image_path: str
    image_data: bytes | None
    notes: tuple[Note, ...]


def looks_like_labelme(data: bytes) -> bool:
    """Whether these bytes are a Labelme file, by content."""
    if b'"shapes"' not in data:
        return False
    try:
        value, _ = _parse(data, "")
    except ReadError:
        return False
    return _is_labelme(value)


def is_labelme_source(source: Source) -> bool:
    """Whether at least one file of the Source is a Labelme file."""
    for file in source.with_suffix(".json"):
        try:
            if looks_like_labelme(file.read()):
                return True
        except ReadError:
            continue  # one damaged file says nothing about the others; the import will name it
    return False


def read_labelme(data: bytes, *, name: str = "The file") -> LabelmeFile:
    """Read one file. Raises ReadError when it is empty, not JSON, or not Labelme's."""
    value, notes = _parse(data, name)
    if not _is_labelme(value):
        raise NotLabelmeError(
            f"{name} is JSON, but not Labelme's: it has no list of shapes.", hint="Choose another file."
        )
    shapes: list[Shape] = []
    room = MaskRoom()
    for item in value["shapes"]:
        try:
            shape, said = read_shape(item)
            room.take(shape)
        except BrokenShapeError as error:
            notes.append(error.note)
            continue
        shapes.append(shape)
        notes += said
    shapes, said = cut_holes(shapes)
    notes += said
    image_data = _read_image_data(value.get("imageData"), notes)
    flags, version = value.get("flags"), value.get("version")
    annotation = Annotation(
        size=_declared_size(value),
        shapes=tuple(shapes),
        flags={str(key): bool(flag) for key, flag in flags.items()} if isinstance(flags, dict) else {},
        extra={key: item for key, item in value.items() if key not in _TOP_KEYS},
        version=version if isinstance(version, str) and version else Annotation.version,
    )
    path = value.get("imagePath")
    image_path = PureWindowsPath(path).as_posix() if isinstance(path, str) and path.strip() else ""
    return LabelmeFile(name, annotation, image_path, image_data, tuple(notes))


def write_labelme(annotation: Annotation, *, image_path: str) -> bytes:
    """The Annotation as a file that Labelme opens: imageData null, slashes in imagePath, only finite numbers.

    image_path: from the file's folder to the picture. Keys stand in Labelme's order, those it does not know last.
    """
    return file_text(annotation, [shape_text(shape) for shape in annotation.shapes], image_path=image_path)


# ------------------------------------------------------------------------------------------------- fit to the picture


def fit_to_picture(file: LabelmeFile, info: ImageInfo) -> tuple[Annotation, tuple[Note, ...]]:
    """The Annotation of a file in upright coordinates of the picture `info`; see `fit_annotation`."""
    return fit_annotation(file.annotation, info, name=file.name)


def fit_annotation(annotation: Annotation, info: ImageInfo, *, name: str) -> tuple[Annotation, tuple[Note, ...]]:
    """`annotation` in upright coordinates of the picture `info`, and what had to be done or assumed.

    name: what an error calls it. One of the stored size is turned by the picture's EXIF orientation. Where both sizes
    are equal (square, half turn, mirror) upright is assumed, as Labelme draws on the upright picture. Raises ReadError
    when no size fits.
    """
    notes: list[Note] = []
    declared = annotation.size
    if declared in (UNKNOWN_SIZE, info.size):
        if info.orientation != 1 and (declared == UNKNOWN_SIZE or info.size == info.stored_size):
            notes.append(
                Note(
                    "assumed",
                    "the picture carries a camera rotation; the shapes were taken as drawn on the upright picture",
                )
            )
        annotation = replace(annotation, size=info.size)
    elif declared == info.stored_size:
        annotation = _turn(annotation, info)
        notes.append(
            Note("turned", "the shapes were drawn on the picture before its camera rotation and were turned with it")
        )
    else:
        raise ReadError(
            f"{name} was made for a picture of {declared}, its picture has {info.size}.",
            hint="It was probably resized after annotating. Import the original picture.",
        )
    return annotation, (*notes, *_outside(annotation))


def _turn(annotation: Annotation, info: ImageInfo) -> Annotation:
    shapes: list[Shape] = []
    for shape in annotation.shapes:
        if isinstance(shape, MaskShape):
            # a box of pixels: its far corner is one pixel further, as a point
            (x1, y1), (x2, y2) = shape.points_xy
            corners = _turned_points(((x1, y1), (x2 + 1, y2 + 1)), info)
            left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
            right, bottom = (max(corner[axis] for corner in corners) for axis in (0, 1))
            region = turn_upright(shape.region, info.orientation)
            shapes.append(replace(shape, points_xy=((left, top), (right - 1, bottom - 1)), region=region))
        else:
            shapes.append(replace(shape, points_xy=_turned_points(shape.points_xy, info)))
    return replace(annotation, size=info.size, shapes=tuple(shapes))


def _turned_points(points_xy: PointsXY, info: ImageInfo) -> PointsXY:
    """Points on the stored picture as points on the upright one; both have (0, 0) at their top left corner."""
    height, width = info.stored_size
    turn = {
        2: lambda x, y: (width - x, y),
        3: lambda x, y: (width - x, height - y),
        4: lambda x, y: (x, height - y),
        5: lambda x, y: (y, x),
        6: lambda x, y: (height - y, x),
        7: lambda x, y: (height - y, width - x),
        8: lambda x, y: (y, width - x),
    }[info.orientation]
    return tuple(turn(x, y) for x, y in points_xy)


def _outside(annotation: Annotation) -> list[Note]:
    """A note for each Shape that reaches more than a pixel over the edge; Labelme keeps such Shapes, and so do we."""
    notes = []
    height, width = annotation.size
    for shape in annotation.shapes:
        left, top, right, bottom = _extent(shape)
        if right < 0 or bottom < 0 or left >= width or top >= height:
            notes.append(
                Note(
                    "clipped",
                    f"a {shape.kind} lies outside of the picture and marks nothing",
                    "# shapes lie outside of the picture and mark nothing",
                )
            )
        elif left < -1 or top < -1 or right > width + 1 or bottom > height + 1:
            notes.append(
                Note(
                    "clipped",
                    f"a {shape.kind} reaches over the edge of the picture; what lies outside counts nowhere",
                    "# shapes reach over the edge of the picture; what lies outside counts nowhere",
                )
            )
    return notes


def _extent(shape: Shape) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    if isinstance(shape, Circle):
        (x, y), (edge_x, edge_y) = shape.points_xy
        radius = math.hypot(edge_x - x, edge_y - y)
        return x - radius, y - radius, x + radius, y + radius
    xs, ys = zip(*shape.points_xy, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


# ---------------------------------------------------------------------------------------------------------- parsing


def _is_labelme(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("shapes"), list)
        and any(key in value for key in ("imagePath", "imageData", "imageHeight", "version", "flags"))
    )


def _parse(data: bytes, name: str) -> tuple[Any, list[Note]]:
    """The JSON value, and a note when the text was not Unicode."""
    if not data.strip():
        raise ReadError(f"{name} is empty (0 bytes).", hint="Copy the file again; the transfer was probably cut off.")
    text, notes = _decode(data, name)
    try:
        return json.loads(text), notes
    except (ValueError, RecursionError) as error:
        raise ReadError(
            f"{name} is not readable JSON ({error}).", hint="It may be cut off; save it again in Labelme."
        ) from error


def _decode(data: bytes, name: str) -> tuple[str, list[Note]]:
    """UTF-8 with or without its mark, UTF-16, else an older Chinese or Western code page, which is said."""
    try:
        return data.decode(json.detect_encoding(data)), []
    except UnicodeDecodeError:
        pass
    for encoding in ("cp1252",) if _LATIN.search(data) else ("gb18030", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        shown = {"gb18030": "Chinese (GBK)", "cp1252": "Western European (1252)"}[encoding]
        return text, [Note("assumed", f"its letters are not in Unicode and were read as {shown}")]
    raise ReadError(f"{name} is not text.", hint="It is probably another kind of file that was renamed.")


def _declared_size(value: Mapping[str, Any]) -> ImageSize:
    height, width = value.get("imageHeight"), value.get("imageWidth")
    known = [side for side in (height, width) if isinstance(side, int | float) and math.isfinite(side) and side >= 1]
    return ImageSize(int(known[0]), int(known[1])) if len(known) == 2 else UNKNOWN_SIZE


def _read_image_data(value: object, notes: list[Note]) -> bytes | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        return base64.b64decode(value.rpartition(",")[2])  # some tools put "data:image/png;base64," before
    except (binascii.Error, ValueError):
        notes.append(Note("ignored", "its embedded picture (imageData) is damaged and was left out"))
        return None
