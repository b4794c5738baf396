"""Polygons of a mask: on the raster's place, exact to the pixel, whatever the bands it is read in."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import rasterize, shapes
from rasterio.warp import transform_geom

from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError, WriteError
from core.inference import raster_polygons as module
from core.inference.polygon_files import write_polygons_geojson, write_polygons_geopackage
from core.inference.raster_polygons import raster_polygons
from core.inference.rows import Cancelled

LABELS = LabelSet.of(["road", "roof"])
PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 5_500_000)
MASKS = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 11)), elements=st.sampled_from([0, 1, 2, 255])
)


def write_mask(path: Path, mask: NDArray[np.uint8], *, crs: str | None = "EPSG:25832", transform: Any = PLACE) -> Path:
    height, width = mask.shape
    options = {"crs": crs, "transform": transform} if transform is not None else {"crs": crs}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", count=1, dtype="uint8", height=height, width=width, nodata=255, **options
        ) as dataset:
            dataset.write(mask, 1)
    return path


def blobs(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 3, (height // 5 + 1, width // 5 + 1), dtype=np.uint8)
    return np.kron(coarse, np.ones((5, 5), np.uint8))[:height, :width]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mask=MASKS, rows=st.integers(1, 15))
def test_polygons_are_the_mask_and_bands_leave_no_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: NDArray[np.uint8], rows: int
) -> None:
    path = write_mask(tmp_path / "m.tif", mask)
    monkeypatch.setattr(module, "_PIXELS", mask.shape[1] * rows)
    found = list(raster_polygons(path, LABELS))
    drawn = (mask != 0) & (mask != 255)
    whole = [
        (shapely.geometry.shape(outline), int(class_id))
        for outline, class_id in shapes(mask, mask=drawn, connectivity=4, transform=PLACE)
    ]
    assert len(found) == len(whole)
    for polygon in found:
        assert polygon.shape.is_valid
        same = [shape for shape, class_id in whole if class_id == polygon.class_id and shape.equals(polygon.shape)]
        assert len(same) == 1
        assert shapely.get_num_coordinates(polygon.shape) <= shapely.get_num_coordinates(same[0]) + 1
        assert polygon.perimeter == pytest.approx(same[0].length)
        assert polygon.area == pytest.approx(polygon.pixels * 0.25) == pytest.approx(same[0].area)
        assert (polygon.label, polygon.unit) == (LABELS.names[polygon.class_id], "metre")
    for class_id in (1, 2):
        assert sum(p.pixels for p in found if p.class_id == class_id) == (mask == class_id).sum()
    if found:
        again = rasterize([(p.shape, p.class_id) for p in found], mask.shape, transform=PLACE)
        np.testing.assert_array_equal(again, np.where(drawn, mask, 0))


def test_a_ring_through_many_bands_keeps_its_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros((40, 20), np.uint8)
    mask[2:38, 2:18] = 1
    mask[5:35, 5:15] = 0
    mask[10:30, 8:12] = 2
    monkeypatch.setattr(module, "_PIXELS", 20 * 3)
    roof, road = raster_polygons(write_mask(tmp_path / "m.tif", mask, crs=None, transform=None), LABELS)
    assert (roof.label, roof.pixels, roof.unit, roof.perimeter) == ("roof", 80, "pixel", 48)
    assert (road.label, road.pixels, len(road.shape.interiors)) == ("road", 36 * 16 - 30 * 10, 1)
    assert road.shape.bounds == (2, 2, 18, 38)


def test_small_ones_are_left_out_and_borders_are_simplified(tmp_path: Path) -> None:
    yy, xx = np.mgrid[:60, :60]
    mask = ((yy - 30) ** 2 + (xx - 30) ** 2 < 400).astype(np.uint8)
    mask[2, 2] = 2
    path = write_mask(tmp_path / "m.tif", mask)
    assert len(list(raster_polygons(path, LABELS))) == 2
    (exact,) = raster_polygons(path, LABELS, least_pixels=2)
    (smooth,) = raster_polygons(path, LABELS, least_pixels=2, tolerance=1)
    assert smooth.area == exact.area == mask.astype(bool)[3:].sum() * 0.25
    assert shapely.get_num_coordinates(smooth.shape) < shapely.get_num_coordinates(exact.shape) / 2
    assert smooth.shape.hausdorff_distance(exact.shape) <= 0.5 + 1e-9
    assert smooth.perimeter < exact.perimeter


@pytest.mark.parametrize("latitude", [0.0, 48.0, -75.0])
@pytest.mark.parametrize("longitude", [9.0, 179.99])
def test_degrees_are_measured_in_metres(tmp_path: Path, latitude: float, longitude: float) -> None:
    """Against PROJ's azimuthal plane around them: equal in area, and true to length in its middle."""
    step = 1e-4
    mask = np.zeros((60, 60), np.uint8)
    mask[10:40, 5:45] = 1
    place = Affine(step, 0, longitude - 25 * step, 0, -step, latitude + 25 * step)
    (found,) = raster_polygons(write_mask(tmp_path / "m.tif", mask, crs="EPSG:4326", transform=place), LABELS)
    local = f"+proj=laea +lat_0={latitude} +lon_0={longitude} +ellps=WGS84"
    corners = [(5, 10), (45, 10), (45, 40), (5, 40)]
    dense = shapely.segmentize(shapely.Polygon([place @ corner for corner in corners]), step)
    x, y = rasterio.warp.transform("EPSG:4326", local, *shapely.get_coordinates(dense).T.tolist())
    plane = shapely.Polygon(np.column_stack([x, y]))
    assert found.area == pytest.approx(plane.area, rel=1e-6)
    assert found.perimeter == pytest.approx(plane.length, rel=1e-6)
    assert found.unit == "metre"


