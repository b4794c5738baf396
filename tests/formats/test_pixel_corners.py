import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.annotation.raster import shape_to_region
from core.annotation.shapes import MaskShape
from core.formats.labelme_shape import BrokenShapeError
from core.formats.pixel_corners import (
    Box,
    TurnedBox,
    box_of_corners,
    circle_points,
    corners_of_box,
    ellipse_mask,
    radius_of,
    turned_about_centre,
    turned_box_of,
    turned_corners,
    within_picture,
)
from core.images import ImageSize

SIDES = st.integers(-20, 40).map(float) | st.floats(-20, 40)
SIZE = ImageSize(20, 25)


@given(SIDES, SIDES, SIDES, SIDES)
def test_a_box_survives(x1: float, y1: float, x2: float, y2: float) -> None:
    corners = corners_of_box(box_of_corners(((x1, y1), (x2, y2))))
    assert corners == ((min(x1, x2), min(y1, y2)), (max(x1, x2), max(y1, y2)))


def test_a_box_without_a_pixel_is_refused() -> None:
    with pytest.raises(BrokenShapeError):
        corners_of_box(Box(2, 3, 2, 9))
    assert corners_of_box(Box(6, 9, 2, 3)) == ((2, 3), (5, 8))  # a negative width


@given(st.builds(TurnedBox, SIDES, SIDES, st.floats(0.5, 30), st.floats(0.5, 30), st.floats(0.001, 359.999)))
def test_a_turned_box_is_found_again_from_its_corners(box: TurnedBox) -> None:
    found = turned_box_of(turned_corners(box))
    assert found is not None
    assert found[:4] == pytest.approx(box[:4], abs=1e-9)
    assert math.isclose(found.degrees, box.degrees, abs_tol=1e-6)


@given(SIDES, SIDES, st.floats(1, 30), st.floats(1, 30), st.floats(0, 360))
def test_turning_about_the_centre_leaves_the_centre(
    x: float, y: float, width: float, height: float, turn: float
) -> None:
    turned = turned_about_centre(Box(x, y, x + width, y + height), turn)
    assert turned.centre == (pytest.approx(x + width / 2), pytest.approx(y + height / 2))


def test_four_corners_that_go_round_the_other_way_are_a_box_all_the_same() -> None:
    box = turned_box_of(((8, 3), (5, 3), (5, 7), (8, 7)))
    assert box is not None
    assert {(round(x, 9), round(y, 9)) for x, y in turned_corners(box)} == {(8, 3), (5, 3), (5, 7), (8, 7)}


@pytest.mark.parametrize("corners", [((0, 0), (4, 0), (5, 3), (0, 3)), ((0, 0), (4, 0), (5, 3), (1, 3)), ((1, 1),) * 4])
def test_other_corners_are_no_box(corners: tuple[tuple[float, float], ...]) -> None:
    assert turned_box_of(corners) is None


@given(SIDES, SIDES, st.floats(0, 50))
def test_a_circle_keeps_its_radius(x: float, y: float, radius: float) -> None:
    assert radius_of(circle_points(x, y, radius)) == pytest.approx(radius, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(SIDES, SIDES, st.floats(0.1, 30), st.floats(0.1, 30), st.floats(0, 360))
def test_an_ellipse_holds_the_pixels_whose_centres_it_holds(
    x: float, y: float, across: float, down: float, degrees: float
) -> None:
    angle = math.radians(degrees)
    rows, columns = np.mgrid[: SIZE.height, : SIZE.width] + 0.5
    along = (columns - x) * math.cos(angle) + (rows - y) * math.sin(angle)
    over = (rows - y) * math.cos(angle) - (columns - x) * math.sin(angle)
    distance = (along / across) ** 2 + (over / down) ** 2
    assume((abs(distance - 1) > 1e-9).all())  # a centre on the very edge may fall to either side
    try:
        mask = ellipse_mask((x, y), (across, down), degrees, SIZE, "a")
    except BrokenShapeError:
        assert not (distance < 1).any()
        return
    assert np.array_equal(shape_to_region(mask, SIZE), distance < 1)


def test_an_ellipse_too_large_for_memory_is_refused() -> None:
    with pytest.raises(BrokenShapeError, match="too large"):
        ellipse_mask((5e5, 5e5), (4e5, 3e5), 10, ImageSize(0, 0), "a")


@given(st.integers(-6, 25), st.integers(-6, 25))
def test_the_part_of_a_mask_within_the_picture(left: int, top: int) -> None:
    region = np.array([[0, 1, 1], [1, 0, 0]], dtype=bool)
    mask = MaskShape(label="a", points_xy=((left, top), (left + 2, top + 1)), region=region)
    inside = within_picture(mask, SIZE)
    whole = shape_to_region(mask, SIZE)
    assert (inside is None) == (not whole.any())
    if inside is not None:
        assert np.array_equal(shape_to_region(inside, SIZE), whole)
        assert inside.region.sum() == whole.sum()
