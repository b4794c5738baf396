"""Right angles: drawn buildings with noise against what was drawn, and shapes that have none."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon

from core.annotation.clean_up import CleanUp, clean_up
from core.annotation.fill import fill_rings
from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask, count_objects
from core.annotation.right_angles import LEAST_IOU, Squared, square_objects, square_region, squared
from core.annotation.shapes import Region

RECTANGLE = [(0, 0), (80, 0), (80, 45), (0, 45)]
L_SHAPE = [(0, 0), (80, 0), (80, 30), (35, 30), (35, 70), (0, 70)]
U_SHAPE = [(0, 0), (90, 0), (90, 70), (60, 70), (60, 30), (30, 30), (30, 70), (0, 70)]
HEXAGON = [(40 * np.cos(i * np.pi / 3), 40 * np.sin(i * np.pi / 3)) for i in range(6)]
TRIANGLE = [(0, 0), (60, 0), (0, 50)]
SIDE = 160


def drawn(corners: list[tuple[float, float]], degrees: float, *, scale: float = 1.0) -> Region:
    a = np.deg2rad(degrees)
    points = np.array(corners, float)
    points = (points - points.mean(axis=0)) * scale @ [[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]
    ring = tuple((x, y) for x, y in (points + SIDE / 2 + 0.3).tolist())
    return fill_rings([ring], top=0, left=0, height=SIDE, width=SIDE)


def noisy(region: Region, seed: int) -> Region:
    """Three of ten pixels at the border changed sides; then the largest object without holes."""
    square = np.ones((3, 3), np.uint8)
    bits = region.astype(np.uint8)
    border = (cv2.dilate(bits, square) > 0) & (cv2.erode(bits, square) == 0)
    flipped = bits ^ (border & (np.random.default_rng(seed).random(region.shape) < 0.3))
    _, objects, figures, _ = cv2.connectedComponentsWithStats(cv2.medianBlur(flipped.astype(np.uint8), 3))
    largest = objects == 1 + np.argmax(figures[1:, cv2.CC_STAT_AREA])
    contours, _ = cv2.findContours(largest.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(region.shape, np.uint8), contours, -1, 1, -1) > 0


def iou(one: Region, other: Region) -> float:
    return float((one & other).sum() / (one | other).sum())


def angles_of(found: Squared) -> set[int]:
    """Between neighbouring edges, in whole degrees."""
    steps = np.roll(found.corners, -1, axis=0) - found.corners
    after = np.roll(steps, -1, axis=0)
    cosines = (steps * after).sum(axis=1) / np.linalg.norm(steps, axis=1) / np.linalg.norm(after, axis=1)
    return {round(float(angle)) for angle in np.degrees(np.arccos(cosines))}


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 90), st.integers(0, 1000), st.floats(0.8, 1.0))
def test_a_turned_rectangle_with_noise_comes_back_with_four_right_angles(deg: float, seed: int, scale: float) -> None:
    truth = drawn(RECTANGLE, deg, scale=scale)
    found = squared(noisy(truth, seed), np.deg2rad(deg))
    assert found is not None
    assert len(found.corners) == 4
    assert angles_of(found) == {90}
    assert iou(found.region, truth) > 0.95
    alone = square_region(noisy(truth, seed))  # finds the direction itself
    assert alone is not None
    assert iou(alone, truth) > 0.95


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 90), st.integers(0, 1000), st.sampled_from([L_SHAPE, U_SHAPE]))
def test_wings_stay(degrees: float, seed: int, corners: list[tuple[float, float]]) -> None:
    truth = drawn(corners, degrees)
    found = squared(noisy(truth, seed), np.deg2rad(degrees))
    assert found is not None
    assert len(found.corners) == len(corners)
    outline = Polygon(found.corners)
    assert outline.is_valid
    assert outline.area == pytest.approx(truth.sum(), rel=0.04)
    alone = square_region(noisy(truth, seed))
    assert alone is not None
    assert iou(alone, truth) > 0.95


@pytest.mark.parametrize("axes", [(5, 5), (8, 8), (20, 20), (50, 50), (30, 20), (60, 20)])
@pytest.mark.parametrize("degrees", [0, 17, 45, 80])
def test_what_is_round_stays_as_it_is(axes: tuple[int, int], degrees: int) -> None:
    mask = cv2.ellipse(np.zeros((SIDE, SIDE), np.uint8), (80, 80), axes, degrees, 0, 360, 1, -1)
    assert (square_objects(mask) == mask).all()


@pytest.mark.parametrize("corners", [HEXAGON, TRIANGLE], ids=["hexagon", "triangle"])
@pytest.mark.parametrize("degrees", [0, 20, 45])
def test_other_angles_stay_as_they_are(corners: list[tuple[float, float]], degrees: int) -> None:
    mask = drawn(corners, degrees).astype(np.uint8)
    assert (square_objects(mask) == mask).all()


@pytest.mark.parametrize("degrees", [0, 10, 33])
def test_a_courtyard_survives_and_gets_right_angles_too(degrees: int) -> None:
    house, yard = drawn(RECTANGLE, degrees, scale=1.2), drawn(RECTANGLE, degrees, scale=0.5)
    truth = house & ~yard
    rough = noisy(house, 1) & ~noisy(yard, 2)
    found = square_region(rough)
    assert found is not None
    _, holes = cv2.connectedComponents((~found).astype(np.uint8), connectivity=4)
    assert holes.max() == 2  # what is around it, and the yard
    assert iou(found, truth) > max(0.95, iou(rough, truth))


def test_a_round_hole_stays_round() -> None:
    mask = drawn(RECTANGLE, 20, scale=1.2).astype(np.uint8)
    hole = cv2.circle(np.zeros_like(mask), (80, 80), 10, 1, -1) > 0
    mask[hole] = 0
    assert (square_objects(mask)[hole] == 0).all()


def town(seed: int) -> Mask:
    """Rough rectangles of two labels, some of them touching, and what is not labelled."""
    random = np.random.default_rng(seed)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(12):
        centre, size = random.uniform(0, SIDE, 2), random.uniform(8, 45, 2)
        corners = cv2.boxPoints((centre.tolist(), size.tolist(), float(random.uniform(0, 90))))
        cv2.fillPoly(mask, [corners.astype(np.int32)], int(random.integers(1, 3)))
    mask[random.random(mask.shape) < 0.003] = 0
    mask[50:60, 70:90] = IGNORE_ID
    return mask


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_objects_keep_their_number_their_label_and_nearly_their_pixels(seed: int) -> None:
    mask = town(seed)
    found = square_objects(mask)
    assert ((found == IGNORE_ID) == (mask == IGNORE_ID)).all()
    assert ((found == mask) | (found == 0) | (mask == 0)).all()  # no label takes from another
    for class_id in (1, 2):
        assert count_objects(found == class_id) == count_objects(mask == class_id)
        _, objects = cv2.connectedComponents((mask == class_id).astype(np.uint8), connectivity=8)
        _, after = cv2.connectedComponents((found == class_id).astype(np.uint8), connectivity=8)
        for number in range(1, objects.max() + 1):
            overlapping = np.bincount(after[objects == number])[1:]
            assert iou(objects == number, after == 1 + overlapping.argmax()) >= LEAST_IOU


def test_an_object_at_the_edge_of_the_picture_keeps_to_it() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[:20, :30] = 1
    mask[20, 5:9] = 1  # a wobble
    found = square_objects(mask)
    mask[20] = 0
    assert (found == mask).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (6, 6)])
@pytest.mark.parametrize("value", [0, 1, IGNORE_ID])
def test_tiny_and_uniform_masks_stay(shape: tuple[int, int], value: int) -> None:
    mask = np.full(shape, value, np.uint8)
    assert (clean_up(mask, CleanUp(right_angles=True)) == mask).all()
