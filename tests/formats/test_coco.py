import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.labels import BACKGROUND, LabelSet
from core.annotation.raster import annotation_to_mask, shape_to_region
from core.annotation.shapes import MaskShape, Polygon, Rectangle, Shape
from core.errors import ReadError
from core.formats.coco import is_coco_source, read_coco
from core.formats.dataset import PictureAnnotation, Reading
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.source import open_source
from core.images import ImageInfo, ImageSize
from tests import coco_oracle
from tests.exports import files, no_size
from tests.samples import picture

SIZE = ImageSize(20, 30)
SQUARE = [2, 2, 8, 2, 8, 8, 2, 8]
STAIRS = [2, 2, 8, 2, 8, 5, 5, 5, 5, 8, 2, 8]
TRIANGLE = [1.5, 2, 9, 2.5, 4, 9]
DATA = Path("/work/shared/data/formats")


def image(image_id: Any = 1, name: Any = "a.png", **more: Any) -> dict[str, Any]:
    return {"id": image_id, "file_name": name, "width": SIZE.width, "height": SIZE.height, **more}


def note(segmentation: Any, category: Any = 1, image_id: Any = 1, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": image_id, "category_id": category, "segmentation": segmentation, **more}


def coco(*annotations: Any, **top: Any) -> bytes:
    categories = [{"id": 1, "name": "wall"}, {"id": 7, "name": "crack"}]
    value = {"images": [image()], "annotations": list(annotations), "categories": categories, **top}
    return json.dumps(value).encode()


def read(data: bytes, name: str = "instances.json", size_of: Any = no_size) -> Reading:
    return read_coco(files({name: data}), size_of)


def only(data: bytes, **more: Any) -> PictureAnnotation:
    (found,) = read(data, **more).pictures
    return found


def said(found: PictureAnnotation | Reading) -> list[str]:
    return [f"{note.kind}: {note.text}" for note in found.notes]


def shape(*args: Any, **more: Any) -> Shape:
    (found,) = only(coco(note(*args, **more))).annotation.shapes
    return found


# --------------------------------------------------------------------------------------------------------- detection


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"images": [], "annotations": []}, True),
        ({"annotations": [], "categories": []}, True),
        ({"annotations": []}, False),
        ({"images": [], "categories": []}, False),
        ({"images": {}, "annotations": {}}, False),
        ({"items": [{"annotations": []}], "categories": {}}, False),  # Datumaro
        ([{"annotations": []}], False),
        ({"shapes": [], "annotations": "none", "images": []}, False),
    ],
)
def test_coco_is_known_by_its_lists(value: Any, fits: bool) -> None:
    assert is_coco_source(files({"anything.json": json.dumps(value).encode()})) is fits


def test_other_files_are_no_coco() -> None:
    assert not is_coco_source(files({"a.png": picture(0), "b.json": b'{"annotations": [', "c.json": b""}))
    assert not is_coco_source(files({}))


def test_utf_16_and_a_mark_before_the_text_are_read() -> None:
    text = coco(note([TRIANGLE])).decode()
    for encoding in ("utf-16", "utf-8-sig"):
        source = files({"x.json": text.encode(encoding)})
        assert is_coco_source(source)
        assert len(list(read_coco(source, no_size).pictures)) == 1


# -------------------------------------------------------------------------------------------------------- geometry


def test_a_hand_drawn_polygon_stays_one() -> None:
    found = shape([TRIANGLE])
    assert found == Polygon(label="wall", points_xy=((1.5, 2.0), (9.0, 2.5), (4.0, 9.0)))


def test_it_is_told_once_a_picture_that_polygons_cover_their_edges_here() -> None:
    found = only(coco(note([TRIANGLE]), note([TRIANGLE])))
    (one,) = found.notes
    assert one.kind == "assumed"
    assert "pixels that their edges touch" in one.text
    region, theirs = shape_to_region(found.annotation.shapes[0], SIZE), coco_oracle.decode([TRIANGLE], *SIZE)
    assert (region & ~theirs).any()


def test_a_polygon_that_repeats_its_first_point_has_it_once() -> None:
    assert len(shape([[*TRIANGLE, *TRIANGLE[:2]]]).points_xy) == 3


@pytest.mark.parametrize("ring", [STAIRS, [*STAIRS, *STAIRS[:2]], [*STAIRS[4:], *STAIRS[:4]]])
def test_outlines_along_pixel_edges_are_the_pixels_that_pycocotools_sees(ring: list[int]) -> None:
    found = shape([ring])
    assert isinstance(found, MaskShape)
    assert np.array_equal(shape_to_region(found, SIZE), coco_oracle.decode([ring], *SIZE))


