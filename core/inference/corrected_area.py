"""Areas corrected by what a model is known to get wrong, with an interval.

A model that draws each crack a pixel too wide finds too much crack in every picture. How much too much is measured on
validation pictures, and taken out of the areas of pictures that nobody labels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError
from core.inference.bootstrap import LEAST_PICTURES, BootstrapConfig, Interval, draw, interval
from core.inference.metrics import PixelCounts, ratios


class CorrectedArea(NamedTuple):
    """Pixels of one class. factor: true over predicted pixels of the validation pictures.

    corrected: predicted times factor. interval: where the true number lies, from drawing the validation pictures
    again; None for fewer than LEAST_PICTURES of core.inference.bootstrap. All are None for a class that the model
    predicted nowhere in the validation pictures.
    """

    predicted: float
    factor: float | None
    corrected: float | None
    interval: Interval | None


def corrected_area(
    predicted: Sequence[float],
    pictures: Sequence[PixelCounts],
    *,
    measured: int = 1,
    config: BootstrapConfig | None = None,
) -> tuple[CorrectedArea, ...]:
    """What `predicted`, pixels of each class (background first), probably are in truth.

    pictures: counts (C,) of each validation picture, as `[picture.pixels for picture in scores.pictures]` of Scores;
    only truth and predicted count, where nothing is labelled in neither. Sums are divided, so a large picture weighs
    more than a small one (the ratio estimator of sampling theory).

    It assumes that the validation pictures are a random sample of what the new ones show, and that errors grow with
    what was predicted. Where a class is much rarer in the new pictures than in those, its false alarms, which grow with
    the background, are taken out too little, and what is said is too much. The classes are corrected one by one, so
    they no longer add up to the picture.

    measured: of how many new pictures `predicted` is the sum. The interval is that of so many pictures drawn from a
    drawn validation set: errors of single pictures even out over many, that of the factor stays. Where a few pictures
    hold most of the error and validation is small, it is too narrow.

    Raises ConfigError when classes do not fit, a number is negative or none, or no picture was measured.
    """
    config = config or BootstrapConfig()
    areas = np.array(predicted, np.float64)
    if not np.isfinite(areas).all() or (areas < 0).any():
        raise ConfigError(f"Areas of {list(predicted)} pixels are not possible.")
    if measured < 1:
        raise ConfigError(f"Areas of {measured} pictures are not possible.", hint="Say how many were measured.")
    if any(np.shape(counts) != areas.shape for picture in pictures for counts in (picture.truth, picture.predicted)):
        raise ConfigError(
            f"There are areas of {len(areas)} classes, but the validation pictures were measured in others.",
            hint="Choose the model that made the prediction.",
        )
    shape = (len(pictures), len(areas))
    truth = np.array([picture.truth for picture in pictures], np.float64).reshape(shape)
    found = np.array([picture.predicted for picture in pictures], np.float64).reshape(shape)
    factors = ratios(truth.sum(axis=0), found.sum(axis=0))
    intervals: list[Interval | None] = [None] * len(areas)
    if len(pictures) >= LEAST_PICTURES:
        times = _draw_new(len(pictures), measured, config)
        drawn = ratios(times @ truth, times @ found) * areas
        intervals = [interval(column, config.share) for column in drawn.T]
    return tuple(
        CorrectedArea(float(area), None, None, None)
        if np.isnan(factor)
        else CorrectedArea(float(area), float(factor), float(area * factor), found_interval)
        for area, factor, found_interval in zip(areas, factors, intervals, strict=True)
    )


def _draw_new(pictures: int, measured: int, config: BootstrapConfig) -> NDArray[np.float64]:
    """(resamples, pictures): how often each validation picture is among so many new ones, drawn from a drawn set."""
    random = np.random.default_rng([config.seed, 1])  # not the numbers that the set is drawn with
    return random.multinomial(measured, draw(pictures, config) / pictures).astype(np.float64)
