import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from core.annotation.labels import LabelSet
from core.annotation.raster import annotation_to_mask
from core.annotation.shapes import Annotation
from core.images import ImageSize
from core.inference.predict import Prediction
from core.inference.suggest import MIN_PIXELS, suggest_shapes

LABELS = LabelSet.of(["roof", "road"])


def prediction(mask: np.ndarray, confidence: int = 255) -> Prediction:
    return Prediction(mask.astype(np.uint8), np.full(mask.shape, confidence, np.uint8))


@given(arrays(np.uint8, st.tuples(st.integers(1, 25), st.integers(1, 25)), elements=st.sampled_from([0, 1, 1, 1, 2])))
def test_shapes_are_the_objects_of_at_least_nine_pixels(mask: np.ndarray) -> None:
    expected = np.zeros_like(mask)
    specks = 0
    for class_id in (1, 2):
        ids, count = ndimage.label(mask == class_id, np.ones((3, 3)))
        for i in range(1, count + 1):
            if (ids == i).sum() >= MIN_PIXELS:
                expected[ids == i] = class_id
            else:
                specks += 1
    found = suggest_shapes(prediction(mask), LABELS)
    annotation = Annotation(size=ImageSize(*mask.shape), shapes=found.shapes)
    np.testing.assert_array_equal(annotation_to_mask(annotation, LABELS), expected)
    assert (f"{specks} speck" in found.note) == (specks > 0)


def test_each_shape_has_the_mean_confidence_of_its_own_pixels() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[1:6, 1:6], mask[8:13, 8:13] = 1, 2
    confidence = np.zeros((20, 20), np.uint8)
    confidence[1:6, 1:6], confidence[8:13, 8:13] = 255, 128
    confidence[3, 3] = 0
    roof, road = suggest_shapes(Prediction(mask, confidence), LABELS).shapes
    assert (roof.label, roof.extra) == ("roof", {"confidence": 0.96})
    assert (road.label, road.extra) == ("road", {"confidence": 0.502})


def test_an_object_inside_of_the_box_of_another_keeps_its_pixels_and_confidence() -> None:
    mask = np.ones((20, 20), np.uint8)
    mask[2:-2, 2:-2] = 0
    mask[8:12, 8:12] = 1
    confidence = np.full((20, 20), 255, np.uint8)
    confidence[8:12, 8:12] = 0
    ring, core = suggest_shapes(Prediction(mask, confidence), LABELS).shapes
    assert (ring.region.sum(), ring.extra["confidence"]) == (400 - 256, 1.0)
    assert (core.region.sum(), core.extra["confidence"]) == (16, 0.0)


def test_on_a_large_picture_specks_are_larger() -> None:
    mask = np.zeros((1000, 1000), np.uint8)
    mask[10:17, 10:17] = 1  # 49 pixels; a 0.00005th of the picture is 50
    mask[30:35, 30:40] = 1  # 50
    found = suggest_shapes(prediction(mask), LABELS)
    assert [shape.region.sum() for shape in found.shapes] == [50]
    assert found.note == "1 speck of fewer than 50 pixels left out."


def test_of_many_objects_the_largest_stay_in_order() -> None:
    mask = np.zeros((30, 60), np.uint8)
    for i, side in enumerate((3, 5, 4, 6, 3)):
        mask[2 : 2 + side, 2 + 10 * i : 2 + 10 * i + side] = 1 + i % 2
    found = suggest_shapes(prediction(mask), LABELS, most=3)
    assert [(shape.label, shape.region.sum()) for shape in found.shapes] == [("roof", 16), ("road", 25), ("road", 36)]
    assert found.note == "Of 5 objects these are the 3 largest."


@pytest.mark.parametrize("fill", [0, 1])
def test_nothing_and_everything(fill: int) -> None:
    found = suggest_shapes(prediction(np.full((5, 5), fill)), LABELS)
    assert len(found.shapes) == fill
    assert found.note == ""
