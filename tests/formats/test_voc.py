import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.annotation.labels import BACKGROUND, IGNORE, LabelSet
from core.annotation.raster import annotation_to_mask
from core.errors import ReadError
from core.formats.dataset import PictureAnnotation, Reading
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.source import Source, open_source
from core.formats.voc import is_voc_source, read_voc
from core.formats.voc_classes import write_indexed
from core.images import encode_png
from tests.exports import files, no_size
from tests.samples import picture

DATA = Path("/work/shared/data")
MASK = np.array([[0, 1, 1, 255], [0, 0, 2, 2], [1, 0, 0, 0]], dtype=np.uint8)
NAMES = b"_background_\nwall\ncrack\n"
XML = (
    b"<annotation><size><width>4</width><height>3</height></size><object><name>cat</name><difficult>1</difficult>"
    b"<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object></annotation>"
)
BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
    b"<annotation><object><name>&c;</name></object></annotation>"
)


def voc(**more: bytes) -> Source:
    """One picture with its mask; further files by name, with __ for a slash and _dot_ for a dot."""
    contents = {"JPEGImages/a.jpg": picture(0), "SegmentationClass/a.png": write_indexed(MASK)}
    return files(contents | {name.replace("__", "/").replace("_dot_", "."): data for name, data in more.items()})


def read(source: Source) -> tuple[Reading, list[PictureAnnotation]]:
    reading = read_voc(source, no_size)
    return reading, list(reading.pictures)


def only(source: Source) -> PictureAnnotation:
    (found,) = read(source)[1]
    return found


def said(found: PictureAnnotation | Reading) -> list[str]:
    return [f"{note.kind}: {note.text}" for note in found.notes]


def mask_of(found: PictureAnnotation, *names: str) -> np.ndarray:
    return annotation_to_mask(found.annotation, LabelSet.of(names))


# --------------------------------------------------------------------------------------------------------- detection


@pytest.mark.parametrize(
    ("names", "fits"),
    [
        (["SegmentationClass/a.png", "JPEGImages/a.jpg"], True),
        (["x/SegmentationClass/a.png", "x/ImageSets/Segmentation/train.txt"], True),
        (["SegmentationClass/a.png", "labelmap.txt"], True),
        (["SegmentationClass/a.png", "images/a.jpg"], False),  # a folder of masks like any other
        (["SegmentationClass/a.npy", "JPEGImages/a.jpg"], False),
        (["JPEGImages/a.jpg", "Annotations/a.xml"], False),
        (["masks/a.png", "labelmap.txt"], False),
    ],
)
def test_voc_is_known_by_its_folders(names: list[str], fits: bool) -> None:
    assert is_voc_source(files(dict.fromkeys(names, b"x"))) is fits


# ------------------------------------------------------------------------------------------------------------- masks


def test_a_mask_of_indices_is_read_pixel_by_pixel() -> None:
    reading, (found,) = read(voc(class_names_dot_txt=NAMES))
    assert [entry.name for entry in reading.labels] == ["wall", "crack"]
    assert np.array_equal(mask_of(found, "wall", "crack"), MASK)
    assert found.picture == "JPEGImages/a.jpg"
    assert found.name == "SegmentationClass/a.png"
    assert found.annotation.size == (3, 4)
    assert not said(reading)
    assert not said(found)


def test_a_void_only_mask_is_void() -> None:
    void = voc(class_names_dot_txt=NAMES, SegmentationClass__a_dot_png=write_indexed(np.full_like(MASK, 255)))
    assert [shape.label for shape in only(void).annotation.shapes] == [IGNORE]


