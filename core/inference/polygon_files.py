"""The polygons of a raster's mask as GeoJSON (degrees, RFC 7946) and as GeoPackage (the raster's own coordinates)."""

import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from core.annotation.labels import LabelSet
from core.errors import ReadError, WriteError
from core.files import write_error
from core.formats.geojson_place import OWN_KEY
from core.inference.raster_mask import written_whole
from core.inference.raster_polygons import OpenMask, RasterPolygon, open_mask, polygons_of
from core.inference.rows import Cancelled

_BATCH: Final = 1000  # polygons that are written at once
_STRAIGHT: Final = 256  # pixels: a longer edge gets corners in between, as it is not straight in degrees
_CORNERS: Final = 100_000  # that are moved at once: GDAL takes them as lists
_DECIMALS: Final = 9  # of a degree: a tenth of a millimetre
_WEB_MERCATOR: Final = 3857

Stop = Callable[[], bool] | None


class PolygonFile(NamedTuple):
    """What was written: how many polygons, and what a person should know of them, in sentences."""

    path: Path
    polygons: int
    notes: tuple[str, ...]


def write_polygons_geojson(
    mask_path: Path,
    labels: LabelSet,
    target: Path,
    *,
    tolerance: float = 0.0,
    least_pixels: int = 0,
    cancelled: Stop = None,
) -> PolygonFile:
    """The polygons of `mask_path`, see `raster_polygons`, in longitude and latitude (WGS84).

    Of a mask without coordinate system: in its own coordinates, or in pixel corners with y down; a note says so.
    `target` appears when all is done. Raises ReadError, WriteError, ConfigError, Cancelled.
    """
    with open_mask(mask_path) as mask, written_whole(target) as temporary, _refusals(target):
        found = polygons_of(mask, labels, tolerance=tolerance, least_pixels=least_pixels)
        own = {
            "coordinates": "pixels" if mask.transform is None else "map",
            "width": mask.size.width,
            "height": mask.size.height,
            "labels": labels.to_json()[1:],
        }
        colors = {label.name: list(label.color) for label in labels.labels}
        head = json.dumps({"type": "FeatureCollection", OWN_KEY: own}, ensure_ascii=False)
        count = 0
        with temporary.open("w", encoding="utf-8") as file:
            file.write(f'{head[:-1]}, "features": [')
            for batch in _batches(found, cancelled):
                for polygon, geometry in zip(batch, _in_degrees(mask, batch), strict=True):
                    properties = json.dumps(_properties(polygon, colors), ensure_ascii=False, allow_nan=False)
                    file.write("," if count else "")
                    file.write(f'\n{{"type": "Feature", "properties": {properties}, "geometry": ')
                    file.write(shapely.to_geojson(geometry))
                    file.write("}")
                    count += 1
            file.write("\n]}\n")
    return PolygonFile(target, count, _notes(mask))


def write_polygons_geopackage(
    mask_path: Path,
    labels: LabelSet,
    target: Path,
    *,
    tolerance: float = 0.0,
    least_pixels: int = 0,
    cancelled: Stop = None,
) -> PolygonFile:
    """The polygons of `mask_path`, see `raster_polygons`, as the layer "objects" in the mask's own coordinate system.

    `target` appears when all is done. Raises ReadError, WriteError, ConfigError, Cancelled.
    """
    if target.suffix.lower() != ".gpkg":
        raise WriteError(f"{target.name} cannot be a GeoPackage.", hint="Give it a name that ends with .gpkg.")
    with open_mask(mask_path) as mask, written_whole(target) as temporary, _refusals(target):
        found = polygons_of(mask, labels, tolerance=tolerance, least_pixels=least_pixels)
        count = 0
        for batch in _batches(found, cancelled):
            _append(temporary, batch, mask, new=count == 0)
            count += len(batch)
        if not count:
            _append(temporary, [], mask, new=True)
    return PolygonFile(target, count, _notes(mask))


def _batches(found: Iterable[RasterPolygon], cancelled: Stop) -> Iterator[list[RasterPolygon]]:
    polygons = iter(found)
    while batch := list(islice(polygons, _BATCH)):
        if cancelled is not None and cancelled():
            raise Cancelled
        yield batch


