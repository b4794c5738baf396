import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask, annotation_to_mask, mask_to_shapes
from core.annotation.shapes import Annotation, MaskShape, OrientedRectangle, Point, Polygon, Rectangle
from core.errors import ReadError
from core.formats.labelme import (
    UNKNOWN_SIZE,
    LabelmeFile,
    NotLabelmeError,
    fit_to_picture,
    looks_like_labelme,
    read_labelme,
    write_labelme,
)
from core.images import ImageInfo, ImageSize, encode_png, turn_upright
from tests.drawings import annotations, masks
from tests.labelme_oracle import labelme_reader
from tests.samples import SIZE, box, picture

TRIANGLE = [[1, 1], [5, 1], [5, 4]]


def labelme(*shapes: Any, **top: Any) -> bytes:
    value = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "a.png", "imageData": None}
    return json.dumps({**value, "imageHeight": SIZE.height, "imageWidth": SIZE.width, **top}).encode()


def shape(kind: str | None = "polygon", points: Any = TRIANGLE, **more: Any) -> dict[str, Any]:
    return {"label": "coin", "points": points, "shape_type": kind, "flags": {}, "group_id": None, **more}


def png(pixels: np.ndarray, *, bits: int = 8) -> str:
    image = Image.fromarray(pixels.astype(np.uint8))
    buffer = io.BytesIO()
    (image if bits == 8 else Image.fromarray(pixels.astype(bool))).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def info(size: ImageSize, orientation: int = 1) -> ImageInfo:
    """A picture stored in `size`."""
    upright = ImageSize(size.width, size.height) if orientation >= 5 else size
    return ImageInfo(upright, size, 1, "JPEG", orientation)


def said(file: LabelmeFile) -> list[str]:
    return [f"{note.kind}: {note.text}" for note in file.notes]


# ------------------------------------------------------------------------------------------------------- round trip


@settings(max_examples=100, deadline=None)
@given(annotations())
def test_any_annotation_written_and_read_equals_itself(annotation: Annotation) -> None:
    file = read_labelme(write_labelme(annotation, image_path="../images/a.png"))
    assert file.annotation == annotation
    assert file.image_path == "../images/a.png"
    assert not file.notes


@settings(max_examples=100, deadline=None)
@given(masks((0, 0, 1, 2, 255)), st.booleans())
def test_any_mask_survives_shapes_and_labelme_and_back(mask: Mask, split_objects: bool) -> None:
    labels = LabelSet.of(["wall", "crack"])
    shapes = mask_to_shapes(mask, labels, split_objects=split_objects)
    data = write_labelme(Annotation(size=ImageSize(*mask.shape), shapes=shapes), image_path="a.png")
    assert np.array_equal(annotation_to_mask(read_labelme(data).annotation, labels), mask)


@settings(max_examples=25, deadline=None)
@given(annotation=annotations())
def test_labelme_itself_opens_what_we_write(tmp_path_factory: pytest.TempPathFactory, annotation: Annotation) -> None:
    reader = labelme_reader()
    folder = tmp_path_factory.mktemp("labelme")
    (folder / "a.png").write_bytes(encode_png(np.zeros(annotation.size, dtype=np.uint8)))
    (folder / "a.json").write_bytes(write_labelme(annotation, image_path="a.png"))
    opened = reader.read_label_file(str(folder / "a.json"))
    assert [item["label"] for item in opened.shapes] == [item.label for item in annotation.shapes]
    assert [item["shape_type"] for item in opened.shapes] == [item.kind for item in annotation.shapes]
    assert opened.other_data == annotation.extra
    for theirs, ours in zip(opened.shapes, annotation.shapes, strict=True):
        assert [tuple(point) for point in theirs["points"]] == list(ours.points_xy)
        if isinstance(ours, MaskShape):
            assert np.array_equal(theirs["mask"], ours.region)


def test_foreign_keys_come_back_and_ours_stand_in_labelmes_order() -> None:
    data = labelme(shape(score=0.5, attributes={"a": 1}), lineColor=[0, 255, 0, 128], maskloop={"version": 3})
    written = json.loads(write_labelme(read_labelme(data).annotation, image_path="..\\images\\a.png"))
    keys = [
        "version",
        "flags",
        "shapes",
        "imagePath",
        "imageData",
        "imageHeight",
        "imageWidth",
        "lineColor",
        "maskloop",
    ]
    assert list(written) == keys
    assert written["imagePath"] == "../images/a.png"
    assert written["imageData"] is None
    assert written["maskloop"] == {"version": 3}
    assert written["shapes"][0]["score"] == 0.5
    assert list(written["shapes"][0])[-2:] == ["score", "attributes"]