def test_objects_are_told_apart_by_their_own_mask() -> None:
    classes = np.ones((4, 6), dtype=np.uint8)
    classes[:, 5] = 2
    numbers = np.array([[1, 1, 2, 2, 1, 9]] * 4, dtype=np.uint8)
    numbers[3, :2] = 0
    source = voc(
        class_names_dot_txt=NAMES,
        SegmentationClass__a_dot_png=write_indexed(classes),
        SegmentationObject__a_dot_png=write_indexed(numbers),
    )
    found = only(source)
    assert [(shape.label, shape.points_xy) for shape in found.annotation.shapes] == [
        ("wall", ((0.0, 0.0), (4.0, 3.0))),
        ("wall", ((2.0, 0.0), (3.0, 3.0))),
        ("crack", ((5.0, 0.0), (5.0, 3.0))),
        ("wall", ((0.0, 3.0), (1.0, 3.0))),  # without a number
    ]
    assert np.array_equal(mask_of(found, "wall", "crack"), classes)


def test_names_come_from_the_numbers_where_nothing_tells_them() -> None:
    reading, (found,) = read(voc())
    assert [entry.name for entry in reading.labels] == ["class_1", "class_2"]
    assert np.array_equal(mask_of(found, "class_1", "class_2"), MASK)


def test_the_twenty_classes_are_known_where_the_lists_are_vocs() -> None:
    reading, (found,) = read(voc(ImageSets__Main__aeroplane_train_dot_txt=b"a  1\n"))
    assert len(reading.labels) == 20
    assert {shape.label for shape in found.annotation.shapes} == {"aeroplane", "bicycle", IGNORE}
    assert said(reading) == ["assumed: nothing names the classes; they were read as the 20 of Pascal VOC"]


LABELMAP = b"# label:color_rgb:parts:actions\nbackground:0,0,0::\nwall:10,20,30::\nti:mer:40,40,40::\nvoid:9,9,9::\n"
COLORS = {0: (0, 0, 0), 1: (10, 20, 30), 2: (40, 40, 40), 255: (9, 9, 9)}


def coloured() -> np.ndarray:
    return np.array([[COLORS[value] for value in row] for row in MASK.tolist()], dtype=np.uint8)


def test_colours_are_read_by_cvats_labelmap() -> None:
    source = voc(labelmap_dot_txt=LABELMAP, SegmentationClass__a_dot_png=encode_png(coloured()))
    reading, (found,) = read(source)
    assert [tuple(entry) for entry in reading.labels] == [("wall", (10, 20, 30)), ("ti:mer", (40, 40, 40))]
    assert np.array_equal(mask_of(found, "wall", "ti:mer"), MASK)
    assert said(reading) == ["assumed: the class 'void' was read as not labelled"]


def test_a_palette_in_another_order_than_the_labelmap_is_read_by_its_colours() -> None:
    buffer = io.BytesIO()
    Image.fromarray(coloured()).quantize(colors=8, dither=Image.Dither.NONE).save(buffer, "PNG")
    found = only(voc(labelmap_dot_txt=LABELMAP, SegmentationClass__a_dot_png=buffer.getvalue()))
    assert np.array_equal(mask_of(found, "wall", "ti:mer"), MASK)


def test_a_mask_whose_colours_are_all_grey_is_still_read_by_its_colours() -> None:
    grey = np.full((2, 2, 3), 40, dtype=np.uint8)
    found = only(voc(labelmap_dot_txt=LABELMAP, SegmentationClass__a_dot_png=encode_png(grey)))
    assert (mask_of(found, "wall", "ti:mer") == 2).all()


def test_indices_beside_a_labelmap_count_its_lines() -> None:
    values = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    found = only(voc(labelmap_dot_txt=LABELMAP, SegmentationClass__a_dot_png=encode_png(values)))
    assert np.array_equal(mask_of(found, "wall", "ti:mer"), values)


def test_colours_without_a_table_are_vocs_palette() -> None:
    colors = np.array([[[128, 0, 0], [0, 128, 0]], [[224, 224, 192], [0, 0, 0]]], dtype=np.uint8)
    reading, (found,) = read(voc(SegmentationClass__a_dot_png=encode_png(colors)))
    assert [entry.name for entry in reading.labels] == ["class_1", "class_2"]
    assert mask_of(found, "class_1", "class_2").tolist() == [[1, 2], [255, 0]]


