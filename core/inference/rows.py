"""A picture through a Backend, window by window, as rows of probabilities from top to bottom.

Windows go through in rows. Only the rows of pixels that a further row of windows can still change are kept, so memory
depends on the width of the picture, not on its height; and the picture is asked for one window at a time, so it need
not be in memory either.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError
from core.images import RGB, ImageSize
from core.inference.backend import Backend
from core.inference.windows import Window, WindowPlan, blend_weights, plan_windows
from core.networks.card import Normalisation

Reader = Callable[[Window], RGB | None]


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


class Cancelled(Exception):
    """The caller asked to stop in between; there is no Prediction."""


class Rows(NamedTuple):
    """Finished rows from `top` on: probabilities (C, rows, W) float32, good until the next rows are asked for."""

    top: int
    probabilities: NDArray[np.float32]


class WindowMemory(Protocol):
    """Logits of windows that were computed before, as of the last frame of a video."""

    def recall(self, window: Window, pixels: RGB) -> NDArray[np.float32] | None:
        """(C, H, W) logits of `window` if its `pixels` are near enough to those kept, else None."""
        ...

    def keep(self, window: Window, pixels: RGB, logits: NDArray[np.float32]) -> None: ...


def probability_rows(
    size: ImageSize,
    read: Reader,
    backend: Backend,
    *,
    config: PredictConfig | None = None,
    memory: WindowMemory | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Rows]:
    """Probabilities of each pixel of a picture of `size`, in bands from top to bottom that leave no row out.

    read: the pixels of a Window (its height, its width, 3), mirrored past the picture's edge; None where the picture
    holds no data: those pixels are background for sure, and cost nothing.  progress is told the part done, up to 1.0.
    Raises Cancelled between two windows once `cancelled` says so.
    """
    config = config or PredictConfig()
    plan = plan_of(size, backend, config)
    columns, rows = blend_weights(plan.columns), blend_weights(plan.rows)
    table = normalisation_table(backend.card.normalisation)
    batch = np.empty((config.batch, plan.rows.side, plan.columns.side, 3), np.float32)
    band = np.zeros((backend.card.network.classes, plan.rows.side, _reach(plan)), np.float32)  # probabilities so far
    done = 0
    for index, top in enumerate(plan.rows.starts):
        windows = plan.row(index)
        for first in range(0, len(windows), config.batch):
            if cancelled is not None and cancelled():
                raise Cancelled
            chosen = windows[first : first + config.batch]
            found = _logits(chosen, read, backend, table, batch, memory)
            for i, (window, logits) in enumerate(zip(chosen, found, strict=True)):
                part = band[:, :, window.left : window.left + window.width]
                weights = rows[index][:, None] * columns[first + i]
                if logits is None:
                    part[0] += weights
                else:
                    add_probabilities(part, logits, weights)
            done += len(chosen)
            if progress is not None:
                progress(done / plan.total)
        last = index + 1 == len(plan.rows.starts)
        final = plan.rows.length - top if last else plan.rows.starts[index + 1] - top
        yield Rows(top, band[:, :final, : size.width])
        if not last:
            _roll(band, final)


def plan_of(size: ImageSize, backend: Backend, config: PredictConfig) -> WindowPlan:
    """The Windows that a picture of `size` is computed in."""
    window = config.window or backend.card.window
    return plan_windows(size, window=window, overlap=config.overlap, multiple_of=backend.multiple_of)


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


def _logits(
    windows: Sequence[Window],
    read: Reader,
    backend: Backend,
    table: NDArray[np.float32],
    batch: NDArray[np.float32],
    memory: WindowMemory | None,
) -> list[NDArray[np.float32] | None]:
    """The logits of each of `windows`; None where there is no data. Computes only what nobody remembers."""
    found: list[NDArray[np.float32] | None] = [None] * len(windows)
    asked: list[tuple[int, RGB]] = []
    for i, window in enumerate(windows):
        pixels = read(window)
        if pixels is None:
            continue
        if memory is not None and (known := memory.recall(window, pixels)) is not None:
            found[i] = known
            continue
        cv2.LUT(np.ascontiguousarray(pixels), table, dst=batch[len(asked)])
        asked.append((i, pixels))
    if asked:
        # a view with the channels innermost in memory: fast back ends compute in this order and need no copy
        computed = backend.logits(batch[: len(asked)].transpose(0, 3, 1, 2))
        for (i, pixels), logits in zip(asked, computed, strict=True):
            found[i] = logits
            if memory is not None:
                memory.keep(windows[i], pixels, logits)
    return found


def _reach(plan: WindowPlan) -> int:
    """Width in pixels that the windows of a row cover, past the picture's edge included."""
    return plan.columns.starts[-1] + plan.columns.side


def _roll(band: NDArray[np.float32], rows: int) -> None:
    """Move `band` up by `rows` and clear what comes in below."""
    kept = band.shape[1] - rows
    band[:, :kept] = band[:, rows:].copy()
    band[:, kept:] = 0
