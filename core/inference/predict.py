"""A picture through a Backend, window by window: what the person sees and what validation measures.

Windows go through in rows. Only the rows of pixels that a further row of windows can still change are kept as
probabilities, so memory depends on the width of the picture, not on its height.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.clean_up import clean_up
from core.annotation.raster import Mask
from core.errors import ConfigError
from core.images import RGB, ImageSize
from core.inference.backend import Backend
from core.inference.windows import WindowPlan, blend_weights, cut_window, plan_windows
from core.networks.card import Normalisation


@dataclass(frozen=True)
class PredictConfig:
    """overlap: least part of a window shared with the next.  window: its side in pixels, None for the card's.
    batch: windows computed at once; more than 1 pays on a GPU only (SPEED 2)."""

    overlap: float = 0.2
    window: int | None = None
    batch: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 0.9:
            raise ConfigError(f"An overlap of {self.overlap:g} is not possible.", hint="Choose 0 to 0.9.")
        if self.window is not None and self.window < 16:
            raise ConfigError(f"Windows of {self.window} pixels are too small.", hint="Choose at least 16.")
        if self.batch < 1:
            raise ConfigError(f"{self.batch} windows at once are not possible.", hint="Choose at least 1.")


class Prediction(NamedTuple):
    """mask: (H, W) class ids.  confidence: (H, W) uint8, the probability of the most probable class times 255."""

    mask: Mask
    confidence: NDArray[np.uint8]


class Cancelled(Exception):
    """The caller asked to stop in between; there is no Prediction."""


def predict(
    image: RGB,
    backend: Backend,
    *,
    config: PredictConfig | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Prediction:
    """Class ids, cleaned up as the card says, and confidence of each pixel of `image` (H, W, 3), of any size.

    progress is told the part done, up to 1.0.  Raises Cancelled between two windows once `cancelled` says so.
    """
    config = config or PredictConfig()
    card = backend.card
    size = ImageSize(*image.shape[:2])
    plan = plan_windows(
        size, window=config.window or card.window, overlap=config.overlap, multiple_of=backend.multiple_of
    )
    prediction = Prediction(np.empty(size, np.uint8), np.empty(size, np.uint8))
    columns = blend_weights(plan.columns)
    rows = blend_weights(plan.rows)
    table = normalisation_table(card.normalisation)
    batch = np.empty((config.batch, plan.rows.side, plan.columns.side, 3), np.float32)
    band = np.zeros((card.network.classes, plan.rows.side, _reach(plan)), np.float32)  # probabilities so far
    done = 0
    for index, top in enumerate(plan.rows.starts):
        windows = plan.row(index)
        for first in range(0, len(windows), config.batch):
            if cancelled is not None and cancelled():
                raise Cancelled
            chosen = windows[first : first + config.batch]
            for i, window in enumerate(chosen):
                cv2.LUT(np.ascontiguousarray(cut_window(image, window)), table, dst=batch[i])
            # a view with the channels innermost in memory: fast back ends compute in this order and need no copy
            logits = backend.logits(batch[: len(chosen)].transpose(0, 3, 1, 2))
            for i, window in enumerate(chosen):
                part = band[:, :, window.left : window.left + window.width]
                add_probabilities(part, logits[i], rows[index][:, None] * columns[first + i])
            done += len(chosen)
            if progress is not None:
                progress(done / plan.total)
        last = index + 1 == len(plan.rows.starts)
        final = plan.rows.length - top if last else plan.rows.starts[index + 1] - top
        _write(prediction, band[:, :final, : size.width], top)
        if not last:
            _roll(band, final)
    return prediction._replace(mask=clean_up(prediction.mask, card.clean_up))


def normalisation_table(normalisation: Normalisation) -> NDArray[np.float32]:
    """(1, 256, 3) float32: what each of the 256 values of a channel becomes."""
    return normalisation.apply(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)).transpose(1, 2, 0)


def add_probabilities(total: NDArray[np.float32], logits: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
    """Add softmax(logits) times `weights` to `total`, in place. total, logits: (C, H, W); weights: (H, W).

    Few passes, because with a light network each counts: 480 x 480 pixels take it 60 ms, a pass 0.1 ms.
    """
    if len(logits) == 2:
        odds = np.exp(np.minimum(logits[0] - logits[1], 80))  # beyond 80 nothing is left of the second class
        odds += 1
        second = np.divide(weights, odds, out=odds)
        total[1] += second
        total[0] += np.subtract(weights, second, out=second)
        return
    powers = logits - logits.max(axis=0)
    np.exp(powers, out=powers)
    powers *= weights / powers.sum(axis=0)
    total += powers


def _reach(plan: WindowPlan) -> int:
    """Width in pixels that the windows of a row cover, past the picture's edge included."""
    return plan.columns.starts[-1] + plan.columns.side


def _write(prediction: Prediction, band: NDArray[np.float32], top: int) -> None:
    """The most probable class of each pixel of `band` (C, rows, W) into the rows from `top` on."""
    rows = slice(top, top + band.shape[1])
    best, mask = band[0].copy(), prediction.mask[rows]
    mask.fill(0)
    for class_id in range(1, len(band)):  # argmax over the first axis would be several times slower
        np.copyto(mask, class_id, where=band[class_id] > best)
        np.maximum(best, band[class_id], out=best)
    cv2.convertScaleAbs(best, dst=prediction.confidence[rows], alpha=255)  # rounds, and ends at 255


def _roll(band: NDArray[np.float32], rows: int) -> None:
    """Move `band` up by `rows` and clear what comes in below."""
    kept = band.shape[1] - rows
    band[:, :kept] = band[:, rows:].copy()
    band[:, kept:] = 0
