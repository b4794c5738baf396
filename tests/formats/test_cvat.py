import re
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.raster import shape_to_region
from core.annotation.shapes import (
    Annotation,
    Circle,
    Line,
    LineStrip,
    MaskShape,
    OrientedRectangle,
    Point,
    Points,
    Polygon,
    Rectangle,
    Shape,
)
from core.errors import ReadError
from core.formats.cvat import is_cvat_source, read_cvat
from core.formats.dataset import LabelEntry, PictureAnnotation
from core.formats.source import open_source
from core.images import ImageSize
from tests.formats.round_trip import known, nothing_known, read_one, said, source

SIZE = ImageSize(12, 16)
DATA = Path("/work/shared/data/formats/datumaro/cvat_dataset")
# The mask of cvat#4723: 77 runs, a brush stroke on a box of 40 x 40
STROKE = (
    "17, 10, 27, 15, 23, 18, 20, 21, 18, 23, 16, 24, 15, 26, 13, 27, 13, 27, 12, 29, 10, 30, 9, 32, 7, 34, 5, 36, 3, "
    "38, 2, 38, 2, 39, 1, 39, 1, 120, 1, 39, 1, 39, 1, 39, 2, 38, 2, 38, 3, 37, 3, 37, 3, 37, 4, 36, 4, 35, 6, 34, 7, "
    "33, 7, 32, 9, 30, 10, 29, 13, 26, 15, 23, 18, 20, 22, 15, 12"
)


def xml(*shapes: str, image: str = 'name="a.png" width="16" height="12"', meta: str = "") -> bytes:
    inside = f"<image {image}>{''.join(shapes)}</image>"
    return f"<annotations><version>1.1</version><meta>{meta}</meta>{inside}</annotations>".encode()


def read(*shapes: str, **more: str) -> PictureAnnotation:
    return read_one(read_cvat, {"annotations.xml": xml(*shapes, **more)})


def shapes_of(*shapes: str, **more: str) -> tuple[Shape, ...]:
    picture = read(*shapes, **more)
    assert not picture.notes
    return picture.annotation.shapes


# ----------------------------------------------------------------------------------------------------------- shapes


def test_hand_drawn_shapes_keep_their_coordinates() -> None:
    assert shapes_of(
        '<polygon label="car" points="1.25,2.00;9.50,2.75;4.00,8.10"/>',
        '<polyline label="road" points="1,2;3,4;5,6.5"/>',
        '<polyline label="road" points="1,2;3,4"/>',
        '<points label="eye" points="1,2;3,4"/>',
        '<points label="eye" points="1.5,2"/>',
        '<box label="door" xtl="1.5" ytl="2" xbr="6.25" ybr="8"/>',
        '<ellipse label="coin" cx="5" cy="6" rx="2.5" ry="2.5"/>',
    ) == (
        Polygon(label="car", points_xy=((1.25, 2.0), (9.5, 2.75), (4.0, 8.1))),
        LineStrip(label="road", points_xy=((1, 2), (3, 4), (5, 6.5))),
        Line(label="road", points_xy=((1, 2), (3, 4))),
        Points(label="eye", points_xy=((1, 2), (3, 4))),
        Point(label="eye", points_xy=((1.5, 2),)),
        Rectangle(label="door", points_xy=((1.5, 2), (6.25, 8))),
        Circle(label="coin", points_xy=((5, 6), (7.5, 6))),
    )


def test_a_box_along_pixel_edges_covers_the_pixels_that_it_covers_in_cvat() -> None:
    (box,) = shapes_of('<box label="car" xtl="2.00" ytl="3.00" xbr="6.00" ybr="5.00"/>')
    region = shape_to_region(box, SIZE)
    assert region.sum() == 4 * 2
    assert region[3:5, 2:6].all()


def test_a_turned_box_turns_clockwise_about_its_centre() -> None:
    (box,) = shapes_of('<box label="car" xtl="2" ytl="4" xbr="8" ybr="6" rotation="90.00"/>')
    assert box == OrientedRectangle(label="car", points_xy=((6, 2), (6, 8), (4, 8), (4, 2)))
    (box,) = shapes_of('<box label="car" xtl="2" ytl="4" xbr="8" ybr="6" rotation="30"/>')
    (x1, y1), (x2, y2) = box.points_xy[:2]
    assert (x2 - x1) / 6 == pytest.approx(3**0.5 / 2)
    assert (y2 - y1) / 6 == pytest.approx(0.5)  # y grows downwards: the right end sinks


