from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.labels import IGNORE, LabelSet
from core.annotation.raster import annotation_to_mask, shape_to_region
from core.annotation.shapes import Annotation, Circle, MaskShape, Point, Polygon, Rectangle, Region
from core.errors import ReadError
from core.formats.dataset import LabelEntry, PictureAnnotation, Reading
from core.formats.source import Source, open_source, source_of_uploads
from core.formats.yolo import is_yolo_source, read_yolo, write_yolo, yolo_picture_path
from core.images import ImageSize, probe_image
from tests.formats.round_trip import Files, export_item, info_of, known, labelled_annotations, source

SIZE = ImageSize(height=100, width=200)
NAMES = ("car", "tree", "no")
LABELS = LabelSet.of(NAMES)
YAML = "train: images/train\nval: images/val\nnames: [car, tree, no]\n"
TRIANGLE = "0.1 0.1 0.5 0.11 0.3 0.7"


def read_one(rows: str, *, yaml: str = YAML, size: ImageSize = SIZE) -> PictureAnnotation:
    """The picture of one label file."""
    inside = source({"data.yaml": yaml, "labels/train/a.txt": rows})
    (picture,) = read_yolo(inside, known(size)).pictures
    return picture


def written(*annotations: Annotation, labels: LabelSet = LABELS) -> tuple[Files, tuple[str, ...]]:
    archive = Files()
    items = [export_item(annotation, name=f"p{i}.png") for i, annotation in enumerate(annotations)]
    notes = write_yolo(items, labels, archive)
    assert {note.kind for note in notes} <= {"lost"}
    return archive, tuple(note.text for note in notes)


# ------------------------------------------------------------------------------------------------------- round trips


@given(labelled_annotations((*NAMES, IGNORE)))
@settings(deadline=None)
def test_written_and_read_keeps_class_order_holes_and_pixels_or_says_so(annotation: Annotation) -> None:
    archive, losses = written(annotation)
    (picture,) = read_yolo(archive.source(), known(annotation.size)).pictures
    kept = [shape for shape in annotation.shapes if shape.label != IGNORE]
    assert (len(kept) < len(annotation.shapes)) == any(IGNORE in text for text in losses)
    expected = annotation_to_mask(replace(annotation, shapes=tuple(kept)), LABELS)
    np.testing.assert_array_equal(annotation_to_mask(picture.annotation, LABELS), expected)

    drawn = [shape for shape in kept if shape_to_region(shape, annotation.size).any()]
    assert (len(drawn) < len(kept)) == any("marks no pixel" in text or "mark no pixel" in text for text in losses)
    if not any("pieces" in text for text in losses):
        assert [shape.label for shape in picture.annotation.shapes] == [shape.label for shape in drawn]
        for shape, back in zip(drawn, picture.annotation.shapes, strict=True):
            np.testing.assert_array_equal(
                shape_to_region(back, annotation.size), shape_to_region(shape, annotation.size)
            )
    if not losses:
        assert [shape.kind for shape in picture.annotation.shapes] == [shape.kind for shape in annotation.shapes]


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.data())
def test_the_outline_of_pixels_is_exact_in_large_pictures(width: int, height: int, data: st.DataObject) -> None:
    box_height, box_width = min(height, 9), min(width, 9)
    bits = data.draw(st.lists(st.booleans(), min_size=box_height * box_width, max_size=box_height * box_width))
    region: Region = np.array(bits).reshape(box_height, box_width)
    region[0, :] = region[-1, :] = region[:, 0] = region[:, -1] = True
    left, top = data.draw(st.integers(0, width - box_width)), data.draw(st.integers(0, height - box_height))
    corners = ((float(left), float(top)), (left + box_width - 1.0, top + box_height - 1.0))
    shape = MaskShape(label="car", points_xy=corners, region=region)
    size = ImageSize(height, width)
    archive, losses = written(Annotation(size=size, shapes=(shape,)))
    if losses:
        return  # pieces inside of a hole
    (picture,) = read_yolo(archive.source(), known(size)).pictures
    assert picture.annotation.shapes == (shape,)


