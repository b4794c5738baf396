"""What a training makes of one picture, for a person to look at before it begins."""

from typing import Final

import numpy as np

from core.annotation.raster import Mask
from core.images import RGB
from core.training.augment import Augmentation
from core.training.batch import Batch
from core.training.config import TrainingConfig
from core.training.mixing import copy_paste, cut_mix
from core.training.tiles import cut_tile, drawn_points

_ANY: Final = 0  # seed of the place: the same Tile each time


def varied_tiles(image: RGB, mask: Mask, config: TrainingConfig, *, count: int, seed: int) -> Batch:
    """One Tile around something drawn, as it is, and then `count` - 1 times as the training may see it.

    image: (H, W, 3), mask: (H, W).  seed: another one, other variations.
    """
    points = np.concatenate([*drawn_points(mask).values(), np.array([[mask.shape[0] // 2, mask.shape[1] // 2]])])
    row, column = points[np.random.default_rng(_ANY).integers(max(1, len(points) - 1))]
    half = config.tile // 2
    tile, truth = cut_tile(np.dstack((image, mask)), int(row) - half, int(column) - half, config.tile)
    augmentation = Augmentation(config.augment)
    augmentation.seed(seed)
    varied = [augmentation(tile, truth) for _ in range(count - 1)]
    batch = Batch(np.stack([image for image, _ in varied]), np.stack([mask for _, mask in varied]))
    random = np.random.default_rng(seed)
    batch = cut_mix(copy_paste(batch, random, config.copy_paste), random, config.cut_mix)
    return Batch(np.concatenate((tile[None], batch.images)), np.concatenate((truth[None], batch.masks)))
