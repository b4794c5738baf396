import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from core.annotation.labels import BACKGROUND, IGNORE, LabelSet
from core.annotation.raster import annotation_to_mask, mask_to_shapes, shape_to_region
from core.annotation.shapes import Annotation, Circle, Line, MaskShape, Point, Polygon, Rectangle, Shape
from core.formats.coco import read_coco
from core.formats.coco_write import write_coco
from core.formats.dataset import ExportItem, PictureAnnotation
from core.formats.note import Note
from core.images import ImageSize
from tests.coco_oracle import masks_of, open_coco
from tests.drawings import annotations, masks
from tests.exports import MemoryArchive, item, no_size

LABELS = LabelSet.of(["wall", "crack", "坑"])
SIZE = ImageSize(20, 30)
NAMES = (*LABELS.names, IGNORE, "elsewhere")


def export(*items: ExportItem) -> tuple[MemoryArchive, tuple[Note, ...]]:
    archive = MemoryArchive()
    return archive, write_coco(items, LABELS, archive)


def back(archive: MemoryArchive) -> list[PictureAnnotation]:
    reading = read_coco(archive.source(), no_size)
    assert not reading.notes
    assert [entry.name for entry in reading.labels] == list(LABELS.names[1:])
    assert [entry.color for entry in reading.labels] == [label.color for label in LABELS.foreground]
    return list(reading.pictures)


def mask_shape(label: str, region: np.ndarray, left: int = 0, top: int = 0) -> MaskShape:
    height, width = region.shape
    return MaskShape(label=label, points_xy=((left, top), (left + width - 1.0, top + height - 1.0)), region=region)


def relabelled(annotation: Annotation) -> Annotation:
    """Any labels as some of NAMES, so that most can be held."""
    shapes = tuple(replace(shape, label=NAMES[len(shape.label) % len(NAMES)]) for shape in annotation.shapes)
    return replace(annotation, shapes=shapes)


def box(label: str, left: int, top: int, side: int, group: int | None = None) -> Rectangle:
    return Rectangle(label=label, points_xy=((left, top), (left + side - 1, top + side - 1)), group_id=group)


# ------------------------------------------------------------------------------------------------------- round trips


@settings(max_examples=150, deadline=None)
@given(annotations())
def test_any_annotation_comes_back_pixel_by_pixel_or_a_note_says_what_is_lost(annotation: Annotation) -> None:
    annotation = relabelled(annotation)
    archive, losses = export(item(annotation))
    (picture,) = back(archive)
    assert picture.annotation.size == annotation.size
    assert picture.annotation.flags == annotation.flags
    drawn = [shape for shape in annotation.shapes if shape.label != IGNORE]
    before = annotation_to_mask(replace(annotation, shapes=tuple(drawn)), LABELS)
    assert np.array_equal(annotation_to_mask(picture.annotation, LABELS), before)
    assert all(note.kind == "lost" for note in losses)
    if not losses:
        assert [tight(shape, annotation.size) for shape in picture.annotation.shapes] == [
            tight(shape, annotation.size) for shape in together(annotation.shapes)
        ]
    if len(drawn) < len(annotation.shapes):
        assert any(IGNORE in note.text for note in losses)


def together(shapes: tuple[Shape, ...]) -> list[Shape]:
    """The Shapes with those of a group, which are one annotation, at the place of its last."""
    last = {(shape.label, shape.group_id): i for i, shape in enumerate(shapes) if shape.group_id is not None}
    return sorted(shapes, key=lambda one: last.get((one.label, one.group_id), next(
        i for i, other in enumerate(shapes) if other is one)))  # fmt: skip


def tight(shape: Shape, size: ImageSize) -> object:
    """What must be equal: a mask by its pixels in the picture and all that is told of it."""
    if isinstance(shape, MaskShape):
        region = shape_to_region(shape, size)
        return region.tolist(), shape.label, shape.group_id, shape.description, shape.flags, shape.extra
    return shape