def test_an_upright_box_drawn_as_a_polygon_is_a_rectangle_of_the_same_pixels() -> None:
    found = shape([SQUARE])
    assert found == Rectangle(label="wall", points_xy=((2.0, 2.0), (7.0, 7.0)))
    assert np.array_equal(shape_to_region(found, SIZE), coco_oracle.decode([SQUARE], *SIZE))


def test_a_spike_of_four_points_is_no_rectangle() -> None:
    found = only(coco(note([[0, 0, 2, 0, 2, 2, 2, 0]])))
    assert not found.annotation.shapes
    assert said(found) == ["ignored: a mask without a pixel was left out"]


def test_several_lists_are_united_by_a_new_group() -> None:
    several = note([TRIANGLE, [11, 11, 19, 12, 15, 19.5]])
    found = only(coco(note([TRIANGLE]), several, several)).annotation.shapes
    assert [one.group_id for one in found] == [1, 1, 2, 2, None]
    assert all(isinstance(one, Polygon) for one in found)


def test_several_lists_along_pixel_edges_are_one_mask() -> None:
    lists = [SQUARE, [12, 12, 15, 12, 15, 14, 12, 14], STAIRS]
    found = shape(lists)
    assert isinstance(found, MaskShape)
    assert np.array_equal(shape_to_region(found, SIZE), coco_oracle.decode(lists, *SIZE))


@pytest.mark.parametrize("compressed", [True, False])
def test_runs_of_both_kinds_are_exact(compressed: bool) -> None:
    region = np.random.default_rng(1).random(SIZE) < 0.5
    runs = coco_oracle.encode(region)
    if not compressed:
        flat = region.ravel(order="F").astype(int)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], flat)))).tolist()
        runs["counts"] = np.diff([0, *edges, region.size]).tolist()
    assert np.array_equal(shape_to_region(shape(runs), SIZE), region)


def test_a_crowd_is_a_mask_like_any_other_and_is_told() -> None:
    found = only(coco(note(coco_oracle.encode(np.ones(SIZE, dtype=bool)), iscrowd=1)))
    assert len(found.annotation.shapes) == 1
    assert said(found) == ["assumed: a crowd (iscrowd 1) was read as an ordinary object"]


@pytest.mark.parametrize("segmentation", [None, []])
def test_a_box_alone_is_a_rectangle_of_its_pixels(segmentation: Any) -> None:
    found = shape(segmentation, bbox=[2, 3, 4, 5])
    assert found == Rectangle(label="wall", points_xy=((2.0, 3.0), (5.0, 7.0)))
    assert shape_to_region(found, SIZE).sum() == 20


def test_a_box_between_pixels_keeps_its_corners() -> None:
    assert shape(None, bbox=[2.5, 3, 4, 5]).points_xy == ((2.5, 3.0), (6.5, 8.0))


def test_an_outline_of_four_numbers_is_a_box() -> None:
    found = only(coco(note([[2, 3, 4, 5]])))
    assert found.annotation.shapes[0].points_xy == ((2.0, 3.0), (5.0, 7.0))
    assert said(found) == ["assumed: an outline of 4 numbers was read as a box"]
    assert shape([2, 3, 4, 5], bbox=[2, 3, 2, 2]).points_xy == ((2.0, 3.0), (3.0, 4.0))


def test_large_objects_are_painted_first() -> None:
    small = [4, 4, 6, 4, 6, 6, 4, 6]
    data = coco(note([small], 7, area=1e9), note([SQUARE]), note([TRIANGLE]), note(coco_oracle.encode(np.ones(SIZE))))
    shapes = only(data).annotation.shapes
    assert [one.kind for one in shapes] == ["mask", "rectangle", "polygon", "rectangle"]
    assert shapes[-1].label == "crack"


def test_what_else_an_annotation_holds_is_kept() -> None:
    found = only(coco(note([TRIANGLE], score=0.5, attributes={"occluded": True}), images=[image(license=4)]))
    assert found.annotation.shapes[0].extra == {"coco": {"score": 0.5, "attributes": {"occluded": True}}}
    assert found.annotation.extra == {"coco": {"license": 4}}


# ---------------------------------------------------------------------------------------------- categories, pictures


