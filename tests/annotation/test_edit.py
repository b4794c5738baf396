"""Strokes land on the pixels that the person painted, and Shapes that they do not touch stay as they are."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.edit import Stroke, merge_edited, paint_strokes, stroke_region
from core.annotation.labels import LabelSet
from core.annotation.raster import annotation_to_mask
from core.annotation.shapes import Annotation, MaskShape, Rectangle, Shape
from core.images import ImageSize
from tests.drawings import annotations


def test_a_dot_of_width_one_paints_its_own_pixel() -> None:
    region = stroke_region(Stroke(((2.3, 1.7),), 1, 1), ImageSize(4, 5))
    assert np.argwhere(region).tolist() == [[1, 2]]


def test_a_dot_paints_a_disc_around_its_place() -> None:
    region = stroke_region(Stroke(((5.0, 5.0),), 6, 1), ImageSize(10, 10))
    ys, xs = np.mgrid[0:10, 0:10] + 0.5
    disc = (xs - 5) ** 2 + (ys - 5) ** 2 <= 9
    disc[5, 5] = True
    assert np.array_equal(region, disc)


def test_a_horizontal_stroke_is_as_wide_as_its_brush() -> None:
    region = stroke_region(Stroke(((0.0, 5.0), (10.0, 5.0)), 4, 1), ImageSize(10, 10))
    assert np.flatnonzero(region[:, 5]).tolist() == [3, 4, 5, 6]


def test_class_zero_erases_and_later_strokes_win() -> None:
    mask = np.ones((6, 6), np.uint8)
    painted = paint_strokes(mask, [Stroke(((3, 3),), 2, 2), Stroke(((3, 3),), 2, 0)])
    assert painted[3, 3] == 0
    assert painted[0, 0] == 1
    assert mask.min() == 1  # the mask that was given is as it was


@given(st.lists(st.tuples(st.floats(-50, 60), st.floats(-50, 60)), max_size=5), st.floats(0.1, 40))
def test_a_stroke_outside_the_picture_is_cut_off(points: list[tuple[float, float]], width: float) -> None:
    assert stroke_region(Stroke(tuple(points), width, 1), ImageSize(8, 9)).shape == (8, 9)


@given(
    st.lists(st.tuples(st.floats(-10, 50), st.floats(-10, 50)), max_size=4),
    st.floats(0.1, 12),
)
def test_painting_touches_exactly_the_region_of_the_stroke(points: list[tuple[float, float]], width: float) -> None:
    quarters = tuple((round(x * 4) / 4, round(y * 4) / 4) for x, y in points)  # exact in floating point when moved
    stroke = Stroke(quarters, width, 3)
    painted = paint_strokes(np.zeros((40, 37), np.uint8), [stroke])
    assert np.array_equal(painted == 3, stroke_region(stroke, ImageSize(40, 37)))


LABELS = LabelSet.of(["wall", "crack"])
WALL, CRACK = 1, 2


def square(left: float, top: float, side: float, label: str) -> Rectangle:
    return Rectangle(label=label, points_xy=((left, top), (left + side - 1, top + side - 1)))


def drawing(*shapes: Shape) -> Annotation:
    return Annotation(size=ImageSize(20, 20), shapes=shapes)


def edited(annotation: Annotation, *strokes: Stroke) -> Annotation:
    mask = paint_strokes(annotation_to_mask(annotation, LABELS), strokes)
    merged = merge_edited(annotation, mask, LABELS)
    assert np.array_equal(annotation_to_mask(merged, LABELS), mask)
    return merged


def dot(x: float, y: float, class_id: int, width: float = 1) -> Stroke:
    return Stroke(((x + 0.5, y + 0.5),), width, class_id)


def test_a_new_object_leaves_the_drawn_shapes_as_they_are() -> None:
    before = drawing(square(1, 1, 4, "wall"), square(8, 1, 4, "crack"))
    after = edited(before, dot(15, 15, WALL, 3))
    assert after.shapes[:2] == before.shapes
    assert [shape.label for shape in after.shapes[2:]] == ["wall"]


def test_only_the_shape_that_was_painted_over_becomes_pixels() -> None:
    first, second = square(1, 1, 4, "wall"), replace(square(8, 1, 4, "crack"), group_id=7, description="deep")
    after = edited(drawing(first, second), dot(8, 1, 0))
    assert after.shapes[0] == first
    (pixels,) = after.shapes[1:]
    assert isinstance(pixels, MaskShape)
    assert (pixels.label, pixels.group_id, pixels.description) == ("crack", 7, "deep")
    assert pixels.region.sum() == 15


def test_a_shape_under_the_one_that_was_erased_goes_as_well() -> None:
    after = edited(drawing(square(1, 1, 10, "wall"), square(3, 3, 4, "crack")), dot(4, 4, 0))
    assert all(isinstance(shape, MaskShape) for shape in after.shapes)
    assert sorted(shape.label for shape in after.shapes) == ["crack", "wall"]


def test_touching_objects_of_one_label_stay_apart() -> None:
    after = edited(drawing(square(1, 1, 4, "wall"), square(5, 1, 4, "wall")), dot(1, 1, 0), dot(8, 1, 0))
    assert len(after.shapes) == 2


def test_painting_beside_an_object_of_pixels_makes_it_larger() -> None:
    once = edited(drawing(), dot(10, 10, WALL, 4))
    twice = edited(once, dot(12, 10, WALL, 4))
    assert len(once.shapes) == len(twice.shapes) == 1


def test_a_label_that_the_project_does_not_have_is_kept() -> None:
    stranger = square(12, 12, 4, "stranger")
    after = edited(drawing(stranger, square(1, 1, 4, "wall")), dot(2, 2, 0), dot(13, 13, CRACK))
    assert after.shapes[0] == stranger


def test_not_labelled_can_be_painted_and_erased() -> None:
    after = edited(drawing(square(1, 1, 4, "__ignore__")), dot(10, 10, 255), dot(1, 1, 0))
    assert [shape.label for shape in after.shapes] == ["__ignore__", "__ignore__"]


@settings(max_examples=150, deadline=None)
@given(annotations(), st.data())
def test_a_merged_annotation_paints_exactly_the_edited_mask(annotation: Annotation, data: st.DataObject) -> None:
    labels = LabelSet.of(["a", "b"])
    names = st.sampled_from(["a", "b", "c", "_background_", "__ignore__"])
    shapes = tuple(replace(shape, label=data.draw(names)) for shape in annotation.shapes)
    annotation = replace(annotation, shapes=shapes)
    before = annotation_to_mask(annotation, labels)
    places = st.tuples(st.floats(-2, 32), st.floats(-2, 32))
    strokes = st.builds(
        Stroke, st.lists(places, max_size=3).map(tuple), st.floats(0.5, 9), st.sampled_from([0, 1, 2, 255])
    )
    mask = paint_strokes(before, data.draw(st.lists(strokes, max_size=3)))
    merged = merge_edited(annotation, mask, labels)
    assert np.array_equal(annotation_to_mask(merged, labels), mask)
    if np.array_equal(mask, before):
        assert merged == annotation
    kept = [shape for shape in merged.shapes if not isinstance(shape, MaskShape)]
    drawn = iter(annotation.shapes)
    assert all(any(shape == other for other in drawn) for shape in kept)  # in the order in which they were