def test_corners_of_polygons_come_back_as_they_were() -> None:
    size = ImageSize(13_337, 19_999)
    corners = ((123.456, 7.1), (19_998.75, 0.5), (12_345.678901, 13_336.999999), (0.333333, 9000.0))
    archive, losses = written(Annotation(size=size, shapes=(Polygon(label="car", points_xy=corners),)))
    (picture,) = read_yolo(archive.source(), known(size)).pictures
    assert not losses
    assert picture.annotation.shapes == (Polygon(label="car", points_xy=corners),)


def test_what_rows_cannot_hold_is_told_once() -> None:
    region = np.array([[True, False, True]])
    shapes = (
        MaskShape(label="car", points_xy=((1, 1), (3, 1)), region=region),
        MaskShape(label="car", points_xy=((5, 5), (7, 5)), region=region, group_id=3),
        Circle(label="tree", points_xy=((20, 20), (25, 20))),
        Point(label="bird", points_xy=((20, 20),)),
        Polygon(label=IGNORE, points_xy=((1, 1), (5, 5), (1, 9))),
        Rectangle(label="tree", points_xy=((-9, -9), (9, 9))),
        MaskShape(label="car", points_xy=((300, 1), (302, 1)), region=region),
    )
    _, losses = written(Annotation(size=SIZE, shapes=shapes))
    for part in ("2 shapes of several pieces", "circle", "rectangle", "'bird'", IGNORE, "outside", "group", "no pixel"):
        assert sum(part in text for text in losses) == 1, part


# ----------------------------------------------------------------------------------------------------------- oracles


def ultralytics_would_take(rows: str, class_count: int) -> list[tuple[int, np.ndarray]]:
    """The rule of Ultralytics' loader, step by step, without its speed: class and (n, 2) fractions of each row."""
    found = []
    for line in rows.strip().splitlines():
        tokens = line.split()
        assert len(tokens) > 6, "a row of 6 columns or less is a box"
        class_id = float(tokens[0])
        assert class_id.is_integer()
        assert 0 <= class_id < class_count
        fractions = np.array(tokens[1:], dtype=np.float32).reshape(-1, 2)
        assert fractions.min() >= 0
        assert fractions.max() <= 1
        found.append((int(class_id), fractions))
    return found


@given(labelled_annotations(NAMES))
@settings(deadline=None)
def test_rows_are_what_ultralytics_takes(annotation: Annotation) -> None:
    archive, _ = written(annotation)
    rows = archive.files["labels/train/p0.txt"].decode()
    classes = [class_id for class_id, _ in ultralytics_would_take(rows, len(NAMES))]
    (picture,) = read_yolo(archive.source(), known(annotation.size)).pictures
    assert [NAMES[class_id] for class_id in classes] == [shape.label for shape in picture.annotation.shapes]


def test_supervision_reads_an_export(tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision")
    from PIL import Image

    ys, xs = np.mgrid[:80, :90]
    ring = (np.hypot(ys - 40, xs - 45) < 35) & (np.hypot(ys - 40, xs - 45) > 20)
    shapes = (
        MaskShape(label="tree", points_xy=((50, 10), (139, 89)), region=ring),
        Polygon(label="car", points_xy=((10.5, 10.2), (40.1, 12.0), (22.2, 60.9))),
    )
    archive, losses = written(Annotation(size=SIZE, shapes=shapes))
    assert not losses
    for name, data in archive.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "images" / "train").mkdir(parents=True)
    Image.new("RGB", (200, 100)).save(tmp_path / "images" / "train" / "p0.png")
    dataset = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(tmp_path / "images" / "train"),
        annotations_directory_path=str(tmp_path / "labels" / "train"),
        data_yaml_path=str(tmp_path / "data.yaml"),
        force_masks=True,
    )
    assert dataset.classes == list(NAMES)
    ((_, _, detections),) = list(dataset)
    assert list(detections.class_id) == [1, 0]
    theirs = detections.mask[0]
    ours = shape_to_region(shapes[0], SIZE)
    # they fill with both edges and round to whole pixels; the hole is there all the same
    assert (theirs & ours).sum() / (theirs | ours).sum() > 0.85
    assert theirs[50, 120:128].all()
    assert not theirs[40:60, 95:110].any()  # the hole, off the bridge that comes from its left


