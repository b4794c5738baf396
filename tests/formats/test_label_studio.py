import json
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.raster import shape_to_region
from core.annotation.shapes import Circle, MaskShape, OrientedRectangle, Point, Polygon, Rectangle, Shape
from core.errors import ReadError
from core.formats.dataset import LabelEntry, PictureAnnotation
from core.formats.label_studio import is_label_studio_source, read_label_studio
from core.formats.label_studio_brush import encode_brush
from core.formats.rle import Crop
from core.images import ImageSize
from tests.formats.round_trip import known, nothing_known, read_one, said, source

SIZE = ImageSize(12, 16)
NUMBERS = count()
DATA = {"image": "/data/upload/1/abcd1234-a.png"}
REGION = np.array([[1, 0, 1], [0, 1, 1]], dtype=bool)
BRUSH = {"format": "rle", "rle": encode_brush(Crop(3, 5, REGION), SIZE)}


def result(kind: str = "polygonlabels", label: str = "car", **value: Any) -> dict[str, Any]:
    """An entry of "result" as Label Studio exports it."""
    return {
        "id": f"r{next(NUMBERS)}",
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": SIZE.width,
        "original_height": SIZE.height,
        "image_rotation": 0,
        "value": {**value, kind: [label]},
        "origin": "manual",
    }


def triangle(label: str = "car") -> dict[str, Any]:
    return result(label=label, points=[[0, 0], [50, 0], [50, 75]], closed=True)


def task(*results: Any, data: Any = None, **more: Any) -> dict[str, Any]:
    answer = {"id": 7, "completed_by": 1, "result": list(results), "was_cancelled": False}
    return {"id": 1, "data": DATA if data is None else data, "annotations": [answer], **more}


def files(*tasks: Any) -> dict[str, bytes]:
    return {"project-1.json": json.dumps(list(tasks)).encode()}


def read(*results: Any, **more: Any) -> PictureAnnotation:
    return read_one(read_label_studio, files(task(*results, **more)))


def shapes_of(*results: Any) -> tuple[Shape, ...]:
    picture = read(*results)
    assert not picture.notes
    return picture.annotation.shapes


# ----------------------------------------------------------------------------------------------------------- shapes


def test_percent_become_pixels() -> None:
    rectangle = result("rectanglelabels", x=12.5, y=25, width=25, height=50, rotation=0)
    assert shapes_of(
        triangle(),
        rectangle,
        result("rectanglelabels", x=12.6, y=25, width=25, height=50),
        result("ellipselabels", x=50, y=50, radiusX=12.5, radiusY=100 / 6, rotation=0),
        result("keypointlabels", x=25, y=75, width=0.3),
        result("brushlabels", **BRUSH),
    ) == (
        Polygon(label="car", points_xy=((0, 0), (8, 0), (8, 9))),
        Rectangle(label="car", points_xy=((2, 3), (5, 8))),  # 4 x 6 pixels, their edges from 2 to 6 and 3 to 9
        Rectangle(label="car", points_xy=((12.6 * 16 / 100, 3), (12.6 * 16 / 100 + 4, 9))),
        Circle(label="car", points_xy=((8, 6), (10, 6))),
        Point(label="car", points_xy=((4, 9),)),
        MaskShape(label="car", points_xy=((5, 3), (7, 4)), region=REGION),
    )


def test_a_rectangle_turns_clockwise_about_its_first_corner() -> None:
    (box,) = shapes_of(result("rectanglelabels", x=50, y=25, width=25, height=25, rotation=90))
    assert box == OrientedRectangle(label="car", points_xy=((8, 3), (8, 7), (5, 7), (5, 3)))
    (box,) = shapes_of(result("rectanglelabels", x=50, y=25, width=25, height=25, rotation=30))
    assert box.points_xy[1] == (pytest.approx(8 + 4 * 3**0.5 / 2), pytest.approx(3 + 2))


def test_an_ellipse_becomes_its_pixels() -> None:
    picture = read(result("ellipselabels", x=50, y=50, radiusX=25, radiusY=20, rotation=90))
    assert said(picture) == ["an ellipse was read as its pixels"]
    y, x = np.mgrid[: SIZE.height, : SIZE.width] + 0.5
    wanted = ((x - 8) / 2.4) ** 2 + ((y - 6) / 4) ** 2 <= 1
    assert np.array_equal(shape_to_region(picture.annotation.shapes[0], SIZE), wanted)


