import time
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LinearRing

from core.annotation.crossing import crossings, edges_of, first_crossing

Points = list[tuple[float, float]]
FEW = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=9)
FREE = st.lists(st.tuples(st.floats(0, 50, width=32), st.floats(0, 50, width=32)), min_size=3, max_size=30)


def ring(points: Points) -> np.ndarray:
    return np.array(points, dtype=np.float64)


def turned(angle: float, points: np.ndarray) -> np.ndarray:
    return points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def two_edges_cross(points: Points) -> bool:
    """All pairs, in exact numbers: whether two edges have each its ends strictly on both sides of the other."""

    def side(a: tuple[float, float], b: tuple[float, float], p: tuple[float, float]) -> Fraction:
        (ax, ay), (bx, by), (px, py) = (tuple(Fraction(value) for value in point) for point in (a, b, p))
        return (bx - ax) * (py - ay) - (by - ay) * (px - ax)

    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    return any(
        side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
        for (a, b), (c, d) in combinations(edges, 2)
    )


@pytest.mark.parametrize(
    ("name", "points", "place"),
    [
        ("square", [(0, 0), (4, 0), (4, 4), (0, 4)], None),
        ("eight", [(0, 0), (4, 4), (4, 0), (0, 4)], (2, 2)),
        ("eight through a corner on an edge", [(0, 0), (4, 4), (4, 0), (2, 2), (0, 4)], (2, 2)),
        ("eight through two corners at one place", [(0, 0), (2, 2), (4, 4), (4, 0), (2, 2), (0, 4)], (2, 2)),
        ("a corner touches an edge from inside", [(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)], None),
        ("two corners touch", [(0, 0), (2, 2), (4, 0), (4, 4), (2, 2), (0, 4)], None),
        ("there and back", [(0, 0), (5, 0), (5, 3), (5, 0)], None),
        ("a point", [(3, 3), (3, 3), (3, 3)], None),
        ("a line", [(0, 0), (3, 3), (0, 0)], None),
        ("doubled points", [(0, 0), (0, 0), (4, 0), (4, 4), (4, 4), (0, 4)], None),
        ("two loops", [(0, 0), (6, 0), (6, 4), (2, 4), (2, 1), (8, 1), (8, 6), (0, 6)], (6, 1)),
    ],
)
def test_known_outlines(name: str, points: Points, place: tuple[float, float] | None) -> None:
    for start in range(len(points)):
        for way in (1, -1):
            assert first_crossing(ring((points[start:] + points[:start])[::way])) == place


@settings(max_examples=200, deadline=None)
@given(FREE)
def test_where_two_edges_cross_it_is_found_and_is_there(points: Points) -> None:
    place = first_crossing(ring(points))
    if two_edges_cross(points):
        assert place is not None
    if place is not None:
        assert not LinearRing(points).is_simple
        assert all(-1e-6 <= value <= 50 + 1e-6 for value in place)


@settings(max_examples=200, deadline=None)
@given(FEW)
def test_on_a_grid_of_few_points_where_corners_meet_corners_and_edges(points: Points) -> None:
    place = first_crossing(ring(points))
    if two_edges_cross(points):
        assert place is not None
    if len(set(points)) >= 3 and LinearRing(points).is_simple:
        assert place is None


@settings(max_examples=50, deadline=None)
@given(st.lists(FEW | FREE, max_size=8))
def test_many_outlines_at_once_are_each_by_itself(many: list[Points]) -> None:
    rings = [ring(points) for points in many]
    together = crossings(edges_of(np.concatenate([*rings, np.zeros((0, 2))]), [len(one) for one in rings]), len(rings))
    assert [place is None for place in together] == [first_crossing(one) is None for one in rings]


@pytest.mark.parametrize("name", ["circle", "crossed", "scribble", "comb", "turned comb"])
def test_a_hundred_thousand_points_take_seconds_at_most(name: str) -> None:
    angles = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    circle = np.stack([5000 + 4000 * np.cos(angles), 5000 + 4000 * np.sin(angles)], axis=1)
    teeth = np.arange(50_000) * 0.2
    comb = np.stack([np.repeat(teeth, 2), np.tile([0, 9_000, 9_000, 0], 25_000)], axis=1)
    comb = np.concatenate([comb, [[teeth[-1] + 5, -5], [-5, -5]]])
    crossed = circle.copy()
    crossed[[50_000, 50_001]] = crossed[[50_001, 50_000]]
    drawn = {
        "circle": circle,
        "crossed": crossed,
        "scribble": np.random.default_rng(0).uniform(0, 2000, (100_000, 2)),
        "comb": comb,
        "turned comb": turned(0.5, comb),
    }
    started = time.perf_counter()
    place = first_crossing(drawn[name])
    assert time.perf_counter() - started < 10  # 0.1 to 1.5 s alone on two cores
    assert (place is not None) == (name in ("crossed", "scribble"))
    if name == "crossed":
        assert place == pytest.approx((1000, 5000), abs=1)


def test_numbers_at_the_end_of_what_there_is() -> None:
    for points in ([(0, 0), (1e300, 0), (1e300, 1e300)], [(0, 0), (5e-324, 0), (1, 1e308), (-1e308, 1)]):
        first_crossing(ring(points))
