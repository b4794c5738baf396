"""A feature of GeoJSON taken apart: its geometry as arrays of positions, its label and colour (FORMATS 3.6)."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from core.annotation.labels import Color
from core.formats.geo import XY
from core.formats.label_text import clean_label
from core.formats.labelme_shape import BrokenShapeError
from core.formats.note import Note

_LABEL_KEYS: Final = ("label", "class", "name", "category")
_DEEPEST: Final = 20  # collections inside of collections

Rings = tuple[XY, ...]  # the outer one first, not closed


class Piece(NamedTuple):
    """A simple geometry.  kind: "Polygon", "LineString", "Point" or "MultiPoint", the last three with one "ring"."""

    kind: str
    rings: Rings


class Feature(NamedTuple):
    """A feature as it stands in the file.  problem: why its geometry cannot be used; None when it can."""

    properties: Mapping[str, Any]
    pieces: tuple[Piece, ...]
    problem: Note | None


def parse_feature(value: object) -> Feature:
    """Take a feature apart; a broken geometry is its problem, not an error."""
    if not isinstance(value, Mapping):
        return Feature(
            {}, (), Note("ignored", "an entry that is no feature was left out", "# entries were no features")
        )
    properties = as_object(value.get("properties")) or {}
    try:
        return Feature(properties, tuple(_pieces(value.get("geometry"), 0)), None)
    except BrokenShapeError as error:
        return Feature(properties, (), error.note)


def as_object(value: object) -> Mapping[str, Any] | None:
    """An object, also one that QGIS wrote as text."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None


def label_of(properties: Mapping[str, Any]) -> tuple[str, Color | None]:
    """The label that properties name, "" when they name none, and its colour."""
    classification = properties.get("classification")
    told = as_object(classification)
    if told is not None:
        names = told.get("names")
        name = clean_label(told.get("name")) or clean_label(
            ": ".join(map(str, names)) if isinstance(names, list) else ""
        )
        if name:
            return name, _color(told)
    for value in (classification, *(properties.get(key) for key in _LABEL_KEYS)):
        if name := clean_label(value):
            return name, None
    return "", None


def _color(told: Mapping[str, Any]) -> Color | None:
    """QuPath's [r, g, b], or its older number."""
    color, packed = told.get("color"), told.get("colorRGB")
    if isinstance(color, list) and len(color) == 3 and all(type(one) is int and 0 <= one <= 255 for one in color):
        return (color[0], color[1], color[2])
    if type(packed) is int:
        return (packed >> 16 & 255, packed >> 8 & 255, packed & 255)
    return None


def _pieces(geometry: object, depth: int) -> Iterable[Piece]:
    if not isinstance(geometry, Mapping) or depth > _DEEPEST:
        raise BrokenShapeError(
            "a feature without a geometry was left out", "# features without a geometry were left out"
        )
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    match kind:
        case "Point":
            yield Piece(kind, (_ring([coordinates]),))
        case "MultiPoint" | "LineString":
            yield Piece(kind, (_ring(coordinates),))
        case "MultiLineString":
            for line in _list(coordinates):
                yield Piece("LineString", (_ring(line),))
        case "Polygon":
            yield Piece(kind, _polygon(coordinates))
        case "MultiPolygon":
            for polygon in _list(coordinates):
                yield Piece("Polygon", _polygon(polygon))
        case "GeometryCollection":
            for inner in _list(geometry.get("geometries")):
                yield from _pieces(inner, depth + 1)
        case _:
            raise BrokenShapeError(
                f"a geometry of the type {str(kind)[:40]!r}, which is unknown here, was left out",
                "# geometries of an unknown type were left out",
            )


def _polygon(value: object) -> Rings:
    """Rings without their closing point, which some programs leave out. A hole of fewer than 3 points is none."""
    rings = [_ring(ring) for ring in _list(value)]
    opened = [ring[:-1] if len(ring) > 3 and (ring[0] == ring[-1]).all() else ring for ring in rings]
    if not opened or len(opened[0]) < 3:
        raise BrokenShapeError(
            "a polygon had fewer than 3 points and was left out", "# polygons had fewer than 3 points and were left out"
        )
    return (opened[0], *(ring for ring in opened[1:] if len(ring) >= 3))


def _ring(value: object) -> XY:
    """A list of positions as (n, 2); heights are left out."""
    try:
        points = np.array([(x, y) for x, y, *_ in _list(value)])
    except (TypeError, ValueError):
        points = np.array(None)
    if points.dtype.kind not in "if" or points.ndim != 2 or not np.isfinite(points).all():
        raise BrokenShapeError(
            "a geometry whose positions are not pairs of numbers was left out",
            "# geometries whose positions are not pairs of numbers were left out",
        )
    return points.astype(np.float64)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise BrokenShapeError(
            "a geometry without positions was left out", "# geometries without positions were left out"
        )
    return value