def test_turning_a_picture_for_viewing_moves_nothing() -> None:
    (polygon,) = shapes_of({**triangle(), "image_rotation": 90})
    assert polygon.points_xy == ((0, 0), (8, 0), (8, 9))
    assert polygon.extra == {"label_studio": {"image_rotation": 90}}


def test_what_a_person_wrote_about_a_region_is_its_description() -> None:
    (polygon,) = shapes_of({**triangle(), "meta": {"text": ["broken", "at the left"]}, "score": 0.5})
    assert polygon.description == "broken\nat the left"
    assert polygon.extra == {"label_studio": {"score": 0.5}}


def test_a_region_whose_label_stands_in_an_entry_of_its_own() -> None:
    points = {"points": [[0, 0], [50, 0], [50, 75]]}
    both = [
        {**result("polygon"), "id": "r1", "value": points},
        {**result("labels"), "id": "r1", "value": {**points, "labels": ["car"]}},
    ]
    for order in (both, both[::-1]):
        assert shapes_of(*order) == (Polygon(label="car", points_xy=((0, 0), (8, 0), (8, 9))),)


def test_answers_that_are_no_shape_are_told() -> None:
    choice = {"id": "c", "type": "choices", "from_name": "q", "to_name": "image", "value": {"choices": ["night"]}}
    text = {"id": "t", "type": "textarea", "value": {"text": ["x"], "x": 1, "y": 1, "width": 2, "height": 2}}
    picture = read(triangle(), choice, text, result("bitmasklabels", imageDataURL="data:"))
    assert len(picture.annotation.shapes) == 1
    assert said(picture) == [
        f"an answer of the type {kind!r}, which is no shape here, was left out"
        for kind in ("choices", "textarea", "bitmasklabels")
    ]


def test_of_several_labels_the_first_is_read() -> None:
    region = triangle()
    region["value"]["polygonlabels"] = ["car", "red"]
    picture = read(region)
    assert [shape.label for shape in picture.annotation.shapes] == ["car"]
    assert said(picture) == ["of several labels of one region only 'car' was read"]


# ------------------------------------------------------------------------------------------------------------ tasks


def test_of_several_answers_the_latest_is_read() -> None:
    answers = [
        {"result": [triangle("old")], "updated_at": "2024-03-01T10:00:00Z"},
        {"result": [triangle("new")], "updated_at": "2024-03-05T10:00:00Z"},
        {"result": [triangle("cancelled")], "updated_at": "2024-04-01T10:00:00Z", "was_cancelled": True},
        {"result": [triangle("older")], "updated_at": "2024-02-01T10:00:00Z"},
    ]
    picture = read(annotations=answers)
    assert [shape.label for shape in picture.annotation.shapes] == ["new"]
    assert said(picture) == ["of 3 answers the latest was read"]


def test_predictions_are_read_only_when_nobody_has_answered() -> None:
    guess = [{"result": [triangle("guess")], "score": 0.5}]
    assert [shape.label for shape in read(triangle(), predictions=guess).annotation.shapes] == ["car"]
    picture = read(annotations=[], predictions=guess)
    assert [shape.label for shape in picture.annotation.shapes] == ["guess"]
    assert said(picture) == ["nobody has answered; the prediction of a model was read"]


def test_tasks_without_an_answer_are_told() -> None:
    assert said(read(annotations=[])) == ["a picture has no annotation"]
    assert said(read(annotations=[{"result": [], "was_cancelled": True}])) == ["a picture was skipped by its annotator"]


def test_older_files_say_completions() -> None:
    data = {"id": 1, "data": DATA, "completions": [{"id": 1, "result": [triangle()]}]}
    picture = read_one(read_label_studio, files(data))
    assert len(picture.annotation.shapes) == 1


def test_one_task_may_be_a_file() -> None:
    picture = read_one(read_label_studio, {"7.json": json.dumps(task(triangle())).encode("utf-16")})
    assert len(picture.annotation.shapes) == 1


