import re
from collections.abc import Iterable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.labels import IGNORE, Label, LabelSet
from core.annotation.raster import Mask, annotation_to_mask, mask_to_shapes, shape_to_region
from core.annotation.shapes import Annotation, Circle, MaskShape, OrientedRectangle, Polygon, Rectangle, Shape
from core.formats.cvat import read_cvat
from core.formats.cvat_write import write_cvat
from core.formats.dataset import ExportItem, LabelEntry, Reading
from core.formats.note import Note
from core.images import ImageSize
from tests.drawings import annotations, masks
from tests.formats.round_trip import Files, export_item, nothing_known, painted, source

SIZE = ImageSize(12, 16)
LABELS = LabelSet((Label("_background_", (0, 0, 0)), Label("car", (255, 128, 0)), Label("road", (1, 2, 3))))
SAME_PIXELS = {"circle": {"circle", "mask"}, "oriented_rectangle": {"oriented_rectangle", "polygon"}}
FEW_POINTS = {("linestrip", 2): {"line"}, ("points", 1): {"point"}}


def written(*items: ExportItem, labels: LabelSet = LABELS) -> tuple[Reading, tuple[Note, ...], bytes]:
    files = Files()
    notes = write_cvat(iter(items), labels, files)
    assert list(files.files) == ["annotations.xml"]
    return read_cvat(source(files.files), nothing_known), notes, files.files["annotations.xml"]


def again(*shapes: Shape, size: ImageSize = SIZE) -> tuple[list[Shape], list[str]]:
    """`shapes` after a round trip, and what was lost."""
    reading, notes, _ = written(export_item(Annotation(size=size, shapes=shapes)))
    (picture,) = reading.pictures
    assert not picture.notes
    return list(picture.annotation.shapes), [note.text for note in notes]


def with_pixels(shapes: Iterable[Shape], size: ImageSize) -> list[Shape]:
    """All but masks that show nothing in the picture."""
    return [shape for shape in shapes if not isinstance(shape, MaskShape) or shape_to_region(shape, size).any()]


# ------------------------------------------------------------------------------------------------------- round trip


@settings(max_examples=250, deadline=None)
@given(annotations())
def test_any_annotation_keeps_labels_order_and_pixels_or_the_loss_is_told(annotation: Annotation) -> None:
    reading, notes, _ = written(export_item(annotation))
    (picture,) = reading.pictures
    assert not picture.notes
    texts = " ".join(note.text for note in notes)
    assert picture.annotation.size == annotation.size
    drawn = with_pixels(annotation.shapes, annotation.size)
    assert ("no pixel" in texts) == (len(drawn) < len(annotation.shapes))
    assert len(picture.annotation.shapes) == len(drawn)
    groups = [shape.group_id for shape in annotation.shapes if shape.group_id is not None]
    raised = max(0, 1 - min(groups, default=1))
    assert ("group ids" in texts) == (raised > 0)
    for shape, after in zip(drawn, picture.annotation.shapes, strict=True):
        assert after.label == shape.label
        assert after.group_id == (None if shape.group_id is None else shape.group_id + raised)
        kinds = FEW_POINTS.get((shape.kind, len(shape.points_xy)), SAME_PIXELS.get(shape.kind, {shape.kind}))
        assert after.kind in kinds
        assert np.array_equal(shape_to_region(after, annotation.size), shape_to_region(shape, annotation.size))
        if shape.kind in ("polygon", "line", "linestrip", "point", "points"):
            assert after.points_xy == shape.points_xy
    names = annotation.label_names
    assert np.array_equal(painted(annotation, names), painted(picture.annotation, names))
    assert ("description" in texts) == any(shape.description for shape in drawn)
    assert bool(re.search(r"flags of (a|\d+) shapes?", texts)) == any(shape.flags for shape in drawn)
    assert ("another program" in texts or "other programs" in texts) == any(shape.extra for shape in drawn)


@settings(max_examples=150, deadline=None)
@given(masks((0, 0, 1, 2, 255)), st.booleans())
def test_any_mask_survives_with_its_holes(mask: Mask, split_objects: bool) -> None:
    shapes = mask_to_shapes(mask, LABELS, split_objects=split_objects)
    reading, notes, _ = written(export_item(Annotation(size=ImageSize(*mask.shape), shapes=shapes)))
    (picture,) = reading.pictures
    assert picture.annotation.shapes == shapes
    assert not notes
    assert np.array_equal(annotation_to_mask(picture.annotation, LABELS), mask)


def test_what_cvat_brought_along_goes_back() -> None:
    told = {"cvat": {"occluded": "1", "source": "auto", "attributes": {"colour": "red & <blue>", "line": "a\r\nb"}}}
    point = Polygon(label="car", points_xy=((1.25, 2), (9.5, 2.75), (4, 8.1)), group_id=3, extra=told)
    shapes, lost = again(point)
    assert shapes == [point]
    assert not lost


@pytest.mark.parametrize("value", [None, 5, ["a"], {"attributes": 7, "<": "x", "label": "z"}, {"a b": "c"}])
def test_odd_things_under_our_key_do_no_harm(value: object) -> None:
    shapes, _ = again(Rectangle(label="car", points_xy=((1, 2), (3, 4)), extra={"cvat": value}))
    assert shapes == [Rectangle(label="car", points_xy=((1, 2), (3, 4)))]


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


