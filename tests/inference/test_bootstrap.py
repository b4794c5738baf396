"""Intervals, against drawing pictures one by one and against scipy's bootstrap."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import bootstrap as scipy_bootstrap

from core.errors import ConfigError
from core.inference.bootstrap import LEAST_PICTURES, BootstrapConfig, Interval, Intervals, bootstrap, draw, interval
from core.inference.metrics import ConfusionMatrix, PixelCounts
from core.inference.objects import ObjectCounts

PICTURES, CLASSES = 12, 3


@pytest.fixture
def matrices() -> list[ConfusionMatrix]:
    random = np.random.default_rng(5)
    found = []
    for _ in range(PICTURES):
        matrix = ConfusionMatrix(CLASSES)
        matrix.counts += random.integers(0, 200, (CLASSES, CLASSES)) + np.diag(random.integers(0, 900, CLASSES))
        found.append(matrix)
    return found


def pixels_of(matrices: list[ConfusionMatrix]) -> PixelCounts:
    return PixelCounts(*(np.stack(counts) for counts in zip(*(matrix.pixels for matrix in matrices), strict=True)))


def objects_of(seed: int) -> ObjectCounts:
    return ObjectCounts(*np.random.default_rng(seed).integers(0, 9, (3, PICTURES, CLASSES - 1)))


def intervals_of(matrices: list[ConfusionMatrix], config: BootstrapConfig, seed: int = 0) -> Intervals:
    found = bootstrap(pixels_of(matrices), objects_of(seed), config)
    assert found is not None
    return found


def test_intervals_equal_those_of_drawing_pictures_one_by_one(matrices: list[ConfusionMatrix]) -> None:
    config = BootstrapConfig(resamples=40)
    means, ious, dices, scores = [], [], [], []
    objects = np.stack(objects_of(0))
    for times in draw(PICTURES, config).astype(int):
        total = ConfusionMatrix(CLASSES)
        counted = np.zeros(3, int)
        for number, repeats in enumerate(times):
            for _ in range(repeats):
                total.merge(matrices[number])
                counted += objects[:, number].sum(axis=1)
        means.append(total.mean_iou)
        ious.append(total.iou()[1])
        dices.append(total.mean_dice_foreground)
        scores.append(2 * counted[0] / (2 * counted[0] + counted[1] + counted[2]))
    found = intervals_of(matrices, config)
    for mine, values in (
        (found.mean_iou, means),
        (found.iou[1], ious),
        (found.mean_dice_foreground, dices),
        (found.all_objects_f1, scores),
    ):
        assert mine == pytest.approx(tuple(np.percentile(np.array(values, float), [2.5, 97.5])))


def test_intervals_agree_with_scipy(matrices: list[ConfusionMatrix]) -> None:
    def mean_iou(picked: NDArray[np.int64]) -> float:
        total = ConfusionMatrix(CLASSES)
        for number in picked:
            total.merge(matrices[number])
        return total.mean_iou or 0.0

    wanted = scipy_bootstrap(
        (np.arange(PICTURES),), mean_iou, method="percentile", n_resamples=1500, vectorized=False, rng=1
    ).confidence_interval
    found = intervals_of(matrices, BootstrapConfig(resamples=5000)).mean_iou
    assert found is not None
    width = wanted.high - wanted.low
    assert found == pytest.approx((wanted.low, wanted.high), abs=0.1 * width)


def test_the_same_seed_gives_the_same_intervals_and_another_one_others(matrices: list[ConfusionMatrix]) -> None:
    assert intervals_of(matrices, BootstrapConfig()) == intervals_of(matrices, BootstrapConfig())
    assert intervals_of(matrices, BootstrapConfig(seed=1)) != intervals_of(matrices, BootstrapConfig())


def test_equal_pictures_leave_no_doubt(matrices: list[ConfusionMatrix]) -> None:
    one = matrices[0]
    found = intervals_of([one] * PICTURES, BootstrapConfig())
    assert found.mean_iou == pytest.approx((one.mean_iou, one.mean_iou))
    assert found.iou == tuple(pytest.approx((iou, iou)) for iou in one.iou())


def test_more_of_the_resamples_make_the_interval_wider(matrices: list[ConfusionMatrix]) -> None:
    half, most = (intervals_of(matrices, BootstrapConfig(share=share)).mean_iou for share in (0.5, 0.95))
    assert half is not None
    assert most is not None
    assert most.low < half.low < half.high < most.high


@pytest.mark.parametrize("pictures", [0, 1, LEAST_PICTURES - 1, LEAST_PICTURES])
def test_few_pictures_have_no_interval(pictures: int) -> None:
    counts = np.ones((3, pictures, 2), int)
    found = bootstrap(PixelCounts(*counts), ObjectCounts(*counts), BootstrapConfig())
    assert (found is None) == (pictures < LEAST_PICTURES)


def test_a_class_in_one_picture_only_counts_where_it_was_drawn_and_one_in_none_has_no_interval() -> None:
    there, away = ConfusionMatrix(3), ConfusionMatrix(3)
    there.counts[:2, :2] = [[10, 0], [5, 5]]
    away.counts[0, 0] = 20
    nothing = ObjectCounts(*np.zeros((3, 5, 2), int))
    found = bootstrap(pixels_of([there, away, away, away, away]), nothing, BootstrapConfig())
    assert found is not None
    assert found.iou[1] == (0.5, 0.5)
    assert found.iou[2] is found.object_f1[0] is found.all_objects_f1 is None


def test_without_labels_there_is_no_mean_of_them() -> None:
    matrix = ConfusionMatrix(1)
    matrix.counts[0, 0] = 9
    found = bootstrap(pixels_of([matrix] * 5), ObjectCounts(*np.zeros((3, 5, 0), int)), BootstrapConfig())
    assert found is not None
    assert (found.mean_iou, found.mean_iou_foreground, found.object_f1) == ((1, 1), None, ())


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1) | st.just(np.nan)), st.floats(0.05, 0.99))
def test_an_interval_lies_within_its_values(values: NDArray[np.float64], share: float) -> None:
    found = interval(values, share)
    known = values[~np.isnan(values)]
    if not len(known):
        assert found is None
    else:
        assert found is not None
        assert known.min() <= found.low <= found.high <= known.max()


def test_five_thousand_pictures_take_seconds() -> None:
    counts = np.random.default_rng(0).integers(1, 10**8, (3, 5000, 12))
    begun = time.process_time()
    assert isinstance(bootstrap(PixelCounts(*counts), ObjectCounts(*counts), BootstrapConfig()), Intervals)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("setting", [{"resamples": 0}, {"resamples": 10**6}, {"share": 0}, {"share": 1}])
def test_settings_that_cannot_be_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        BootstrapConfig(**setting)  # type: ignore[arg-type]


def test_an_interval_is_named_low_and_high() -> None:
    assert interval(np.linspace(0, 1, 101), 0.9) == Interval(pytest.approx(0.05), pytest.approx(0.95))
