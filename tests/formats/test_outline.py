import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from core.annotation.raster import Mask
from core.annotation.trace import trace_region
from core.formats.outline import fill_outlines, is_along_edges, ring_area
from core.images import ImageSize
from tests import coco_oracle
from tests.drawings import masks

UNKNOWN = ImageSize(0, 0)


def ring(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, dtype=np.float64)


@given(masks())
def test_the_outer_rings_of_a_region_fill_it_and_its_holes(mask: Mask) -> None:
    outlines = trace_region(mask > 0)
    rings = [np.array(outline.outer) for outline in outlines]
    filled = np.zeros(mask.shape, dtype=bool)
    if rings:
        assert all(is_along_edges(one) for one in rings)
        crop = fill_outlines(rings, ImageSize(*mask.shape))
        assert crop is not None
        filled[crop.top :, crop.left :][: crop.region.shape[0], : crop.region.shape[1]] = crop.region
    holes = [np.array(hole) for outline in outlines for hole in outline.holes]
    inside = fill_outlines(holes, UNKNOWN) if holes else None
    without_holes = coco_oracle.decode([one.ravel().tolist() for one in rings], *mask.shape) if rings else mask
    assert np.array_equal(filled, without_holes)
    assert inside is None or inside.region.any()


corners = st.lists(st.tuples(st.integers(-3, 12), st.integers(-3, 12)), min_size=2, max_size=8)


@given(corners)
def test_rings_that_cross_themselves_are_filled_even_odd(points: list[tuple[int, int]]) -> None:
    stairs = [corner for (x, y), (_, below) in zip(points, points[1:] + points[:1], strict=True)
              for corner in ((x, y), (x, below))]  # fmt: skip
    one = ring(*stairs)
    assert is_along_edges(one)
    crop = fill_outlines([one], ImageSize(9, 9))
    assert crop is not None
    ours = np.zeros((9, 9), dtype=bool)
    ours[crop.top :, crop.left :][: crop.region.shape[0], : crop.region.shape[1]] = crop.region
    for row in range(9):
        for column in range(9):
            crossed = sum(
                x <= column and min(y, below) <= row < max(y, below)
                for (x, y), (other, below) in zip(stairs, stairs[1:] + stairs[:1], strict=True)
                if x == other
            )
            assert ours[row, column] == crossed % 2


def test_edges_askew_or_between_pixels_are_not_pixel_edges() -> None:
    assert is_along_edges(ring((0, 0), (2, 0), (2, 3), (0, 3)))
    assert not is_along_edges(ring((0, 0), (2, 0), (2, 3)))
    assert not is_along_edges(ring((0.5, 0), (2, 0), (2, 3), (0.5, 3)))


def test_what_lies_outside_is_cut_off() -> None:
    crop = fill_outlines([ring((-5, -5), (3, -5), (3, 2), (-5, 2))], ImageSize(4, 4))
    assert crop is not None
    assert crop.region.shape == (2, 3)
    assert (crop.top, crop.left) == (0, 0)
    away = fill_outlines([ring((9, 9), (12, 9), (12, 12), (9, 12))], ImageSize(4, 4))
    assert away is not None
    assert away.region.size == 0


def test_outlines_too_large_for_memory_are_not_filled() -> None:
    assert fill_outlines([ring((0, 0), (1e6, 0), (1e6, 1e6), (0, 1e6))], UNKNOWN) is None
    whole = ring((0, 0), (1e4, 0), (1e4, 1e4), (0, 1e4))
    assert fill_outlines([whole] * 100, UNKNOWN) is None


def test_an_outline_of_very_many_points_is_filled_in_a_moment() -> None:
    comb = [(x, y) for x in range(0, 10_000, 2) for y in ((9_000, 0) if x % 4 else (0, 9_000))]
    start = time.monotonic()
    crop = fill_outlines([ring(*comb, (9_998, 9_001), (0, 9_001))], UNKNOWN)
    assert time.monotonic() - start < 10
    assert crop is not None
    assert crop.region.mean() == pytest.approx(0.5, abs=0.01)


def test_an_area_is_that_of_the_drawn_polygon() -> None:
    triangle = ring((0, 0), (40, 0), (0, 30))
    canvas = Image.new("L", (50, 50))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in triangle], fill=1)
    assert ring_area(triangle) == 600
    assert int(np.asarray(canvas).sum()) == pytest.approx(600, rel=0.1)