@pytest.mark.parametrize(
    ("data", "there", "picture"),
    [
        ({"image": "/data/upload/1/abcd1234-my_field.png"}, (), "my_field.png"),
        ({"image": "/data/upload/1/abcd1234-a.png"}, ("a.png",), "a.png"),
        ({"image": "/data/upload/1/abcd1234-a.png"}, ("abcd1234-a.png",), "abcd1234-a.png"),
        ({"image": "/data/upload/1/plain-a.png"}, (), "plain-a.png"),
        ({"image": "/data/local-files/?d=sets/north%20side/a.png"}, (), "sets/north side/a.png"),
        ({"image": "/data/local-files/?d=sets/north/a.png"}, ("a.png",), "a.png"),
        ({"image": "/data/local-files/?d=../../etc/a.png"}, (), "a.png"),
        ({"image": r"/data/local-files/?d=C:\sets\a.png"}, (), "a.png"),
        ({"image": "https://host.org/sets/a%20b.png?token=d"}, (), "sets/a b.png"),
        ({"image": "s3://bucket/sets/a.png"}, ("a.png",), "a.png"),
        ({"image": "sets/a.png"}, (), "sets/a.png"),
        ({"id": "x", "photo": "http://host/a.jpg", "text": "see b.txt"}, (), "a.jpg"),
    ],
)
def test_names_of_pictures(data: dict[str, str], there: tuple[str, ...], picture: str) -> None:
    reading = read_label_studio(source(files(task(data=data))), known(dict.fromkeys(there, SIZE)))
    assert [found.picture for found in reading.pictures] == [picture]


def test_a_task_without_a_single_picture_is_told() -> None:
    tasks = [task(data={"text": "hello"}), task(data={"image": ["a.png", "b.png"]}), task(triangle())]
    reading = read_label_studio(source(files(*tasks)), nothing_known)
    assert len(list(reading.pictures)) == 1
    assert [note.text for note in reading.notes] == [
        "a task of project-1.json that names no single picture was left out"
    ] * 2


def test_a_picture_in_two_tasks_is_read_once() -> None:
    reading = read_label_studio(source(files(task(triangle("a")), task(triangle("b")))), nothing_known)
    assert [picture.annotation.label_names for picture in reading.pictures] == [("a",)]
    assert [note.kind for note in reading.notes] == ["duplicate"]


def test_labels_come_from_the_configuration_then_from_the_shapes() -> None:
    config = (
        '<View><Image name="image" value="$image"/><PolygonLabels name="label" toName="image">'
        '<Label value="road" background="#ff8000"/><Label value="car" background="red"/>'
        '<Label value="sky" background="what"/></PolygonLabels></View>'
    )
    reading = read_label_studio(
        source({**files(task(triangle("car"), triangle("tree"))), "label_config.xml": config.encode()}), nothing_known
    )
    assert reading.labels == (
        LabelEntry("road", (255, 128, 0)),
        LabelEntry("car", (255, 0, 0)),
        LabelEntry("sky"),
        LabelEntry("tree"),
    )


def test_without_a_size_percent_are_of_the_picture() -> None:
    region = triangle()
    del region["original_width"]
    reading = read_label_studio(source(files(task(region))), known({"a.png": ImageSize(100, 200)}))
    (picture,) = reading.pictures
    assert picture.annotation.shapes[0].points_xy == ((0, 0), (100, 0), (100, 75))
    picture = read(region)
    assert said(picture) == ["a shape was left out: neither the file nor a picture says what its percentages are of"]


def test_the_short_form_is_told() -> None:
    short = [{"image": "/data/upload/1/a.png", "id": 1, "label": [{"x": 1}], "annotator": 1, "annotation_id": 2}]
    short_files = source({"project.json": json.dumps(short).encode()})
    assert is_label_studio_source(short_files)
    with pytest.raises(ReadError, match='JSON-MIN; export from Label Studio as "JSON"'):
        read_label_studio(short_files, nothing_known)


def test_other_json_is_not_label_studios() -> None:
    assert is_label_studio_source(source(files(task())))
    for value in ([], {}, [1], {"data": 1}, {"data": {}}, {"shapes": [], "data": {}}, "data", None):
        assert not is_label_studio_source(source({"a.json": json.dumps(value).encode()}))
    coco = {"images": [], "annotations": [], "categories": [], "data": []}
    assert not is_label_studio_source(source({"a.json": json.dumps(coco).encode()}))
    with pytest.raises(ReadError, match="holds no task of Label Studio"):
        read_label_studio(source({"a.json": b"{}"}), nothing_known)


