"""The pixels of a mask within a box, against the whole picture painted on a plain canvas."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.pixels import Box, box_of, is_tight, pixels_in, tightened, with_pixels
from core.annotation.shapes import MaskShape, Region
from tests.drawings import mask_shapes, masks

BOXES = st.builds(Box, st.integers(-9, 25), st.integers(-9, 25), st.integers(1, 12), st.integers(1, 12))
FAR = 20  # the canvas begins so far to the left of the picture and above it


def canvas_of(shape: MaskShape | None) -> Region:
    canvas = np.zeros((80, 80), dtype=bool)
    if shape is not None:
        box = box_of(shape)
        canvas[box.top + FAR : box.bottom + FAR, box.left + FAR : box.right + FAR] = shape.region
    return canvas


def window(box: Box) -> tuple[slice, slice]:
    return slice(box.top + FAR, box.bottom + FAR), slice(box.left + FAR, box.right + FAR)


@settings(deadline=None)
@given(mask_shapes(), BOXES, st.data())
def test_painting_in_a_box_changes_its_pixels_and_no_others(shape: MaskShape, box: Box, data: st.DataObject) -> None:
    region = np.resize(data.draw(masks()) > 0, (box.height, box.width))
    expected = canvas_of(shape)
    assert np.array_equal(pixels_in(shape, box), expected[window(box)])
    expected[window(box)] = region
    before = shape.region.copy()
    painted = with_pixels(shape, box, region)
    assert np.array_equal(canvas_of(painted), expected)
    assert np.array_equal(shape.region, before)
    assert (painted is None) == (not expected.any())
    if painted is not None:
        assert is_tight(painted.region)
        assert (painted.label, painted.flags, painted.extra) == (shape.label, shape.flags, shape.extra)


@settings(deadline=None)
@given(mask_shapes())
def test_a_tight_mask_has_the_same_pixels_in_the_least_box(shape: MaskShape) -> None:
    tight = tightened(shape)
    assert np.array_equal(canvas_of(tight), canvas_of(shape))
    if tight is not None:
        rows, columns = np.nonzero(canvas_of(shape))
        assert box_of(tight) == (
            columns.min() - FAR,
            rows.min() - FAR,
            columns.max() - columns.min() + 1,
            rows.max() - rows.min() + 1,
        )


def test_boxes_are_joined_and_cut() -> None:
    one, other = Box(0, 0, 4, 3), Box(2, -1, 5, 2)
    assert one.joined(other) == Box(0, -1, 7, 4)
    assert one.cut(other) == Box(2, 0, 2, 1)
    assert one.cut(Box(9, 9, 2, 2))[2:] == (0, 0)
    assert one.corners_xy == ((0.0, 0.0), (3.0, 2.0))
