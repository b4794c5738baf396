"""Simplified outlines against shapely: valid, near the exact ones, holes kept."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon, hausdorff_distance

from core.annotation.fill import fill_rings
from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask
from core.annotation.simplified import simplified_outlines
from core.annotation.trace import trace_region
from core.errors import ConfigError

LABELS = LabelSet.of(["house", "yard"])


def blobs(seed: int, sigma: float) -> Mask:
    soft = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(50, 60)).astype(np.float32), (0, 0), sigma)
    mask = np.digitize(soft / soft.std(), [-0.3, 0.8]).astype(np.uint8)
    mask[20:22, 30:40] = IGNORE_ID
    return mask


@given(st.integers(0, 10_000), st.floats(0.7, 4))
def test_without_tolerance_the_outlines_are_exact(seed: int, sigma: float) -> None:
    mask = blobs(seed, sigma)
    again = np.zeros_like(mask)
    for label, outline in simplified_outlines(mask, LABELS, 0):
        again[fill_rings([outline.outer, *outline.holes], top=0, left=0, height=50, width=60)] = LABELS.id_of(label)
    assert (again == np.where(mask == IGNORE_ID, 0, mask)).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.7, 4), st.floats(0.3, 12))
def test_outlines_are_valid_and_stray_no_further_than_told(seed: int, sigma: float, tolerance: float) -> None:
    mask = blobs(seed, sigma)
    exact = [part for class_id in (1, 2) for part in trace_region(mask == class_id)]
    found = [outline for _, outline in simplified_outlines(mask, LABELS, tolerance)]
    assert len(found) == len(exact)
    for before, after in zip(exact, found, strict=True):
        assert len(after.holes) == len(before.holes)
        for old, new in zip((before.outer, *before.holes), (after.outer, *after.holes), strict=True):
            assert set(new) <= set(old)
            assert hausdorff_distance(Polygon(old).exterior, Polygon(new).exterior, 0.1) <= tolerance + 1e-4
        if after != before:  # an exact one may touch itself at a corner
            rings = [Polygon(ring) for ring in (after.outer, *after.holes)]
            shape = Polygon(after.outer, after.holes)
            assert shape.buffer(0).area == pytest.approx(rings[0].area - sum(ring.area for ring in rings[1:]))


def test_a_slanting_house_with_a_yard_needs_eight_points() -> None:
    mask = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(mask, [np.array([[20, 60], [140, 20], [180, 140], [60, 180]])], 1)
    cv2.fillPoly(mask, [np.array([[70, 80], [120, 65], [132, 115], [85, 130]])], 0)
    ((label, outline),) = simplified_outlines(mask, LABELS, 2)
    assert label == "house"
    assert len(outline.outer) == 4
    assert [len(hole) for hole in outline.holes] == [4]


def test_a_thin_wall_around_a_hole_stays_a_wall() -> None:
    mask = np.zeros((80, 80), np.uint8)
    cv2.circle(mask, (40, 40), 30, 1, 2)
    ((_, outline),) = simplified_outlines(mask, LABELS, 10)
    shape = Polygon(outline.outer, outline.holes)
    assert shape.is_valid
    assert len(outline.holes) == 1


def test_a_hole_is_not_left_outside_where_a_bay_is_cut_off() -> None:
    mask = np.zeros((60, 60), np.uint8)
    mask[20:50, 10:50] = 1
    mask[14:20, 28:33] = 1  # a porch
    mask[16:18, 30:31] = 0  # with a hole
    ((_, outline),) = simplified_outlines(mask, LABELS, 8)
    assert Polygon(outline.outer, outline.holes).is_valid
    assert len(outline.holes) == 1


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_an_impossible_tolerance_is_told(tolerance: float) -> None:
    with pytest.raises(ConfigError, match="tolerance"):
        simplified_outlines(np.zeros((3, 3), np.uint8), LABELS, tolerance)


def test_a_class_without_a_label_is_told() -> None:
    with pytest.raises(ConfigError, match="class 3"):
        simplified_outlines(np.full((3, 3), 3, np.uint8), LABELS, 1)


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 9)])
def test_tiny_masks_pass(shape: tuple[int, int]) -> None:
    found = simplified_outlines(np.ones(shape, np.uint8), LABELS, 5)
    assert [len(outline.outer) for _, outline in found] == [4] * min(1, shape[0])
