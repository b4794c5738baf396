from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.labels import IGNORE, IGNORE_ID, LabelSet
from core.annotation.pixels import Box, is_tight
from core.annotation.raster import (
    Mask,
    annotation_to_mask,
    class_pixels,
    count_objects,
    drawn_box,
    mask_to_shapes,
    region_in_box,
    shape_to_mask_shape,
    shape_to_region,
)
from core.annotation.shapes import Annotation, Circle, MaskShape, Points, Polygon, Rectangle, Shape
from core.errors import ConfigError
from core.images import ImageSize
from tests.drawings import SIZES, annotations, mask_shapes, masks, outlines
from tests.labelme_oracle import labelme_shapes

LABELS = LabelSet.of(["wall", "crack"])


def square(left: float, top: float, side: float, label: str) -> Rectangle:
    return Rectangle(label=label, points_xy=((left, top), (left + side - 1, top + side - 1)))


def as_labelme_draws(shape: Shape, size: ImageSize) -> np.ndarray:
    """What labelme's own functions fill; for points, which it cannot fill, one disc of its point a point."""
    oracle = labelme_shapes()
    xy = [list(point) for point in shape.points_xy]
    if isinstance(shape, Points):
        discs = [oracle.shape_to_mask(size, [point], "point") for point in xy]
        return np.logical_or.reduce(discs)
    return oracle.shape_to_mask(size, xy, shape.kind)


@settings(max_examples=300, deadline=None)
@given(outlines(), SIZES)
def test_every_kind_of_outline_fills_the_pixels_that_labelme_fills(shape: Shape, size: ImageSize) -> None:
    assert np.array_equal(shape_to_region(shape, size), as_labelme_draws(shape, size))


@settings(max_examples=60, deadline=None)
@given(st.lists(outlines() | mask_shapes(), max_size=5), SIZES)
def test_a_whole_annotation_paints_as_labelme_does(drawn: list[Shape], size: ImageSize) -> None:
    names = ["wall", "crack"]
    shapes = tuple(replace(shape, label=names[i % 2]) for i, shape in enumerate(drawn))
    expected = np.zeros(size, dtype=np.uint8)
    for shape in shapes:
        if isinstance(shape, MaskShape):  # labelme itself fails on a mask that reaches over the edge
            region = shape_to_region(shape, size)
        else:
            region = as_labelme_draws(shape, size)
        expected[region] = LABELS.id_of(shape.label)
    assert np.array_equal(annotation_to_mask(Annotation(size=size, shapes=shapes), LABELS), expected)


@pytest.mark.parametrize("left", [0, 3])
@pytest.mark.parametrize("top", [0, 2])
def test_a_mask_shape_paints_as_labelme_does(left: int, top: int) -> None:
    size, region = ImageSize(8, 9), np.array([[1, 0, 1], [1, 1, 0]], dtype=bool)
    corners = ((float(left), float(top)), (left + 2.0, top + 1.0))
    shape = MaskShape(label="crack", points_xy=corners, region=region)
    item = {"label": "crack", "points": [list(p) for p in corners], "shape_type": "mask", "mask": region}
    classes, _ = labelme_shapes().shapes_to_label(size, [item], {"crack": 2})
    assert np.array_equal(annotation_to_mask(Annotation(size=size, shapes=(shape,)), LABELS), classes)


def test_both_edges_of_a_polygon_are_filled() -> None:
    polygon = Polygon(label="wall", points_xy=((2, 2), (6, 2), (6, 6), (2, 6)))
    region = shape_to_region(polygon, ImageSize(9, 9))
    assert region.sum() == 25
    assert region[2:7, 2:7].all()


@pytest.mark.parametrize(
    ("left", "top", "rows", "columns"),
    [(-1, 0, slice(0, 2), slice(0, 1)), (3, 0, slice(0, 2), slice(3, 4)), (0, 3, slice(3, 4), slice(0, 2))],
)
def test_a_mask_that_reaches_over_the_edge_is_cut_there(left: int, top: int, rows: slice, columns: slice) -> None:
    shape = MaskShape(label="wall", points_xy=((left, top), (left + 1, top + 1)), region=np.ones((2, 2), dtype=bool))
    expected = np.zeros((4, 4), dtype=bool)
    expected[rows, columns] = True
    assert np.array_equal(shape_to_region(shape, ImageSize(4, 4)), expected)


