"""A file put together from the texts of its shapes is the file that json.dumps would write."""

import json
from typing import Any

import numpy as np
from hypothesis import given, settings

from core.annotation.shapes import Annotation, MaskShape, Polygon
from core.formats.labelme import read_labelme, write_labelme
from core.formats.labelme_shape import write_shape
from core.formats.labelme_text import file_text, finite, one_line, shape_text
from core.images import ImageSize
from tests.drawings import annotations


def by_json(annotation: Annotation, image_path: str) -> bytes:
    """The file as Python's own encoder writes it."""
    value: dict[str, Any] = {
        "version": annotation.version,
        "flags": dict(annotation.flags),
        "shapes": [write_shape(shape) for shape in annotation.shapes],
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": annotation.size.height,
        "imageWidth": annotation.size.width,
        **annotation.extra,
    }
    return json.dumps(finite(value), ensure_ascii=False, indent=2, allow_nan=False).encode("utf-8", errors="replace")


@settings(max_examples=150, deadline=None)
@given(annotations())
def test_the_text_is_that_of_json_byte_for_byte(annotation: Annotation) -> None:
    texts = [shape_text(shape) for shape in annotation.shapes]
    text = file_text(annotation, texts, image_path="../images/a.png")
    assert text == by_json(annotation, "../images/a.png")
    assert write_labelme(annotation, image_path="../images/a.png") == text


@settings(max_examples=100, deadline=None)
@given(annotations())
def test_what_is_read_is_written_as_it_was(annotation: Annotation) -> None:
    """So the shapes that a change left alone stand in the file as before."""
    text = write_labelme(annotation, image_path="a.png")
    assert write_labelme(read_labelme(text).annotation, image_path="a.png") == text


@settings(max_examples=100, deadline=None)
@given(annotations())
def test_one_line_says_the_same(annotation: Annotation) -> None:
    for shape in annotation.shapes:
        text = shape_text(shape)
        assert b"\n" not in one_line(text)
        assert json.loads(one_line(text)) == json.loads(text)


def test_what_json_cannot_say_is_null_and_half_a_letter_a_question_mark() -> None:
    extra = {"score": float("nan"), "nested": {"a": [float("inf"), {}, []]}, "words": "a\nb \ud800"}
    corners = ((0.0, 0.5), (1e-7, 2.0), (3, 1e22))
    shape = Polygon(label='"\\\u2028é', points_xy=corners, extra=extra)
    annotation = Annotation(size=ImageSize(3, 4), shapes=(shape,), extra={"top": {"deep": [1, {"b": None}]}})
    text = write_labelme(annotation, image_path="..\\images\\a.png")
    assert text == by_json(annotation, "../images/a.png")
    assert json.loads(text)["shapes"][0]["score"] is None
    assert json.loads(text)["shapes"][0]["words"] == "a\nb ?"


def test_a_large_mask_comes_back_pixel_for_pixel() -> None:
    region = np.random.default_rng(0).random((700, 900)) < 0.5
    corners = ((5.0, 6.0), (904.0, 705.0))
    annotation = Annotation(size=ImageSize(800, 1000), shapes=(MaskShape(label="a", points_xy=corners, region=region),))
    (shape,) = read_labelme(write_labelme(annotation, image_path="a.png")).annotation.shapes
    assert isinstance(shape, MaskShape)
    assert np.array_equal(shape.region, region)