# ----------------------------------------------------------------------------------------------------------- reading


def test_names_rows_and_parts() -> None:
    rows = f"1 {TRIANGLE}\n0 {TRIANGLE}\n"
    files = {"data.yaml": YAML, "labels/val/b c.txt": rows, "images/val/b c.jpg": b"", "labels/train/a.txt": ""}
    reading = read_yolo(source(files), known(SIZE))
    assert reading.labels == tuple(LabelEntry(name) for name in NAMES)
    first, second = reading.pictures
    assert (first.picture, first.part, first.annotation.shapes) == ("images/train/a", "train", ())
    assert (second.picture, second.part, second.name) == ("images/val/b c.jpg", "val", "labels/val/b c.txt")
    assert [shape.label for shape in second.annotation.shapes] == ["tree", "car"]
    assert second.annotation.shapes[0].points_xy == ((20, 10), (100, 11), (60, 70))
    assert not first.notes
    assert not second.notes


@pytest.mark.parametrize(
    ("yaml", "names"),
    [
        ("names:\n  0: car\n  2: no\n", ["car", "no"]),
        ("names:\n- car\n- 'a: b'\n", ["car", "a: b"]),
        ("nc: 2\nnames: ['0', 12, ' ']", ["0", "12"]),
        ("names: {1: x, y: z, -1: w, 99999999: v}", ["x"]),
        ("names: &a [on, off]\nother: [*a, *a]", ["on", "off"]),
        ("names: !!python/object/apply:os.system [x]", ["x"]),  # a tag changes nothing: all is text
        ("\ufeffnames: [汽车]", ["汽车"]),
    ],
)
def test_names_of_data_yaml(yaml: str, names: list[str]) -> None:
    reading = read_yolo(source({"data.yaml": yaml, "labels/a.txt": f"0 {TRIANGLE}"}), known(SIZE))
    assert [entry.name for entry in reading.labels] == names


def test_a_list_of_names_serves_as_well() -> None:
    for name in ("classes.txt", "obj.names"):
        reading = read_yolo(source({name: "car\ntree\n", "a.txt": f"1 {TRIANGLE}", "a.jpg": b""}), known(SIZE))
        (picture,) = reading.pictures
        assert (picture.picture, picture.annotation.shapes[0].label) == ("a.jpg", "tree")


def test_each_folder_has_its_own_names() -> None:
    files = {
        "one/data.yaml": "names: [car]",
        "one/labels/a.txt": f"0 {TRIANGLE}",
        "two/data.yaml": "names: [tree]",
        "two/labels/a.txt": f"0 {TRIANGLE}",
    }
    pictures = read_yolo(source(files), known(SIZE)).pictures
    assert [picture.annotation.shapes[0].label for picture in pictures] == ["car", "tree"]


def test_without_names_classes_are_called_by_their_ids() -> None:
    reading = read_yolo(source({"a.txt": f"7 {TRIANGLE}", "a.jpg": b""}), known(SIZE))
    assert reading.notes[0].kind == "assumed"
    assert next(iter(reading.pictures)).annotation.shapes[0].label == "class 7"
    picture = read_one(f"9 {TRIANGLE}")
    assert picture.annotation.shapes[0].label == "class 9"
    assert picture.notes[0].text == "the class 9 has no name and was called 'class 9'"


def test_a_box_is_a_rectangle_and_says_so() -> None:
    picture = read_one("0 0.5 0.5 0.2 0.4\n0 0.5 0.5 0.2001 0.4 0.9")
    exact, other = picture.annotation.shapes
    assert exact == Rectangle(label="car", points_xy=((80, 30), (119, 69)))
    assert shape_to_region(exact, SIZE).sum() == 40 * 40
    assert isinstance(other, Rectangle)
    assert [note.kind for note in picture.notes] == ["assumed", "ignored", "assumed"]


