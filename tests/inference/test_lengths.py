"""Lengths against skimage, shapely and counting by hand."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPoint
from skimage.measure import perimeter_crofton
from skimage.morphology import skeletonize

from core.inference.lengths import Numbers, longest_diameters, perimeters, runs_of, skeleton_lengths


def blobs(seed: int, height: int = 40, width: int = 55) -> tuple[Numbers, int]:
    soft = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32), (0, 0), 1.5)
    count, numbers = cv2.connectedComponents((soft > 0.1).astype(np.uint8), connectivity=8)
    return np.asarray(numbers, np.int32), count - 1


def one(region: np.ndarray) -> Numbers:
    return region.astype(np.int32)


@given(st.integers(0, 10_000))
def test_perimeters_are_those_of_skimage(seed: int) -> None:
    numbers, count = blobs(seed)
    expected = [perimeter_crofton(np.pad(numbers == i, 1), directions=4) for i in range(1, count + 1)]
    assert perimeters(numbers, count) == pytest.approx(expected)


@pytest.mark.parametrize("radius", [20, 60, 200])
def test_the_perimeter_of_a_disc_is_right(radius: int) -> None:
    y, x = np.ogrid[-radius - 2 : radius + 3, -radius - 2 : radius + 3]
    found = perimeters(one(x**2 + y**2 <= radius**2), 1)[0]
    assert found == pytest.approx(2 * np.pi * radius, rel=0.02)


@given(st.integers(0, 10_000))
def test_longest_diameters_are_the_largest_distances_of_corners(seed: int) -> None:
    numbers, count = blobs(seed, 20, 24)
    found = longest_diameters(runs_of(numbers), count)
    for i in range(1, count + 1):
        rows, columns = np.nonzero(numbers == i)
        corners = [(x + dx, y + dy) for x, y in zip(columns, rows, strict=True) for dx in (0, 1) for dy in (0, 1)]
        points = np.array(MultiPoint(corners).convex_hull.exterior.coords)
        apart = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
        assert found[i - 1] == pytest.approx(apart.max())


def test_runs_are_the_pixels() -> None:
    numbers, _ = blobs(3)
    again = np.zeros_like(numbers)
    for number, row, start, stop in zip(*runs_of(numbers), strict=True):
        assert (again[row, start:stop] == 0).all()
        again[row, start:stop] = number
    assert (again == numbers).all()


def test_a_hull_of_many_corners_is_compared_in_blocks() -> None:
    y, x = np.ogrid[-900:901, -900:901]
    found = longest_diameters(runs_of(one(x**2 + y**2 <= 900**2)), 1)[0]
    assert found == pytest.approx(1801.4, abs=1.5)


def lines(*ends: tuple[int, int, int, int]) -> Numbers:
    mask = np.zeros((120, 120), np.uint8)
    for x1, y1, x2, y2 in ends:
        cv2.line(mask, (x1, y1), (x2, y2), 1, 1)
    return one(mask)


@pytest.mark.parametrize(
    ("numbers", "length"),
    [
        (lines((10, 10, 60, 10)), 50),
        (lines((10, 10, 60, 60)), 50 * np.sqrt(2)),
        (lines((10, 10, 60, 10), (60, 10, 60, 40)), 80),  # a corner is not cut
        (lines((10, 50, 90, 50), (50, 10, 50, 90)), 160),  # a cross
        (lines((5, 5, 5, 5)), 0),
    ],
)
def test_skeletons_of_lines_are_as_long_as_drawn(numbers: Numbers, length: float) -> None:
    assert skeleton_lengths(numbers, 1, np.array([True]))[0] == pytest.approx(length, abs=1.5)


def test_a_wide_line_is_as_long_as_its_middle_less_its_ends() -> None:
    mask = np.zeros((60, 260), np.uint8)
    mask[20:29, 10:250] = 1
    assert skeleton_lengths(one(mask), 1, np.array([True]))[0] == pytest.approx(240, abs=10)


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_skeletons_are_measured_one_by_one_as_together(seed: int) -> None:
    numbers, count = blobs(seed)
    wanted = np.arange(count) % 2 == 0
    found = skeleton_lengths(numbers, count, wanted)
    assert (np.isnan(found) == ~wanted).all()
    for i in np.flatnonzero(wanted):
        points = set(zip(*np.nonzero(np.pad(skeletonize(numbers == i + 1), 1)), strict=True))
        length = 0.0
        for y, x in points:
            length += ((y, x + 1) in points) + ((y + 1, x) in points)
            for side in (-1, 1):
                detour = (y, x + side) in points or (y + 1, x) in points
                length += np.sqrt(2) * ((y + 1, x + side) in points and not detour)
        assert found[i] == pytest.approx(length)