def test_colours_of_no_table_are_not_labelled_and_told() -> None:
    colors = coloured()
    colors[0, 0] = (1, 2, 3)
    found = only(voc(labelmap_dot_txt=LABELMAP, SegmentationClass__a_dot_png=encode_png(colors)))
    assert mask_of(found, "wall", "ti:mer")[0, 0] == 255
    assert said(found) == ["assumed: 1 pixels of colours that no table names (#010203) count as not labelled"]


# ------------------------------------------------------------------------------------------------------ parts, boxes


def test_parts_come_from_the_lists() -> None:
    more = {f"SegmentationClass__{name}_dot_png": write_indexed(MASK) for name in ("b", "c", "d e")}
    source = voc(
        **more,
        ImageSets__Segmentation__train_dot_txt="\ufeffa\r\nc\r\n".encode(),
        ImageSets__Segmentation__val_dot_txt=b"c\nd e\nghost\n",
        ImageSets__Segmentation__test_dot_txt=b"\xff\xfe",
        ImageSets__Main__test_dot_txt=b"b\n",
    )
    reading, found = read(source)
    assert {one.picture: one.part for one in found} == {
        "JPEGImages/a.jpg": "train",
        "b": None,
        "c": "train",
        "d e": "val",
    }
    assert said(reading) == ["error: ImageSets/Segmentation/test.txt cannot be read; its pictures are in no part"]


def test_boxes_are_read_where_there_is_no_mask() -> None:
    reading, found = read(voc(Annotations__a_dot_xml=XML, Annotations__b_dot_xml=XML, class_names_dot_txt=NAMES))
    assert [entry.name for entry in reading.labels] == ["wall", "crack", "cat"]
    boxed = {one.picture: one for one in found}["b"]
    (shape,) = boxed.annotation.shapes
    assert shape.points_xy == ((0.0, 1.0), (2.0, 2.0))
    assert shape.extra == {"voc": {"difficult": "1"}}
    assert boxed.annotation.size == (3, 4)
    assert mask_of(boxed, "cat").tolist() == [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
    assert said(boxed) == ["assumed: an object has a box and no outline; it was read as a rectangle"]
    assert {shape.label for one in found if one is not boxed for shape in one.annotation.shapes} >= {"wall", "crack"}


# -------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("xml", [b"", b"<annotation>", b"text", BOMB, b"\xff\xfe\x00", XML.replace(b"cat", b"\x00")])
def test_xml_that_cannot_be_is_told_and_the_rest_comes_in(xml: bytes) -> None:
    _, (mask, boxed) = read(voc(Annotations__b_dot_xml=xml))
    assert mask.annotation.shapes
    assert not boxed.annotation.shapes
    (note,) = boxed.notes
    assert note.kind == "error"
    assert "Annotations/b.xml is not readable XML" in note.text


def test_a_reference_to_another_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    xml = f'<!DOCTYPE x [<!ENTITY a SYSTEM "file://{tmp_path}/secret">]><annotation><object><name>&a;</name></object></annotation>'
    _, (_, boxed) = read(voc(Annotations__b_dot_xml=xml.encode()))
    assert boxed.notes[0].kind == "error"


@pytest.mark.parametrize(
    ("inside", "by"), [(b"<xmin>1</xmin>", b""), (b"<xmin>1", b"<xmin>nan"), (b"<xmin>1", b"<xmin>9"),
                       (b"<xmin>1", b"<xmin>1e9"), (b"<name>cat", b"<name> ")]
)  # fmt: skip
def test_an_object_without_a_box_or_a_name_is_left_out(inside: bytes, by: bytes) -> None:
    _, (_, boxed) = read(voc(Annotations__b_dot_xml=XML.replace(inside, by)))
    assert said(boxed) == ["ignored: an object without a name or a box was left out"]


@pytest.mark.parametrize("data", [b"", b"no picture", write_indexed(MASK)[:60]])
def test_a_mask_that_cannot_be_read_is_told_and_the_rest_comes_in(data: bytes) -> None:
    _, found = read(voc(SegmentationClass__b_dot_png=data, class_names_dot_txt=NAMES))
    assert np.array_equal(mask_of(found[0], "wall", "crack"), MASK)
    assert found[1].annotation.size == UNKNOWN_SIZE
    assert [note.kind for note in found[1].notes] == ["error"]


def test_too_many_values_are_no_classes() -> None:
    many = np.arange(12, dtype=np.uint16).reshape(3, 4) * 100
    found = only(voc(SegmentationClass__a_dot_png=write_indexed(many)))
    assert said(found) == ["error: SegmentationClass/a.png holds values up to 1100, too many for classes"]


@pytest.mark.parametrize("data", [b"", b"junk", write_indexed(MASK[:2])])
def test_a_mask_of_objects_that_does_not_fit_is_left_out(data: bytes) -> None:
    found = only(voc(class_names_dot_txt=NAMES, SegmentationObject__a_dot_png=data))
    assert np.array_equal(mask_of(found, "wall", "crack"), MASK)
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    "data", [b"wall:1,2::", b"wall:1,2,300::", b":1,2,3::", b"wall:red::", b"\xff\xfe", b"wall:1,2,3,4::"]
)
def test_a_labelmap_that_cannot_be_is_told(data: bytes) -> None:
    reading, (found,) = read(voc(labelmap_dot_txt=data))
    assert [note.kind for note in reading.notes] == ["error"]
    assert np.array_equal(mask_of(found, "class_1", "class_2"), MASK)


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(ReadError, match="no masks of Pascal VOC"):
        read(files({"JPEGImages/a.jpg": picture(0)}))


