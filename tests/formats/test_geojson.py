import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.labels import IGNORE, LabelSet
from core.annotation.raster import annotation_to_mask, shape_to_region
from core.annotation.shapes import (
    Annotation,
    Circle,
    Line,
    LineStrip,
    MaskShape,
    Point,
    Points,
    Polygon,
    Rectangle,
    Region,
)
from core.errors import ReadError
from core.formats.dataset import LabelEntry, PictureAnnotation, Reading
from core.formats.geo import read_geo
from core.formats.geojson import is_geojson_source, read_geojson
from core.formats.geojson_write import write_geojson
from core.formats.source import open_source, source_of_uploads
from core.images import ImageSize, probe_image
from tests.drawings import JSON_VALUES, annotations
from tests.formats.round_trip import Files, export_item, known, labelled_annotations, source
from tests.formats.test_geo import UTM, geotiff

SIZE = ImageSize(height=100, width=200)
NAMES = ("car", "tree")
LABELS = LabelSet.of(NAMES)
SQUARE = [[2, 2], [6, 2], [6, 6], [2, 6], [2, 2]]
HOLE = [[3, 3], [3, 5], [5, 5], [5, 3], [3, 3]]
TRIANGLE = [[10, 10], [50.5, 11], [30, 70], [10, 10]]


def feature(coordinates: object, kind: str = "Polygon", **properties: object) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def collection(*features: object, **members: object) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **members}


def read_one(value: object, *, size: ImageSize = SIZE) -> PictureAnnotation:
    (picture,) = read_geojson(source({"a.geojson": json.dumps(value)}), known(size)).pictures
    return picture


def written(annotation: Annotation, **kwargs: Any) -> tuple[Files, tuple[str, ...]]:
    archive = Files()
    notes = write_geojson([export_item(annotation, **kwargs)], LABELS, archive)
    assert {note.kind for note in notes} <= {"lost"}
    return archive, tuple(note.text for note in notes)


# ------------------------------------------------------------------------------------------------------- round trips


@given(labelled_annotations((*NAMES, IGNORE)))
@settings(deadline=None)
def test_written_and_read_keeps_everything_or_says_so(annotation: Annotation) -> None:
    archive, losses = written(annotation)
    reading = read_geojson(archive.source(), known(annotation.size))
    (picture,) = reading.pictures
    assert not picture.notes
    assert [entry.name for entry in reading.labels] == list(NAMES)
    np.testing.assert_array_equal(
        annotation_to_mask(picture.annotation, LABELS), annotation_to_mask(annotation, LABELS)
    )
    if not losses:
        for shape, back in zip(annotation.shapes, picture.annotation.shapes, strict=True):
            assert (back.kind, back.label, back.group_id) == (shape.kind, shape.label, shape.group_id)
            assert (back.description, back.flags) == (shape.description, shape.flags)
            if isinstance(shape, MaskShape):
                size = annotation.size
                np.testing.assert_array_equal(shape_to_region(back, size), shape_to_region(shape, size))
            else:
                assert back.points_xy == shape.points_xy


@given(annotations(), st.dictionaries(st.text(max_size=3), JSON_VALUES | st.just(float("nan")), max_size=2))
@settings(deadline=None)
def test_any_label_and_any_foreign_key_is_written_as_json(annotation: Annotation, extra: Mapping[str, object]) -> None:
    shapes = tuple(replace(shape, extra={**shape.extra, "x_y": dict(extra)}) for shape in annotation.shapes)
    archive, losses = written(replace(annotation, shapes=shapes))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(archive.files["a.geojson"], parse_constant=refuse)
    (picture,) = read_geojson(archive.source(), known(annotation.size)).pictures
    if not losses:
        assert picture.annotation.label_names == annotation.label_names
        if not extra:
            assert [shape.extra for shape in picture.annotation.shapes] == [shape.extra for shape in shapes]


