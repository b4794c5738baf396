"""The boxes of Pascal VOC: Annotations/*.xml, read for pictures that have no mask (FORMATS 3.4)."""

import math
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from core.annotation.shapes import Annotation, Rectangle
from core.errors import ReadError
from core.formats.coco_table import read_size
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.labelme_shape import FARTHEST
from core.formats.note import Note
from core.images import ImageSize

_MOST_BYTES: Final = 64 << 20  # of one file: ten thousand boxes have 3 MB
EXTRA_KEY: Final = "voc"


def read_boxes(data: bytes, *, name: str) -> tuple[Annotation, tuple[Note, ...]]:
    """The objects of one file as Rectangles that cover the same pixels. Raises ReadError."""
    root = _parse(data, name)
    notes: list[Note] = []
    shapes = []
    for item in root.findall("object"):
        label = " ".join((item.findtext("name") or "").split())
        corners = [_number(item.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
        left, top, right, bottom = corners
        if not label or not all(abs(corner) <= FARTHEST for corner in corners) or right < left or bottom < top:
            notes.append(
                Note(
                    "ignored",
                    "an object without a name or a box was left out",
                    "# objects without a name or a box were left out",
                )
            )
            continue
        notes.append(
            Note(
                "assumed",
                "an object has a box and no outline; it was read as a rectangle",
                "# objects have a box and no outline; they were read as rectangles",
            )
        )
        # the first pixel is number 1 and the last one belongs to the box, as it does to our rectangles
        points = ((left - 1, top - 1), (right - 1, bottom - 1))
        told = {child.tag: (child.text or "").strip() for child in item if len(child) == 0 and child.tag != "name"}
        shapes.append(Rectangle(label=label, points_xy=points, extra={EXTRA_KEY: told} if told else {}))
    return Annotation(size=_size(root), shapes=tuple(shapes)), tuple(notes)


def _parse(data: bytes, name: str) -> Element:
    hint = "Save it again, without entities; it may be cut off."
    if len(data) > _MOST_BYTES:
        raise ReadError(f"{name} has {len(data) >> 20} MB, too many for a list of boxes.", hint=hint)
    try:
        return fromstring(data)
    except (ParseError, ValueError, LookupError) as error:  # defusedxml's are ValueErrors
        raise ReadError(f"{name} is not readable XML ({str(error)[:80]}).", hint=hint) from error


def _size(root: Element) -> ImageSize:
    sides = [_number(root.findtext(f"size/{side}")) for side in ("height", "width")]
    return read_size(*sides) if all(math.isfinite(side) for side in sides) else UNKNOWN_SIZE


def _number(text: str | None) -> float:
    """NaN for what is none."""
    try:
        return float(text or "")
    except ValueError:
        return math.nan
