"""What the coordinates of a GeoJSON file mean for a picture: pixels, or a place on the map (FORMATS 3.6).

RFC 7946 knows longitude and latitude only; QuPath writes pixels, and QGIS whatever the layer has, with a `crs` member.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from core.annotation.labels import Color, parse_color
from core.errors import ConfigError, ReadError
from core.formats.geo import WGS84, XY, GeoReference, reproject
from core.formats.geojson_feature import Feature, as_object, label_of, parse_feature
from core.formats.label_text import clean_label
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.note import Note
from core.images import ImageSize

OWN_KEY: Final = "maskloop"
_GEOMETRIES: Final = (
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
)
_EPSG: Final = re.compile(r"EPSG:(?:[\d.]*:)?(\d{1,6})$", re.IGNORECASE)
_DECIMALS: Final = 6  # of a pixel: what a map's coordinates keep of one

Box = tuple[float, float, float, float]  # left, least y, right, most y


@dataclass(frozen=True)
class Collection:
    """A file as read.

    meaning: "pixels" or "map" where the file is our own, else "".  epsg: of its `crs`.  size: of its picture, where it
    says.  extent: of all its positions, None without any.  labels: those its features have, and a table of our own.
    """

    name: str
    features: tuple[Feature, ...]
    meaning: str
    epsg: int | None
    size: ImageSize
    extent: Box | None
    labels: Mapping[str, Color | None]


class Placement(NamedTuple):
    """How the positions of a Collection become pixel corners of a picture."""

    to_pixels: Callable[[XY], XY]
    on_map: bool
    notes: tuple[Note, ...] = ()


def looks_like_geojson(data: bytes) -> bool:
    """Whether these bytes are GeoJSON, by content."""
    if b'"type"' not in data or not any(
        f'"{word}"'.encode() in data for word in ("features", "Feature", "coordinates")
    ):
        return False
    try:
        return _entries(json.loads(data)) is not None
    except (ValueError, RecursionError):
        return False


def read_collection(data: bytes, name: str) -> Collection:
    """Read one file. Raises ReadError when it is not JSON, or not GeoJSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ReadError(
            f"{name} is not readable JSON ({str(error)[:80]}).", hint="It may be cut off; export it again."
        ) from error
    entries = _entries(value)
    if entries is None:
        raise ReadError(f"{name} is JSON, but not GeoJSON: it has no list of features.", hint="Choose another file.")
    features = [parse_feature(entry) for entry in entries]
    top = value if isinstance(value, Mapping) else {}
    own = as_object(top.get(OWN_KEY)) or {}
    if own:
        features = _in_order(features)
    meaning = own.get("coordinates")
    return Collection(
        name=name,
        features=tuple(features),
        meaning=meaning if meaning in ("pixels", "map") else "",
        epsg=_epsg(top.get("crs")),
        size=_declared_size(own),
        extent=_extent(features),
        labels=_labels(own, features),
    )


def place(collection: Collection, geo: GeoReference | None, size: ImageSize) -> Placement:
    """How `collection` lies on a picture of `size` (0 x 0 when not known), which is at `geo` on the map or nowhere.

    Raises ReadError when it does not lie on it.
    """
    extent = collection.extent
    if collection.meaning == "pixels" or extent is None:
        return Placement(_as_they_are, on_map=False)
    if geo is None:
        _refuse_map(collection, extent, size)
        return Placement(_as_they_are, on_map=False)
    if collection.epsg is not None or collection.meaning == "map":
        return _on_map(collection, geo, collection.epsg, size)
    return _guess(collection, extent, geo, size)


# ------------------------------------------------------------------------------------------------------------ meaning


def _refuse_map(collection: Collection, extent: Box, size: ImageSize) -> None:
    """Raise ReadError when coordinates can be no pixels of a picture of which it is not known where it lies."""
    if collection.epsg is not None or collection.meaning == "map":
        seen = f"has map coordinates{f' (EPSG:{collection.epsg})' if collection.epsg else ''}"
    elif _is_degrees(extent) and extent[2] - extent[0] < 1 and extent[3] - extent[1] < 1:
        seen = "seems to have longitudes and latitudes"  # a picture with all its shapes on one pixel is none
    elif size.pixels and not _meet(extent, (0, 0, size.width, size.height)):
        seen = "has coordinates that all lie outside of its picture, so probably of a map"
    else:
        return
    raise ReadError(
        f"{collection.name} {seen}, but its picture does not say where it lies.",
        hint="Import the GeoTIFF, or the world file (.tfw, .jgw, .pgw) beside the picture.",
    )


def _guess(collection: Collection, extent: Box, geo: GeoReference, size: ImageSize) -> Placement:
    """No `crs`: the map of the picture where the shapes lie on it, else degrees, else pixels."""
    on_picture = _meet(extent, (0, 0, size.width, size.height))
    if _meet(extent, geo.box(size)) and (not on_picture or geo.epsg == WGS84 or _within(extent, geo.box(size))):
        return Placement(_on_pixels(geo), on_map=True, notes=_doubt("map") if on_picture else ())
    if _is_degrees(extent) and geo.epsg not in (None, WGS84):
        left, bottom, right, top = geo.box(size)
        corners = np.array([(x, y) for x in (left, right) for y in (bottom, top)])
        degrees = reproject(corners, geo.epsg or 0, WGS84)
        if degrees is None and not on_picture:
            raise _other_system(collection, WGS84, geo)
        if degrees is not None and _meet(extent, (*degrees.min(axis=0).tolist(), *degrees.max(axis=0).tolist())):
            return _on_map(collection, geo, WGS84, size)
    if on_picture:
        return Placement(_as_they_are, on_map=False, notes=_doubt("pixels"))
    raise _elsewhere(collection)