@given(labelled_annotations(NAMES), st.sampled_from([(500.0, 900.0), (733601.25, 3725139.1), (-43.684, -22.95)]))
@settings(deadline=None, max_examples=50)
def test_the_map_gives_the_same_pixels(annotation: Annotation, corner: tuple[float, float]) -> None:
    height, width = annotation.size
    picture = geotiff(height=height, width=width, corner=corner)
    archive, _ = written(annotation, name="a.tif", picture=picture)
    assert set(archive.files) == {"a.geojson", "geo/a.geojson"}
    value = json.loads(archive.files["geo/a.geojson"])
    assert value["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32616"
    del value["maskloop"]  # as a GIS program would
    inside = source({"a.tif": picture, "b/a.geojson": json.dumps(value)})
    (back,) = read_geojson(inside, known(annotation.size)).pictures
    assert back.picture == "a.tif"
    np.testing.assert_array_equal(annotation_to_mask(back.annotation, LABELS), annotation_to_mask(annotation, LABELS))


def test_an_export_with_both_files_is_read_once() -> None:
    annotation = Annotation(size=ImageSize(4, 6), shapes=(Circle(label="car", points_xy=((2, 2), (3, 3))),))
    archive, _ = written(annotation, name="a.tif", picture=geotiff())
    archive.add("images/a.tif", geotiff())
    (picture,) = read_geojson(archive.source(), known(annotation.size)).pictures
    assert picture.annotation.shapes == annotation.shapes
    assert picture.name == "a.geojson"


def test_what_cannot_be_held_is_told_once() -> None:
    region = np.ones((2, 2), dtype=bool)
    shapes = (
        MaskShape(label="car", points_xy=((-1, 0), (0, 1)), region=region),
        MaskShape(label="car", points_xy=((199, 99), (200, 100)), region=region),
        Rectangle(label="car", points_xy=((-9, -9), (-5, -5))),
    )
    _, losses = written(Annotation(size=SIZE, shapes=shapes, flags={"seen": True}))
    assert losses == (
        "2 masks were cut off at the edge of the picture",
        "a shape that marks no pixel was left out",
        "the flags of a picture were left out",
    )


def test_a_geometry_that_was_changed_since_counts_more_than_what_we_noted() -> None:
    shapes = (
        Circle(label="car", points_xy=((20, 20), (25, 20))),
        Polygon(label="car", points_xy=((1, 1), (9.5, 3), (4, 8)), group_id=4),
    )
    archive, _ = written(Annotation(size=SIZE, shapes=shapes))
    value = json.loads(archive.files["a.geojson"])
    for changed, geometry in zip(value["features"], ([SQUARE], [TRIANGLE[::-1]]), strict=True):
        changed["geometry"]["coordinates"] = geometry
        changed["properties"]["maskloop"] = json.dumps(changed["properties"]["maskloop"])  # QGIS writes it as text
    circle, polygon = read_one(value).annotation.shapes
    assert isinstance(circle, MaskShape)
    assert circle.region.sum() == 16
    assert set(polygon.points_xy) == {(10, 10), (50.5, 11), (30, 70)}
    assert polygon.group_id == 4


# ----------------------------------------------------------------------------------------------------------- oracles


@given(labelled_annotations(NAMES))
@settings(deadline=None, max_examples=50)
def test_gdal_and_shapely_see_the_pixels_of_masks(annotation: Annotation) -> None:
    masks = tuple(shape for shape in annotation.shapes if isinstance(shape, MaskShape))
    archive, _ = written(replace(annotation, shapes=masks))
    features = json.loads(archive.files["a.geojson"])["features"]
    kept = [shape for shape in masks if shape_to_region(shape, annotation.size).any()]
    for one, shape in zip(features, kept, strict=True):
        region = shape_to_region(shape, annotation.size)
        geometry = shapely.geometry.shape(one["geometry"])
        assert geometry.is_valid
        assert geometry.area == region.sum()
        burnt = rasterio.features.rasterize([geometry], out_shape=annotation.size)
        np.testing.assert_array_equal(burnt.astype(bool), region)
        for polygon in getattr(geometry, "geoms", [geometry]):
            assert polygon.exterior.is_ccw
            assert not any(hole.is_ccw for hole in polygon.interiors)
        assert shapely.from_geojson(json.dumps(one["geometry"])).equals(geometry)


def test_gdal_opens_an_export(tmp_path: Path) -> None:
    pyogrio = pytest.importorskip("pyogrio")
    region: Region = np.ones((5, 5), dtype=bool)
    region[2, 2] = region[4, 0] = False
    shapes = (
        MaskShape(label="tree", points_xy=((50, 10), (54, 14)), region=region),
        Polygon(label="car", points_xy=((10.5, 10.2), (40.1, 12.0), (22.2, 60.9))),
        LineStrip(label="car", points_xy=((1, 1), (5, 5), (9, 1))),
    )
    archive, losses = written(Annotation(size=SIZE, shapes=shapes), name="a.tif", picture=geotiff())
    assert not losses
    for name, scale in (("a.geojson", 1.0), ("geo/a.geojson", 0.5 * 0.25)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(archive.files[name])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meta, _, geometries, fields = pyogrio.raw.read(tmp_path / name)
        mask, polygon, line = shapely.from_wkb(geometries)
        assert mask.area == pytest.approx(23 * scale)
        assert len(mask.interiors) == 1
        assert polygon.area == pytest.approx(shapely.Polygon(shapes[1].points_xy).area * scale)
        assert line.geom_type == "LineString"
        assert list(fields[list(meta["fields"]).index("label")]) == ["tree", "car", "car"]
        if name.startswith("geo/"):
            assert meta["crs"] == "EPSG:32616"


@given(st.lists(st.tuples(*2 * [st.integers(0, 40).map(lambda n: n / 2 + 0.25)]), min_size=3, max_size=7, unique=True))
@settings(deadline=None, max_examples=50)
def test_a_polygon_with_a_hole_is_filled_as_gdal_does(points: list[tuple[float, float]]) -> None:
    hull = shapely.MultiPoint(points).convex_hull
    if hull.geom_type != "Polygon":
        return
    hole = shapely.affinity.scale(hull, 0.5, 0.5)
    polygon = shapely.Polygon(hull.exterior.coords, [hole.exterior.coords])
    picture = read_one(feature(shapely.geometry.mapping(polygon)["coordinates"]), size=ImageSize(21, 21))
    mask = annotation_to_mask(picture.annotation, LabelSet.of(["object"]))
    ys, xs = np.mgrid[:21, :21] + 0.5
    near = shapely.dwithin(polygon.boundary, shapely.points(xs, ys), 1e-9)
    np.testing.assert_array_equal(mask[~near] == 1, shapely.contains_xy(polygon, xs, ys)[~near])


# ----------------------------------------------------------------------------------------------------------- reading


def test_geometries_become_the_kinds_they_are() -> None:
    picture = read_one(
        collection(
            feature([TRIANGLE], label="a"),
            feature([SQUARE], label="a"),
            feature([TRIANGLE, HOLE], label="a"),
            feature([5, 6, 99.5], "Point", label="a"),
            feature([[5, 6], [7, 8]], "MultiPoint", label="a"),
            feature([[5, 6], [7, 8]], "LineString", label="a"),
            feature([[5, 6], [7, 8], [9, 6]], "LineString", label="a"),
        )
    )
    polygon, square, holed, *rest = picture.annotation.shapes
    assert polygon == Polygon(label="a", points_xy=((10, 10), (50.5, 11), (30, 70)))
    assert isinstance(square, MaskShape)
    assert square.region.shape == (4, 4)
    assert isinstance(holed, MaskShape)
    assert rest == [
        Point(label="a", points_xy=((5, 6),)),
        Points(label="a", points_xy=((5, 6), (7, 8))),
        Line(label="a", points_xy=((5, 6), (7, 8))),
        LineStrip(label="a", points_xy=((5, 6), (7, 8), (9, 6))),
    ]
    assert not picture.notes


def test_geometries_of_several_pieces() -> None:
    lines = [[[1, 1], [5, 5]], [[2, 1], [6, 5]]]
    shifted = [[x + 60, y] for x, y in TRIANGLE]
    inner = {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 2]}]}
    picture = read_one(
        collection(
            feature([[SQUARE, HOLE], [[[x + 10, y] for x, y in SQUARE]]], "MultiPolygon"),
            feature([[TRIANGLE], [shifted]], "MultiPolygon"),
            feature([[TRIANGLE]], "MultiPolygon"),
            feature(lines, "MultiLineString"),
            {"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": [inner, inner]}},
        )
    )
    shapes = picture.annotation.shapes
    assert [shape.kind for shape in shapes] == ["mask", *["polygon"] * 3, "line", "line", "point", "point"]
    assert [shape.group_id for shape in shapes] == [None, 1, 1, None, 2, 2, 3, 3]
    assert shape_to_region(shapes[0], SIZE).sum() == 16 - 4 + 16
    assert {note.kind for note in picture.notes} == {"assumed"}  # none of them has a class