def test_what_json_has_no_number_for_is_written_as_null() -> None:
    data = labelme(shape(score="#")).replace(b'"#"', b"NaN")
    assert json.loads(write_labelme(read_labelme(data).annotation, image_path="a"))["shapes"][0]["score"] is None


def test_letters_are_written_as_they_are() -> None:
    annotation = replace(box("裂缝"), extra={"note": "\ud800"})
    text = write_labelme(annotation, image_path="图.png").decode()
    assert "裂缝" in text
    assert "图.png" in text


# ---------------------------------------------------------------------------------------------------------- versions


def test_a_file_of_version_3_has_polygons_without_a_type() -> None:
    data = json.dumps(
        {
            "flags": {},
            "shapes": [{"label": "角", "line_color": None, "fill_color": None, "points": [[2, 1], [9, 1], [9, 6]]}],
            "lineColor": [0, 255, 0, 128],
            "imagePath": "a.jpg",
            "imageData": "aGk=",
        }
    ).encode()
    file = read_labelme(data)
    assert isinstance(file.annotation.shapes[0], Polygon)
    assert file.annotation.shapes[0].extra == {"line_color": None, "fill_color": None}
    assert file.annotation.size == UNKNOWN_SIZE
    assert file.annotation.version == Annotation.version
    assert file.image_data == b"hi"


@pytest.mark.parametrize("bits", [1, 8])
def test_mask_shapes_of_one_and_of_eight_bits(bits: int) -> None:
    region = np.array([[1, 0, 1], [0, 1, 1]], dtype=bool)
    file = read_labelme(labelme(shape("mask", [[3, 4], [5, 5]], mask=png(region, bits=bits))))
    drawn = file.annotation.shapes[0]
    assert isinstance(drawn, MaskShape)
    assert np.array_equal(drawn.region, region)
    assert drawn.points_xy == ((3, 4), (5, 5))


def test_fractional_bounds_of_a_mask_round_to_even_and_the_pixels_give_the_extent() -> None:
    region = np.ones((2, 3), dtype=bool)
    file = read_labelme(labelme(shape("mask", [[2.5, 3.5], [5.2, 4.9]], mask=png(region))))
    assert file.annotation.shapes[0].points_xy == ((2, 4), (4, 5))


def test_the_dialect_of_x_anylabeling() -> None:
    rotated = [[1, 3], [4, 1], [6, 4], [3, 6]]
    upright = [[1, 1], [5, 1], [5, 4], [1, 4]]
    file = read_labelme(
        labelme(
            shape("rotation", rotated, direction=0.6),
            shape("quadrilateral", rotated),
            shape("rectangle", upright, flags=None, score=None, difficult=False, kie_linking=[]),
            shape("rectangle", rotated),
            shape("cuboid", upright),
            imageHeight=-1,
            imageWidth=-1,
        )
    )
    assert [type(item) for item in file.annotation.shapes] == [OrientedRectangle, Polygon, Rectangle, Polygon]
    assert file.annotation.shapes[2].points_xy == ((1, 1), (5, 4))
    assert file.annotation.size == UNKNOWN_SIZE
    assert said(file) == [
        "assumed: a quadrilateral was read as a polygon",
        "assumed: a rectangle of 4 points was read as a polygon",
        "ignored: a shape of the type 'cuboid', which is unknown here, was left out",
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("parent\\stem.jpg", "parent/stem.jpg"),
        ("..\\b\\ü.png", "../b/ü.png"),
        ("C:\\x\\a.png", "C:/x/a.png"),
        (None, ""),
    ],
)
def test_windows_paths_get_slashes(path: str | None, expected: str) -> None:
    assert read_labelme(labelme(imagePath=path)).image_path == expected


@pytest.mark.parametrize(
    ("encoding", "label", "says"),
    [
        ("utf-8", "裂缝", []),
        ("utf-8-sig", "Käse", []),
        ("utf-16", "裂缝", []),
        ("cp936", "裂缝", ["assumed: its letters are not in Unicode and were read as Chinese (GBK)"]),
        ("cp1252", "Käse", ["assumed: its letters are not in Unicode and were read as Western European (1252)"]),
    ],
)
def test_text_of_older_machines_is_read_and_said(encoding: str, label: str, says: list[str]) -> None:
    text = json.dumps({"shapes": [shape(label=label)], "imagePath": "a.png"}, ensure_ascii=False)
    file = read_labelme(text.encode(encoding))
    assert file.annotation.label_names == (label,)
    assert said(file) == says


