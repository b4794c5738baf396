"""What pictures without labels teach: weak-to-strong consistency, after FixMatch and UniMatch (Yang et al. 2023).

The running mean of the weights predicts Tiles as they are; where it is sure, that is the label of the same Tiles after
a strong change of light and sharpness, mixed with each other (CutMix, Yun et al. 2019). Of UniMatch this has one strong
view and neither its second nor its dropped features: each would cost as much again.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.training.augment import Augmentation
from core.training.config import TrainingConfig
from core.training.mixing import cut_mix
from core.training.tiles import Batch, LabelledPicture, PictureCache, TileSampler

Teacher = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # (B, H, W, 3) -> probabilities (B, C, H, W)

_BEGIN: Final = 0.2  # of the training: before, predictions are too poor to learn from
_SEED: Final = 7_654_321  # so that other Tiles are drawn than from the labelled pictures
_MIXED: Final = 0.5  # chance of a Tile to get a part of another


class UnlabelledTiles:
    """Batches of Tiles with the labels that a teacher is sure of, 255 elsewhere."""

    def __init__(self, config: TrainingConfig, pictures: Sequence[LabelledPicture], cache: PictureCache) -> None:
        self._config = config
        self._sampler = TileSampler(
            pictures,
            cache,
            tile=config.tile,
            batch=config.unlabelled_batch,
            foreground_share=0.0,
            augment="turned",
            seed=config.seed + _SEED,
        )
        self._strong = Augmentation("strong")

    def batch(self, step: int, progress: float, teacher: Teacher) -> Batch | None:
        """The Tiles of Step `step`, which ones only seed and Step decide, as the learner sees them.

        None in the first fifth of the training (progress: 0..1).
        """
        if progress < _BEGIN:
            return None
        random = np.random.default_rng((self._config.seed + _SEED, step))
        self._strong.seed(int(random.integers(2**31)))
        weak = self._sampler.batch(step).images
        masks = sure_labels(teacher(weak), self._config.sure)
        images = np.stack([self._strong(image, mask)[0] for image, mask in zip(weak, masks, strict=True)])
        return cut_mix(Batch(images, masks), random, _MIXED)


def sure_labels(probabilities: NDArray[np.float32], sure: float) -> NDArray[np.uint8]:
    """(B, C, H, W) -> (B, H, W) the most probable class id, 255 where it is less probable than `sure`."""
    ids = probabilities.argmax(axis=1).astype(np.uint8)
    ids[probabilities.max(axis=1) < sure] = IGNORE_ID
    return ids
