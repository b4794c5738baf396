"""Corrected areas: a model whose bias is known."""

import numpy as np
import pytest

from core.errors import ConfigError
from core.inference.corrected_area import corrected_area
from core.inference.metrics import PixelCounts


def counted(truth: list[int], predicted: list[int]) -> PixelCounts:
    return PixelCounts(np.zeros(len(truth), np.int64), np.array(truth), np.array(predicted))


def biased_pictures(count: int, seed: int = 0) -> list[PixelCounts]:
    """The label is found a quarter too large, give or take."""
    random = np.random.default_rng(seed)
    truth = random.integers(50, 400, count)
    predicted = np.minimum(1000, truth * 1.25 + random.normal(0, 20, count)).round().astype(int)
    return [counted([1000 - t, t], [1000 - p, p]) for t, p in zip(truth.tolist(), predicted.tolist(), strict=True)]


def test_without_bias_nothing_changes() -> None:
    (_, label) = corrected_area([900, 100], [counted([90, 10], [90, 10])] * 6)
    assert label == (100, 1, 100, (100, 100))


def test_sums_are_divided_not_ratios_averaged() -> None:
    pictures = [counted([0, 100], [0, 200]), counted([0, 2], [0, 1])]
    (_, label) = corrected_area([0, 50], pictures)
    assert label.factor == pytest.approx(102 / 201)
    assert label.corrected == pytest.approx(50 * 102 / 201)
    assert label.interval is None  # of two pictures


@pytest.mark.parametrize("measured", [1, 20, 1000])
def test_the_interval_holds_the_truth_nearly_as_often_as_it_says(measured: int) -> None:
    held = 0
    for seed in range(100):
        new = PixelCounts(*np.sum(biased_pictures(measured, 1000 + seed), axis=0))
        (_, label) = corrected_area(new.predicted.tolist(), biased_pictures(25, seed), measured=measured)
        assert label.interval is not None
        held += label.interval.low <= new.truth[1] <= label.interval.high
    assert 85 <= held <= 100


def test_more_pictures_say_it_more_surely() -> None:
    def width(validation: int, measured: int) -> float:
        found = corrected_area([0, 100], biased_pictures(validation), measured=measured)[1].interval
        assert found is not None
        return found.high - found.low

    assert width(200, 1000) < width(10, 1000) / 2
    assert width(30, 1000) < width(30, 1) / 2


def test_a_class_that_was_never_predicted_has_no_factor() -> None:
    (_, label) = corrected_area([10, 5], [counted([8, 2], [10, 0])] * 6)
    assert label == (5, None, None, None)


def test_without_pictures_nothing_is_known() -> None:
    assert corrected_area([3, 4], [])[1] == (4, None, None, None)


@pytest.mark.parametrize("areas", [[1, 2, 3], [1], [1, -1], [1, float("nan")]])
def test_what_does_not_fit_is_told(areas: list[float]) -> None:
    with pytest.raises(ConfigError):
        corrected_area(areas, [counted([1, 1], [1, 1])])


def test_areas_of_no_picture_are_none() -> None:
    with pytest.raises(ConfigError, match="0 pictures"):
        corrected_area([1, 1], [counted([1, 1], [1, 1])], measured=0)
