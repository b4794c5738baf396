import io
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.transform
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.formats.geo import GeoReference, read_geo, reproject, world_file_of
from core.formats.source import source_of_uploads
from core.images import ImageSize, read_image

UTM = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32616)


def geotiff(
    *,
    keys: tuple[int, ...] = UTM,
    orientation: int = 1,
    height: int = 4,
    width: int = 6,
    corner: object = (500.0, 900.0),
) -> bytes:
    """A small GeoTIFF of 0.5 by 0.25 map units a pixel; every pixel has its own value."""
    buffer = io.BytesIO()
    x, y = corner  # type: ignore[misc]
    tifffile.imwrite(
        buffer,
        np.arange(height * width, dtype=np.uint8).reshape(height, width),
        extratags=[
            (33550, 12, 3, (0.5, 0.25, 0.0), True),
            (33922, 12, 6, (0.0, 0.0, 0.0, x, y, 0.0), True),
            (34735, 3, len(keys), keys, True),
            (274, 3, 1, orientation, True),
        ],
    )
    return buffer.getvalue()


def test_tags_of_a_geotiff() -> None:
    geo = read_geo(geotiff())
    assert geo == GeoReference((0.5, 0, 500, 0, -0.25, 900), 32616)
    np.testing.assert_array_equal(geo.to_map(np.array([[0.0, 0.0], [6.0, 4.0]])), [[500, 900], [503, 899]])
    assert geo.box(ImageSize(4, 6)) == (500, 899, 503, 900)


def test_tags_that_speak_of_pixel_centres() -> None:
    geo = read_geo(geotiff(keys=(1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 2, 2048, 0, 1, 4326)))
    assert geo == GeoReference((0.5, 0, 499.75, 0, -0.25, 900.125), 4326)


@pytest.mark.parametrize("keys", [(), (1, 1, 0, 1, 3072, 0, 1, 32767), (1, 1, 0, 1, 3072, 34737, 1, 5)])
def test_a_system_without_a_number_is_none(keys: tuple[int, ...]) -> None:
    geo = read_geo(geotiff(keys=keys or (1, 1, 0, 0)))
    assert geo is not None
    assert geo.epsg is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_lies_where_its_pixels_are(orientation: int) -> None:
    data = geotiff(orientation=orientation)
    upright = read_image(data)[:, :, 0]
    geo = read_geo(data)
    assert geo is not None
    for row in range(upright.shape[0]):
        for column in range(upright.shape[1]):
            stored_row, stored_column = divmod(int(upright[row, column]), 6)
            (x, y), *_ = geo.to_map(np.array([[column + 0.5, row + 0.5]])).tolist()
            assert (x, y) == (500 + 0.5 * (stored_column + 0.5), 900 - 0.25 * (stored_row + 0.5))


def test_a_world_file_speaks_of_the_first_pixels_centre() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4)).save(buffer, "PNG")
    geo = read_geo(buffer.getvalue(), b"0.5\n0.0\n0.0\n-0.25\n500.25\n899.875\n")
    assert geo == GeoReference((0.5, 0, 500, 0, -0.25, 900), None)
    assert read_geo(buffer.getvalue()) is None
    for broken in (b"", b"1 2 3", b"a\nb\nc\nd\ne\nf", b"0\n0\n0\n0\n1\n1", b"nan 0 0 1 0 0", b"1e-320 0 0 1e-320 0 0"):
        assert read_geo(buffer.getvalue(), broken) is None


def test_the_world_file_of_a_picture() -> None:
    source = source_of_uploads([(name, b"") for name in ("a/x.JPG", "a/x.jgw", "y.png", "y.wld", "z.tif", "x.jgw")])
    found = {file.name: world_file_of(file, source) for file in source.pictures()}
    assert {name: file and file.name for name, file in found.items()} == {
        "a/x.JPG": "a/x.jgw",
        "y.png": "y.wld",
        "z.tif": None,
    }


@given(st.lists(st.tuples(*2 * [st.floats(-1e4, 3e4)]), min_size=1, max_size=5), st.tuples(*6 * [st.floats(-1e6, 1e6)]))
def test_there_and_back(points: list[tuple[float, float]], transform: tuple[float, ...]) -> None:
    a, b, c, d, e, f = transform
    geo = GeoReference((1 + abs(a) / 1e6, b / 1e7, c, d / 1e7, -1 - abs(e) / 1e6, f), None)
    np.testing.assert_allclose(geo.to_pixels(geo.to_map(np.array(points))), points, atol=1e-7)


def test_web_mercator_by_its_formula() -> None:
    points = np.array([[-84.5, 33.6], [179.0, -70.0], [0.0, 0.0]])
    expected = [
        (6378137 * math.radians(x), 6378137 * math.log(math.tan(math.pi / 4 + math.radians(y) / 2))) for x, y in points
    ]
    found = reproject(points, 4326, 3857)
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert reproject(points, 4326, 999_999) is None


@given(st.binary(max_size=200), st.binary(max_size=60))
@settings(deadline=None)
def test_garbage_says_nothing(picture: bytes, world: bytes) -> None:
    read_geo(picture, world)
    read_geo(b"II*\0" + picture, world)
    broken = bytearray(geotiff())
    for i, value in enumerate(picture):
        broken[(i * 37 + value) % len(broken)] ^= value
    read_geo(bytes(broken), world)


def test_real_files_lie_where_gdal_says(shared_data: Path) -> None:
    folders = ("odd_images/geotiff", "geotiff_vector/images", "buildings_spacenet_rio/images")
    paths = [path for folder in folders for path in sorted((shared_data / folder).glob("*.tif"))]
    assert len(paths) > 15
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(path) as raster:
                transform, crs = raster.transform, raster.crs
        geo = read_geo(path.read_bytes())
        if transform == rasterio.transform.IDENTITY:
            assert geo is None, path
            continue
        assert geo is not None, path
        np.testing.assert_allclose(geo.transform, tuple(transform)[:6], rtol=1e-12)
        if crs is None:
            assert geo.epsg is None
        elif geo.epsg is not None:
            assert geo.epsg == crs.to_epsg(), path
