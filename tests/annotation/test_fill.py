import itertools
import time

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.annotation.fill import fill_rings, follows_pixel_edges, mask_from_parts, mask_from_rings
from core.annotation.raster import shape_to_region
from core.annotation.shapes import PointsXY, Region
from core.annotation.trace import trace_region
from core.images import ImageSize

REGIONS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
SQUARE: PointsXY = ((2.0, 2.0), (6.0, 2.0), (6.0, 6.0), (2.0, 6.0))


def rings_of(region: Region, *, top: int = 0, left: int = 0) -> list[PointsXY]:
    outlines = trace_region(region, top=top, left=left)
    return [ring for outline in outlines for ring in (outline.outer, *outline.holes)]


@given(REGIONS, st.integers(0, 5), st.integers(0, 5))
def test_an_outline_filled_again_is_the_region(region: Region, top: int, left: int) -> None:
    height, width = region.shape
    rings = rings_of(region, top=top, left=left)
    np.testing.assert_array_equal(fill_rings(rings, top=top, left=left, height=height, width=width), region)
    assert follows_pixel_edges(rings)


@given(REGIONS)
def test_the_shape_of_an_outline_is_the_region_in_a_tight_box(region: Region) -> None:
    size = ImageSize(*region.shape)
    shape = mask_from_rings(rings_of(region), "a", size)
    if shape is None:
        assert not region.any()
    else:
        np.testing.assert_array_equal(shape_to_region(shape, size), region)
        assert all(line.any() for line in (shape.region[0], shape.region[-1], shape.region[:, 0], shape.region[:, -1]))


# Coordinates off the halves: no centre lies on an edge that is parallel to an axis
@given(st.lists(st.tuples(*2 * [st.integers(-30, 150).map(lambda n: n / 7)]), min_size=3, max_size=8))
def test_any_ring_is_filled_by_its_pixel_centres(points: list[tuple[float, float]]) -> None:
    region = fill_rings([tuple(points)], top=0, left=0, height=15, width=15)
    closed = [*points, points[0]]
    ys, xs = np.mgrid[:15, :15] + 0.5
    crossings = np.zeros((15, 15), dtype=int)
    for (x0, y0), (x1, y1) in itertools.pairwise(closed):
        between = (np.minimum(y0, y1) <= ys) & (ys < np.maximum(y0, y1))
        side = (x1 - x0) * (ys - y0) - (xs - x0) * (y1 - y0)  # its sign says on which side the centre lies
        crossings += between & (side * np.sign(y1 - y0) < 0)
    near = shapely.dwithin(shapely.LineString(closed), shapely.points(xs, ys), 1e-9)
    np.testing.assert_array_equal(region[~near], (crossings % 2 == 1)[~near])


def test_a_simple_polygon_holds_the_centres_that_shapely_says() -> None:
    points = ((1.3, 0.2), (11.8, 4.1), (7.9, 10.6), (5.2, 6.3), (2.1, 11.4))
    ys, xs = np.mgrid[:12, :12] + 0.5
    expected = shapely.contains_xy(shapely.Polygon(points), xs, ys)
    np.testing.assert_array_equal(fill_rings([points], top=0, left=0, height=12, width=12), expected)


def test_polygons_that_share_an_edge_share_no_pixel() -> None:
    left, right = ((0.0, 0.0), (5.5, 0.0), (2.5, 6.0), (0.0, 6.0)), ((5.5, 0.0), (8.0, 0.0), (8.0, 6.0), (2.5, 6.0))
    a, b = (fill_rings([ring], top=0, left=0, height=6, width=8) for ring in (left, right))
    assert not (a & b).any()
    assert (a | b).all()


def test_an_edge_there_and_back_changes_nothing() -> None:
    spike = (*SQUARE[:2], (9.7, 7.3), *SQUARE[1:])
    filled = fill_rings([spike], top=0, left=0, height=9, width=12)
    np.testing.assert_array_equal(filled, fill_rings([SQUARE], top=0, left=0, height=9, width=12))


def test_what_lies_outside_is_cut_off() -> None:
    shape = mask_from_rings([((-1e9, -1e9), (1e9, -1e9), (1e9, 1e9), (-1e9, 1e9))], "a", ImageSize(3, 4))
    assert shape is not None
    assert shape.points_xy == ((0, 0), (3, 2))
    assert shape.region.all()
    assert mask_from_rings([((50, 50), (60, 50), (60, 60))], "a", ImageSize(3, 4)) is None
    assert mask_from_rings([], "a", ImageSize(3, 4)) is None
    assert mask_from_rings([()], "a", ImageSize(3, 4)) is None


def test_parts_over_each_other_add_up_and_rings_of_one_part_make_holes() -> None:
    inner: PointsXY = ((3.0, 3.0), (5.0, 3.0), (5.0, 5.0), (3.0, 5.0))
    size = ImageSize(9, 9)
    with_hole, filled = mask_from_parts([[SQUARE, inner]], "a", size), mask_from_parts([[SQUARE], [inner]], "a", size)
    assert with_hole is not None
    assert filled is not None
    assert (with_hole.region.sum(), filled.region.sum()) == (12, 16)
    far = mask_from_parts([[SQUARE], [((7, 8), (9, 8), (9, 9), (7, 9))], [((50, 50), (60, 50), (60, 60))]], "a", size)
    assert far is not None
    assert (far.points_xy, far.region.sum()) == (((2, 2), (8, 8)), 18)


def test_a_closed_ring_is_the_same() -> None:
    assert mask_from_rings([(*SQUARE, SQUARE[0])], "a", ImageSize(9, 9)) == mask_from_rings(
        [SQUARE], "a", ImageSize(9, 9)
    )


@pytest.mark.parametrize(
    ("ring", "tolerance", "expected"),
    [
        (SQUARE, 0.0, True),
        ((*SQUARE, SQUARE[0]), 0.0, True),
        (SQUARE[:3], 0.0, False),  # its last edge is oblique
        (((2.5, 2), (6, 2), (6, 6), (2.5, 6)), 0.0, False),
        (((2.004, 2), (6, 2), (6, 6.003), (2, 6)), 0.01, True),
        (((2.004, 2), (6, 2), (6, 6.003), (2, 6)), 0.001, False),
    ],
)
def test_rings_along_pixel_edges_are_known(ring: PointsXY, tolerance: float, expected: bool) -> None:
    assert follows_pixel_edges([ring], tolerance=tolerance) is expected


def test_a_hundred_thousand_points_are_filled_in_seconds() -> None:
    angles = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    circle = [tuple(zip(1000 + 900 * np.cos(angles), 1000 + 900 * np.sin(angles), strict=True))]
    start = time.perf_counter()
    region = fill_rings(circle, top=0, left=0, height=2000, width=2000)
    assert time.perf_counter() - start < 10
    assert region.sum() == pytest.approx(np.pi * 900**2, rel=1e-4)


def test_a_tangle_is_refused_before_it_takes_minutes() -> None:
    zigzag = tuple((i / 50, 0.0 if i % 2 else 2000.0) for i in range(100_000))
    with pytest.raises(ValueError, match="times"):
        fill_rings([zigzag], top=0, left=0, height=2000, width=2000)