def _properties(polygon: RasterPolygon, colors: dict[str, list[int]]) -> dict[str, Any]:
    """As our other GeoJSON has them, and the measures."""
    return {
        "objectType": "annotation",
        "label": polygon.label,
        "classification": {"name": polygon.label, "color": colors[polygon.label]},
        "class_id": polygon.class_id,
        "pixels": polygon.pixels,
        "area": polygon.area,
        "perimeter": polygon.perimeter,
        "unit": polygon.unit,
    }


def _in_degrees(mask: OpenMask, batch: list[RasterPolygon]) -> Iterator[Any]:
    """The shapes for GeoJSON, outer rings counter-clockwise; cut where they cross the 180th meridian."""
    for polygon in batch:
        shape = polygon.shape
        if mask.crs is not None and mask.transform is not None:
            step = _STRAIGHT * math.sqrt(abs(float(mask.transform.determinant)))
            shape = _warped(shapely.segmentize(shape, step), mask.crs)
        yield shapely.orient_polygons(shape)


def _warped(shape: Any, crs: Any) -> Any:
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError
    from rasterio.warp import transform, transform_geom

    def to_degrees(corners: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = [
            np.column_stack(transform(crs, "EPSG:4326", *corners[i : i + _CORNERS].T.tolist()))
            for i in range(0, len(corners), _CORNERS)
        ]
        return np.round(np.concatenate(moved), _DECIMALS)

    try:
        moved = shapely.transform(shape, to_degrees)
        west, _, east, _ = moved.bounds
        if east - west > 180:
            cut = transform_geom(crs, "EPSG:4326", shapely.geometry.mapping(shape), precision=_DECIMALS)
            moved = shapely.geometry.shape(cut)
    except (RasterioError, CPLE_BaseError, ValueError) as error:
        raise _nowhere() from error
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise _nowhere()
    return moved


def _nowhere() -> ReadError:
    return ReadError(
        "A part of the mask has no longitude and latitude.", hint="Check its coordinate system, or write a GeoPackage."
    )


def _append(path: Path, batch: list[RasterPolygon], mask: OpenMask, *, new: bool) -> None:
    from pyogrio.raw import write

    columns = {
        "label": np.array([polygon.label for polygon in batch], object),
        "class_id": np.array([polygon.class_id for polygon in batch], np.int32),
        "pixels": np.array([polygon.pixels for polygon in batch], np.int64),
        "area": np.array([polygon.area for polygon in batch], np.float64),
        "perimeter": np.array([polygon.perimeter for polygon in batch], np.float64),
        "unit": np.array([polygon.unit for polygon in batch], object),
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*crs.*was not provided.*")  # some rasters have none
        write(
            path,
            geometry=np.array(shapely.to_wkb([polygon.shape for polygon in batch]), object),
            field_data=list(columns.values()),
            fields=list(columns),
            layer="objects",
            driver="GPKG",
            geometry_type="Polygon",
            crs=mask.crs.to_wkt() if mask.crs is not None else None,
            append=not new,
        )


@contextmanager
def _refusals(target: Path) -> Iterator[None]:
    """What the disk or GDAL refuses, as a WriteError."""
    from pyogrio.errors import DataSourceError, FeatureError, FieldError, GeometryError

    try:
        yield
    except OSError as error:
        raise write_error(target, error) from error
    except (DataSourceError, FeatureError, FieldError, GeometryError) as error:
        raise WriteError(
            f"{target.name} was not written ({str(error).splitlines()[0][:120]}).",
            hint="Is the disk full? Free some space, or choose another folder.",
        ) from error


def _notes(mask: OpenMask) -> tuple[str, ...]:
    if mask.transform is None:
        return ("The mask has no place on the map: positions are pixels, with y down.",)
    if mask.crs is None:
        return ("The mask names no coordinate system: positions are in its own numbers, areas in pixels.",)
    if mask.crs.is_projected and mask.crs.to_epsg() == _WEB_MERCATOR:
        return ("Web Mercator stretches: areas and lengths are too large, in Europe about 2 and 1.5 times.",)
    return ()