@pytest.mark.parametrize(
    ("row", "kind", "said"),
    [
        (f"0 {TRIANGLE} 0.87", "polygon", "confidence"),
        (f"0 {TRIANGLE} 0.87 12", "polygon", "track"),
        ("0 0.5 0.5 0.2 0.4 " + "0.5 0.5 2 " * 17, "rectangle", "keypoints"),
        ("0 0.5 0.5 0.2 0.4 0.9 3", "rectangle", "track"),
    ],
)
def test_columns_of_other_kinds_are_left_out(row: str, kind: str, said: str) -> None:
    picture = read_one(row)
    (shape,) = picture.annotation.shapes
    assert shape.kind == kind
    assert any(said in note.text for note in picture.notes)


def test_keypoints_without_visibility_are_known_from_data_yaml() -> None:
    row = "0 0.5 0.5 0.2 0.4 0.5 0.5 0.6 0.6"
    assert read_one(row).annotation.shapes[0].kind == "polygon"
    assert read_one(row, yaml=YAML + "kpt_shape: [2, 2]\n").annotation.shapes[0].kind == "rectangle"


@pytest.mark.parametrize("decimals", [5, 6, 9])
def test_traced_outlines_of_other_tools_become_pixels(decimals: int) -> None:
    corners = ((33, 20), (66, 20), (66, 40), (50, 40), (50, 30), (33, 30))
    size = ImageSize(97, 333)
    row = " ".join(f"{x / 333:.{decimals}f} {y / 97:.{decimals}f}" for x, y in corners)
    (shape,) = read_one(f"0 {row}", size=size).annotation.shapes
    assert isinstance(shape, MaskShape)
    assert shape.region.sum() == 33 * 10 + 16 * 10


def test_a_bridge_of_another_tool_is_a_hole() -> None:
    outer = [(0.1, 0.11), (0.9, 0.12), (0.93, 0.87), (0.12, 0.9)]
    hole = [(0.4, 0.41), (0.42, 0.6), (0.6, 0.62), (0.61, 0.43)]
    ring = [*outer[:1], *hole, hole[0], *outer]
    picture = read_one("1 " + " ".join(f"{x} {y}" for x, y in ring))
    (shape,) = picture.annotation.shapes
    assert isinstance(shape, MaskShape)
    region = shape_to_region(shape, SIZE)
    assert region[20, 100]
    assert not region[50, 100]
    assert not picture.notes


def test_rows_over_the_edge_are_kept_and_told() -> None:
    picture = read_one("0 -0.02 0.1 0.5 0.1 0.5 1.05 0.1 0.9")
    (shape,) = picture.annotation.shapes
    assert shape.points_xy[0] == (-4, 10)
    assert [note.kind for note in picture.notes] == ["clipped"]
    assert not read_one("0 -0.001 0.1 0.5 0.1 0.5 1.001 0.1 0.9").notes  # less than a pixel


@pytest.mark.parametrize(
    "row",
    [
        "car 0.1 0.1 0.5 0.1 0.3 0.7",
        "0",
        "0 0.1 0.1",
        "0 0.1 0.1 0.5",
        "0 nan 0.1 0.5 0.1 0.3 0.7",
        "0 inf 0.1 0.5 0.1 0.3 0.7",
        "0 1e308 -1e308 0.5 0.1 0.3 0.7",
        "0 10 10 50 10 30 70",
        "0.5 0.1 0.1 0.5 0.1 0.3 0.7",
        "-1 0.1 0.1 0.5 0.1 0.3 0.7",
        "1e300 0.1 0.1 0.5 0.1 0.3 0.7",
        "0 0.1 0.1 0.5 0.1 0.3 0.7x",
        "0,0.1,0.1,0.5,0.1,0.3,0.7",
        "0 0.5 0.5 0 0.1",
        "0 0.5 0.5 -0.1 0.1",
        "0 0.1 0.1 0.1 0.1 0.1 0.1",
        '{"a": 1}',
        "\0\0\0\0",
        "9" * 5000 + " 0.1 0.1 0.5 0.1 0.3 0.7",
    ],
)
def test_a_bad_row_is_told_and_the_rest_comes_in(row: str) -> None:
    picture = read_one(f"0 {TRIANGLE}\n{row}\n1 {TRIANGLE}\n")
    assert [shape.label for shape in picture.annotation.shapes] == ["car", "tree"]
    assert [note.kind for note in picture.notes] == ["ignored"]