LINES = st.text("ab:,0129#- \n", max_size=30).map(str.encode) | st.binary(max_size=20)


@settings(max_examples=100, deadline=None)
@given(LINES, LINES, LINES, st.integers(0, 250), st.binary(max_size=4))
def test_no_damage_raises_anything_but_a_read_error(
    labelmap: bytes, names: bytes, listed: bytes, at: int, bytes_instead: bytes
) -> None:
    png = write_indexed(MASK)
    source = voc(
        labelmap_dot_txt=labelmap,
        class_names_dot_txt=names,
        ImageSets__Segmentation__train_dot_txt=listed,
        Annotations__b_dot_xml=XML[:at] + bytes_instead + XML[at + 2 :],
        SegmentationClass__c_dot_png=png[:at] + bytes_instead + png[at + len(bytes_instead) :],
    )
    reading, found = read(source)
    assert len(found) == 3
    assert BACKGROUND not in [entry.name for entry in reading.labels]


# ------------------------------------------------------------------------------------------------------- real files


@pytest.mark.skipif(not DATA.exists(), reason="the data sets are not here")
@pytest.mark.parametrize(
    ("folder", "pictures", "labels"),
    [
        ("formats/datumaro/voc_dataset/voc_dataset1", 1, 20),
        ("labelme_examples/instance_segmentation/data_dataset_voc", 3, 20),
    ],
)
def test_files_of_other_tools_come_in(folder: str, pictures: int, labels: int) -> None:
    source = open_source(DATA / folder)
    reading, found = read(source)
    assert len(found) == pictures
    assert len(reading.labels) == labels
    assert all(one.annotation.shapes and not one.notes for one in found)
    assert not any(note.kind == "error" for note in reading.notes)


def test_labelmes_own_class_masks_are_read_pixel_by_pixel() -> None:
    folder = DATA / "labelme_examples/semantic_segmentation/data_dataset_voc"
    if not folder.exists():
        pytest.skip("the data sets are not here")
    reading, found = read(open_source(folder))
    for one in found:
        theirs = np.asarray(Image.open(folder / "SegmentationClass" / Path(one.name).name))
        assert np.array_equal(mask_of(one, *(entry.name for entry in reading.labels)), theirs)