@settings(max_examples=150, deadline=None)
@given(masks((0, 0, 1, 2, 2, 3)))
def test_any_mask_is_to_pycocotools_what_it_is_here(tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray) -> None:
    shapes = mask_to_shapes(mask, LABELS)
    archive, losses = export(item(Annotation(size=ImageSize(*mask.shape), shapes=shapes)))
    assert not losses
    coco = open_coco(archive.files["annotations/instances_all.json"], tmp_path_factory.mktemp("coco"))
    objects = masks_of(coco)["a.png"]
    for region, shape, told in zip(objects, shapes, coco.dataset["annotations"], strict=True):
        assert np.array_equal(region, shape_to_region(shape, ImageSize(*mask.shape)))
        rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
        assert told["area"] == region.sum()
        assert told["bbox"] == [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert coco.cats[told["category_id"]]["name"] == shape.label
        assert told["iscrowd"] == 0
    (picture,) = back(archive)
    assert picture.annotation.shapes == shapes


@settings(max_examples=60, deadline=None)
@given(annotations())
def test_what_pycocotools_paints_in_the_order_of_the_file_is_our_mask(
    tmp_path_factory: pytest.TempPathFactory, annotation: Annotation
) -> None:
    annotation = relabelled(annotation)
    archive, _ = export(item(annotation))
    coco = open_coco(archive.files["annotations/instances_all.json"], tmp_path_factory.mktemp("coco"))
    painted = np.zeros(annotation.size, dtype=np.uint8)
    for region, told in zip(masks_of(coco)["a.png"], coco.dataset["annotations"], strict=True):
        painted[region] = told["category_id"]
    drawn = tuple(shape for shape in annotation.shapes if shape.label != IGNORE)
    assert np.array_equal(painted, annotation_to_mask(replace(annotation, shapes=drawn), LABELS))


def test_supervision_reads_the_same_masks(tmp_path: Path) -> None:
    import supervision

    ring = np.ones((5, 6), dtype=bool)
    ring[2, 2:4] = False
    shapes = (mask_shape("wall", ring, 3, 4), box("crack", 12, 2, 4))
    archive, _ = export(item(Annotation(size=SIZE, shapes=shapes)))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(item(Annotation(size=SIZE)).read_picture())
    (tmp_path / "coco.json").write_bytes(archive.files["annotations/instances_all.json"])
    theirs = supervision.DetectionDataset.from_coco(
        str(tmp_path / "images"), str(tmp_path / "coco.json"), force_masks=True
    )
    (_, _, found), *_ = list(theirs)
    assert [theirs.classes[class_id] for class_id in found.class_id] == ["wall", "crack"]
    assert np.array_equal(found.mask[0], shape_to_region(shapes[0], SIZE))  # runs
    assert (found.mask[1] & shape_to_region(shapes[1], SIZE)).sum() == 16  # it draws outlines with their far edge


# ------------------------------------------------------------------------------------------------------------- form


def test_a_region_without_hole_is_an_outline_and_one_with_a_hole_is_runs() -> None:
    ring = np.ones((3, 3), dtype=bool)
    ring[1, 1] = False
    apart = np.array([[1, 0, 1]], dtype=bool)
    archive, _ = export(item(Annotation(size=SIZE, shapes=(mask_shape("wall", ring), mask_shape("wall", apart, 9, 9)))))
    value = json.loads(archive.files["annotations/instances_all.json"])
    with_hole, two_parts = (told["segmentation"] for told in value["annotations"])
    assert with_hole["size"] == [20, 30]
    assert isinstance(with_hole["counts"], str)
    corners = [sorted(zip(ring[::2], ring[1::2], strict=True)) for ring in two_parts]
    assert corners == [[(9, 9), (9, 10), (10, 9), (10, 10)], [(11, 9), (11, 10), (12, 9), (12, 10)]]


def test_speckles_are_runs_not_thousands_of_outlines() -> None:
    speckles = np.indices((20, 30)).sum(axis=0) % 2 == 0
    archive, _ = export(item(Annotation(size=SIZE, shapes=(mask_shape("wall", speckles),))))
    value = json.loads(archive.files["annotations/instances_all.json"])
    assert "counts" in value["annotations"][0]["segmentation"]


def test_each_part_is_a_file_and_ids_begin_anew() -> None:
    empty = Annotation(size=SIZE)
    full = Annotation(size=SIZE, shapes=(box("crack", 1, 1, 3),))
    archive, _ = export(
        item(full, "a.png", "train"), item(full, "b.png", "val"), item(empty, "c.png", "train"), item(full, "d.png")
    )
    assert sorted(archive.files) == [f"annotations/instances_{part}.json" for part in ("other", "train", "val")]
    value = json.loads(archive.files["annotations/instances_val.json"])
    assert value["images"] == [{"id": 1, "file_name": "b.png", "width": 30, "height": 20}]
    assert [told["category_id"] for told in value["annotations"]] == [2]
    assert [category["id"] for category in value["categories"]] == [1, 2, 3]
    read = {picture.picture: picture.part for picture in back(archive)}
    assert read == {"a.png": "train", "b.png": "val", "c.png": "train", "d.png": None}


def test_an_export_of_nothing_is_a_file_with_its_categories() -> None:
    archive, losses = export()
    assert not losses
    assert len(json.loads(archive.files["annotations/instances_all.json"])["categories"]) == 3


def test_shapes_of_one_group_are_one_annotation_and_come_back_as_they_were() -> None:
    shapes = (
        Polygon(label="wall", points_xy=((1.5, 1), (6, 1.25), (4, 7)), group_id=4),
        Circle(label="wall", points_xy=((20, 10), (23, 10)), group_id=4, description="far"),
        box("crack", 1, 1, 3, group=4),
    )
    archive, losses = export(item(Annotation(size=SIZE, shapes=shapes)))
    assert not losses
    assert len(json.loads(archive.files["annotations/instances_all.json"])["annotations"]) == 2
    assert back(archive)[0].annotation.shapes == shapes


def test_pixels_that_another_tool_has_changed_win_over_what_was_drawn() -> None:
    archive, _ = export(item(Annotation(size=SIZE, shapes=(box("wall", 2, 2, 4),))))
    ((name, data),) = archive.files.items()
    value = json.loads(data)
    value["annotations"][0]["segmentation"] = [[2, 2, 9, 2, 9, 6, 2, 6]]
    (picture,) = back(MemoryArchive({name: json.dumps(value).encode()}))
    changed = np.zeros(SIZE, dtype=bool)
    changed[2:6, 2:9] = True
    assert np.array_equal(shape_to_region(picture.annotation.shapes[0], SIZE), changed)


def test_what_a_foreign_file_told_is_written_back() -> None:
    shape = replace(box("wall", 2, 2, 4), extra={"coco": {"score": float("nan"), "attributes": {"x": 1}, "area": 7}})
    annotation = Annotation(size=SIZE, shapes=(shape,), extra={"coco": {"license": 3, "id": 99}})
    archive, _ = export(item(annotation))
    value = json.loads(archive.files["annotations/instances_all.json"], parse_constant=pytest.fail)
    told = value["annotations"][0]
    assert (told["score"], told["attributes"], told["area"]) == (None, {"x": 1}, 16)
    assert (value["images"][0]["license"], value["images"][0]["id"]) == (3, 1)
    (picture,) = back(archive)
    assert picture.annotation.extra == {"coco": {"license": 3}}
    assert picture.annotation.shapes[0].extra == {"coco": {"score": None, "attributes": {"x": 1}}}


# ----------------------------------------------------------------------------------------------------------- losses


def test_background_is_cut_out_of_what_lies_below_it_only() -> None:
    shapes = (box("wall", 0, 0, 6), box(BACKGROUND, 2, 2, 6), box("crack", 4, 4, 2))
    annotation = Annotation(size=SIZE, shapes=shapes)
    archive, losses = export(item(annotation))
    mask = annotation_to_mask(back(archive)[0].annotation, LABELS)
    assert np.array_equal(mask, annotation_to_mask(annotation, LABELS))
    assert [note.text for note in losses] == [
        "a shape of the background was left out and cut out of the shapes below it"
    ]


def test_what_lies_amid_a_group_is_not_buried_by_it() -> None:
    shapes = (box("wall", 0, 0, 6, group=1), box("crack", 2, 2, 3), box("wall", 10, 0, 6, group=1))
    annotation = Annotation(size=SIZE, shapes=shapes)
    archive, losses = export(item(annotation))
    mask = annotation_to_mask(back(archive)[0].annotation, LABELS)
    assert np.array_equal(mask, annotation_to_mask(annotation, LABELS))
    assert [note.text for note in losses] == ["what lies between the shapes of a group was cut out of the lower ones"]


def test_each_loss_is_told_once_with_its_number() -> None:
    shapes = (
        box(IGNORE, 0, 0, 3),
        box(IGNORE, 4, 4, 3),
        box("elsewhere", 0, 0, 3),
        Point(label="wall", points_xy=((9, 9),)),
        Line(label="wall", points_xy=((9, 9), (15, 15))),
        box("wall", 100, 100, 3),
        mask_shape("wall", np.ones((3, 3), dtype=bool), 28, 18),
        replace(mask_shape("crack", np.ones((3, 3), dtype=bool)), group_id=1),
        box("crack", 9, 9, 2, group=1),
    )
    _, losses = export(item(Annotation(size=SIZE, shapes=shapes)))
    assert sorted(note.text for note in losses) == [
        "2 lines and points were written as the pixels that they cover",
        "2 shapes drawn as __ignore__ were left out: COCO knows no pixels without a label",
        "a group of shapes with a mask among them became one mask",
        "a shape of the label 'elsewhere', which the project does not have, was left out",
        "a shape that covers no pixel of its picture was left out",
        "what a mask has outside of its picture was cut off",
    ]