@pytest.mark.parametrize(
    ("properties", "label", "color"),
    [
        ({"classification": {"name": "Tumor", "color": [200, 0, 7]}, "name": "x"}, "Tumor", (200, 0, 7)),
        ({"classification": {"name": "Stroma", "colorRGB": -6895466}}, "Stroma", (150, 200, 150)),
        ({"classification": {"names": ["Tumor", "Positive"], "color": [1, 2]}}, "Tumor: Positive", None),
        ({"classification": '{"name": "Text", "color": [1, 2, 3]}'}, "Text", (1, 2, 3)),
        ({"classification": "Plain"}, "Plain", None),
        ({"classification": {}, "label": " ", "class": 3}, "3", None),
        ({"name": "", "category": "roof\n"}, "roof", None),
    ],
)
def test_labels_and_colours(properties: dict[str, Any], label: str, color: object) -> None:
    reading = read_geojson(
        source({"a.geojson": json.dumps(collection(feature([TRIANGLE], **properties)))}), known(SIZE)
    )
    assert reading.labels == (LabelEntry(label, color),)  # type: ignore[arg-type]
    assert next(iter(reading.pictures)).annotation.shapes[0].label == label


def test_labels_keep_the_order_of_the_project() -> None:
    archive = Files()
    write_geojson([export_item(Annotation(size=SIZE))], LabelSet.of(["z", "a", "m"]), archive)
    reading = read_geojson(archive.source(), known(SIZE))
    assert reading.labels == tuple(
        LabelEntry(label.name, label.color) for label in LabelSet.of(["z", "a", "m"]).foreground
    )


