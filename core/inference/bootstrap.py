"""How sure a figure is that was measured on few pictures: intervals from drawing the pictures again, with replacement.

Counts are drawn and added up, and ratios made of the sums, so an interval belongs to the figure of the whole set, not
to a mean over pictures. All resamples are one product of matrices.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError
from core.inference.metrics import PixelCounts, ratios
from core.inference.objects import ObjectCounts

LEAST_PICTURES: Final = 5  # of two pictures there are three resamples: their interval is narrow, and says nothing


class Interval(NamedTuple):
    """From the lower to the upper percentile of the resamples."""

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Of the figures of a set: of each class (background first), of each label (without it), and of their means.

    None where no resample has the figure.
    """

    iou: tuple[Interval | None, ...]  # of each class
    dice: tuple[Interval | None, ...]  # of each class
    object_f1: tuple[Interval | None, ...]  # of each label
    mean_iou: Interval | None
    mean_iou_foreground: Interval | None
    mean_dice: Interval | None
    mean_dice_foreground: Interval | None
    all_objects_f1: Interval | None  # objects of all labels counted together


@dataclass(frozen=True)
class BootstrapConfig:
    """share: the part of the resamples that lies within an interval."""

    resamples: int = 1000
    seed: int = 12345
    share: float = 0.95

    def __post_init__(self) -> None:
        if not 1 <= self.resamples <= 100_000:
            raise ConfigError(f"{self.resamples} resamples are not possible.", hint="Choose from 1 to 100,000.")
        if not 0 < self.share < 1:
            raise ConfigError(f"An interval cannot hold {self.share} of the resamples.", hint="Choose 0.95.")


def bootstrap(pixels: PixelCounts, objects: ObjectCounts, config: BootstrapConfig) -> Intervals | None:
    """The intervals of a set. pixels: counts of shape (pictures, classes). objects: (pictures, labels).

    None for fewer than LEAST_PICTURES: they do not tell how much pictures differ.
    """
    pictures = len(pixels.hits)
    if pictures < LEAST_PICTURES:
        return None
    times = draw(pictures, config)
    drawn = PixelCounts(*(times @ counts for counts in pixels))
    found = ObjectCounts(*(times @ counts for counts in objects))
    together = ObjectCounts(*(counts.sum(axis=1, keepdims=True) for counts in found))
    iou, dice = drawn.iou(), drawn.dice()

    def of_each(values: NDArray[np.float64]) -> tuple[Interval | None, ...]:
        return tuple(interval(column, config.share) for column in values.T)

    return Intervals(
        iou=of_each(iou),
        dice=of_each(dice),
        object_f1=of_each(found.f1()),
        mean_iou=interval(_mean_of_known(iou), config.share),
        mean_iou_foreground=interval(_mean_of_known(iou[:, 1:]), config.share),
        mean_dice=interval(_mean_of_known(dice), config.share),
        mean_dice_foreground=interval(_mean_of_known(dice[:, 1:]), config.share),
        all_objects_f1=interval(together.f1()[:, 0], config.share),
    )


def draw(pictures: int, config: BootstrapConfig) -> NDArray[np.float64]:
    """(resamples, pictures): how often each picture is in each resample. The same for the same config."""
    random = np.random.default_rng(config.seed)
    return random.multinomial(pictures, np.full(pictures, 1 / pictures), size=config.resamples).astype(np.float64)


def interval(values: NDArray[np.float64], share: float) -> Interval | None:
    """The middle `share` of those values, (resamples,), that are not NaN; None when all are."""
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, high = np.quantile(known, [(1 - share) / 2, (1 + share) / 2])
    return Interval(float(low), float(high))


def _mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each row over what is not NaN."""
    known = ~np.isnan(values)
    return ratios(np.where(known, values, 0).sum(axis=1), known.sum(axis=1))