def test_categories_are_taken_by_name_in_the_order_of_their_ids() -> None:
    categories = [
        {"id": 90, "name": "late"},
        {"id": 0, "name": "_background_"},
        {"id": 3, "name": " crack\n", "color": [1, 2, 3]},
        {"id": 5},
    ]
    data = coco(
        note([TRIANGLE], 90), note([TRIANGLE], 3), note([TRIANGLE], 0), note([TRIANGLE], 5), categories=categories
    )
    reading = read(data)
    assert [(entry.name, entry.color) for entry in reading.labels] == [
        ("crack", (1, 2, 3)),
        ("category_5", None),
        ("late", None),
    ]
    (found,) = reading.pictures
    assert [one.label for one in found.annotation.shapes] == ["late", "crack", BACKGROUND, "category_5"]
    assert said(reading) == ["assumed: instances.json: the category 5 has no name and is called 'category_5'"]


def test_a_category_called_background_is_background() -> None:
    reading = read(coco(note([TRIANGLE]), categories=[{"id": 1, "name": "Background"}]))
    assert not reading.labels
    assert said(reading) == ["assumed: instances.json: the category 'Background' was read as background"]


def test_several_files_are_one_data_set_with_parts() -> None:
    source = files(
        {
            "annotations/instances_train2017.json": coco(note([TRIANGLE])),
            "annotations/instances_val2017.json": coco(
                note([TRIANGLE], 2, 5), images=[image(5, "b.png")], categories=[{"id": 2, "name": "crack"}]
            ),
            "annotations/captions_val2017.json": coco({"image_id": 5, "caption": "a wall"}),
            "train2017/a.png": picture(0),
            "val2017/b.png": picture(1),
        }
    )
    reading = read_coco(source, no_size)
    assert [entry.name for entry in reading.labels] == ["wall", "crack"]
    found = {one.picture: (one.part, one.annotation.shapes[0].label, one.name) for one in reading.pictures}
    assert found == {
        "train2017/a.png": ("train", "wall", "annotations/instances_train2017.json"),
        "val2017/b.png": ("val", "crack", "annotations/instances_val2017.json"),
    }
    assert said(reading) == [
        "ignored: annotations/captions_val2017.json stands beside files called instances and was left out"
    ]


def test_pictures_of_equal_names_are_told_apart_by_where_the_file_lies() -> None:
    source = files({f"{part}/{name}": data for part in ("train", "valid") for name, data in
                    (("_annotations.coco.json", coco(note([TRIANGLE]))), ("a.png", picture(0)))})  # fmt: skip
    found = [(one.picture, one.part) for one in read_coco(source, no_size).pictures]
    assert found == [("train/a.png", "train"), ("valid/a.png", "val")]


def test_a_picture_of_two_files_is_read_from_the_first() -> None:
    source = files({"a.json": coco(note([TRIANGLE])), "b.json": coco(note([SQUARE]))})
    reading = read_coco(source, no_size)
    assert [len(one.annotation.shapes) for one in reading.pictures] == [1]
    assert said(reading) == ["duplicate: a.png stands in a.json and again in b.json; the first was read"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("val/sub/a.png", "val/sub/a.png"),
        ("sub\\a.png", "sub/a.png"),
        ("C:\\pictures\\a.png", "a.png"),
        ("/home/me/a.png", "a.png"),
        ("../../a.png", "a.png"),
        ("./a.png", "a.png"),
        ("http://host/x/a%20b.png?size=3", "a b.png"),
        ("http://[host/a.png", "a.png"),
    ],
)
def test_file_names_of_any_system_are_read_and_never_lead_out(name: str, found: str) -> None:
    assert only(coco(note([TRIANGLE]), images=[image(1, name)])).picture == found


@pytest.mark.parametrize(("listed", "used"), [(1.0, 1), ("1", 1), (1, "1"), ("x", "x"), ("0001", "0001")])
def test_ids_of_either_type_meet(listed: Any, used: Any) -> None:
    assert only(coco(note([TRIANGLE], image_id=used), images=[image(listed)])).annotation.shapes


def test_a_size_comes_from_the_picture_or_the_runs_where_the_file_tells_none() -> None:
    silent = {"id": 1, "file_name": "a.png", "width": None, "height": -3}
    runs = coco_oracle.encode(np.ones((4, 6), dtype=bool))
    info = ImageInfo(ImageSize(7, 9), ImageSize(7, 9), 1, "PNG", 1)
    assert only(coco(note([TRIANGLE]), images=[silent]), size_of=lambda name: info).annotation.size == info.size
    assert only(coco(note([TRIANGLE]), images=[silent])).annotation.size == UNKNOWN_SIZE
    found = only(coco(note([TRIANGLE]), note(runs), images=[silent]))
    assert found.annotation.size == (4, 6)
    assert len(found.annotation.shapes) == 2


