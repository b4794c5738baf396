import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image

from core.annotation.labels import IGNORE, LabelSet
from core.annotation.raster import Mask, annotation_to_mask, mask_to_shapes
from core.annotation.shapes import Annotation, Circle, MaskShape, Rectangle
from core.formats.dataset import ExportItem, PictureAnnotation
from core.formats.note import Note
from core.formats.voc import is_voc_source, read_voc
from core.formats.voc_write import voc_picture_path, write_voc
from core.images import ImageSize
from tests.drawings import annotations, masks
from tests.exports import MemoryArchive, item, no_size
from tests.samples import picture

LABELS = LabelSet.of(["wall", "ti:mer", "坑"])
SIZE = ImageSize(20, 30)
NAMES = (*LABELS.names, IGNORE, "elsewhere")


def export(*items: ExportItem) -> tuple[MemoryArchive, tuple[Note, ...]]:
    archive = MemoryArchive()
    notes = write_voc(items, LABELS, archive)
    for one in items:
        archive.add(voc_picture_path(one), picture(0, one.annotation.size))
    return archive, notes


def back(archive: MemoryArchive) -> list[PictureAnnotation]:
    assert is_voc_source(archive.source())
    reading = read_voc(archive.source(), no_size)
    assert not reading.notes
    assert [entry.name for entry in reading.labels] == list(LABELS.names[1:])
    return list(reading.pictures)


def pixels(archive: MemoryArchive, name: str) -> Image.Image:
    return Image.open(io.BytesIO(archive.files[name]))


def box(label: str, left: int, top: int, side: int, group: int | None = None) -> Rectangle:
    return Rectangle(label=label, points_xy=((left, top), (left + side - 1, top + side - 1)), group_id=group)


# ------------------------------------------------------------------------------------------------------- round trips


@settings(max_examples=150, deadline=None)
@given(annotations())
def test_any_annotation_comes_back_pixel_by_pixel_or_a_note_says_what_is_lost(annotation: Annotation) -> None:
    shapes = tuple(replace(shape, label=NAMES[len(shape.label) % len(NAMES)]) for shape in annotation.shapes)
    annotation = replace(annotation, shapes=shapes)
    archive, losses = export(item(annotation))
    (found,) = back(archive)
    assert not found.notes
    assert found.annotation.size == annotation.size
    assert found.picture == "JPEGImages/a.png"
    before = annotation_to_mask(annotation, LABELS)
    assert np.array_equal(annotation_to_mask(found.annotation, LABELS), before)
    assert np.array_equal(np.asarray(pixels(archive, "SegmentationClass/a.png")), before)
    assert all(note.kind == "lost" for note in losses)
    if any(not isinstance(shape, MaskShape) and shape.label in LABELS.names[1:] for shape in shapes):
        assert any("pixels that" in note.text for note in losses)


@settings(max_examples=100, deadline=None)
@given(masks((0, 0, 1, 2, 3, 255)))
def test_objects_of_a_mask_come_back_one_by_one(mask: Mask) -> None:
    shapes = mask_to_shapes(mask, LABELS)
    archive, losses = export(item(Annotation(size=ImageSize(*mask.shape), shapes=shapes)))
    assert not losses
    found = back(archive)[0].annotation.shapes
    drawn = [shape for shape in shapes if shape.label != IGNORE]
    assert list(found[: len(drawn)]) == drawn
    assert sorted(shape.points_xy for shape in found) == sorted(shape.points_xy for shape in shapes)


def test_objects_that_touch_and_objects_in_two_parts_stay_what_they_are() -> None:
    shapes = (
        box("wall", 0, 0, 4),
        box("wall", 4, 0, 4),
        box("wall", 10, 0, 3, group=1),
        box("wall", 20, 0, 3, group=1),
    )
    archive, _ = export(item(Annotation(size=SIZE, shapes=shapes)))
    numbers = np.asarray(pixels(archive, "SegmentationObject/a.png"))
    assert [int(numbers[0, x]) for x in (0, 3, 4, 8, 10, 20)] == [1, 1, 2, 0, 3, 3]
    found = back(archive)[0].annotation.shapes
    assert [shape.points_xy for shape in found] == [
        ((0.0, 0.0), (3.0, 3.0)),
        ((4.0, 0.0), (7.0, 3.0)),
        ((10.0, 0.0), (22.0, 2.0)),
    ]