# ----------------------------------------------------------------------------------------------------- broken shapes


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (shape(points=[[1, 1], [2, 2]]), "a polygon had fewer than 3 points and was left out"),
        (shape("circle", [[1, 1]]), "a circle of 1 point is impossible and was left out"),
        (shape("mask", [[1, 1]], mask=png(np.ones((1, 1)))), "a mask of 1 point is impossible and was left out"),
        (shape(points=[]), "a polygon without points was left out"),
        (shape(points=None), "a polygon without points was left out"),
        (
            shape(points=[[1, "x"], [2, 2], [3, 1]]),
            "a polygon had a point that is not a pair of numbers and was left out",
        ),
        (
            shape(points=[[1, 1, 1], [2, 2], [3, 1]]),
            "a polygon had a point that is not a pair of numbers and was left out",
        ),
        (shape("line", [[1, 1], [1e9, 2]]), "a line had a point more than a million pixels away and was left out"),
        (shape("rainbow"), "a shape of the type 'rainbow', which is unknown here, was left out"),
        (shape(label=""), "a shape without a label was left out"),
        (shape(label=None), "a shape without a label was left out"),
        (shape("mask", [[0, 0], [1, 1]], mask="!"), "a mask whose pixels cannot be read was left out"),
        (shape("mask", [[0, 0], [1, 1]]), "a mask whose pixels cannot be read was left out"),
        (
            shape("mask", [[0, 0], [9, 9]], mask=png(np.ones((2, 2)))),
            "a mask whose pixels do not fill its box was left out",
        ),
        ("not an object", "a shape was not an object and was left out"),
    ],
)
def test_a_broken_shape_is_left_out_and_said_and_the_rest_is_read(broken: Any, says: str) -> None:
    file = read_labelme(labelme(broken, shape()))
    assert len(file.annotation.shapes) == 1
    assert said(file) == [f"ignored: {says}"]


def test_a_point_that_is_nan_costs_its_shape_only() -> None:
    file = read_labelme(labelme(shape(points=[["#", 1], [2, 2], [3, 1]]), shape()).replace(b'"#"', b"NaN"))
    assert len(file.annotation.shapes) == 1
    assert "not a pair of numbers" in said(file)[0]


def test_labels_lose_what_a_list_cannot_hold_and_it_is_said() -> None:
    file = read_labelme(labelme(shape(label=" coin\n"), shape(label=7)))
    assert file.annotation.label_names == ("coin", "7")
    assert said(file) == ["assumed: the label ' coin\\n' was read as 'coin'", "assumed: the label 7 was read as '7'"]


def test_damaged_image_data_is_said() -> None:
    file = read_labelme(labelme(imageData="abc"))
    assert file.image_data is None
    assert said(file) == ["ignored: its embedded picture (imageData) is damaged and was left out"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"{", "is not readable JSON"),
        (b"[" * 100_000, "is not readable JSON"),
        (b"\x89PNG\r\n\x1a\n\x81\x00", "is not"),
    ],
)
def test_what_is_not_json_is_one_sentence(data: bytes, message: str) -> None:
    with pytest.raises(ReadError, match=f"a.json {message}"):
        read_labelme(data, name="a.json")


@pytest.mark.parametrize("value", [[], {}, {"images": []}, {"shapes": {}}, {"shapes": []}, 3])
def test_json_of_another_kind_is_not_labelme(value: Any) -> None:
    data = json.dumps(value).encode()
    assert not looks_like_labelme(data)
    with pytest.raises(NotLabelmeError, match="is JSON, but not Labelme's"):
        read_labelme(data, name="a.json")


def test_a_labelme_file_is_known_by_its_content() -> None:
    assert looks_like_labelme(labelme())
    assert not looks_like_labelme(b'{"shapes"')
    assert not looks_like_labelme(picture(1))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)
KEYS = ("label", "points", "shape_type", "group_id", "flags", "description", "mask")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(KEYS), ANYTHING) | ANYTHING, max_size=3),
    st.dictionaries(st.sampled_from(("version", "flags", "imagePath", "imageData", "imageHeight", "x")), ANYTHING),
)
def test_whatever_stands_in_a_file_it_is_read_or_left_out(shapes: list[Any], top: dict[str, Any]) -> None:
    drawn = shape("point", [[1, 2]])
    file = read_labelme(labelme(*shapes, drawn, **top))
    assert file.annotation.shapes[-1].points_xy == ((1, 2),)
    assert read_labelme(write_labelme(file.annotation, image_path="a.png")).annotation.shapes == file.annotation.shapes