def test_a_picture_without_annotations_comes_in() -> None:
    found = only(coco())
    assert found.annotation.shapes == ()
    assert said(found) == ["unmatched: a picture has no annotation"]


# -------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("segmentation", "more", "clause"),
    [
        (None, {}, "neither outline nor box"),
        ("text", {}, "of an unknown form"),
        (5, {}, "of an unknown form"),
        (None, {"bbox": [1, 2, 3]}, "without an extent"),
        (None, {"bbox": [1, 2, 0, 3]}, "without an extent"),
        (None, {"bbox": [1, 2, "three", 3]}, "not numbers"),
        (None, {"bbox": [1, 2, float("nan"), 3]}, "not numbers"),
        (None, {"bbox": {"x": 1}}, "not numbers"),
        ([[1, 2, 3, 4, 5]], {}, "odd number"),
        ([[1, 2]], {}, "fewer than 3 points"),
        ([[]], {}, "fewer than 3 points"),
        ([[1, 2, None, 4, 5, 6]], {}, "not numbers"),
        ([[1, 2, float("nan"), 4, 5, 6]], {}, "not numbers"),
        ([[1, 2, float("inf"), 4, 5, 6]], {}, "not numbers"),
        ([[1, 2, 10**400, 4, 5, 6]], {}, "not numbers"),
        ([[1, 2, 1e7, 4, 5, 6]], {}, "million pixels away"),
        ([["counts", "size", 1, 2, 3, 4]], {}, "not numbers"),
        ([{"x": 1}], {}, "not numbers"),
        ([None], {}, "not numbers"),
        ({"size": [20, 30], "counts": [5]}, {}, "sum up to 5"),
        ({"size": [30, 20], "counts": [0, 600]}, {}, "a mask of 20 x 30 pixels was left out, its picture has 30 x 20"),
        ({"size": [20, 30], "counts": [600]}, {}, "without a pixel"),
        ({}, {}, "its size is not"),
    ],
)
def test_an_object_that_cannot_be_is_left_out_with_a_note_and_the_rest_comes_in(
    segmentation: Any, more: dict[str, Any], clause: str
) -> None:
    found = only(coco(note(segmentation, **more), note([SQUARE])))
    assert [one.kind for one in found.annotation.shapes] == ["rectangle"]
    (one,) = found.notes
    assert one.kind == "ignored"
    assert clause in one.text
    assert "#" in one.many


def test_of_several_lists_the_good_ones_come_in() -> None:
    found = only(coco(note([[1, 2, 3], STAIRS, [None] * 6])))
    assert [one.kind for one in found.annotation.shapes] == ["mask"]
    assert len(found.notes) == 2


def test_what_points_nowhere_is_counted() -> None:
    data = coco(
        note([TRIANGLE], 99),
        note([TRIANGLE], 99),
        *[note([TRIANGLE], image_id=9)] * 2000,
        note([TRIANGLE], image_id=[1]),
        note([TRIANGLE], None),
        "text",
        images=[image(), image(), {"id": 3}, {"file_name": "x.png"}, 5],
        categories=[{"id": 1, "name": "wall"}, {"id": 1, "name": "floor"}, {"name": "x"}, None],
    )
    reading = read(data)
    assert said(reading) == [
        f"{kind}: instances.json: {text}"
        for kind, text in [
            ("assumed", "two categories have the id 1; it was read as 'wall'"),
            ("assumed", "the category 99 is not in the list and is called 'category_99'"),
            ("ignored", "2 categories without an id were left out"),
            ("ignored", "the id of a picture is there twice"),
            ("ignored", "3 pictures without an id or a file name were left out"),
            ("ignored", "2,001 annotations belong to no picture of the list and were left out"),
            ("ignored", "an annotation without a category was left out"),
            ("ignored", "an annotation is not an object"),
        ]
    ]
    assert [entry.name for entry in reading.labels] == ["wall", "floor", "category_99"]
    (found,) = reading.pictures
    assert [one.label for one in found.annotation.shapes] == ["category_99", "category_99"]


@pytest.mark.parametrize(
    "cut", [b'{"images": [], "annotations": [', b"[" * 100_000 + b'"annotations"', b'\xff"annotations"']
)
def test_a_damaged_file_is_named_and_the_others_are_read(cut: bytes) -> None:
    with pytest.raises(ReadError, match=r"bad\.json is not readable JSON"):
        read(cut, "bad.json")
    reading = read_coco(files({"bad.json": cut, "good.json": coco(note([TRIANGLE]))}), no_size)
    assert len(list(reading.pictures)) == 1
    assert [one.kind for one in reading.notes] == ["error"]