def test_a_mask_outside_of_the_picture_paints_nothing() -> None:
    shape = MaskShape(label="wall", points_xy=((-9, -9), (-8, -8)), region=np.ones((2, 2), dtype=bool))
    assert not shape_to_region(shape, ImageSize(4, 4)).any()


def test_later_shapes_paint_over_earlier_ones() -> None:
    annotation = Annotation(size=ImageSize(4, 4), shapes=(square(0, 0, 4, "wall"), square(1, 1, 2, "crack")))
    mask = annotation_to_mask(annotation, LABELS)
    assert mask[1, 1] == LABELS.id_of("crack")
    assert mask[0, 0] == LABELS.id_of("wall")


def test_ignore_becomes_255_and_background_erases() -> None:
    shapes = (square(0, 0, 4, "wall"), square(0, 0, 2, IGNORE), square(2, 2, 2, "_background_"))
    mask = annotation_to_mask(Annotation(size=ImageSize(4, 4), shapes=shapes), LABELS)
    assert mask[0, 0] == IGNORE_ID
    assert mask[3, 3] == 0
    assert mask[0, 3] == 1


def test_a_label_that_is_not_in_the_list_paints_nothing_or_the_id_asked_for() -> None:
    annotation = Annotation(size=ImageSize(4, 4), shapes=(square(0, 0, 2, "dirt"),))
    assert not annotation_to_mask(annotation, LABELS).any()
    assert annotation_to_mask(annotation, LABELS, unknown=IGNORE_ID)[0, 0] == IGNORE_ID


@settings(max_examples=150, deadline=None)
@given(masks((0, 0, 1, 2, IGNORE_ID)), st.booleans())
def test_shapes_of_a_mask_paint_exactly_that_mask(mask: Mask, split_objects: bool) -> None:
    shapes = mask_to_shapes(mask, LABELS, split_objects=split_objects)
    again = annotation_to_mask(Annotation(size=ImageSize(*mask.shape), shapes=shapes), LABELS)
    assert np.array_equal(again, mask)


@settings(max_examples=50, deadline=None)
@given(annotations())
def test_no_annotation_makes_a_class_that_is_not_in_the_labels(annotation: Annotation) -> None:
    labels = LabelSet.of(name for name in annotation.label_names[:2])
    assert set(np.unique(annotation_to_mask(annotation, labels)).tolist()) <= set(range(len(labels)))


def test_one_shape_for_each_object_with_its_hole() -> None:
    mask = np.zeros((6, 9), dtype=np.uint8)
    mask[1:5, 1:5] = 1
    mask[2:4, 2:4] = 0
    mask[0, 8] = 1
    ring, dot = mask_to_shapes(mask, LABELS)
    assert sorted(shape.region.sum() for shape in (ring, dot)) == [1, 12]
    assert len(mask_to_shapes(mask, LABELS, split_objects=False)) == 1


def test_objects_that_touch_by_a_corner_are_one() -> None:
    assert count_objects(np.eye(3, dtype=bool)) == 1
    assert count_objects(np.array([[1, 0, 1]], dtype=bool)) == 2
    assert count_objects(np.zeros((2, 2), dtype=bool)) == 0


def test_class_pixels_counts_the_classes_asked_for() -> None:
    assert class_pixels(np.array([[0, 1, 1, 255]], dtype=np.uint8), (0, 1, 2)) == {0: 1, 1: 2, 2: 0}


@st.composite
def boxes_in(draw: st.DrawFn, size: ImageSize) -> Box:
    left, top = draw(st.integers(0, size.width)), draw(st.integers(0, size.height))
    return Box(left, top, draw(st.integers(0, size.width - left)), draw(st.integers(0, size.height - top)))


