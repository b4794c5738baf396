import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.annotation.shapes import PointsXY, Region
from core.annotation.trace import trace_region


def filled(rings: list[PointsXY], height: int, width: int) -> Region:
    """Pixels whose centre lies inside an odd number of rings; the rings' edges are parallel to the axes."""
    region = np.zeros((height, width), dtype=bool)
    ys, xs = np.mgrid[:height, :width] + 0.5
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True):
            assert (x0 == x1) != (y0 == y1)
            if x0 == x1:
                region ^= (ys > min(y0, y1)) & (ys < max(y0, y1)) & (xs > x0)
    return region


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_an_outline_filled_again_is_the_region(region: Region) -> None:
    outlines = trace_region(region)
    rings = [ring for outline in outlines for ring in (outline.outer, *outline.holes)]
    np.testing.assert_array_equal(filled(rings, *region.shape), region)


def test_one_pixel() -> None:
    region = np.zeros((3, 4), dtype=bool)
    region[1, 2] = True
    (outline,) = trace_region(region, top=10, left=20)
    assert set(outline.outer) == {(22, 11), (23, 11), (23, 12), (22, 12)}
    assert outline.holes == ()


def test_a_hole_is_a_ring_of_its_own() -> None:
    region = np.ones((5, 5), dtype=bool)
    region[2, 2] = False
    (outline,) = trace_region(region)
    assert set(outline.outer) == {(0, 0), (5, 0), (5, 5), (0, 5)}
    assert [set(hole) for hole in outline.holes] == [{(2, 2), (3, 2), (3, 3), (2, 3)}]


def test_pixels_that_meet_at_a_corner_are_two_outlines() -> None:
    assert len(trace_region(np.eye(2, dtype=bool))) == 2


def test_nothing_has_no_outline() -> None:
    assert trace_region(np.zeros((3, 3), dtype=bool)) == []