@pytest.mark.parametrize(
    "value", [feature([TRIANGLE]), {"type": "Polygon", "coordinates": [TRIANGLE]}, [feature([TRIANGLE])]]
)
def test_a_bare_feature_geometry_or_list_is_read(value: object) -> None:
    assert len(read_one(value).annotation.shapes) == 1


def test_files_and_pictures() -> None:
    a, b = collection(feature([TRIANGLE], label="a")), collection(feature([TRIANGLE], label="b"))
    mixed = collection(
        feature([TRIANGLE], label="c", image="images/two.png"),
        feature([TRIANGLE], label="d", image="three.png"),
        feature([TRIANGLE], label="e"),
    )
    files = {
        "images/one.png": b"",
        "images/two.png": b"",
        "images/scan.svs.png": b"",
        "annotations/one.geojson": json.dumps(a),
        "annotations/ONE.json": json.dumps(b),
        "annotations/scan.svs.png.geojson": json.dumps(a),
        "annotations/rest.geojson": json.dumps(mixed),
    }
    pictures = read_geojson(source(files), known(SIZE)).pictures
    found = {picture.picture: [shape.label for shape in picture.annotation.shapes] for picture in pictures}
    assert found == {
        "images/one.png": ["a", "b"],
        "images/two.png": ["c"],
        "images/scan.svs.png": ["a"],
        "three.png": ["d"],
        "annotations/rest": ["e"],
    }


def test_the_only_picture_is_taken_and_told() -> None:
    files = {"x.png": b"", "y.geojson": json.dumps(feature([TRIANGLE], label="a"))}
    (picture,) = read_geojson(source(files), known(SIZE)).pictures
    assert picture.picture == "x.png"
    assert [note.kind for note in picture.notes] == ["assumed"]


# ----------------------------------------------------------------------------------------------------------- the map


TILE = ImageSize(4, 6)


def on_map(value: object, *, picture: bytes, size: ImageSize = TILE) -> PictureAnnotation:
    (found,) = read_geojson(source({"a.tif": picture, "a.geojson": json.dumps(value)}), known(size)).pictures
    return found


BOX_UTM = [[500.5, 899.25], [502, 899.25], [502, 899.75], [500.5, 899.75], [500.5, 899.25]]  # columns 1..4, rows 1..3


