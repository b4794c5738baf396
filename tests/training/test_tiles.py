"""Tiles: where they are cut, what they show, and that a seed decides it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.annotation.raster import Mask
from core.errors import WriteError
from core.images import RGB, ImageSize
from core.training.tiles import Ahead, LabelledPicture, PictureCache, TileSampler, cut_tile

Scene = tuple[RGB, Mask]


def picture(height: int, width: int, *, dot: int = 1) -> Scene:
    """Column number as colour; one 3 x 3 dot of class `dot` far from the centre."""
    image = np.broadcast_to(np.arange(width, dtype=np.uint8)[None, :, None], (height, width, 3)).copy()
    mask = np.zeros((height, width), np.uint8)
    mask[2:5, 2:5] = dot
    return image, mask


def sampler(
    scenes: dict[str, Scene], folder: Path, *, tile: int = 16, share: float = 0.33, seed: int = 0
) -> TileSampler:
    listed = [
        LabelledPicture(name, ImageSize(*mask.shape), frozenset(int(i) for i in np.unique(mask) if i not in (0, 255)))
        for name, (_, mask) in scenes.items()
    ]
    cache = PictureCache(scenes.__getitem__, budget=10_000_000, spill=folder / "cache")
    return TileSampler(listed, cache, tile=tile, batch=6, foreground_share=share, augment="none", seed=seed)


def test_tiles_have_native_resolution(tmp_path: Path) -> None:
    batch = sampler({"a": picture(100, 200)}, tmp_path).batch(0)
    assert batch.images.shape == (6, 16, 16, 3)
    assert batch.masks.shape == (6, 16, 16)
    assert (np.diff(batch.images[..., 0].astype(int), axis=2) == 1).all()  # neighbours stay neighbours


def test_a_third_of_a_batch_shows_what_is_drawn(tmp_path: Path) -> None:
    tiles = sampler({"a": picture(250, 250)}, tmp_path)  # by chance one tile in 200 would show the dot
    for step in range(20):
        shows = (tiles.batch(step).masks == 1).any(axis=(1, 2))
        assert shows[4:].all()


def test_a_rare_class_comes_as_often_as_a_frequent_one(tmp_path: Path) -> None:
    scenes = {f"many{i}": picture(64, 64, dot=1) for i in range(30)} | {"rare": picture(64, 64, dot=2)}
    tiles = sampler(scenes, tmp_path, share=1.0)
    seen = [int(mask.max()) for step in range(20) for mask in tiles.batch(step).masks]
    assert 0.35 < seen.count(2) / len(seen) < 0.65


def test_a_small_picture_is_mirrored_and_the_margin_counts_nowhere() -> None:
    image, mask = picture(10, 12)
    tile, labelled = cut_tile(np.dstack((image, mask)), 0, 0, 16)
    assert tile.shape == (16, 16, 3)
    assert np.array_equal(tile[:10, :12], image)
    assert np.array_equal(labelled[:10, :12], mask)
    assert (labelled[10:] == 255).all()
    assert (labelled[:, 12:] == 255).all()
    assert tile[0, 12, 0] == image[0, 10, 0]  # mirrored, not black


@pytest.mark.parametrize(("top", "left"), [(-8, -8), (0, 0), (90, 190), (500, 500)])
def test_a_tile_that_juts_out_is_moved_inside(top: int, left: int) -> None:
    image, mask = picture(100, 200)
    tile, labelled = cut_tile(np.dstack((image, mask)), top, left, 16)
    assert tile.shape == (16, 16, 3)
    assert (labelled != 255).all()


def test_seed_and_step_decide_a_batch(tmp_path: Path) -> None:
    scenes = {name: picture(60, 80) for name in "abc"}
    first, again, other = (sampler(scenes, tmp_path, seed=seed) for seed in (1, 1, 2))
    again.batch(3)  # what was drawn before does not matter
    assert np.array_equal(first.batch(7).images, again.batch(7).images)
    assert not np.array_equal(first.batch(7).images, other.batch(7).images)
    assert not np.array_equal(first.batch(7).images, first.batch(8).images)


def test_batches_made_ahead_are_the_same_also_after_going_back(tmp_path: Path) -> None:
    scenes = {name: picture(60, 80) for name in "abc"}
    plain, ahead = sampler(scenes, tmp_path), Ahead(sampler(scenes, tmp_path))
    for step in (0, 1, 2, 3, 1, 2, 9):
        assert np.array_equal(ahead.batch(step).images, plain.batch(step).images)
    ahead.close()


def test_what_fails_ahead_is_raised_when_it_is_asked_for(tmp_path: Path) -> None:
    scenes = {"a": picture(60, 80)}
    broken = Ahead(sampler(scenes, tmp_path))
    scenes.clear()
    with pytest.raises(KeyError):
        broken.batch(0)
    broken.close()


def test_unlabelled_ground_is_mostly_left_out(tmp_path: Path) -> None:
    image, mask = picture(200, 200)
    mask[:, 100:] = 255
    batches = sampler({"a": (image, mask)}, tmp_path, share=0.0)
    useful = [(m != 255).any() for step in range(20) for m in batches.batch(step).masks]
    assert sum(useful) / len(useful) > 0.85


def counting(scene: Scene) -> tuple[Callable[[str], Scene], list[str]]:
    calls: list[str] = []

    def read(name: str) -> Scene:
        calls.append(name)
        return scene

    return read, calls


def test_a_picture_is_decoded_once_and_only_when_needed(tmp_path: Path) -> None:
    read, calls = counting(picture(40, 40))
    cache = PictureCache(read, budget=1_000_000, spill=tmp_path / "cache")
    assert calls == []
    assert cache["a"] is cache["a"]
    assert calls == ["a"]
    assert not (tmp_path / "cache").exists()


def test_what_memory_does_not_hold_is_mapped_from_the_disk(tmp_path: Path) -> None:
    image, mask = picture(40, 40)
    read, calls = counting((image, mask))
    cache = PictureCache(read, budget=40 * 40 * 4, spill=tmp_path / "cache")
    assert isinstance(cache["b"].pixels, np.ndarray)
    assert isinstance(cache["c"].pixels, np.memmap)
    assert np.array_equal(cache["c"].image, image)
    assert np.array_equal(cache["c"].mask, mask)
    assert calls == ["b", "c"]


def test_a_disk_that_cannot_take_the_pictures_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    cache = PictureCache(lambda name: picture(40, 40), budget=0, spill=tmp_path / "cache")
    with pytest.raises(WriteError, match="need more memory than there is"):
        cache["a"]
