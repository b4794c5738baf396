"""The text of a Labelme file, shape by shape: who keeps the texts of its shapes writes a file without making all anew.

The text is what json.dumps(indent=2) gives, byte for byte; its indenting encoder is written in Python and takes twenty
times as long over the points, which are nearly all of a file.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from pathlib import PureWindowsPath
from typing import Any, Final

from core.annotation.shapes import Annotation, Shape
from core.formats.labelme_shape import write_shape

_BETWEEN_POINTS: Final = "\n        ],\n        [\n          "
_BETWEEN_NUMBERS: Final = ",\n          "


def shape_text(shape: Shape) -> bytes:
    """The entry of one Shape in the list of shapes, indented as it stands in a file, without a comma behind it."""
    entries = (
        b"      " + _text(key, 0) + b": " + (_points(item) if key == "points" else _text(item, 3))
        for key, item in write_shape(shape).items()
    )
    return b"    {\n" + b",\n".join(entries) + b"\n    }"


def file_text(annotation: Annotation, shape_texts: Sequence[bytes], *, image_path: str) -> bytes:
    """The file of an Annotation whose Shapes have these texts: imageData null, slashes in imagePath.

    image_path: from the file's folder to the picture. Keys stand in Labelme's order, those it does not know last.
    """
    value = {
        "version": annotation.version,
        "flags": dict(annotation.flags),
        "shapes": None,
        "imagePath": PureWindowsPath(image_path).as_posix(),
        "imageData": None,
        "imageHeight": annotation.size.height,
        "imageWidth": annotation.size.width,
        **annotation.extra,
    }
    shapes = b"[\n" + b",\n".join(shape_texts) + b"\n  ]" if shape_texts else b"[]"
    entries = (
        b"  " + _text(key, 0) + b": " + (shapes if key == "shapes" else _text(item, 1)) for key, item in value.items()
    )
    return b"{\n" + b",\n".join(entries) + b"\n}"


def one_line(text: bytes) -> bytes:
    """The same JSON without its line breaks and indents; no string of JSON holds a line break."""
    return re.sub(rb"\n *", b"", text.strip())


def finite(value: Any) -> Any:
    """`value` with null for each number that JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def _points(points: Iterable[Sequence[float]]) -> bytes:
    """A list of points, at least one, each a pair of finite numbers."""
    pairs = json.dumps(points, separators=(",", ":"), allow_nan=False)[2:-2]  # 1.0,2.0],[3.0,4.0
    text = pairs.replace("],[", "|").replace(",", _BETWEEN_NUMBERS).replace("|", _BETWEEN_POINTS)
    return b"[\n        [\n          " + text.encode() + b"\n        ]\n      ]"


def _text(value: Any, level: int) -> bytes:
    """`value` as it stands `level` indents deep; a lone surrogate, which has no UTF-8, becomes a question mark."""
    if value is None:  # these three are nearly all there is besides points, and json.dumps is slow to begin
        return b"null"
    if isinstance(value, str):
        return encode_basestring(value).encode("utf-8", errors="replace")
    if isinstance(value, Mapping) and not value:
        return b"{}"
    text = json.dumps(finite(value), ensure_ascii=False, indent=2, allow_nan=False)
    return text.replace("\n", "\n" + "  " * level).encode("utf-8", errors="replace")