# ---------------------------------------------------------------------------------------------------- fit to picture


def test_a_file_of_the_pictures_size_stays_as_it_is() -> None:
    file = read_labelme(labelme(shape()))
    annotation, notes = fit_to_picture(file, info(SIZE))
    assert annotation == file.annotation
    assert not notes


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_file_of_the_stored_size_turns_with_the_picture(orientation: int) -> None:
    region = np.zeros((4, 5), dtype=bool)
    region[0, :], region[:, 0] = True, True
    size = ImageSize(12, 16)
    drawn = MaskShape(label="coin", points_xy=((2, 3), (6, 6)), region=region)
    pixel = Point(label="coin", points_xy=((10.5, 2.5),))
    file = LabelmeFile("a.json", Annotation(size=size, shapes=(drawn, pixel)), "", None, ())
    annotation, notes = fit_to_picture(file, info(size, orientation))
    assert [note.kind for note in notes] == ["turned"]
    assert annotation.size == ImageSize(16, 12)
    labels = LabelSet.of(["coin"])
    masks_only = replace(annotation, shapes=annotation.shapes[:1])
    before = annotation_to_mask(Annotation(size=size, shapes=(drawn,)), labels)
    assert np.array_equal(annotation_to_mask(masks_only, labels), turn_upright(before, orientation))
    stored = np.zeros(size, dtype=np.uint8)
    stored[2, 10] = 1
    ((x, y),) = annotation.shapes[1].points_xy
    assert turn_upright(stored, orientation)[int(y), int(x)] == 1


@pytest.mark.parametrize(("size", "orientation"), [(ImageSize(8, 8), 6), (ImageSize(8, 9), 3), (ImageSize(8, 9), 2)])
def test_where_both_sizes_fit_upright_is_assumed_and_said(size: ImageSize, orientation: int) -> None:
    file = read_labelme(labelme(shape(), imageHeight=size.height, imageWidth=size.width))
    annotation, notes = fit_to_picture(file, info(size, orientation))
    assert annotation.shapes == file.annotation.shapes
    assert [note.kind for note in notes] == ["assumed"]


def test_a_file_without_a_size_takes_that_of_the_picture() -> None:
    file = read_labelme(labelme(shape(), imageHeight=None))
    annotation, notes = fit_to_picture(file, info(SIZE))
    assert annotation.size == SIZE
    assert not notes
    _, notes = fit_to_picture(file, info(SIZE, 6))
    assert [note.kind for note in notes] == ["assumed"]


def test_a_file_of_another_size_is_refused_with_both_sizes() -> None:
    file = read_labelme(labelme(shape()), name="a.json")
    with pytest.raises(ReadError, match=r"a\.json was made for a picture of 16 x 12, its picture has 33 x 24") as error:
        fit_to_picture(file, info(ImageSize(24, 33)))
    assert "resized" in error.value.hint


def test_shapes_outside_are_kept_as_drawn_and_said() -> None:
    file = read_labelme(
        labelme(
            shape("rectangle", [[-9, 2], [4, 5]]),
            shape("circle", [[100, 100], [102, 100]]),
            shape("polygon", [[0, 0], [SIZE.width, 0], [SIZE.width, SIZE.height]]),
        )
    )
    annotation, notes = fit_to_picture(file, info(SIZE))
    assert annotation.shapes == file.annotation.shapes
    assert [(note.kind, note.text.split(" the picture")[0]) for note in notes] == [
        ("clipped", "a rectangle reaches over the edge of"),
        ("clipped", "a circle lies outside of"),
    ]


# ------------------------------------------------------------------------------------------------------- real files


def test_every_labelme_file_of_the_shared_data_is_read_without_loss(shared_data: Path) -> None:
    files = sorted(shared_data.glob("labelme_*/**/*.json"))
    assert files
    for path in files:
        data = path.read_bytes()
        if not looks_like_labelme(data):
            continue
        file = read_labelme(data, name=path.name)
        assert len(file.annotation.shapes) == len(json.loads(data)["shapes"]), path
        again = read_labelme(write_labelme(file.annotation, image_path=file.image_path))
        assert again.annotation == file.annotation, path
