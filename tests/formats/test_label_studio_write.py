import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.labels import IGNORE, Label, LabelSet
from core.annotation.raster import Mask, annotation_to_mask, mask_to_shapes, shape_to_region
from core.annotation.shapes import (
    Annotation,
    Circle,
    Line,
    MaskShape,
    OrientedRectangle,
    Point,
    Points,
    Polygon,
    Rectangle,
    Shape,
)
from core.formats.dataset import ExportItem, LabelEntry, Reading
from core.formats.label_studio import is_label_studio_source, read_label_studio
from core.formats.label_studio_shape import read_region, write_region
from core.formats.label_studio_write import write_label_studio
from core.formats.note import Note
from core.images import ImageSize
from tests.drawings import annotations, masks
from tests.formats.round_trip import Files, export_item, known, nothing_known, painted, source

SIZE = ImageSize(12, 16)
LABELS = LabelSet((Label("_background_", (0, 0, 0)), Label("car", (255, 128, 0)), Label("road", (1, 2, 3))))


def written(*items: ExportItem) -> tuple[Reading, tuple[Note, ...], dict[str, bytes]]:
    files = Files()
    notes = write_label_studio(iter(items), LABELS, files)
    assert list(files.files) == ["tasks.json", "label_config.xml"]
    assert is_label_studio_source(source(files.files))
    return read_label_studio(source(files.files), nothing_known), notes, files.files


def again(*shapes: Shape) -> tuple[list[Shape], list[str]]:
    """`shapes` after a round trip, and what was lost."""
    reading, notes, _ = written(export_item(Annotation(size=SIZE, shapes=shapes)))
    (picture,) = reading.pictures
    assert not picture.notes
    return list(picture.annotation.shapes), [note.text for note in notes]


def results(*shapes: Shape) -> list[dict[str, Any]]:
    _, _, files = written(export_item(Annotation(size=SIZE, shapes=shapes)))
    (task,) = json.loads(files["tasks.json"])
    found: list[dict[str, Any]] = task["annotations"][0]["result"]
    return found


# ------------------------------------------------------------------------------------------------------- round trip


@settings(max_examples=250, deadline=None)
@given(annotations())
def test_any_annotation_keeps_labels_order_and_pixels_or_the_loss_is_told(annotation: Annotation) -> None:
    reading, notes, _ = written(export_item(annotation))
    (picture,) = reading.pictures
    assert {note.kind for note in picture.notes} <= {"unmatched"}
    texts = " ".join(note.text for note in notes)
    shown = [shape for shape in annotation.shapes if write_region(shape, 0, annotation.size)]
    gone = [shape for shape in annotation.shapes if shape not in shown]
    assert not any(shape_to_region(shape, annotation.size).any() for shape in gone)
    assert ("no pixel" in texts) == bool(gone)
    assert len(picture.annotation.shapes) == len(shown)
    for shape, after in zip(shown, picture.annotation.shapes, strict=True):
        assert after.label == shape.label
        assert after.description == (shape.description or None)
        if after.kind != shape.kind:
            assert after.kind == "mask" or (after.kind == "polygon" and shape.kind == "oriented_rectangle")
            assert "written as" in texts
        assert np.array_equal(shape_to_region(after, annotation.size), shape_to_region(shape, annotation.size))
    if picture.annotation.shapes:
        assert picture.annotation.size == annotation.size
        names = annotation.label_names
        assert np.array_equal(painted(annotation, names), painted(picture.annotation, names))
    assert ("group id" in texts) == any(shape.group_id is not None for shape in shown)
    assert bool(re.search(r"flags of (a|\d+) shapes?", texts)) == any(shape.flags for shape in shown)
    assert ("another program" in texts or "other programs" in texts) == any(shape.extra for shape in shown)


@settings(max_examples=150, deadline=None)
@given(masks((0, 0, 1, 2, 255)), st.booleans())
def test_any_mask_survives_with_its_holes(mask: Mask, split_objects: bool) -> None:
    shapes = mask_to_shapes(mask, LABELS, split_objects=split_objects)
    size = ImageSize(*mask.shape)
    reading, notes, _ = written(export_item(Annotation(size=size, shapes=shapes)))
    (picture,) = reading.pictures
    assert picture.annotation.shapes == shapes
    assert not notes
    assert np.array_equal(annotation_to_mask(replace(picture.annotation, size=size), LABELS), mask)


COORDINATES = st.floats(-30, 5000, allow_nan=False)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=6), st.integers(1, 500))
def test_percent_give_the_very_points_of_a_polygon_back_or_the_nearest(
    points: list[tuple[float, float]], side: int
) -> None:
    polygon = Polygon(label="car", points_xy=tuple(points))
    size = ImageSize(side, side)
    region = write_region(polygon, 0, size)
    assert region is not None
    shape, _ = read_region(region, "car", size)
    if isinstance(shape, Polygon):
        assert np.allclose(shape.points_xy, points, rtol=1e-15, atol=1e-12)


def test_coordinates_that_people_draw_come_back_to_the_last_digit() -> None:
    shapes = (
        Polygon(label="car", points_xy=((1.1, 2.7), (9.51, 2.75), (4.003, 8.1), (7, 11))),
        Rectangle(label="car", points_xy=((1, 2), (3, 4))),
        Circle(label="car", points_xy=((5, 6), (8, 6))),
        OrientedRectangle(label="car", points_xy=((8, 3), (8, 7), (5, 7), (5, 3))),
        Point(label="car", points_xy=((1.3, 2.9),)),
        MaskShape(label="car", points_xy=((1, 2), (2, 2)), region=np.array([[True, True]])),
    )
    assert again(*shapes) == (list(shapes), [])