def test_feet_stay_feet(tmp_path: Path) -> None:
    mask = np.ones((4, 4), np.uint8)
    path = write_mask(tmp_path / "m.tif", mask, crs="EPSG:2263", transform=Affine(2, 0, 980_000, 0, -2, 200_000))
    (found,) = raster_polygons(path, LABELS)
    assert (found.area, found.perimeter, found.unit) == (64, 32, "US survey foot")


# ---------------------------------------------------------------------------------------------------------- files


def test_geojson_lies_on_the_raster_in_degrees(tmp_path: Path) -> None:
    mask = blobs(300, 400)
    path = write_mask(tmp_path / "m.tif", mask)
    result = write_polygons_geojson(path, LABELS, tmp_path / "new" / "m.geojson")
    value = json.loads((tmp_path / "new" / "m.geojson").read_text())
    assert value["type"] == "FeatureCollection"
    assert "crs" not in value  # RFC 7946
    assert len(value["features"]) == result.polygons == len(list(raster_polygons(path, LABELS)))
    back = []
    for feature in value["features"]:
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.exterior.is_ccw
        assert not any(hole.is_ccw for hole in shape.interiors)
        west, south, east, north = shape.bounds
        assert 8.99 < west < east < 9.01
        assert 49.6 < south < north < 49.7
        properties = feature["properties"]
        back.append((transform_geom("EPSG:4326", "EPSG:25832", feature["geometry"]), properties["class_id"]))
        placed = shapely.geometry.shape(back[-1][0])
        assert properties["area"] == pytest.approx(properties["pixels"] * 0.25)
        assert placed.area == pytest.approx(properties["area"], rel=1e-3)
        assert properties["label"] == LABELS.names[properties["class_id"]]
    np.testing.assert_array_equal(rasterize(back, mask.shape, transform=PLACE), mask)
    read = pyogrio.read_info(tmp_path / "new" / "m.geojson")
    assert (read["features"], read["crs"]) == (result.polygons, "EPSG:4326")


def test_geopackage_has_the_rasters_own_coordinates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.inference.polygon_files._BATCH", 7)
    mask = blobs(100, 130)
    path = write_mask(tmp_path / "m.tif", mask)
    result = write_polygons_geopackage(path, LABELS, tmp_path / "m.gpkg")
    info = pyogrio.read_info(tmp_path / "m.gpkg")
    assert (info["crs"], info["features"], info["layer_name"]) == ("EPSG:25832", result.polygons, "objects")
    _, _, geometry, fields = pyogrio.raw.read(tmp_path / "m.gpkg")
    columns = dict(zip(info["fields"], fields, strict=True))
    again = rasterize(
        list(zip(shapely.from_wkb(geometry), columns["class_id"].tolist(), strict=True)), mask.shape, transform=PLACE
    )
    np.testing.assert_array_equal(again, mask)
    assert columns["area"].sum() == (mask > 0).sum() * 0.25
    assert set(columns["label"]) == {"road", "roof"}
    assert {entry.name for entry in tmp_path.iterdir()} == {"m.tif", "m.gpkg"}