@settings(max_examples=300, deadline=None)
@given(outlines() | mask_shapes(), SIZES, st.data())
def test_a_box_holds_what_the_whole_picture_holds_there(shape: Shape, size: ImageSize, data: st.DataObject) -> None:
    box = data.draw(boxes_in(size))
    whole = shape_to_region(shape, size)
    part = whole[box.top : box.bottom, box.left : box.right]
    np.testing.assert_array_equal(region_in_box(shape, box), part)


@settings(max_examples=300, deadline=None)
@given(outlines() | mask_shapes(), SIZES)
def test_the_mask_of_a_shape_has_its_pixels_and_the_least_box(shape: Shape, size: ImageSize) -> None:
    whole = shape_to_region(shape, size)
    found = shape_to_mask_shape(shape, size)
    assert (found is None) == (not whole.any())
    if found is not None:
        np.testing.assert_array_equal(shape_to_region(found, size), whole)
        assert is_tight(found.region)
        assert found.region.sum() == whole.sum()
        assert (found.label, found.group_id, found.description) == (shape.label, shape.group_id, shape.description)
        assert (found.flags, found.extra) == (shape.flags, shape.extra)


@settings(max_examples=200, deadline=None)
@given(outlines(("polygon", "line", "linestrip", "circle")), st.integers(0, 3), st.integers(14_990, 15_010))
def test_far_from_the_corner_a_box_still_rounds_as_the_whole_picture(shape: Shape, down: int, right: int) -> None:
    moved = replace(shape, points_xy=tuple((x + right, y + 40 * down) for x, y in shape.points_xy))
    size = ImageSize(40 * down + 50, right + 50)
    whole = shape_to_region(moved, size)
    box = drawn_box(moved, size)
    np.testing.assert_array_equal(region_in_box(moved, box), whole[box.top : box.bottom, box.left : box.right])
    assert whole.sum() == region_in_box(moved, box).sum()


def test_a_box_is_drawn_in_strips_where_the_canvas_would_be_large(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Polygon(label="wall", points_xy=((2.5, 1), (38, 7.5), (30, 39), (1, 30)))
    whole = region_in_box(shape, Box(0, 0, 40, 40))
    monkeypatch.setattr("core.annotation.raster._CANVAS", 200)
    np.testing.assert_array_equal(region_in_box(shape, Box(0, 0, 40, 40)), whole)
    assert whole.sum() > 500


@pytest.mark.parametrize("far", [1e6, 1e9, 1e155, 1e300])
def test_a_circle_of_any_radius_is_drawn_at_once(far: float) -> None:
    size = ImageSize(30, 40)
    assert shape_to_region(Circle(label="wall", points_xy=((9, 9), (far, 9))), size).all()
    at_the_edge = Circle(label="wall", points_xy=((20 - far, 15), (20, 15)))
    if far < 1e9:  # beyond, half pixels are lost
        region = shape_to_region(at_the_edge, size)
        assert region[15, :20].all()
        assert not region[:, 22:].any()


@pytest.mark.parametrize("radius", [100_000.5, 100_001.0, 123_456.0])
def test_circles_too_large_for_pillow_are_the_same_but_for_the_edge(
    radius: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, shape = ImageSize(200, 300), Circle(label="wall", points_xy=((150 - radius, 60), (150, 60)))
    ours = shape_to_region(shape, size)
    monkeypatch.setattr("core.annotation.raster._ROUND_LIMIT", 1e6)
    pillows = shape_to_region(shape, size)
    assert (ours != pillows).sum() <= 2 * size.height
    assert not (ours != pillows)[:, :148].any()
    assert not (ours != pillows)[:, 153:].any()


def test_a_mask_too_large_for_memory_is_refused() -> None:
    shape = Rectangle(label="wall", points_xy=((0, 0), (20_000, 20_000)))
    with pytest.raises(ConfigError, match="20000 x 20000 pixels is too large"):
        shape_to_mask_shape(shape, ImageSize(20_000, 20_000))