@pytest.mark.parametrize(
    "crs",
    [
        {},
        {"crs": None},
        {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32616"}}},
        {"crs": {"type": "name", "properties": {"name": "EPSG:32616"}}},
        {"crs": {"type": "EPSG", "properties": {"code": 32616}}},
        {"crs": {"type": "name", "properties": {"name": "a local system"}}},
        {"crs": "nonsense"},
    ],
)
def test_coordinates_on_the_map_of_the_picture(crs: dict[str, Any]) -> None:
    found = on_map(collection(feature([BOX_UTM], label="a"), **crs), picture=geotiff())
    (shape,) = found.annotation.shapes
    assert isinstance(shape, MaskShape)
    assert shape.points_xy == ((1, 1), (3, 2))
    assert not found.notes


def test_pixels_on_a_picture_that_lies_on_a_map() -> None:
    found = on_map(collection(feature([[[1, 1], [4, 1], [4, 3], [1, 3]]], label="a")), picture=geotiff())
    assert found.annotation.shapes[0].points_xy == ((1, 1), (3, 2))
    assert [note.kind for note in found.notes] == ["assumed"]


def test_degrees_on_a_picture_in_metres_are_brought_over() -> None:
    picture = geotiff(corner=(733601.0, 3725139.0), height=40, width=60)
    size = ImageSize(40, 60)
    geo = read_geo(picture)
    assert geo is not None
    corners = geo.to_map(np.array([[10.3, 5.2], [50.1, 7.7], [30.4, 35.9]]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import rasterio.warp

        geometry = {"type": "Polygon", "coordinates": [[*corners.tolist(), corners[0].tolist()]]}
        degrees = rasterio.warp.transform_geom("EPSG:32616", "EPSG:4326", geometry)
    for value in (collection({"type": "Feature", "properties": {"label": "a"}, "geometry": degrees}), degrees):
        found = on_map(value, picture=picture, size=size)
        np.testing.assert_allclose(
            found.annotation.shapes[0].points_xy, [[10.3, 5.2], [50.1, 7.7], [30.4, 35.9]], atol=1e-5
        )
        assert "turned" in {note.kind for note in found.notes}


def test_one_layer_over_many_pictures() -> None:
    files: dict[str, str | bytes] = {
        "tiles/left.tif": geotiff(),
        "tiles/right.tif": geotiff(corner=(503.0, 900.0)),
        "tiles/far.tif": geotiff(corner=(9000.0, 900.0)),
        "photo.png": b"",
    }
    both = [[500.5, 899.25], [505, 899.25], [505, 899.75], [500.5, 899.75], [500.5, 899.25]]
    layer = collection(
        feature([both], label="a"),
        feature([BOX_UTM], label="b"),
        feature([[[504, 899.3], [505, 899.5], [504, 899.7]]], label="c"),
    )
    pictures = read_geojson(source({**files, "layer.geojson": json.dumps(layer)}), known(ImageSize(4, 6))).pictures
    found = {picture.picture: [shape.label for shape in picture.annotation.shapes] for picture in pictures}
    assert found == {"tiles/left.tif": ["a", "b"], "tiles/right.tif": ["a", "c"]}


def test_a_world_file_tells_where_a_picture_lies() -> None:
    files = {
        "a.png": b"",
        "a.pgw": "0.5\n0\n0\n-0.25\n500.25\n899.875\n",
        "a.geojson": json.dumps(feature([BOX_UTM], label="a")),
    }
    (picture,) = read_geojson(source(files), known(ImageSize(4, 6))).pictures
    assert picture.annotation.shapes[0].points_xy == ((1, 1), (3, 2))


@pytest.mark.parametrize(
    ("value", "picture", "said"),
    [
        (collection(feature([BOX_UTM])), None, "does not say where it lies"),
        (collection(feature([TRIANGLE]), crs={"properties": {"name": "EPSG:32616"}}), None, "EPSG:32616"),
        (collection(feature([[[85.3, 27.7], [85.301, 27.7], [85.3, 27.701]]])), None, "longitudes"),
        (collection(feature([[[x + 9000, y] for x, y in BOX_UTM]])), geotiff(), "elsewhere"),
        (collection(feature([BOX_UTM]), crs={"properties": {"name": "EPSG:999999"}}), geotiff(), "EPSG:999999"),
    ],
)
def test_what_lies_elsewhere_is_said_in_one_sentence(value: object, picture: bytes | None, said: str) -> None:
    found = on_map(value, picture=picture) if picture else read_one(value)
    (note,) = found.notes
    assert note.kind == "error"
    assert said in note.text
    assert not found.annotation.shapes


def test_without_rasterio_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rasterio.warp", None)
    value = collection(
        feature([[[-84.47, 33.63], [-84.46, 33.63], [-84.47, 33.64]]]), crs={"properties": {"name": "CRS84"}}
    )
    (note,) = on_map(value, picture=geotiff(keys=UTM)).notes
    assert "QGIS" in note.text


# ------------------------------------------------------------------------------------------------------- broken input


@pytest.mark.parametrize(
    "broken",
    [
        None,
        3,
        [],
        {},
        {"type": "Feature"},
        {"type": "Feature", "geometry": None, "properties": None},
        {"type": "Feature", "geometry": {"type": "Polygon"}},
        feature(None),
        feature([]),
        feature([[]]),
        feature([[[1, 1], [2, 2], [1, 1]]], "Circle"),
        feature([[[1, 1], [5, 5]]]),
        feature([[[1, 1], [5, 5], [None, 3], [1, 1]]]),
        feature([[[1, 1], [5, 5], ["4", "3"], [1, 1]]]),
        feature([[[1, 1], [5, 5], [7], [1, 1]]]),
        feature([[1, 1], [5, 5], [7, 8]]),
        feature([[[[1, 1], [5, 5], [7, 8]]]]),
        feature([[[1, 1], [float("nan"), 5], [7, 8]]]),
        feature([[[1, 1], [float("inf"), 5], [7, 8]]]),
        feature([[[1, 1], [1e300, 5], [7, 8]]]),
        feature([[[1, 1], [10**400, 5], [7, 8]]]),
        feature([[[1, 1], [1, 1], [1, 1], [1, 1]]]),
        feature([[1, 1]], "LineString"),
        feature({"a": 1}),
        feature([-50, -50], "Point"),
    ],
)
def test_a_broken_feature_is_told_and_the_rest_comes_in(broken: object) -> None:
    good = feature([TRIANGLE], label="a")
    picture = read_one(collection(good, broken, good, maskloop={"coordinates": "pixels"}))
    assert len(picture.annotation.shapes) == 2
    assert [note.kind for note in picture.notes] == ["ignored"]


def test_a_ring_that_is_not_closed_is_closed() -> None:
    open_ring, closed = read_one(collection(feature([TRIANGLE[:-1]]), feature([TRIANGLE]))).annotation.shapes
    assert open_ring == closed


def test_a_hundred_thousand_points_come_in() -> None:
    angles = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    ring = np.column_stack((100 + 40 * np.cos(angles), 50 + 40 * np.sin(angles))).tolist()
    (polygon,) = read_one(feature([ring])).annotation.shapes
    (holed,) = read_one(feature([ring, HOLE])).annotation.shapes
    assert len(polygon.points_xy) == 100_000
    assert isinstance(holed, MaskShape)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"type": "FeatureCollection", "features": [',
        '{"type": "FeatureCollection", "features": {}}',
        '{"type": "Topology"}',
        "[" * 100_000,
        '{"type": "GeometryCollection", "geometries": [' * 5000,
        "\x00\xff",
        '"Feature"',
    ],
)
def test_a_file_that_cannot_be_read_is_named(text: str) -> None:
    good = json.dumps(feature([TRIANGLE], label="a"))
    with pytest.raises(ReadError, match=r"bad\.geojson"):
        read_geojson(source({"bad.geojson": text}), known(SIZE))
    reading = read_geojson(source({"bad.geojson": text, "good.geojson": good}), known(SIZE))
    assert [note.kind for note in reading.notes] == ["error"]
    assert len(list(reading.pictures)) == 1


def test_collections_inside_of_collections_end_somewhere() -> None:
    geometry: dict[str, Any] = {"type": "Point", "coordinates": [1, 1]}
    for _ in range(100):
        geometry = {"type": "GeometryCollection", "geometries": [geometry]}
    picture = read_one(collection({"type": "Feature", "geometry": geometry}, feature([TRIANGLE], label="a")))
    assert len(picture.annotation.shapes) == 1


def test_a_file_for_a_picture_of_another_size_is_told() -> None:
    archive, _ = written(Annotation(size=SIZE, shapes=(Point(label="car", points_xy=((5, 5),)),)))
    (picture,) = read_geojson(archive.source(), known(ImageSize(50, 100))).pictures
    assert [note.kind for note in picture.notes] == ["error"]
    (found,) = read_geojson(archive.source(), lambda name: None).pictures
    assert found.annotation.size == SIZE


_MEMBERS = ["type", "features", "geometry", "properties", "coordinates", "geometries", "crs", "maskloop", "shape"]
_PROPERTIES = ["classification", "name", "names", "image", "order", "label", "labels", "color", "shape_type", "points"]
_KEYS = st.sampled_from([*_MEMBERS, *_PROPERTIES])
_WORDS = "Feature FeatureCollection Polygon MultiPolygon Point GeometryCollection mask circle pixels map EPSG:4326"
_ATOMS = st.sampled_from(_WORDS.split()) | st.none() | st.booleans() | st.integers(-9, 99) | st.floats()
_VALUES = st.recursive(
    _ATOMS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_KEYS, inner, max_size=5), max_leaves=20
)


@given(_VALUES, _VALUES, _VALUES)
@settings(deadline=None, max_examples=200)
def test_garbage_never_raises_anything_but_a_read_error(value: object, geometry: object, own: object) -> None:
    changed = {**feature([SQUARE]), "geometry": geometry}
    told = feature([SQUARE], maskloop={"order": 0, "shape": own, "reversed": own})
    for text in (json.dumps(value), json.dumps(collection(changed, told, crs=own, maskloop=own))):
        inside = source({"a.geojson": text, "a.tif": geotiff()})
        is_geojson_source(inside)
        read_all(source({"a.geojson": text}))
        read_all(inside)


def read_all(inside: Any) -> Reading | None:
    try:
        reading = read_geojson(inside, known(ImageSize(9, 9)))
    except ReadError:
        return None
    for picture in reading.pictures:
        annotation_to_mask(picture.annotation, LabelSet.of(["a"]))
    return reading


@given(st.binary(max_size=60), st.integers(0, 600))
def test_a_damaged_file_never_raises_anything_but_a_read_error(noise: bytes, place: int) -> None:
    archive, _ = written(Annotation(size=SIZE, shapes=(Circle(label="car", points_xy=((5, 5), (7, 7))),)))
    data = archive.files["a.geojson"]
    read_all(source({"a.geojson": data[:place] + noise + data[place + len(noise) :]}))
    read_all(source({"a.geojson": data[:place]}))


# ------------------------------------------------------------------------------------------------------------ knowing


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.geojson": json.dumps(collection())}, True),
        ({"a.json": json.dumps(feature([TRIANGLE]))}, True),
        ({"a.json": json.dumps([feature([TRIANGLE])])}, True),
        ({"a.json": json.dumps({"type": "Point", "coordinates": [1, 1]})}, True),
        ({"a.geojson": '{"type": "FeatureCollection", "feat'}, True),  # damaged, and its reader says so
        ({"a.json": '{"type": "FeatureCollection", "feat'}, False),
        ({"a.json": json.dumps({"shapes": [], "imagePath": "a.png"})}, False),
        ({"a.json": json.dumps({"images": [], "annotations": [], "categories": [], "type": "instances"})}, False),
        ({"a.json": json.dumps([{"type": "polygonlabels", "coordinates": []}])}, False),
        ({"a.png": b""}, False),
        ({"a.geojson": b""}, False),
    ],
)
def test_geojson_is_known_by_content(files: dict[str, str | bytes], expected: bool) -> None:
    assert is_geojson_source(source(files)) is expected


