"""Pictures for looking."""

import numpy as np

from core.annotation.labels import LabelSet
from core.annotation.overlay import FALSE_ALARM, HIT, MISS, error_picture, overlay

LABELS = LabelSet.of(["coin"])


def test_background_is_left_untouched_and_opacity_one_shows_the_colour() -> None:
    image = np.full((4, 4, 3), 77, np.uint8)
    mask = np.zeros((4, 4), np.uint8)
    mask[1:3, 1:3] = 1
    shown = overlay(image, mask, LABELS, opacity=1)
    assert shown[0, 0].tolist() == [77, 77, 77]
    assert tuple(shown[1, 1]) == LABELS.labels[1].color


def test_opacity_zero_is_the_picture() -> None:
    image = np.full((4, 4, 3), 77, np.uint8)
    assert np.array_equal(overlay(image, np.ones((4, 4), np.uint8), LABELS, opacity=0), image)


def test_the_error_picture_tells_hit_miss_and_false_alarm_apart() -> None:
    image = np.zeros((1, 5, 3), np.uint8)
    truth, found = np.array([[1, 1, 0, 0, 255]], np.uint8), np.array([[1, 0, 1, 0, 1]], np.uint8)
    shown = error_picture(image, truth, found, opacity=1)
    assert [tuple(pixel) for pixel in shown[0]] == [HIT, MISS, FALSE_ALARM, (0, 0, 0), (0, 0, 0)]
