"""Augmentation: no transform invents a class, moves a Mask apart from its picture, or ignores an argument."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ConfigError
from core.training.augment import AUGMENTATIONS, Augmentation, _albumentations
from core.training.config import AUGMENTATION_NAMES

SIDE = 64


def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Blocks of classes 0, 3, 7 and "not labelled", and a picture whose brightness says the class."""
    blocks = np.random.default_rng(0).choice(np.array([0, 3, 7, 255], np.uint8), (8, 8))
    mask = blocks.repeat(SIDE // 8, 0).repeat(SIDE // 8, 1)
    return np.repeat((mask // 2 + 60)[..., None], 3, axis=2), mask


def all_transforms() -> list[tuple[str, int]]:
    library = _albumentations()
    return [(name, i) for name, make in AUGMENTATIONS.items() for i in range(len(make(library)))]


def test_the_names_are_those_that_settings_know() -> None:
    own = {"strong", "turned"}  # of pictures without labels
    assert set(AUGMENTATIONS) == set(AUGMENTATION_NAMES) | own


@pytest.mark.parametrize(("name", "index"), all_transforms())
def test_no_transform_invents_a_class(name: str, index: int) -> None:
    library = _albumentations()
    transform = AUGMENTATIONS[name](library)[index]
    transform.p = 1.0
    image, mask = scene()
    for seed in range(5):
        changed = library.Compose([transform], seed=seed)(image=image, mask=mask)
        assert set(np.unique(changed["mask"])) <= {0, 3, 7, 255}
        assert changed["image"].shape == image.shape
        assert changed["image"].dtype == changed["mask"].dtype == np.uint8


@pytest.mark.parametrize("name", [name for name in AUGMENTATION_NAMES if name != "none"])
def test_picture_and_mask_move_together(name: str) -> None:
    augmentation = Augmentation(name)
    image, mask = scene()
    agreements = []
    for seed in range(20):
        augmentation.seed(seed)
        changed, moved = augmentation(image, mask)
        dark, light = (changed[moved == class_id].mean() for class_id in (0, 255))
        agreements.append(light > dark + 30)
    assert all(agreements)


def test_the_same_seed_gives_the_same_tile_and_another_seed_another() -> None:
    image, mask = scene()

    def tile(seed: int) -> NDArray[np.uint8]:
        augmentation = Augmentation("cell")
        augmentation.seed(seed)
        return augmentation(image, mask)[0]

    assert np.array_equal(tile(3), tile(3))
    assert not np.array_equal(tile(3), tile(4))


def test_an_unknown_augmentation_is_named() -> None:
    with pytest.raises(ConfigError, match="no augmentation 'wild'"):
        Augmentation("wild")
