import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.shapes import Polygon
from core.errors import ReadError
from core.formats.dataset import LabelEntry
from core.formats.eiseg import is_eiseg_source, read_eiseg
from core.formats.labelme import UNKNOWN_SIZE
from core.images import ImageSize
from tests.formats.round_trip import known, nothing_known, read_one, said, source

TRIANGLE = [[1.5, 1.0], [5.0, 1.0], [5.0, 4.25]]


def polygon(name: str = "cell", index: Any = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "labelIdx": index, "color": [10, 20, 30], "points": TRIANGLE, **more}


def encoded(*polygons: Any) -> bytes:
    return json.dumps(list(polygons)).encode()


def test_polygons_keep_their_points() -> None:
    picture = read_one(read_eiseg, {"field 1.json": encoded(polygon())})
    assert picture.annotation.shapes == (Polygon(label="cell", points_xy=((1.5, 1), (5, 1), (5, 4.25))),)
    assert picture.annotation.size == UNKNOWN_SIZE
    assert (picture.picture, picture.name, picture.notes) == ("field 1", "field 1.json", ())


def test_labels_further_down_in_the_list_paint_over_those_above() -> None:
    polygons = encoded(polygon("a", 1), polygon("b", 2), polygon("c", 3), polygon("a", 1, points=TRIANGLE[::-1]))
    listed = b"3 c 1 2 3 \n1 a 255 0 0 \n2 b 0 0 9 \n"
    picture = read_one(read_eiseg, {"x.json": polygons, "label/autosave_label.txt": listed})
    assert [shape.label for shape in picture.annotation.shapes] == ["c", "a", "a", "b"]
    assert picture.annotation.shapes[2].points_xy[0] == (5, 4.25)
    picture = read_one(read_eiseg, {"x.json": encoded(polygon("b", 2), polygon("a", 1))})
    assert [shape.label for shape in picture.annotation.shapes] == ["a", "b"]


def test_labels_come_from_the_list_then_from_the_polygons() -> None:
    listed = b"1 white blood cell 255 0 0\nnonsense\n2 cell\n4 bad 300 0 0\n"
    files = {"x.json": encoded(polygon("cell", 2), polygon("dirt", 3)), "label.txt": listed}
    reading = read_eiseg(source(files), nothing_known)
    assert reading.labels == (
        LabelEntry("white blood cell", (255, 0, 0)),
        LabelEntry("cell", (10, 20, 30)),
        LabelEntry("dirt", (10, 20, 30)),
    )


@pytest.mark.parametrize(
    ("name", "there", "picture"),
    [
        ("a.json", (), "a"),
        ("a.jpg.json", (), "a.jpg"),
        ("images/a.json", (), "images/a"),
        ("images/label/a.json", ("images/a",), "images/a"),
        ("images/label/a.json", ("images/label/a",), "images/label/a"),
        ("label/a.json", ("a",), "a"),
        ("label/a.json", (), "label/a"),
    ],
)
def test_names_of_pictures(name: str, there: tuple[str, ...], picture: str) -> None:
    reading = read_eiseg(source({name: encoded(polygon())}), known(dict.fromkeys(there, ImageSize(9, 9))))
    assert [found.picture for found in reading.pictures] == [picture]


def test_files_of_tiles_are_told() -> None:
    tiles = encoded(polygon(row=0, col=1))
    reading = read_eiseg(source({"a.json": encoded(polygon()), "a_grid_saved.json": tiles}), nothing_known)
    assert [picture.picture for picture in reading.pictures] == ["a"]
    assert [note.text for note in reading.notes] == [
        "a_grid_saved.json holds tiles of a large picture and was left out"
    ]
    with pytest.raises(ReadError, match="holds tiles of a large picture"):
        read_eiseg(source({"a_grid_saved.json": tiles}), nothing_known)


def test_unknown_keys_are_kept() -> None:
    picture = read_one(read_eiseg, {"a.json": encoded(polygon(score=0.5))})
    assert picture.annotation.shapes[0].extra == {"score": 0.5}


def test_other_json_is_not_eisegs() -> None:
    for value in ([], {}, [1], [{"points": []}], {"labelIdx": 1}, "labelIdx", ["labelIdx"]):
        assert not is_eiseg_source(source({"a.json": json.dumps(value).encode()}))
    assert not is_eiseg_source(source({"a.json": encoded(polygon())[:-3]}))
    with pytest.raises(ReadError, match="holds no file of EISeg"):
        read_eiseg(source({"a.json": b"[]"}), nothing_known)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (polygon(points=TRIANGLE[:2]), "a polygon had fewer than 3 points"),
        (polygon(points=[]), "a polygon without points"),
        (polygon(points=[[1, 2], [3], [4, 5]]), "not a pair of numbers"),
        (polygon(points=[[1, 2], [3, float("nan")], [4, 5]]), "not a pair of numbers"),
        (polygon(name=""), "a shape without a label"),
        (5, "a shape was not an object"),
    ],
)
def test_a_polygon_that_cannot_be_is_left_out_and_told(broken: Any, words: str) -> None:
    picture = read_one(read_eiseg, {"a.json": encoded(polygon(), broken, polygon("dirt", "x"))})
    assert [shape.label for shape in picture.annotation.shapes] == ["cell", "dirt"]
    (text,) = said(picture)
    assert words in text


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_changed_bytes_give_notes_or_one_read_error(data: st.DataObject) -> None:
    whole = encoded(polygon(), polygon("b", 2))
    place = data.draw(st.integers(0, len(whole)))
    changed = whole[:place] + data.draw(st.binary(max_size=4)) + whole[place + data.draw(st.integers(0, 9)) :]
    files = source({"a.json": changed, "label.txt": data.draw(st.binary(max_size=30))})
    is_eiseg_source(files)
    try:
        reading = read_eiseg(files, nothing_known)
    except ReadError:
        return
    assert len(list(reading.pictures)) == 1
