"""GeoJSON written: a collection in pixels for every picture, and one on the map for those that lie on it."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation, MaskShape, Shape
from core.errors import ReadError
from core.formats.dataset import Archive, ExportItem
from core.formats.geo import WGS84, XY, GeoReference, read_geo
from core.formats.geojson_place import OWN_KEY
from core.formats.geojson_shape import write_feature
from core.formats.losses import Loss, Losses
from core.formats.note import Note
from core.images import ImageSize


def write_geojson(items: Iterable[ExportItem], labels: LabelSet, archive: Archive) -> tuple[Note, ...]:
    """Add <stem>.geojson in pixels for each item, and geo/<stem>.geojson on the map for a GeoTIFF.

    Returns what the format cannot hold, as Notes "lost".
    """
    losses = Losses()
    for item in items:
        stem = PurePosixPath(item.file_name).stem
        archive.add(f"{stem}.geojson", _write(item.annotation, labels, _as_they_are, None, losses))
        geo = _geo_of(item)
        if geo is not None:
            archive.add(f"geo/{stem}.geojson", _write(item.annotation, labels, geo.to_map, geo, Losses()))
        if any(item.annotation.flags.values()):
            losses.add(Loss("the flags of a picture were left out", "the flags of # pictures were left out"))
    return losses.notes()


def annotation_geojson(annotation: Annotation, labels: LabelSet) -> bytes:
    """One picture's shapes in pixels."""
    return _write(annotation, labels, _as_they_are, None, Losses())


def _geo_of(item: ExportItem) -> GeoReference | None:
    if PurePosixPath(item.file_name).suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        return read_geo(item.read_picture())
    except ReadError:
        return None  # its pixels are told all the same


def _write(
    annotation: Annotation, labels: LabelSet, to_written: Callable[[XY], XY], geo: GeoReference | None, losses: Losses
) -> bytes:
    size = annotation.size
    features = []
    for order, shape in enumerate(annotation.shapes):
        written = write_feature(shape, size, to_written)
        if written is None:
            losses.add(Loss("a shape that marks no pixel was left out", "# shapes that mark no pixel were left out"))
            continue
        if isinstance(shape, MaskShape) and _leaves(shape, size):
            losses.add(
                Loss("what lay outside of the picture was cut off", "# masks were cut off at the edge of the picture")
            )
        geometry = written.pop("geometry")
        properties = _properties(shape, labels, {"order": order, **written})
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    own = {
        "coordinates": "map" if geo else "pixels",
        "width": size.width,
        "height": size.height,
        "labels": labels.to_json()[1:],
    }
    value = {"type": "FeatureCollection", **_crs(geo), OWN_KEY: own, "features": features}
    # what a foreign key holds may be a number that JSON has no word for
    finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
    return json.dumps(finite, ensure_ascii=False).encode("utf-8", errors="replace")


def _as_they_are(points: XY) -> XY:
    return points


def _crs(geo: GeoReference | None) -> dict[str, Any]:
    """The member that GDAL writes and QGIS reads; RFC 7946 has none, as it knows degrees only."""
    if geo is None or geo.epsg is None:
        return {}
    name = "urn:ogc:def:crs:OGC:1.3:CRS84" if geo.epsg == WGS84 else f"urn:ogc:def:crs:EPSG::{geo.epsg}"
    return {"crs": {"type": "name", "properties": {"name": name}}}


def _properties(shape: Shape, labels: LabelSet, own: Mapping[str, Any]) -> dict[str, Any]:
    """As QuPath has them; `label` besides for GIS programs, whose columns are plain text."""
    colors = {known.name: {"color": list(known.color)} for known in labels.labels}
    classification = {"name": shape.label, **colors.get(shape.label, {})}
    return {"objectType": "annotation", "label": shape.label, "classification": classification, OWN_KEY: own}


def _leaves(shape: MaskShape, size: ImageSize) -> bool:
    return any(not (0 <= x < size.width and 0 <= y < size.height) for x, y in shape.points_xy)
