import numpy as np

from core.training.variation import varied_tiles
from tests.training.scenes import tiny


def scene() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 100, (100, 150, 3), dtype=np.uint8)
    mask = np.zeros((100, 150), np.uint8)
    mask[60:70, 110:120] = 2
    image[mask == 2] = 250
    return image, mask


def test_the_first_tile_is_as_it_is_and_shows_what_is_drawn() -> None:
    image, mask = scene()
    tiles = varied_tiles(image, mask, tiny(augment="cell"), count=5, seed=0)
    assert tiles.images.shape == (5, 32, 32, 3)
    assert (tiles.masks[0] == 2).any()
    assert (tiles.images[0][tiles.masks[0] == 2] == 250).all()
    assert any((tile != tiles.images[0]).any() for tile in tiles.images[1:])


def test_another_seed_gives_other_variations_of_the_same_tile() -> None:
    image, mask = scene()
    first, second = (varied_tiles(image, mask, tiny(augment="cell", cut_mix=1.0), count=4, seed=s) for s in (1, 2))
    assert (first.images[0] == second.images[0]).all()
    assert (first.images[1:] != second.images[1:]).any()


def test_without_variation_all_tiles_are_the_same_and_an_empty_picture_passes() -> None:
    image, mask = scene()
    tiles = varied_tiles(image, np.zeros_like(mask), tiny(), count=3, seed=0)
    assert (tiles.images == tiles.images[0]).all()
    assert not tiles.masks.any()
