"""Weights of classes, against the formulas and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from core.training.balance import class_weights

Pictures = list[dict[int, int]]


def test_none_weighs_nothing() -> None:
    assert class_weights("none", [{0: 5, 1: 5}], classes=2) == ()


@pytest.mark.parametrize("pictures", [[], [{}], [{255: 9}], [{0: 0}]])
@pytest.mark.parametrize("kind", ["inverse", "median"])
def test_without_a_labelled_pixel_there_are_no_weights(kind: str, pictures: Pictures) -> None:
    assert class_weights(kind, pictures, classes=2) == ()


def test_inverse_is_what_scikit_learn_calls_balanced() -> None:
    pixels = np.repeat([0, 1, 2], [700, 280, 20])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 2]), y=pixels)
    found = class_weights("inverse", [{0: 400, 2: 20, 255: 50}, {0: 300, 1: 280}], classes=3)
    assert found == pytest.approx(tuple(expected))


def test_median_frequency_counts_only_the_pictures_that_show_a_class() -> None:
    # class 1: 80 of 100 pixels where it is shown; class 2: 10 of 100; background: 20 + 90 + 100 of 300
    found = class_weights("median", [{0: 20, 1: 80}, {0: 90, 2: 10}, {0: 100}], classes=3)
    assert found == pytest.approx((0.7 / 0.7, 0.7 / 0.8, 0.7 / 0.1))


def test_a_stray_pixel_does_not_outweigh_everything() -> None:
    found = class_weights("inverse", [{0: 10_000_000, 1: 1}], classes=2)
    assert found[1] / found[0] == pytest.approx(100)


counted = st.dictionaries(st.sampled_from([0, 1, 2, 3, 255]), st.integers(0, 10**9), max_size=5)


@given(pictures=st.lists(counted, max_size=6), kind=st.sampled_from(["inverse", "median"]))
def test_weights_are_positive_and_bounded_and_rarer_weighs_more(pictures: Pictures, kind: str) -> None:
    found = class_weights(kind, pictures, classes=4)
    assert len(found) in (0, 4)
    if found:
        assert min(found) > 0
        shown = [i for i in range(4) if any(picture.get(i) for picture in pictures)]
        assert max(found[i] for i in shown) <= 100.001 * min(found[i] for i in shown)
        assert all(found[i] == 1 for i in range(4) if i not in shown)
        if kind == "inverse":
            sums = {i: sum(picture.get(i, 0) for picture in pictures) for i in shown}
            rarest, commonest = min(shown, key=sums.__getitem__), max(shown, key=sums.__getitem__)
            assert found[rarest] >= found[commonest]
