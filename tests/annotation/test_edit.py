"""Strokes land on the pixels that the person painted, and Shapes that they do not touch stay as they are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.annotation.edit import Stroke, paint_strokes, stroke_region
from core.annotation.labels import LabelSet
from core.images import ImageSize


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