# -------------------------------------------------------------------------------------------------------- malformed


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (result(points=[[1, 2], [3, 4]]), "a polygon had fewer than 3 points"),
        (result(points="x"), "a polygon had fewer than 3 points"),
        (result(points=[[1, 2], [3, 4], [5]]), "coordinates that are not numbers"),
        (result(points=[[1, 2], [3, 4], [5, None]]), "coordinates that are not numbers"),
        (result(points=[[1, 2], [3, 4], [5, float("nan")]]), "coordinates that are not numbers"),
        (result(points=[[1, 2], [3, 4], [5, 1e300]]), "far outside"),
        (result(points=[[1, 2], [3, 4], [5, -(10**400)]]), "far outside"),
        (result(points=[[1, 2], [3, 4], [5, float("inf")]]), "far outside"),
        (result("rectanglelabels", x=1, y=1, width=True, height=5), "coordinates that are not numbers"),
        (result("rectanglelabels", x=25, y=25, width=0, height=25), "a box without an extent"),
        (result("rectanglelabels", x=25, y=25, width=2, height=25, rotation="a"), "coordinates that are not numbers"),
        (result("ellipselabels", x=1, y=1, radiusX=-1, radiusY=2), "a negative radius"),
        (result("ellipselabels", x=1, y=1, radiusX=0, radiusY=2), "an ellipse without a pixel"),
        (result("brushlabels", rle=[0, 0, 0, 1]), "its runs are cut off"),
        (result("brushlabels", rle="abc"), "not a list of bytes"),
        (result("brushlabels", rle=encode_brush(Crop(0, 0, REGION), ImageSize(5, 5))), "not of a picture of 16 x 12"),
        (result("brushlabels", rle=encode_brush(Crop(0, 0, ~(REGION | True)), SIZE)), "a mask without a pixel"),
        (result("keypointlabels", width=3), "a region of an unknown form"),
        ({**triangle(), "value": None}, "a shape without a label"),
        ({**triangle(), "value": {"points": []}}, "a shape without a label"),
        (triangle(" "), "a shape without a label"),
        ({**triangle(), "original_width": 99}, "it was drawn on a picture of 99 x 12, others on 16 x 12"),
        ({**triangle(), "item_index": 1}, "on the second or a further picture"),
    ],
)
def test_a_region_that_cannot_be_is_left_out_and_told(region: dict[str, Any], words: str) -> None:
    picture = read(result(label="kept", points=[[0, 0], [50, 0], [50, 75]]), region)
    assert [shape.label for shape in picture.annotation.shapes] == ["kept"]
    (text,) = said(picture)
    assert words in text
    assert "left out" in text


def test_a_file_cut_off_is_told() -> None:
    data = files(task(triangle()))["project-1.json"]
    with pytest.raises(ReadError, match=r"project-1.json is not readable JSON .* it may be cut off"):
        read_label_studio(source({"project-1.json": data[:-20]}), nothing_known)
    reading = read_label_studio(source({"a.json": data[:-20], "b.json": data}), nothing_known)
    assert len(list(reading.pictures)) == 1
    assert [note.kind for note in reading.notes] == ["error"]


ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["", "a", "result", "labels"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "points", "rle"]), inner),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_changed_values_give_notes_or_one_read_error(data: st.DataObject) -> None:
    whole = [
        task(
            triangle(),
            result("rectanglelabels", x=1, y=2, width=3, height=4, rotation=5),
            result("ellipselabels", x=50, y=50, radiusX=3, radiusY=4, rotation=5),
            result("brushlabels", **BRUSH),
            predictions=[{"result": [triangle()]}],
        )
    ]
    value = json.loads(json.dumps(whole))
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = value
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or data.draw(st.integers(0, 5)) == 0:
                place[key] = data.draw(ODD)
                break
            place = place[key]
    check_is_read_or_refused(json.dumps(value).encode())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_changed_bytes_give_notes_or_one_read_error(data: st.DataObject) -> None:
    whole = files(task(triangle(), result("brushlabels", **BRUSH)))["project-1.json"]
    place = data.draw(st.integers(0, len(whole)))
    check_is_read_or_refused(
        whole[:place] + data.draw(st.binary(max_size=4)) + whole[place + data.draw(st.integers(0, 9)) :]
    )


def check_is_read_or_refused(data: bytes) -> None:
    inside = source({"a.json": data})
    is_label_studio_source(inside)
    try:
        reading = read_label_studio(inside, nothing_known)
    except ReadError:
        return
    for picture in reading.pictures:
        for shape in picture.annotation.shapes:
            assert shape.label