@pytest.mark.parametrize("degrees", [0, 90, 30, 211.5])
def test_an_ellipse_becomes_the_pixels_whose_centres_it_holds(degrees: float) -> None:
    picture = read(f'<ellipse label="egg" cx="8.2" cy="5.9" rx="6" ry="2.6" rotation="{degrees}"/>')
    assert said(picture) == ["an ellipse was read as its pixels"]
    angle = np.radians(degrees)
    y, x = np.mgrid[: SIZE.height, : SIZE.width] + 0.5
    across = (x - 8.2) * np.cos(angle) + (y - 5.9) * np.sin(angle)
    down = (y - 5.9) * np.cos(angle) - (x - 8.2) * np.sin(angle)
    wanted = (across / 6) ** 2 + (down / 2.6) ** 2 <= 1
    assert np.array_equal(shape_to_region(picture.annotation.shapes[0], SIZE), wanted)


def slow_mask(rle: str, width: int, height: int) -> np.ndarray:
    """From the words of the format: row by row, beginning with background."""
    pixels: list[bool] = []
    for place, run in enumerate(rle.split(", ")):
        pixels += [place % 2 == 1] * int(run)
    assert len(pixels) == width * height
    return np.array(pixels).reshape(height, width)


def test_a_mask_of_cvats_own() -> None:
    (mask,) = shapes_of(
        f'<mask label="car" source="manual" occluded="0" rle="{STROKE}" left="79" top="304" width="40" height="40"/>',
        image='name="a.png" width="640" height="480"',
    )
    region = shape_to_region(mask, ImageSize(480, 640))
    assert np.array_equal(region[304:344, 79:119], slow_mask(STROKE, 40, 40))
    assert region.sum() == slow_mask(STROKE, 40, 40).sum()


def test_a_mask_may_begin_with_a_drawn_pixel_and_end_with_either() -> None:
    first, last = shapes_of(
        '<mask label="car" rle="0, 1, 3" left="0" top="0" width="2" height="2"/>',
        '<mask label="car" rle="1, 3" left="4" top="5" width="2" height="2"/>',
    )
    assert first == MaskShape(label="car", points_xy=((0, 0), (0, 0)), region=np.ones((1, 1), dtype=bool))
    assert last == MaskShape(label="car", points_xy=((4, 5), (5, 6)), region=np.array([[0, 1], [1, 1]], dtype=bool))


def test_layers_come_first_then_the_order_of_the_file() -> None:
    point = '<points label="{}" points="1,2" z_order="{}"/>'
    shapes = shapes_of(*(point.format(*layer) for layer in (("a", 3), ("b", -1), ("c", 3), ("d", 0), ("e", -1))))
    assert [shape.label for shape in shapes] == ["b", "e", "d", "a", "c"]


def test_groups_and_what_else_cvat_knows_are_kept() -> None:
    inside = '<attribute name="colour">red &amp; blue</attribute><attribute name="empty"></attribute>'
    (point,) = shapes_of(f'<points label="a" points="1,2" group_id="4" occluded="1" source="auto">{inside}</points>')
    assert point.group_id == 4
    assert point.extra == {
        "cvat": {"occluded": "1", "source": "auto", "attributes": {"colour": "red & blue", "empty": ""}}
    }
    (point,) = shapes_of('<points label="a" points="1,2" group_id="0" occluded="0" source="manual" z_order="2"/>')
    assert point == Point(label="a", points_xy=((1, 2),))


def test_what_is_no_shape_here_is_told() -> None:
    cuboid = '<cuboid label="car" xtl1="1"/>'
    skeleton = '<skeleton label="man"><points label="eye" points="1,2"/></skeleton>'
    picture = read(cuboid, skeleton, '<tag label="night"/>', '<polygon label="car" points="1,1;5,1;5,5"/>')
    assert [shape.kind for shape in picture.annotation.shapes] == ["polygon"]
    assert sorted(said(picture)) == [
        "a shape of the type 'cuboid', which is unknown here, was left out",
        "a shape of the type 'skeleton', which is unknown here, was left out",
        "a tag of the whole picture was left out",
    ]