def test_what_label_studio_brought_along_goes_back() -> None:
    told = {"label_studio": {"score": 0.5, "origin": "prediction", "image_rotation": 90}}
    box = Rectangle(label="car", points_xy=((1, 2), (3, 4)), description="broken", extra=told)
    assert again(box) == ([box], [])
    (region,) = results(box)
    assert region["origin"] == "prediction"
    assert region["meta"] == {"text": ["broken"]}


@pytest.mark.parametrize("value", [None, 5, ["a"], {"type": 7, "value": 3, "x": float("nan")}])
def test_odd_things_under_our_key_do_no_harm(value: object) -> None:
    shapes, _ = again(Rectangle(label="car", points_xy=((1, 2), (3, 4)), extra={"label_studio": value}))
    assert [shape.points_xy for shape in shapes] == [((1, 2), (3, 4))]


def test_a_rectangle_as_thin_as_a_rounding_error_becomes_its_pixels() -> None:
    thin = Rectangle(label="car", points_xy=((1, 2), (3, 2 + 1e-12)))
    (shape,), lost = again(thin)
    assert np.array_equal(shape_to_region(shape, SIZE), shape_to_region(thin, SIZE))
    assert lost == ["a rectangle was written as its pixels"]


def test_lines_become_their_pixels_and_that_is_told() -> None:
    shapes, lost = again(Line(label="car", points_xy=((1, 2), (9, 4))), Points(label="car", points_xy=((1, 2), (9, 4))))
    assert [shape.kind for shape in shapes] == ["mask", "mask"]
    assert lost == ["a line was written as its pixels", "a set of points was written as its pixels"]


def test_ignored_pixels_and_unknown_labels_stay_what_they_are() -> None:
    box = Rectangle(label=IGNORE, points_xy=((1, 2), (3, 4)))
    reading, notes, _ = written(export_item(Annotation(size=SIZE, shapes=(box, replace(box, label="tree")))))
    (picture,) = reading.pictures
    assert [shape.label for shape in picture.annotation.shapes] == [IGNORE, "tree"]
    assert reading.labels == (
        LabelEntry("car", (255, 128, 0)),
        LabelEntry("road", (1, 2, 3)),
        LabelEntry("tree", (128, 128, 128)),
    )
    assert not notes


def test_labels_of_any_letters_do_not_break_the_files() -> None:
    tricky = """"<&>' ]]> é 車"""
    shapes, _ = again(Rectangle(label=tricky, points_xy=((1, 2), (3, 4))))
    assert [shape.label for shape in shapes] == [tricky]
    again(Rectangle(label="a\x00b\ud800\ufffe", points_xy=((1, 2), (3, 4))))


# ----------------------------------------------------------------------------------------- as Label Studio expects it


def test_a_rectangle_is_in_percent() -> None:
    (region,) = results(Rectangle(label="car", points_xy=((5, 8), (2, 3))))
    assert region["value"] == {
        "x": 12.5,
        "y": 25.0,
        "width": 25.0,
        "height": 50.0,
        "rotation": 0.0,
        "rectanglelabels": ["car"],
    }
    assert (region["original_width"], region["original_height"], region["image_rotation"]) == (16, 12, 0)
    assert (region["type"], region["from_name"], region["to_name"]) == ("rectanglelabels", "rectangle", "image")


def test_every_region_names_a_control_of_the_configuration() -> None:
    shapes = (
        Polygon(label="car", points_xy=((1, 2), (9, 2), (4, 8))),
        Rectangle(label="car", points_xy=((1, 2), (3, 4))),
        Circle(label="car", points_xy=((5, 6), (8, 6))),
        Point(label="car", points_xy=((1, 2),)),
        Line(label="car", points_xy=((1, 2), (9, 4))),
    )
    _, _, files = written(export_item(Annotation(size=SIZE, shapes=shapes)))
    config = ElementTree.fromstring(files["label_config.xml"])
    controls = {control.get("name"): control for control in config if control.tag != "Image"}
    (picture,) = config.findall("Image")
    for region in results(*shapes):
        control = controls[region["from_name"]]
        assert control.tag.lower() == region["type"]
        assert control.get("toName") == region["to_name"] == picture.get("name")
        assert [label.get("value") for label in control] == ["car", "road"]
        assert [label.get("background") for label in control] == ["#ff8000", "#010203"]


def test_a_task_names_its_picture_in_the_folder_that_is_served() -> None:
    annotation = Annotation(size=SIZE, shapes=(Rectangle(label="car", points_xy=((1, 2), (3, 4))),))
    _, _, files = written(export_item(annotation, "scene 1 #a?.png", "val"))
    (task,) = json.loads(files["tasks.json"])
    assert task["data"] == {"image": "/data/local-files/?d=images/scene%201%20%23a%3F.png", "part": "val"}
    for there in ("images/scene 1 #a?.png", "scene 1 #a?.png"):
        reading = read_label_studio(source(files), known({there: SIZE}))
        assert [(picture.picture, picture.part) for picture in reading.pictures] == [(there, "val")]


def test_flags_of_a_picture_are_told() -> None:
    items = [export_item(Annotation(size=SIZE, flags={"night": True}), f"{i}.png") for i in range(3)]
    _, notes, _ = written(*items)
    assert [(note.kind, note.text) for note in notes] == [("lost", "the flags of 3 pictures were left out")]