def _on_map(collection: Collection, geo: GeoReference, epsg: int | None, size: ImageSize) -> Placement:
    if epsg is None or epsg == geo.epsg:
        return Placement(_on_pixels(geo), on_map=True)
    if geo.epsg is None:
        if not collection.extent or not _meet(collection.extent, geo.box(size)):
            raise _elsewhere(collection)
        note = Note("assumed", f"its picture does not name its map's system; EPSG:{epsg} of the GeoJSON was taken")
        return Placement(_on_pixels(geo), on_map=True, notes=(note,))
    target = geo.epsg
    if reproject(np.zeros((1, 2)), epsg, target) is None:
        raise _other_system(collection, epsg, geo)
    to_pixels = _on_pixels(geo)

    def both(points: XY) -> XY:
        moved = reproject(points, epsg, target)
        return to_pixels(points if moved is None else moved)

    note = Note("turned", f"its coordinates were brought from EPSG:{epsg} to EPSG:{target} of the picture")
    return Placement(both, on_map=True, notes=(note,))


def _as_they_are(points: XY) -> XY:
    return points


def _on_pixels(geo: GeoReference) -> Callable[[XY], XY]:
    return lambda points: np.round(geo.to_pixels(points), _DECIMALS) + 0.0  # no negative zeros


def _doubt(taken: str) -> tuple[Note, ...]:
    meant = "pixels" if taken == "pixels" else "places on the map of the picture"
    return (Note("assumed", f"it does not say what its coordinates are; they were taken for {meant}"),)


def _other_system(collection: Collection, epsg: int, geo: GeoReference) -> ReadError:
    return ReadError(
        f"{collection.name} is in EPSG:{epsg} and its picture in EPSG:{geo.epsg}, which needs the package rasterio.",
        hint=f"Install rasterio, or save the layer in EPSG:{geo.epsg} in QGIS (Export, Save Features As).",
    )


def _elsewhere(collection: Collection) -> ReadError:
    return ReadError(
        f"{collection.name} lies elsewhere on the map than its picture.",
        hint="Choose the layer of this place, or save it in QGIS in the coordinate system of the picture.",
    )


def _is_degrees(extent: Box) -> bool:
    return extent[0] >= -180 and extent[2] <= 180 and extent[1] >= -90 and extent[3] <= 90


def _meet(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _within(inner: Box, outer: Box) -> bool:
    return outer[0] <= inner[0] and inner[2] <= outer[2] and outer[1] <= inner[1] and inner[3] <= outer[3]


# ------------------------------------------------------------------------------------------------------------ parsing


def _entries(value: object) -> list[Any] | None:
    """The features of a collection, a single feature, a geometry, or a list of features; None for anything else."""
    if isinstance(value, list):
        return value if any(isinstance(item, Mapping) and item.get("type") == "Feature" for item in value) else None
    if not isinstance(value, Mapping):
        return None
    kind, features = value.get("type"), value.get("features")
    if kind == "FeatureCollection":
        return features if isinstance(features, list) else None
    if kind == "Feature":
        return [value]
    return [{"type": "Feature", "geometry": value}] if kind in _GEOMETRIES else None


def _in_order(features: list[Feature]) -> list[Feature]:
    """The painting order that we wrote, which other programs may have changed."""
    orders = [(as_object(feature.properties.get(OWN_KEY)) or {}).get("order") for feature in features]
    if not all(type(order) is int for order in orders):
        return features
    return [feature for _, feature in sorted(zip(orders, features, strict=True), key=lambda pair: pair[0])]  # type: ignore[arg-type, return-value]


def _epsg(crs: object) -> int | None:
    """The number in {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32616"}} and its like."""
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    if not isinstance(properties, Mapping):
        return None
    name = str(properties.get("name") or f"EPSG:{properties.get('code')}")
    if name.upper().endswith("CRS84"):
        return WGS84
    match = _EPSG.search(name)
    return int(match[1]) if match else None


def _declared_size(own: Mapping[str, Any]) -> ImageSize:
    height, width = own.get("height"), own.get("width")
    if type(height) is int and type(width) is int and height > 0 and width > 0:
        return ImageSize(height, width)
    return UNKNOWN_SIZE


def _extent(features: list[Feature]) -> Box | None:
    rings = [ring for feature in features for piece in feature.pieces for ring in piece.rings]
    if not rings:
        return None
    (left, bottom), (right, top) = (
        np.min([ring.min(axis=0) for ring in rings], axis=0).tolist(),
        np.max([ring.max(axis=0) for ring in rings], axis=0).tolist(),
    )
    return left, bottom, right, top


def _labels(own: Mapping[str, Any], features: list[Feature]) -> dict[str, Color | None]:
    labels: dict[str, Color | None] = {}
    table = own.get("labels")
    for row in table if isinstance(table, list) else ():
        if isinstance(row, Mapping) and (name := clean_label(row.get("name"))):
            try:
                labels.setdefault(name, parse_color(str(row.get("color"))))
            except ConfigError:
                labels.setdefault(name, None)
    for feature in features:
        name, color = label_of(feature.properties)
        if name and labels.get(name) is None:
            labels[name] = color
    return labels