# --------------------------------------------------------------------------------------------------- files and tables


@pytest.mark.parametrize("kind", ["task", "project", "job"])
def test_labels_come_from_the_table_with_their_colours_then_from_the_shapes(kind: str) -> None:
    table = (
        f"<{kind}><labels><label><name>road</name><color>#ff8000</color></label><label><name> car </name></label>"
        "<label><name>left eye</name><type>points</type><parent>man</parent></label></labels>"
        f"</{kind}>"
    )
    data = xml('<points label="tree" points="1,2"/>', '<points label="car" points="1,2"/>', meta=table)
    reading = read_cvat(source({"a.xml": data}), nothing_known)
    assert reading.labels == (LabelEntry("road", (255, 128, 0)), LabelEntry("car"), LabelEntry("tree"))


def test_names_of_pictures_keep_their_folders_and_never_leave_them() -> None:
    names = [r"north\field 1.png", "../../etc/passwd", r"C:\data\b.png", "/abs/c.png", "s/./d.png"]
    images = "".join(f'<image name="{name}" width="4" height="4"/>' for name in names)
    reading = read_cvat(source({"a.xml": f"<annotations>{images}</annotations>".encode()}), nothing_known)
    found = [picture.picture for picture in reading.pictures]
    assert found == ["north/field 1.png", "passwd", "b.png", "c.png", "s/d.png"]


def test_a_subset_is_a_part_and_a_folder_where_the_picture_lies_in_it() -> None:
    images = "".join(
        f'<image name="a.png" subset="{name}" width="4" height="4"><points label="{name}" points="1,2"/></image>'
        for name in ("Train", "Validation", "default")
    )
    pictures = known({"Train/a.png": ImageSize(4, 4), "Validation/a.png": ImageSize(4, 4), "a.png": ImageSize(4, 4)})
    reading = read_cvat(source({"a.xml": f"<annotations>{images}</annotations>".encode()}), pictures)
    found = [(picture.picture, picture.part, picture.annotation.label_names) for picture in reading.pictures]
    assert found == [
        ("Train/a.png", "train", ("Train",)),
        ("Validation/a.png", "val", ("Validation",)),
        ("a.png", None, ("default",)),
    ]


def test_a_picture_that_stands_twice_is_read_once() -> None:
    data = (
        b'<annotations><image name="a.png"><points label="x" points="1,2"/></image><image name="a.png"/></annotations>'
    )
    reading = read_cvat(source({"a.xml": data}), nothing_known)
    assert [picture.annotation.label_names for picture in reading.pictures] == [("x",)]
    assert [note.kind for note in reading.notes] == ["duplicate"]


def test_a_size_that_is_missing_comes_from_the_picture() -> None:
    data = b'<annotations><image name="a.png"/><image name="b.png"/></annotations>'
    reading = read_cvat(source({"a.xml": data}), known({"a.png": ImageSize(3, 5)}))
    assert [picture.annotation.size for picture in reading.pictures] == [ImageSize(3, 5), ImageSize(0, 0)]


def test_other_xml_is_not_cvats() -> None:
    assert is_cvat_source(source({"a.xml": xml()}))
    assert is_cvat_source(source({"a.xml": xml().decode().encode("utf-16")}))
    assert not is_cvat_source(source({"a.xml": b"<annotation><folder>VOC</folder></annotation>"}))
    assert not is_cvat_source(source({"a.xml": b"<annotations><note/></annotations>"}))
    assert not is_cvat_source(source({"a.xml": b"annotations"}))
    assert not is_cvat_source(source({"a.png": xml()}))


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def test_real_files() -> None:
    project = open_source(DATA / "for_images/export_project")
    assert is_cvat_source(project)
    reading = read_cvat(project, lambda name: None)
    assert [entry.name for entry in reading.labels] == ["label1", "label2"]
    pictures = list(reading.pictures)
    assert [picture.part for picture in pictures] == ["test", "test", "train", "train", "val", "val"]
    assert len({picture.picture for picture in pictures}) == 6
    assert [shape.kind for shape in pictures[0].annotation.shapes] == ["linestrip", "rectangle"]
    task = read_cvat(open_source(DATA / "for_images/export_task"), nothing_known)
    notes = [note.text for picture in task.pictures for note in picture.notes]
    assert notes == ["a shape without a label was left out"] * 2


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def test_tracks_of_a_video_are_told() -> None:
    video = open_source(DATA / "for_video")
    assert is_cvat_source(video)
    with pytest.raises(ReadError, match="holds 3 tracks of a video"):
        read_cvat(video, nothing_known)