# -------------------------------------------------------------------------------------------------------- real files


def test_a_real_layer_over_a_real_geotiff(shared_data: Path) -> None:
    inside = open_source(shared_data / "geotiff_vector")
    names = {file.name: file for file in inside.pictures() if file.suffix == ".tif"}
    own = source_of_uploads(
        [(file.name, file.read()) for file in inside.files if file.name in names or "geojson" in file.name]
    )
    assert is_geojson_source(own)
    (picture,) = read_geojson(own, lambda name: probe_image(names[name].read())).pictures
    assert {note.kind for note in picture.notes} <= {"assumed", "ignored", "clipped"}
    from PIL import Image

    truth = np.asarray(Image.open(shared_data / "geotiff_vector/masks/sample_geotiff.png")) == 1
    mask = annotation_to_mask(picture.annotation, LabelSet.of(picture.annotation.label_names)) > 0
    # polygons are drawn here with both edges, the mask was made by the pixel-centre rule
    assert (mask & truth).sum() / truth.sum() > 0.99
    assert (mask & truth).sum() / (mask | truth).sum() > 0.9


def test_real_degrees_without_a_place_are_told(shared_data: Path) -> None:
    folder = shared_data / "buildings_oam"
    uploads = [("np_labels.geojson", (folder / "annotations/np_labels.geojson").read_bytes())]
    uploads += [(path.name, path.read_bytes()) for path in sorted((folder / "images").glob("np_*"))[:1]]
    (picture,) = read_geojson(source_of_uploads(uploads), lambda name: probe_image(uploads[1][1])).pictures
    assert any("does not say where it lies" in note.text for note in picture.notes)
    assert not picture.annotation.shapes