def test_without_a_place_positions_are_pixels_and_it_is_said(tmp_path: Path) -> None:
    path = write_mask(tmp_path / "m.tif", blobs(20, 20), crs=None, transform=None)
    for name, write in (("m.geojson", write_polygons_geojson), ("m.gpkg", write_polygons_geopackage)):
        result = write(path, LABELS, tmp_path / name)
        assert "pixels" in result.notes[0]
        assert pyogrio.read_info(tmp_path / name, force_total_bounds=True)["total_bounds"][0] >= 0
    assert json.loads((tmp_path / "m.geojson").read_text())["maskloop"]["coordinates"] == "pixels"


def test_a_mask_without_anything_gives_empty_files(tmp_path: Path) -> None:
    path = write_mask(tmp_path / "m.tif", np.full((30, 30), 255, np.uint8))
    assert write_polygons_geojson(path, LABELS, tmp_path / "m.geojson").polygons == 0
    assert write_polygons_geopackage(path, LABELS, tmp_path / "m.gpkg").polygons == 0
    assert json.loads((tmp_path / "m.geojson").read_text())["features"] == []
    assert pyogrio.read_info(tmp_path / "m.gpkg")["features"] == 0


def test_what_crosses_the_180th_meridian_is_cut_there(tmp_path: Path) -> None:
    path = write_mask(
        tmp_path / "m.tif", np.ones((10, 10), np.uint8), crs="EPSG:32601", transform=Affine(1e4, 0, 2.5e5, 0, -1e4, 6e6)
    )
    write_polygons_geojson(path, LABELS, tmp_path / "m.geojson")
    (feature,) = json.loads((tmp_path / "m.geojson").read_text())["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    parts = [shapely.geometry.Polygon(*part).bounds for part in feature["geometry"]["coordinates"]]
    assert all(east - west < 5 for west, _, east, _ in parts)


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("write", [write_polygons_geojson, write_polygons_geopackage])
def test_nothing_is_left_after_an_error(tmp_path: Path, write: Any) -> None:
    path = write_mask(tmp_path / "m.tif", np.where(blobs(30, 30) == 2, 7, 1).astype(np.uint8))
    target = tmp_path / "m.gpkg"
    with pytest.raises(ConfigError, match="class 7"):
        write(path, LABELS, target)
    with pytest.raises(Cancelled):
        write(write_mask(tmp_path / "m.tif", blobs(30, 30)), LABELS, target, cancelled=lambda: True)
    for settings_ in ({"tolerance": -1}, {"tolerance": float("nan")}, {"least_pixels": -1}):
        with pytest.raises(ConfigError):
            write(path, LABELS, target, **settings_)
    assert {entry.name for entry in tmp_path.iterdir()} == {"m.tif"}


def test_what_is_no_mask_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("hello")
    with rasterio.open(
        tmp_path / "two.tif", "w", driver="GTiff", count=2, dtype="uint8", height=4, width=4, transform=PLACE
    ) as dataset:
        dataset.write(np.ones((2, 4, 4), np.uint8))
    path = write_mask(tmp_path / "cut.tif", blobs(300, 300))
    path.write_bytes(path.read_bytes()[:40_000])
    for name in ("text.tif", "two.tif", "missing.tif", "cut.tif"):
        with pytest.raises(ReadError, match=name):
            list(raster_polygons(tmp_path / name, LABELS))


def test_a_mask_too_ragged_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIXELS", 200)
    monkeypatch.setattr(module, "_MOST_CORNERS", 100)
    mask = np.ones((60, 20), np.uint8)
    mask[::2, 1:] = 0
    with pytest.raises(ConfigError, match="corners"):
        list(raster_polygons(write_mask(tmp_path / "m.tif", mask), LABELS))


def test_a_geopackage_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(WriteError):
        write_polygons_geopackage(write_mask(tmp_path / "m.tif", blobs(5, 5)), LABELS, tmp_path / "m.shp")