# -------------------------------------------------------------------------------------------------------- malformed


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ('<polygon label="a" points="1,2;3,4"/>', "a polygon had fewer than 3 points"),
        ('<polygon label="a" points=""/>', "a polygon without points"),
        ('<polygon label="a"/>', "a polygon without points"),
        ('<polygon label="a" points="1,2;3;4,5"/>', "coordinates that are not numbers"),
        ('<polygon label="a" points="1,2;nan,4;4,5"/>', "coordinates that are not numbers"),
        ('<polygon label="a" points="1,2;1e7,4;4,5"/>', "more than a million pixels away"),
        ('<polygon points="1,2;3,4;4,5"/>', "a shape without a label"),
        ('<polyline label="a" points="1,2"/>', "a polyline of a single point"),
        ('<box label="a" xtl="1" ytl="1" xbr="1" ybr="5"/>', "a box without an extent"),
        ('<box label="a" xtl="1" ytl="1" xbr="x" ybr="5"/>', "coordinates that are not numbers"),
        ('<box label="a" xtl="1" ytl="1" xbr="4" ybr="5" rotation="inf"/>', "coordinates that are not numbers"),
        ('<ellipse label="a" cx="1" cy="1" rx="-4" ry="5"/>', "an ellipse of a negative radius"),
        ('<ellipse label="a" cx="1" cy="1" rx="4" ry="0"/>', "an ellipse without a pixel"),
        ('<ellipse label="a" cx="-90" cy="1" rx="4" ry="2"/>', "an ellipse without a pixel"),
        ('<mask label="a" rle="1, 2" left="0" top="0" width="2" height="2"/>', "sum up to 3 pixels, not to 2 x 2"),
        ('<mask label="a" rle="" left="0" top="0" width="2" height="2"/>', "sum up to 0 pixels"),
        ('<mask label="a" rle="1, x" left="0" top="0" width="2" height="2"/>', "not whole numbers"),
        ('<mask label="a" rle="5, -1" left="0" top="0" width="2" height="2"/>', "negative number"),
        ('<mask label="a" rle="4" left="0" top="0" width="2" height="2"/>', "a mask without a pixel"),
        ('<mask label="a" rle="1, 3" left="0.5" top="0" width="2" height="2"/>', "coordinates that are not numbers"),
        ('<mask label="a" rle="0, 9" left="0" top="0" width="900000" height="900000"/>', "its picture has 16 x 12"),
    ],
)
def test_a_shape_that_cannot_be_is_left_out_and_told(shape: str, words: str) -> None:
    picture = read(shape, '<points label="kept" points="1,2"/>')
    assert [kept.label for kept in picture.annotation.shapes] == ["kept"]
    (text,) = said(picture)
    assert words in text
    assert "left out" in text


def test_a_huge_mask_on_a_picture_of_unknown_size_is_refused() -> None:
    mask = '<mask label="a" rle="0, 9" left="0" top="0" width="900000" height="900000"/>'
    assert said(read(mask, image='name="a.png"')) == ["a mask was left out: its size is too large"]


def test_a_file_cut_off_gives_the_pictures_before_the_cut() -> None:
    whole = '<image name="{}.png" width="9" height="9"><points label="{}" points="1,2"/></image>'
    text = "<annotations>" + "".join(whole.format(name, name) for name in "abc")
    reading = read_cvat(source({"a.xml": text[:-30].encode()}), nothing_known)
    assert [picture.picture for picture in reading.pictures] == ["a.png", "b.png"]
    assert [entry.name for entry in reading.labels] == ["a", "b"]
    (note,) = reading.notes
    assert note.kind == "error"
    assert note.text.startswith("a.xml ends after 2 pictures: it is not readable XML")


