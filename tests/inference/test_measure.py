"""Measures of objects against skimage's regionprops, and by hand."""

import math
from dataclasses import fields

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.measure import label as label_parts
from skimage.measure import regionprops

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.pixels import Box
from core.annotation.raster import Mask
from core.errors import ConfigError
from core.inference.measure import ObjectMeasure, measure

LABELS = LabelSet.of(["crack", "stain"])


def blobs(seed: int) -> tuple[Mask, NDArray[np.uint8], NDArray[np.uint8]]:
    random = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(random.normal(size=(40, 55)).astype(np.float32), (0, 0), 1.5)
    mask = np.digitize(soft, [0.05, 0.25]).astype(np.uint8)
    mask[random.random(mask.shape) < 0.02] = IGNORE_ID
    return mask, random.integers(0, 256, (40, 55, 3), np.uint8), random.integers(0, 256, (40, 55), np.uint8)


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_measures_are_those_of_skimage(seed: int) -> None:
    mask, image, confidence = blobs(seed)
    found = measure(mask, LABELS, image=image, confidence=confidence)
    expected = []
    for class_id in (1, 2):
        intensity = np.dstack([image.mean(axis=2), confidence])
        expected += [(class_id, part) for part in regionprops(label_parts(mask == class_id), intensity)]
    assert len(found) == len(expected)
    by_box = {(row.class_id, *row.box, row.area_px): row for row in found}
    for class_id, part in expected:
        top, left, bottom, right = part.bbox
        row = by_box[class_id, left, top, right - left, bottom - top, int(part.area)]
        assert row.label == LABELS.names[class_id]
        assert row.centroid_xy == pytest.approx(part.centroid[::-1])
        assert row.diameter_px == pytest.approx(part.equivalent_diameter_area)
        # skimage measures a drawn convex hull, between the middles of the sides of pixels
        assert row.length_px == pytest.approx(part.feret_diameter_max, abs=math.sqrt(2))
        assert row.mean_intensity == pytest.approx(part.intensity_mean[0], abs=1e-3)
        assert row.mean_confidence == pytest.approx(part.intensity_mean[1] / 255)
        assert row.touches_border == (top == 0 or left == 0 or bottom == 40 or right == 55)


@given(st.integers(0, 10_000))
def test_objects_are_numbered_by_label_and_first_pixel(seed: int) -> None:
    mask, *_ = blobs(seed)
    found = measure(mask, LABELS)
    assert [row.index for row in found] == list(range(1, len(found) + 1))
    first = [(row.class_id, row.box.top) for row in found]
    assert first == sorted(first)


def test_a_drawn_rectangle_in_pixels_and_in_metres() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[4:8, 3:15] = 2
    (row,) = measure(mask, LABELS, pixel_size=0.5, unit="m")
    assert row.label == "stain"
    assert row.box == Box(3, 4, 12, 4)
    assert row.centroid_xy == (8.5, 5.5)
    assert (row.area_px, row.area_unit, row.unit) == (48, 12.0, "m")
    assert row.length_px == pytest.approx(math.hypot(12, 4))
    assert row.length_unit == pytest.approx(math.hypot(6, 2))
    assert row.perimeter_px == pytest.approx(32, rel=0.1)
    assert row.perimeter_unit == pytest.approx(row.perimeter_px / 2)
    assert row.diameter_unit == pytest.approx(math.sqrt(4 * 12 / math.pi))
    assert row.skeleton_px is None
    assert row.mean_intensity is None
    assert not row.touches_border


def test_without_a_pixel_size_nothing_is_in_a_unit() -> None:
    mask = np.ones((5, 5), np.uint8)
    (row,) = measure(mask, LABELS)
    assert row.touches_border
    assert [getattr(row, field.name) for field in fields(ObjectMeasure) if field.name.endswith("_unit")] == [None] * 5


def test_what_is_thin_has_a_middle_line_and_what_is_not_has_none() -> None:
    mask = np.zeros((100, 200), np.uint8)
    cv2.polylines(mask, [np.array([[10, 20], [100, 20], [100, 80]])], False, 1, 3)
    cv2.circle(mask, (160, 50), 20, 1, -1)
    crack, disc = sorted(measure(mask, LABELS, pixel_size=2), key=lambda row: row.box.left)
    assert crack.skeleton_px == pytest.approx(150, abs=4)
    assert crack.skeleton_unit == pytest.approx(2 * crack.skeleton_px)
    assert crack.length_px == pytest.approx(math.hypot(90, 60), abs=5)
    assert disc.skeleton_px is None


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 50), (60, 1)])
@pytest.mark.parametrize("value", [0, 1, IGNORE_ID])
def test_tiny_and_uniform_masks_are_measured(shape: tuple[int, int], value: int) -> None:
    found = measure(np.full(shape, value, np.uint8), LABELS, image=np.zeros((*shape, 3), np.uint8))
    assert [row.area_px for row in found] == ([shape[0] * shape[1]] if value == 1 and shape[0] else [])


def test_grey_pictures_are_measured_too() -> None:
    mask = np.array([[1, 1, 0]], np.uint8)
    (row,) = measure(mask, LABELS, image=np.array([[10, 20, 99]], np.uint8))
    assert row.mean_intensity == 15


@pytest.mark.parametrize("pixel_size", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_pixel_size_is_told(pixel_size: float) -> None:
    with pytest.raises(ConfigError, match="pixel size"):
        measure(np.ones((4, 4), np.uint8), LABELS, pixel_size=pixel_size)


def test_what_does_not_belong_together_is_told() -> None:
    mask = np.full((4, 5), 3, np.uint8)
    with pytest.raises(ConfigError, match="class 3"):
        measure(mask, LABELS)
    with pytest.raises(ConfigError, match="picture has 4 x 5 pixels, the mask 5 x 4"):
        measure(mask * 0, LABELS, image=np.zeros((5, 4, 3), np.uint8))
    with pytest.raises(ConfigError, match="confidence"):
        measure(mask * 0, LABELS, confidence=np.zeros((5, 4), np.uint8))
