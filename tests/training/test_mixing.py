"""Tiles made of two: every pixel keeps its own label."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.annotation.labels import IGNORE_ID
from core.images import ImageSize
from core.training.batch import Batch
from core.training.mixing import copy_paste, cut_mix
from core.training.tiles import LabelledPicture, PictureCache, TileSampler

SIDE = 32


def scene(seed: int, count: int = 3) -> Batch:
    """Squares of classes 1 and 2 (colour 100 times the class) on noise; a band that is not labelled in the first."""
    random = np.random.default_rng(seed)
    masks = np.zeros((count, SIDE, SIDE), np.uint8)
    for mask in masks:
        for class_id in (1, 2):
            top, left = random.integers(0, SIDE - 8, 2)
            mask[top : top + 7, left : left + 7] = class_id
    masks[0, :, :6] = IGNORE_ID
    images = random.integers(0, 20, (count, SIDE, SIDE, 3)).astype(np.uint8)
    images[np.isin(masks, (1, 2))] = masks[np.isin(masks, (1, 2))][:, None] * 100
    return Batch(images, masks)


@pytest.mark.parametrize("mix", [cut_mix, copy_paste])
@given(seed=st.integers(0, 2**31), count=st.integers(1, 4), chance=st.floats(0, 1))
def test_shapes_and_classes_stay_and_the_tiles_given_are_not_changed(
    mix: type[cut_mix], seed: int, count: int, chance: float
) -> None:
    batch = scene(seed, count)
    images, masks = batch.images.copy(), batch.masks.copy()
    mixed = mix(batch, np.random.default_rng(seed), chance)
    assert mixed.images.shape == images.shape
    assert mixed.images.dtype == mixed.masks.dtype == np.uint8
    assert set(np.unique(mixed.masks)) <= set(np.unique(masks))
    assert (batch.images == images).all()
    assert (batch.masks == masks).all()


@pytest.mark.parametrize("mix", [cut_mix, copy_paste])
def test_without_a_chance_nothing_is_mixed(mix: type[cut_mix]) -> None:
    batch = scene(1)
    mixed = mix(batch, np.random.default_rng(0), 0.0)
    assert (mixed.images == batch.images).all()
    assert (mixed.masks == batch.masks).all()


@given(st.integers(0, 2**31))
def test_a_rectangle_comes_with_its_labels(seed: int) -> None:
    masks = np.random.default_rng(seed).integers(0, 200, (3, SIDE, SIDE), dtype=np.uint8)
    mixed = cut_mix(Batch(masks[..., None].repeat(3, axis=-1), masks), np.random.default_rng(seed), 1.0)
    assert (mixed.images == mixed.masks[..., None]).all()
    for i, mask in enumerate(mixed.masks):
        other = mask == masks[(i + 1) % 3]
        assert (other | (mask == masks[i])).all()
        assert 0.15 < other.mean() < 0.65


@given(st.integers(0, 2**31))
def test_pasted_objects_are_whole_and_look_like_what_they_are(seed: int) -> None:
    batch = scene(seed)
    mixed = copy_paste(batch, np.random.default_rng(seed), 1.0)
    new = mixed.masks != batch.masks
    assert not (new & (batch.masks == IGNORE_ID)).any()  # what is unknown stays unknown
    assert (mixed.masks[batch.masks == IGNORE_ID] == IGNORE_ID).all()
    assert set(np.unique(mixed.masks[new])) <= {1, 2}
    pasted = mixed.masks * new
    inner = np.stack([cv2.erode(mask, np.ones((5, 5), np.uint8)) for mask in pasted])
    wrong = np.abs(mixed.images[..., 0].astype(int) - 100 * inner)[inner > 0]  # soft at the edge, itself within
    assert len(wrong) == 0 or np.median(wrong) < 20


def test_objects_at_the_edge_are_not_pasted() -> None:
    masks = np.zeros((2, SIDE, SIDE), np.uint8)
    masks[1, :10, :10] = 1
    batch = Batch(np.zeros((2, SIDE, SIDE, 3), np.uint8), masks)
    for seed in range(20):
        assert (copy_paste(batch, np.random.default_rng(seed), 1.0).masks[0] == 0).all()


def test_rare_classes_come_as_often_as_common_ones() -> None:
    masks = np.zeros((2, 64, 64), np.uint8)
    for i in range(6):
        masks[1, 2 + 10 * i : 8 + 10 * i, 4:10] = 1
        masks[1, 2 + 10 * i : 8 + 10 * i, 20:26] = 1
    masks[1, 30:36, 40:46] = 2
    batch = Batch(np.zeros((2, 64, 64, 3), np.uint8), masks)
    shown = [np.unique(copy_paste(batch, np.random.default_rng(seed), 1.0).masks[0]) for seed in range(100)]
    assert sum(2 in found for found in shown) > 50


def test_the_same_step_sees_the_same_mixed_tiles() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 1
    cache_of = {"a": (image, mask), "b": (image[::-1].copy(), mask)}

    def batch(step: int, **chances: float) -> Batch:
        pictures = [LabelledPicture(name, ImageSize(64, 64), frozenset({1})) for name in cache_of]
        cache = PictureCache(cache_of.__getitem__, budget=10**6, spill=None)  # type: ignore[arg-type]
        sampler = TileSampler(
            pictures, cache, tile=32, batch=4, foreground_share=0.5, augment="cell", seed=3, **chances
        )
        return sampler.batch(step)

    mixed = batch(5, cut_mix=1.0, copy_paste=1.0)
    again = batch(5, cut_mix=1.0, copy_paste=1.0)
    assert (mixed.images == again.images).all()
    assert (mixed.masks == again.masks).all()
    assert (mixed.images != batch(5).images).any()
