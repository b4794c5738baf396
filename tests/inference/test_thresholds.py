"""Thresholds against argmax, brute force and drawn cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.errors import ConfigError
from core.inference.thresholds import calibrated_thresholds, decide


def probabilities(seed: int, classes: int, side: int = 12) -> NDArray[np.uint8]:
    odds = np.random.default_rng(seed).gamma(0.5, size=(classes, side, side)) + 1e-6
    return np.rint(odds / odds.sum(axis=0) * 255).astype(np.uint8)


def pixels(*columns: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.array(columns, np.uint8).T[:, None]


@given(st.integers(0, 10_000), st.integers(1, 5))
def test_without_thresholds_it_is_the_most_probable_class(seed: int, classes: int) -> None:
    found = probabilities(seed, classes)
    assert (decide(found, {}) == found.argmax(axis=0)).all()


@given(st.integers(0, 10_000), st.floats(0.01, 1))
def test_of_one_label_it_is_the_threshold_alone(seed: int, threshold: float) -> None:
    found = probabilities(seed, 2)
    assert (decide(found, {1: threshold}) == (found[1] >= threshold * 255)).all()


@given(st.integers(0, 10_000))
def test_a_half_is_the_same_as_no_threshold_for_one_label(seed: int) -> None:
    found = probabilities(seed, 2)
    assert (decide(found, {1: 0.5}) == decide(found, {})).all()


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.lists(st.floats(0.05, 1), min_size=3, max_size=3))
def test_the_rule_for_several_labels_pixel_by_pixel(seed: int, values: list[float]) -> None:
    found, thresholds = probabilities(seed, 4), dict(enumerate(values, start=1))
    decided = decide(found, thresholds)
    for row, column in np.ndindex(decided.shape):
        here = found[:, row, column].astype(float)
        possible = [(here[i] / (255 * t), i) for i, t in thresholds.items() if here[i] >= t * 255]
        best = max((multiple for multiple, _ in possible), default=0)
        near = [i for multiple, i in possible if multiple == pytest.approx(best, rel=1e-6)] or [0]
        assert decided[row, column] in near


def test_a_label_without_a_threshold_stays_in_the_game() -> None:
    found = pixels((100, 90, 65), (60, 60, 135), (20, 115, 120), (200, 30, 25))
    assert decide(found, {1: 0.3}).tolist() == [[1, 2, 1, 0]]


@pytest.mark.parametrize("thresholds", [{1: 0.0}, {1: 1.1}, {1: float("nan")}, {0: 0.5}, {2: 0.5}, {-1: 0.5}])
def test_an_impossible_threshold_is_told(thresholds: dict[int, float]) -> None:
    with pytest.raises(ConfigError):
        decide(probabilities(0, 2), thresholds)


def iou(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    return float((truth & found).sum() / (truth | found).sum())


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_the_calibrated_threshold_has_the_best_iou_there_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    pairs = []
    for i in range(3):
        truth = random.integers(0, 3, (12, 12)).astype(np.uint8)
        truth[0, :3] = IGNORE_ID
        pairs.append((probabilities(seed + i, 3), truth))
    found = calibrated_thresholds(pairs)
    known = np.stack([truth for _, truth in pairs]) != IGNORE_ID
    for class_id in (1, 2):
        drawn = np.stack([truth == class_id for _, truth in pairs])[known]
        values = np.stack([planes[class_id] for planes, _ in pairs])[known]
        tried = {(v - 0.5) / 255: iou(drawn, values >= v) for v in range(1, 256)}
        best = [threshold for threshold, value in tried.items() if value == max(tried.values())]
        assert found[class_id] == pytest.approx(min(best, key=lambda t: (round(abs(t - 0.5), 9), t)))


def test_of_equals_the_one_nearest_to_a_half() -> None:
    truth = np.array([[0, 1]], np.uint8)
    assert calibrated_thresholds([(pixels((245, 10), (5, 250)), truth)]) == {1: 0.5}
    (threshold,) = calibrated_thresholds([(pixels((75, 180), (5, 250)), truth)]).values()
    assert threshold == pytest.approx(180.5 / 255)


def test_a_model_that_is_too_shy_gets_a_low_threshold_and_finds_all() -> None:
    truth = (np.arange(400).reshape(20, 20) % 7 == 0).astype(np.uint8)
    label = np.where(truth == 1, 80, 20).astype(np.uint8)
    found = np.stack([255 - label, label])
    thresholds = calibrated_thresholds([(found, truth)])
    assert (decide(found, {}) == 0).all()
    assert (decide(found, thresholds) == truth).all()


def test_what_the_truth_does_not_show_has_no_threshold() -> None:
    assert calibrated_thresholds([(probabilities(0, 3), np.full((12, 12), 2, np.uint8))]).keys() == {2}
    assert calibrated_thresholds([(probabilities(0, 3), np.full((12, 12), IGNORE_ID, np.uint8))]) == {}
    assert calibrated_thresholds([]) == {}


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(ConfigError, match="do not fit"):
        calibrated_thresholds([(probabilities(0, 2), np.zeros((3, 4), np.uint8))])
    with pytest.raises(ConfigError, match="do not fit"):
        calibrated_thresholds([(probabilities(0, n), np.zeros((12, 12), np.uint8)) for n in (2, 3)])