def test_a_polygon_of_very_many_points_is_read_in_a_moment() -> None:
    turn = np.linspace(0, 6.28, 100_000)
    ring = np.column_stack([10 + 9 * np.cos(turn), 10 + 9 * np.sin(turn)]).ravel().tolist()
    data = coco(note([ring]))
    start = time.monotonic()
    (found,) = only(data).annotation.shapes
    assert len(found.points_xy) == 100_000
    assert time.monotonic() - start < 3


def test_masks_too_many_for_memory_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.formats.reading.MASK_PIXELS", 1000)
    runs = {"size": list(SIZE), "counts": [0, SIZE.pixels]}
    found = only(coco(*[note(runs)] * 5))
    assert len(found.annotation.shapes) == 1
    assert said(found) == ["ignored: a mask too many for memory was left out"] * 4


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=4) | st.just(10**30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
SEGMENTATIONS = (
    st.lists(st.lists(st.integers(-3, 40) | st.floats(-3, 40), max_size=9), max_size=3)
    | st.fixed_dictionaries({"size": st.just(list(SIZE)) | VALUES, "counts": st.lists(st.integers(0, 99)) | VALUES})
    | VALUES
)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "image_id": st.integers(0, 2) | VALUES,
        "category_id": st.integers(0, 2) | VALUES,
        "segmentation": SEGMENTATIONS,
        "bbox": st.lists(st.floats(-3, 40), max_size=5) | VALUES,
        "iscrowd": st.integers(0, 1) | VALUES,
        "labelme": st.lists(st.fixed_dictionaries({}, optional={"shape_type": st.sampled_from(["mask", "circle"]),
                                                                 "points": VALUES, "flags": VALUES})) | VALUES,
    },
)  # fmt: skip
IMAGES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(0, 2) | VALUES,
        "file_name": st.sampled_from(["a.png", "b/../c.png", ":", "\0", "http://["]) | VALUES,
        "width": st.integers(-1, 40) | VALUES,
        "height": st.integers(-1, 40) | VALUES,
    },
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(IMAGES | VALUES, max_size=4) | VALUES,
    st.lists(ITEMS | VALUES, max_size=5),
    st.lists(st.fixed_dictionaries({"id": VALUES, "name": VALUES, "color": VALUES}) | VALUES, max_size=3) | VALUES,
    st.fixed_dictionaries({"painting_order": st.just("annotations") | VALUES}) | VALUES,
)
def test_no_json_raises_anything_but_a_read_error(images: Any, annotations: Any, categories: Any, info: Any) -> None:
    value = {"images": images, "annotations": annotations, "categories": categories, "info": info}
    value = {key: item for key, item in value.items() if item is not None}
    try:
        reading = read(json.dumps(value).encode())
    except ReadError:
        return
    for found in reading.pictures:
        assert ".." not in found.picture.split("/")
        if found.annotation.size.pixels:
            annotation_to_mask(found.annotation, LabelSet.of([]))
    assert len({entry.name for entry in reading.labels}) == len(reading.labels)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400), st.integers(0, 8), st.binary(max_size=6))
def test_no_damage_of_the_bytes_raises_anything_but_a_read_error(start: int, length: int, instead: bytes) -> None:
    data = coco(note([TRIANGLE], score=1), note(coco_oracle.encode(np.eye(20, 30))), note(None, bbox=[1, 2, 3, 4]))
    try:
        list(read(data[:start] + instead + data[start + length :]).pictures)
    except ReadError as error:
        assert error.message.endswith(".")  # noqa: PT017


# ------------------------------------------------------------------------------------------------------- real files


@pytest.mark.skipif(not DATA.exists(), reason="the data sets are not here")
@pytest.mark.parametrize(
    ("folder", "pictures", "shapes"),
    [
        ("coco_sahi", 1, 5),
        ("datumaro/coco_dataset/coco_instances", 2, 3),
        ("datumaro/coco_dataset/coco_roboflow", 2, 3),
        ("datumaro/coco_dataset/mmdet_coco", 2, 3),
        ("datumaro/coco_dataset/coco", 2, 3),
    ],
)
def test_files_of_other_tools_come_in(folder: str, pictures: int, shapes: int) -> None:
    source = open_source(DATA / folder)
    assert is_coco_source(source)
    found = list(read_coco(source, no_size).pictures)
    assert len(found) == pictures
    assert sum(len(one.annotation.shapes) for one in found) == shapes