def test_letters_that_xml_cannot_hold_do_not_break_the_file() -> None:
    box = Rectangle(label="a\x00b\ud800\ufffe", points_xy=((1, 2), (3, 4)))
    shapes, _ = again(box)
    assert [shape.label for shape in shapes] == ["a\ufffdb\ufffd\ufffd"]
    tricky = """"<&>' ]]> é 車"""
    shapes, _ = again(replace(box, label=tricky))
    assert [shape.label for shape in shapes] == [tricky]


# ------------------------------------------------------------------------------------------------- as CVAT expects it


def elements(*shapes: Shape) -> list[ElementTree.Element]:
    _, _, data = written(export_item(Annotation(size=SIZE, shapes=shapes)))
    return list(ElementTree.fromstring(data).findall("image/*"))


def test_a_rectangle_is_a_box_around_the_same_pixels() -> None:
    (box,) = elements(Rectangle(label="car", points_xy=((5, 4), (2, 3))))
    assert box.attrib == {
        "label": "car",
        "source": "manual",
        "occluded": "0",
        "z_order": "0",
        "xtl": "2.00",
        "ytl": "3.00",
        "xbr": "6.00",
        "ybr": "5.00",
    }


def test_a_mask_tells_its_runs_row_by_row() -> None:
    region = np.array([[0, 1, 1], [1, 0, 1]], dtype=bool)
    (mask,) = elements(MaskShape(label="car", points_xy=((2, 5), (4, 6)), region=region))
    assert mask.tag == "mask"
    assert mask.get("rle") == "1, 3, 1, 1"
    assert [mask.get(key) for key in ("left", "top", "width", "height")] == ["2", "5", "3", "2"]


def test_a_mask_over_the_edge_is_cut_as_cvat_wants_it() -> None:
    whole = MaskShape(label="car", points_xy=((-1, 10), (1, 13)), region=np.ones((4, 3), dtype=bool))
    (mask,) = elements(whole)
    assert [mask.get(key) for key in ("left", "top", "width", "height")] == ["0", "10", "2", "2"]
    assert again(whole)[1] == ["what a mask has outside of its picture was cut off"]
    assert again(replace(whole, points_xy=((20, 10), (22, 13))))[1] == [
        "a shape that covers no pixel of its picture was left out"
    ]


def test_later_shapes_lie_higher() -> None:
    shapes = [Rectangle(label="car", points_xy=((1, 2), (3, 4)))] * 12
    assert [element.get("z_order") for element in elements(*shapes)] == [str(i) for i in range(12)]


def test_a_turned_rectangle_is_a_box_with_a_rotation() -> None:
    shape = OrientedRectangle(label="car", points_xy=((6, 2), (6, 8), (4, 8), (4, 2)))
    (box,) = elements(shape)
    assert [box.get(key) for key in ("xtl", "ytl", "xbr", "ybr", "rotation")] == [
        "2.00",
        "4.00",
        "8.00",
        "6.00",
        "90.00",
    ]
    assert again(shape) == ([shape], [])
    skewed = OrientedRectangle(label="car", points_xy=((6, 2), (7, 8), (4, 8), (4, 2)))
    shapes, lost = again(skewed)
    assert shapes == [Polygon(label="car", points_xy=skewed.points_xy)]
    assert lost == ["a rotated rectangle was written as a polygon"]


def test_an_upright_rotated_rectangle_stays_one() -> None:
    shapes, lost = again(OrientedRectangle(label="car", points_xy=((2, 2), (8, 2), (8, 5), (2, 5))))
    assert [shape.kind for shape in shapes] == ["oriented_rectangle"]
    assert set(shapes[0].points_xy) == {(2, 2), (8, 2), (8, 5), (2, 5)}
    assert not lost


def test_a_circle_is_an_ellipse_of_two_equal_radii() -> None:
    circle = Circle(label="coin", points_xy=((5.5, 6), (8.5, 10)))
    (ellipse,) = elements(circle)
    assert [ellipse.get(key) for key in ("cx", "cy", "rx", "ry")] == ["5.50", "6.00", "5.00", "5.00"]


def test_parts_are_the_subsets_of_a_project() -> None:
    annotation = Annotation(size=SIZE)
    items = [
        export_item(annotation, "a.png", "train"),
        export_item(annotation, "b.png", "val"),
        export_item(annotation),
    ]
    reading, _, data = written(*items[:2])
    assert [picture.part for picture in reading.pictures] == ["train", "val"]
    root = ElementTree.fromstring(data)
    assert root.findtext("meta/project/subsets") == "train\nval"
    _, _, data = written(items[2])
    assert ElementTree.fromstring(data).findtext("meta/task/mode") == "annotation"


def test_nothing_to_write_is_a_file_without_pictures() -> None:
    files = Files()
    assert write_cvat([], LABELS, files) == ()
    assert ElementTree.fromstring(files.files["annotations.xml"]).findall("image") == []


def test_flags_of_a_picture_are_told() -> None:
    _, notes, _ = written(*[export_item(Annotation(size=SIZE, flags={"night": True}), f"{i}.png") for i in range(3)])
    assert [(note.kind, note.text) for note in notes] == [("lost", "the flags of 3 pictures were left out")]