def test_a_hundred_thousand_points_come_in() -> None:
    angles = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    row = " ".join(f"{x:.6f} {y:.6f}" for x, y in zip(0.5 + np.cos(angles) / 3, 0.5 + np.sin(angles) / 3, strict=True))
    (shape,) = read_one(f"0 {row}").annotation.shapes
    assert len(shape.points_xy) == 100_000


def test_pictures_without_a_label_file_are_background() -> None:
    files = {
        "data.yaml": YAML,
        "images/train/a.jpg": b"",
        "images/train/b.jpg": b"",
        "labels/train/a.txt": f"0 {TRIANGLE}",
    }
    first, second = read_yolo(source(files), known(SIZE)).pictures
    assert len(first.annotation.shapes) == 1
    assert (second.picture, second.annotation, second.part) == ("images/train/b.jpg", Annotation(size=SIZE), "train")
    assert second.notes[0].kind == "assumed"


def test_a_picture_that_is_not_there_is_told() -> None:
    (picture,) = read_yolo(source({"labels/a.txt": f"0 {TRIANGLE}"}), lambda name: None).pictures
    assert [note.kind for note in picture.notes] == ["unmatched"]
    assert not picture.annotation.shapes


def test_a_turned_picture_is_taken_upright_and_told() -> None:
    inside = source({"labels/a.txt": f"0 {TRIANGLE}"})
    (picture,) = read_yolo(inside, lambda name: info_of(SIZE, orientation=6)).pictures
    assert picture.annotation.size == SIZE
    assert any("upright" in note.text for note in picture.notes)


def test_parts_from_lists_and_from_data_yaml() -> None:
    files = {
        "data.yaml": "names: [a]\ntrain: ../first/images\nval: ['second']\n",
        "first/labels/a.txt": f"0 {TRIANGLE}",
        "images/second/b.txt": f"0 {TRIANGLE}",
        "other/c.txt": f"0 {TRIANGLE}",
        "test.txt": "./other/c.jpg\n",
        "train.txt": "/home/x/elsewhere/c.jpg\n",
    }
    parts = {picture.name: picture.part for picture in read_yolo(source(files), known(SIZE)).pictures}
    assert parts == {"first/labels/a.txt": "train", "images/second/b.txt": "val", "other/c.txt": "test"}


# ------------------------------------------------------------------------------------------------------------ knowing


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"data.yaml": YAML, "labels/a.txt": f"0 {TRIANGLE}"}, True),
        ({"data.yaml": YAML, "labels/a.txt": ""}, True),
        ({"data.yaml": YAML, "labels/a.txt": f"0 {TRIANGLE}", "labels/b.txt": "broken"}, True),
        ({"labels/a.txt": f"0 {TRIANGLE}"}, True),
        ({"a.txt": f"0 {TRIANGLE}", "a.jpg": b"", "notes.txt": "seen at noon"}, True),
        ({"a.txt": f"0 {TRIANGLE}"}, True),
        ({"a.txt": "0 0.5 0.5 0.1 0.1", "classes.txt": "car"}, True),
        ({"labels.txt": "__ignore__\n_background_\ncar"}, False),
        ({"classes.txt": "car\ntree", "a.jpg": b""}, False),
        ({"a.txt": "seen at noon", "a.jpg": b""}, False),
        ({"a.txt": "seen at noon", "b.txt": f"0 {TRIANGLE}", "a.jpg": b""}, False),
        ({"a.txt": "", "a.jpg": b""}, False),
        ({"a.txt": "10 20 30 40 50", "a.jpg": b""}, False),
        ({"a.txt": "0.5 0.5 0.5 0.5 0.5", "a.jpg": b""}, False),
        ({"data.yaml": YAML, "a.jpg": b""}, False),
        ({"data.yaml": "name: x", "a.jpg": b""}, False),
        ({"requirements.txt": "0 0.1 0.1 0.1 0.1"}, False),
        ({}, False),
    ],
)
def test_yolo_is_known_by_content(files: dict[str, str | bytes], expected: bool) -> None:
    assert is_yolo_source(source(files)) is expected


