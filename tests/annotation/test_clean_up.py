"""Clean-up of predicted masks, each operation against scipy or a drawn case."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from core.annotation.clean_up import (
    CleanUp,
    clean_up,
    close_gaps,
    cut_whiskers,
    drop_specks,
    fill_small_holes,
    smooth_borders,
    split_objects,
)
from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask, count_objects
from core.errors import ConfigError


def blobs(seed: int, side: int = 40) -> Mask:
    random = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(random.normal(size=(side, side)).astype(np.float32), (0, 0), 1.5)
    mask = np.digitize(soft, [0.05, 0.25]).astype(np.uint8)
    mask[random.random(mask.shape) < 0.05] = IGNORE_ID
    return mask


def test_nothing_to_do_is_the_same_mask() -> None:
    mask = blobs(0)
    assert clean_up(mask, CleanUp()) is mask


@given(st.integers(0, 10_000), st.integers(2, 30))
def test_specks_are_dropped_as_scipy_counts_them(seed: int, pixels: int) -> None:
    mask = blobs(seed)
    expected = mask.copy()
    for class_id in (1, 2):
        objects, count = ndimage.label(mask == class_id, structure=np.ones((3, 3)))
        for number in range(1, count + 1):
            if (objects == number).sum() < pixels:
                expected[objects == number] = 0
    assert (drop_specks(mask, pixels) == expected).all()


@given(st.integers(0, 10_000), st.sampled_from([3, 5]))
def test_gaps_are_closed_as_scipy_closes_them(seed: int, side: int) -> None:
    mask = (blobs(seed) == 1).astype(np.uint8)
    wide = np.pad(mask, side)
    expected = ndimage.binary_closing(wide, np.ones((side, side)))[side:-side, side:-side]
    found = close_gaps(mask, side)
    inner = np.s_[side:-side, side:-side]  # at the edge, a gap counts as closed off by the picture's edge
    assert (found[inner] == expected[inner]).all()


def test_closing_takes_only_background() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = 1
    mask[4, 4], mask[4, 5] = 2, 0
    closed = close_gaps(mask, 3)
    assert closed[4, 4] == 2
    assert closed[4, 5] == 1


def test_a_jagged_border_becomes_smooth_and_a_straight_one_stays() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 20:] = 1
    assert (smooth_borders(mask, 2.0) == mask).all()
    jagged = mask.copy()
    jagged[::2, 19] = 1
    jagged[5, 30] = 0
    assert (smooth_borders(jagged, 2.0)[:, 22:] == 1).all()


def two_discs(distance: int) -> Mask:
    mask = np.zeros((60, 100), np.uint8)
    cv2.circle(mask, (30, 30), 15, 1, -1)
    cv2.circle(mask, (30 + distance, 30), 15, 1, -1)
    return mask


def test_touching_discs_are_parted_and_one_disc_is_not() -> None:
    touching = two_discs(26)
    assert count_objects(touching == 1) == 1
    parted = split_objects(touching)
    _, count = ndimage.label(parted == 1)
    assert count == 2
    assert ((parted != touching).sum()) < 40  # a line
    alone = two_discs(0)
    assert (split_objects(alone) == alone).all()


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_splitting_only_takes_away_and_loses_no_object(seed: int) -> None:
    mask = blobs(seed)
    parted = split_objects(mask)
    assert ((parted == mask) | (parted == 0)).all()
    for class_id in (1, 2):
        _, before = ndimage.label(mask == class_id, structure=np.ones((3, 3)))
        _, after = ndimage.label(parted == class_id)
        assert after >= before


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_what_is_not_labelled_stays_so_and_no_class_is_invented(seed: int) -> None:
    mask = blobs(seed)
    found = clean_up(mask, CleanUp(1.5, 3, split=True, drop_below=10, fill=8, open=2, right_angles=True))
    assert ((found == IGNORE_ID) == (mask == IGNORE_ID)).all()
    assert set(np.unique(found)) <= set(np.unique(mask)) | {0}


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 50), (3, 3)])
@pytest.mark.parametrize("value", [0, 1, IGNORE_ID])
def test_tiny_and_uniform_masks_pass(shape: tuple[int, int], value: int) -> None:
    found = clean_up(np.full(shape, value, np.uint8), CleanUp(smooth=2, close=3, split=True, fill=9, open=3))
    assert (found == value).all()


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(ConfigError, match="not possible"):
        CleanUp(close=1000)


@given(st.integers(0, 10_000), st.integers(2, 40))
def test_holes_are_filled_as_scipy_finds_them(seed: int, pixels: int) -> None:
    mask = blobs(seed)
    expected = mask.copy()
    parts, count = ndimage.label(mask == 0)
    wide = np.pad(mask, 1, constant_values=IGNORE_ID)
    for number in range(1, count + 1):
        hole = np.pad(parts == number, 1)
        around = set(wide[ndimage.binary_dilation(hole) & ~hole].tolist())
        if hole.sum() < pixels and len(around) == 1 and around != {IGNORE_ID}:
            expected[parts == number] = around.pop()
    assert (fill_small_holes(mask, pixels) == expected).all()


def test_a_hole_with_another_label_in_it_stays() -> None:
    mask = np.ones((9, 9), np.uint8)
    mask[3:6, 3:6] = 0
    assert (fill_small_holes(mask, 10) == 1).all()
    assert (fill_small_holes(mask, 9) == mask).all()  # nine pixels are not fewer
    mask[4, 4] = 2
    assert (fill_small_holes(mask, 10) == mask).all()


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_whiskers_are_cut_as_scipy_opens(seed: int, side: int) -> None:
    mask = (blobs(seed) == 1).astype(np.uint8)
    wide = np.pad(mask, 3 * side, mode="edge")  # wherever the square lies, it finds what goes on beyond the edge
    expected = ndimage.binary_opening(wide, np.ones((side, side)))[3 * side : -3 * side, 3 * side : -3 * side]
    assert (cut_whiskers(mask, side) == expected).all()


def test_a_bridge_is_cut_and_what_goes_on_at_the_edge_is_not() -> None:
    mask = np.zeros((20, 50), np.uint8)
    mask[4:16, 4:18] = mask[4:16, 30:44] = 1
    mask[9:11, 18:30] = 1  # two pixels wide
    mask[:, 49] = 2  # a wall along the edge, one pixel of it to be seen
    found = cut_whiskers(mask, 3)
    assert count_objects(found == 1) == 2
    assert (found[:, 49] == 2).all()
    assert ((found == mask) | (mask == 1)).all()


@pytest.mark.parametrize("side", [2, 3, 4, 5])
def test_a_lone_square_neither_moves_nor_grows(side: int) -> None:
    mask = np.zeros((30, 30), np.uint8)
    mask[10:18, 12:20] = 1
    assert (close_gaps(mask, side) == mask).all()
    assert (cut_whiskers(mask, side) == mask).all()


def test_holes_are_filled_before_thin_walls_are_cut() -> None:
    mask = np.zeros((30, 30), np.uint8)
    mask[5:25, 5:25] = 1
    mask[7:23, 7:23] = 0  # a wall of two pixels
    found = clean_up(mask, CleanUp(fill=300, open=5))
    assert (found[5:25, 5:25] == 1).all()


def test_a_card_of_before_has_no_new_fields_and_loads() -> None:
    old = {"smooth": 1.0, "close": 3, "split": True, "drop_below": 5}
    assert CleanUp.from_json(old) == CleanUp(1.0, 3, True, 5)
    new = CleanUp(fill=20, open=3, right_angles=True)
    assert CleanUp.from_json(new.to_json()) == new


@pytest.mark.parametrize(
    "value",
    [
        {"fill": -1},
        {"fill": 10**9 + 1},
        {"fill": True},
        {"fill": 2.5},
        {"open": 200},
        {"open": "3"},
        {"close": None},
        {"drop_below": float("nan")},
        {"smooth": float("nan")},
        {"smooth": "1"},
        {"split": 1},
        {"right_angles": "yes"},
    ],
)
def test_every_field_is_checked(value: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="not possible"):
        CleanUp.from_json(value)
