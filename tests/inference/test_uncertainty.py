"""Uncertainty against scipy, by hand, and on models whose errors are known."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import entropy as scipy_entropy
from scipy.stats import spearmanr

from core.annotation.labels import IGNORE_ID
from core.errors import ConfigError
from core.inference.uncertainty import (
    confidence_of,
    disagreement,
    entropy,
    look_first,
    object_confidence,
    picture_doubt,
)


def probabilities(seed: int, classes: int = 3, side: int = 16) -> NDArray[np.uint8]:
    odds = np.random.default_rng(seed).gamma(0.4, size=(classes, side, side)) + 1e-6
    return np.rint(odds / odds.sum(axis=0) * 255).astype(np.uint8)


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_entropy_is_that_of_scipy(seed: int, classes: int) -> None:
    found = probabilities(seed, classes)
    expected = scipy_entropy(np.maximum(found / 255, 1e-12), axis=0) / np.log(classes) * 255
    assert np.abs(entropy(found).astype(float) - expected).max() < 2.5  # what rounding to 255 steps takes


@pytest.mark.parametrize("classes", [2, 3, 5, 17])
def test_sure_is_0_and_undecided_is_255(classes: int) -> None:
    sure = np.zeros((classes, 2, 2), np.uint8)
    sure[-1] = 255
    assert (entropy(sure) == 0).all()
    assert (entropy(np.full((classes, 2, 2), round(255 / classes), np.uint8)) >= 253).all()


def test_one_class_is_always_sure() -> None:
    assert (entropy(np.full((1, 2, 2), 255, np.uint8)) == 0).all()


@given(st.integers(0, 10_000))
def test_disagreement_is_a_distance(seed: int) -> None:
    a, b, c = (probabilities(seed + i) for i in range(3))
    assert (disagreement(a, a) == 0).all()
    assert (disagreement(a, b) == disagreement(b, a)).all()
    assert (disagreement(a, c).astype(int) <= disagreement(a, b).astype(int) + disagreement(b, c) + 1).all()
    expected = np.abs(a.astype(float) - b).sum(axis=0) / 2
    assert np.abs(disagreement(a, b) - expected).max() <= 0.5


def test_all_of_it_with_another_class_is_255() -> None:
    one = np.zeros((3, 1, 1), np.uint8)
    other = one.copy()
    one[1], other[2] = 255, 255
    assert disagreement(one, other) == 255


def test_predictions_of_other_shapes_cannot_be_compared() -> None:
    with pytest.raises(ConfigError, match="16 x 16 pixels in 3 classes"):
        disagreement(probabilities(0), probabilities(0, side=8))


@given(st.integers(0, 10_000))
def test_confidence_of_an_object_is_the_mean_of_its_pixels(seed: int) -> None:
    found = probabilities(seed)
    mask = found.argmax(axis=0).astype(np.uint8)
    mask[0, :4] = IGNORE_ID
    objects = object_confidence(found, mask)
    confidence = confidence_of(found, mask)
    assert (confidence[mask == IGNORE_ID] == 0).all()
    expected = 0
    for class_id in (1, 2):
        assert (confidence[mask == class_id] == found[class_id][mask == class_id]).all()
        parts, count = ndimage.label(mask == class_id, structure=np.ones((3, 3)))
        expected += count
        for part in range(1, count + 1):
            (number,) = np.unique(objects.numbers[parts == part])
            assert objects.class_ids[number - 1] == class_id
            assert objects.values[number - 1] == pytest.approx(confidence[parts == part].mean() / 255)
    assert objects.numbers.max() == len(objects.values) == len(objects.class_ids) == expected
    assert ((objects.numbers > 0) == ((mask > 0) & (mask != IGNORE_ID))).all()


def drawn(inside: int, outside: int, radius: int = 12) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A disc with this probability within and around it."""
    mask = cv2.circle(np.zeros((64, 64), np.uint8), (32, 32), radius, 1, -1)
    label = np.where(mask == 1, inside, outside).astype(np.uint8)
    return np.stack([255 - label, label]), mask


def test_doubt_grows_with_what_is_uncertain_within_and_around() -> None:
    assert picture_doubt(*drawn(255, 0)) == 0
    doubts = [picture_doubt(*drawn(*values)) for values in ((250, 0), (200, 0), (200, 60), (140, 60), (140, 120))]
    assert doubts == sorted(doubts)
    assert 0 < doubts[0] < doubts[-1] < 1


def test_what_was_seen_but_not_drawn_is_doubt_and_a_trace_is_none() -> None:
    found, mask = drawn(100, 0)
    assert picture_doubt(found, mask * 0) > 0.5
    found, mask = drawn(10, 2)
    assert picture_doubt(found, mask * 0) == 0


def test_a_larger_object_that_is_as_sure_is_no_more_doubt() -> None:
    small, large = (picture_doubt(*drawn(200, 0, radius)) for radius in (10, 25))
    assert large == pytest.approx(small, abs=0.05)


def test_what_is_not_labelled_does_not_count() -> None:
    found, mask = drawn(255, 120)
    mask[mask == 0] = IGNORE_ID
    assert picture_doubt(found, mask) == 0


@pytest.mark.parametrize("shape", [(2, 0, 0), (2, 1, 1), (1, 3, 3)])
def test_empty_and_tiny_pictures_pass(shape: tuple[int, int, int]) -> None:
    found, mask = np.zeros(shape, np.uint8), np.zeros(shape[1:], np.uint8)
    assert entropy(found).shape == disagreement(found, found).shape == mask.shape
    assert picture_doubt(found, mask) == 0
    assert len(object_confidence(found, mask).values) == 0


def test_the_doubt_of_an_honest_model_ranks_pictures_by_their_error() -> None:
    random = np.random.default_rng(0)
    doubts, errors = [], []
    for _ in range(60):
        soft = cv2.GaussianBlur(random.normal(size=(64, 64)), (0, 0), 4)
        chance = 1 / (1 + np.exp(-(soft / soft.std() - random.uniform(0.5, 1.5)) * random.uniform(1, 12)))
        truth = random.random(chance.shape) < chance  # the model says how probable it is, and is right
        label = np.rint(chance * 255).astype(np.uint8)
        mask = (label > 127).astype(np.uint8)
        doubts.append(picture_doubt(np.stack([255 - label, label]), mask))
        errors.append(1 - ((mask > 0) & truth).sum() / ((mask > 0) | truth).sum())
    assert spearmanr(doubts, errors)[0] > 0.9


def test_the_most_doubtful_comes_first_and_equals_by_name() -> None:
    assert look_first({"b": 0.2, "a": 0.2, "c": 0.9, "d": 0.0}) == ["c", "a", "b", "d"]
    assert look_first({}) == []