@pytest.mark.parametrize("count", [254, 255, 300])
def test_more_objects_than_8_bits_can_number_are_kept(count: int) -> None:
    shapes = [box("wall", x % 30, x // 30, 1) for x in range(count)]
    archive, losses = export(item(Annotation(size=SIZE, shapes=(*shapes, box(IGNORE, 20, 15, 2)))))
    assert any("16 bits" in note.text for note in losses) is (count > 254)
    numbers = np.asarray(pixels(archive, "SegmentationObject/a.png"))
    assert len(np.unique(numbers)) == count + 2
    assert numbers.max() == (255 if count <= 254 else 65_535)
    assert len(back(archive)[0].annotation.shapes) == count + 1


# ------------------------------------------------------------------------------------------------------------- form


def test_files_are_those_of_pascal_voc() -> None:
    annotation = Annotation(size=SIZE, shapes=(box("wall", 1, 1, 3), box("坑", 8, 8, 2), box(IGNORE, 15, 15, 2)))
    archive, _ = export(
        item(annotation, "scene 1.jpg", "train"),
        item(annotation, "b.png", "val"),
        item(annotation, "c.png", "test"),
        item(annotation, "d.png"),
    )
    lists = {name: data.decode() for name, data in archive.files.items() if name.startswith("ImageSets")}
    assert lists == {
        "ImageSets/Segmentation/train.txt": "scene 1\n",
        "ImageSets/Segmentation/val.txt": "b\n",
        "ImageSets/Segmentation/trainval.txt": "scene 1\nb\n",
        "ImageSets/Segmentation/test.txt": "c\n",
        "ImageSets/Segmentation/default.txt": "d\n",
    }
    assert archive.files["class_names.txt"].decode() == "_background_\nwall\nti:mer\n坑\n"
    assert archive.files["labelmap.txt"].decode().splitlines() == [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "wall:128,0,0::",
        "ti:mer:0,128,0::",
        "坑:128,128,0::",
    ]
    mask = pixels(archive, "SegmentationClass/scene 1.png")
    assert mask.mode == "P"
    palette = mask.getpalette("RGB")
    assert palette is not None
    assert [tuple(palette[3 * i : 3 * i + 3]) for i in (0, 1, 2, 3, 4, 255)] == [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (0, 0, 128),
        (224, 224, 192),
    ]
    assert [(one.picture, one.part) for one in back(archive)] == [
        ("JPEGImages/b.png", "val"),
        ("JPEGImages/c.png", "test"),
        ("JPEGImages/d.png", None),
        ("JPEGImages/scene 1.jpg", "train"),
    ]


def test_an_export_of_nothing_has_its_tables() -> None:
    archive = MemoryArchive()
    assert not write_voc([], LABELS, archive)
    assert set(archive.files) == {"class_names.txt", "labelmap.txt"}


def test_each_loss_is_told_once_with_its_number() -> None:
    whole = MaskShape(label="wall", points_xy=((0, 0), (29, 19)), region=np.ones(SIZE, dtype=bool))
    shapes = (
        whole,
        Circle(label="wall", points_xy=((9, 9), (9, 12)), description="round"),
        box("坑", 9, 9, 1),
        box("坑", 9, 9, 1),
        box("坑", 99, 9, 1),
        box("elsewhere", 0, 0, 1),
    )
    _, losses = export(item(Annotation(size=SIZE, shapes=shapes)))
    assert sorted(note.text for note in losses) == [
        "2 objects lie partly under others; the masks hold what is seen of them",
        "2 objects lie wholly under others or outside of their pictures and are not in the masks",
        "4 shapes with points were written as the pixels that they cover",
        "a description, flags or other words about a shape are not in the masks",
        "a shape of the label 'elsewhere', which the project does not have, was left out",
    ]