def test_one_broken_file_leaves_the_others() -> None:
    reading = read_cvat(source({"a.xml": b"<annotations><meta>", "b.xml": xml()}), nothing_known)
    assert [picture.picture for picture in reading.pictures] == ["a.png"]
    assert reading.notes[0].text.startswith("a.xml cannot be read")


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE annotations [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;&%c;">' % (n, n - 1, n - 1, n - 1, n - 1) for n in range(98, 123))
    + b']><annotations><image name="&z;"/></annotations>'
)
EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE annotations [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b'<annotations><image name="a.png"><points label="&x;" points="1,2"/></image></annotations>'
)


@pytest.mark.parametrize("data", [BOMB, EXTERNAL, b'<!DOCTYPE annotations SYSTEM "http://x/y.dtd"><annotations/>'])
def test_entities_are_refused_with_one_sentence(data: bytes) -> None:
    assert is_cvat_source(source({"a.xml": data}))
    start = time.monotonic()
    with pytest.raises(ReadError, match="declares a document type or entities, which is refused"):
        read_cvat(source({"a.xml": data}), nothing_known)
    assert time.monotonic() - start < 1


def test_elements_a_million_deep_are_refused() -> None:
    with pytest.raises(ReadError, match="nested too deeply"):
        read_cvat(source({"a.xml": b"<annotations><image>" + b"<a>" * 1_000_000}), nothing_known)


def test_a_polygon_of_100_000_points_is_read() -> None:
    points = ";".join(f"{i % 16},{i % 12}" for i in range(100_000))
    start = time.monotonic()
    (polygon,) = shapes_of(f'<polygon label="a" points="{points}"/>')
    assert len(polygon.points_xy) == 100_000
    assert time.monotonic() - start < 3


def test_an_unknown_encoding_is_told() -> None:
    with pytest.raises(ReadError, match="not readable XML"):
        read_cvat(source({"a.xml": b'<?xml version="1.0" encoding="klingon"?><annotations/>'}), nothing_known)


WHOLE = xml(
    '<polygon label="car" points="1.25,2.00;9.50,2.75;4.00,8.10" z_order="2"/>',
    '<box label="door" xtl="1.5" ytl="2" xbr="6.25" ybr="8" rotation="12"/>',
    '<ellipse label="coin" cx="5" cy="6" rx="2.5" ry="1.5"/>',
    '<mask label="car" rle="1, 3" left="4" top="5" width="2" height="2"/>',
    meta="<task><labels><label><name>car</name><color>#ff8000</color></label></labels></task>",
)
NUMBERS = st.sampled_from([b"0", b"-1", b"1e400", b"nan", b"", b"999999999999999999999", b"0.5", b";", b"\xff", b"<"])


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 12), st.binary(max_size=6) | NUMBERS)))
def test_changed_bytes_give_notes_or_one_read_error(changes: Sequence[tuple[int, int, bytes]]) -> None:
    data = WHOLE
    for place, length, new in changes:
        data = data[:place] + new + data[place + length :]
    check_is_read_or_refused(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_values_give_notes_or_one_read_error(data: st.DataObject) -> None:
    texts = re.findall(rb'="([^"]*)"', WHOLE)
    old = data.draw(st.sampled_from(texts))
    new = data.draw(NUMBERS.filter(lambda text: b"<" not in text) | st.sampled_from(texts))
    check_is_read_or_refused(WHOLE.replace(b'="%s"' % old, b'="%s"' % new, 1))


def check_is_read_or_refused(data: bytes) -> None:
    files = source({"a.xml": data})
    is_cvat_source(files)
    try:
        reading = read_cvat(files, nothing_known)
    except ReadError:
        return
    for picture in reading.pictures:
        for shape in picture.annotation.shapes:
            shape_to_region(shape, SIZE)


def test_the_fixture_is_whole() -> None:
    assert len(ElementTree.fromstring(WHOLE).findall("image/*")) == 4
    (picture,) = read_cvat(source({"a.xml": WHOLE}), nothing_known).pictures
    assert len(picture.annotation.shapes) == 4
    assert isinstance(picture.annotation, Annotation)