def test_texts_that_hold_no_rows_are_told() -> None:
    inside = source({"labels/a.txt": f"0 {TRIANGLE}", "labels/README.txt": "Made by hand."})
    reading = read_yolo(inside, known(SIZE))
    assert len(list(reading.pictures)) == 1
    assert any("README" in note.text for note in reading.notes)


def test_nothing_to_read_is_said() -> None:
    with pytest.raises(ReadError, match="no label file"):
        read_yolo(source({"data.yaml": YAML}), known(SIZE))


@given(st.binary(max_size=80) | st.text("0123456789. -e\nnaif", max_size=80).map(str.encode), st.binary(max_size=60))
@settings(deadline=None)
def test_garbage_never_raises_anything_but_a_read_error(rows: bytes, yaml: bytes) -> None:
    for inside in (
        source({"data.yaml": b"names: [a]\n" + yaml, "labels/a.txt": rows, "images/a.png": b""}),
        source({"x.yaml": yaml, "a.txt": rows, "classes.txt": yaml, "train.txt": yaml}),
    ):
        is_yolo_source(inside)
        read_all(inside)


def read_all(inside: Source) -> Reading | None:
    try:
        reading = read_yolo(inside, known(ImageSize(9, 9)))
    except ReadError:
        return None
    for picture in reading.pictures:
        annotation_to_mask(picture.annotation, LabelSet.of(["a"]))
    return reading


def test_a_yaml_bomb_is_no_table() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))
    deep = "names: " + "[" * 20_000
    for text in (bomb + "names: *a29", deep, "names: &a [*a]", "? [a]\n: b\nnames: [x]"):
        assert read_all(source({"data.yaml": text, "labels/a.txt": f"0 {TRIANGLE}"})) is not None


# ------------------------------------------------------------------------------------------------------------ writing


def test_layout_of_an_export() -> None:
    archive = Files()
    items = [export_item(Annotation(size=SIZE), name="a b.v2.png", part=part) for part in ("train", "val", "test")]
    assert write_yolo(items, LabelSet.of(['say "x": y', "no", "汽车"]), archive) == ()
    assert set(archive.files) == {"data.yaml", *(f"labels/{part}/a b.v2.txt" for part in ("train", "val", "test"))}
    assert [yolo_picture_path(one) for one in items][1] == "images/val/a b.v2.png"
    reading = read_yolo(archive.source(), known(SIZE))
    assert [entry.name for entry in reading.labels] == ['say "x": y', "no", "汽车"]
    assert {(picture.picture, picture.part) for picture in reading.pictures} == {
        (f"images/{part}/a b.v2", part) for part in ("train", "val", "test")
    }


# ----------------------------------------------------------------------------------------------------- real data sets


@pytest.mark.parametrize(
    ("folder", "names", "count"),
    [
        ("formats/datumaro/yolo_dataset/labels", 10, 2),
        ("formats/datumaro/yolo_dataset/annotations", 10, 1),
        ("formats/datumaro/yolo_dataset/strict", 10, 1),
        ("formats/datumaro/roboflow_dataset/yolo", 2, 3),
    ],
)
def test_real_data_sets(shared_data: Path, folder: str, names: int, count: int) -> None:
    inside = open_source(shared_data / folder)
    by_name = {file.name: file for file in inside.pictures()}
    assert is_yolo_source(inside)
    reading = read_yolo(inside, lambda name: probe_image(by_name[name].read()))
    assert len(reading.labels) == names
    pictures = list(reading.pictures)
    assert len(pictures) == count
    assert all(picture.picture in by_name and picture.annotation.shapes for picture in pictures)
    assert all(picture.part in ("train", "val") for picture in pictures) or "annotations" in folder


def test_other_data_sets_are_not_taken_for_yolo(shared_data: Path) -> None:
    for folder in (
        "labelme_fruits",
        "formats/datumaro/voc_dataset",
        "formats/datumaro/camvid_dataset",
        "labelme_examples",
    ):
        assert not is_yolo_source(open_source(shared_data / folder)), folder
    assert not is_yolo_source(source_of_uploads([("labels.txt", b"car\ntree\n")]))
