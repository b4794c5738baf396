import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.annotation.fill import fill_rings, follows_pixel_edges
from core.annotation.shapes import PointsXY, Region
from core.annotation.trace import trace_region
from core.formats.keyhole import has_bridge, keyhole_of

OUTER: PointsXY = ((0, 0), (9, 1), (10, 10), (1, 9))
HOLE: PointsXY = ((3, 3), (3, 6), (6, 6), (6, 3))


@given(arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 4).map(bool)))
def test_one_ring_holds_the_holes(region: Region) -> None:
    height, width = region.shape
    rings = [keyhole_of(outline) for outline in trace_region(region)]
    np.testing.assert_array_equal(fill_rings(rings, top=0, left=0, height=height, width=width), region)
    assert follows_pixel_edges(rings)


def test_without_holes_the_ring_is_the_outline() -> None:
    (outline,) = trace_region(np.ones((3, 4), dtype=bool))
    assert keyhole_of(outline) == outline.outer


def test_a_hole_hangs_on_its_left() -> None:
    region = np.ones((5, 5), dtype=bool)
    region[2, 3] = False
    (outline,) = trace_region(region)
    ring = keyhole_of(outline)
    assert len(ring) == 4 + 5 + 2
    bridge = ((0.0, 2.0), (3.0, 2.0))
    steps = set(zip(ring, (*ring[1:], ring[0]), strict=True))
    assert {bridge, bridge[::-1]} <= steps
    assert has_bridge(ring)


def test_thousands_of_holes_take_seconds() -> None:
    region = np.ones((301, 301), dtype=bool)
    region[1::3, 1::3] = False
    (outline,) = trace_region(region)
    start = time.perf_counter()
    ring = keyhole_of(outline)
    assert time.perf_counter() - start < 20
    np.testing.assert_array_equal(fill_rings([ring], top=0, left=0, height=301, width=301), region)


def hung(outer: PointsXY, i: int, hole: PointsXY, k: int) -> PointsXY:
    """As other tools join the ring of a hole: from a corner of the one to a corner of the other, and back."""
    return (*outer[: i + 1], *hole[k:], *hole[: k + 1], *outer[i:])


@pytest.mark.parametrize("start", range(0, 12, 3))
def test_a_bridge_of_another_tool_is_known_wherever_the_ring_begins(start: int) -> None:
    ring = hung(OUTER, 1, HOLE, 2)
    assert has_bridge((*ring[start:], *ring[:start]))
    assert has_bridge((*ring, ring[0]))


@pytest.mark.parametrize(
    "ring",
    [
        OUTER,
        (*OUTER, OUTER[0]),
        (*OUTER[:2], (20, 20), *OUTER[1:]),  # a spike
        (*OUTER[:2], (20, 20), (30, 20), (20, 20), *OUTER[1:]),
        ((0, 0), (1, 1), (0, 0), (1, 1)),
        ((1, 1), (1, 1), (1, 1)),
        (),
    ],
)
def test_a_spike_is_no_bridge(ring: PointsXY) -> None:
    assert not has_bridge(ring)
