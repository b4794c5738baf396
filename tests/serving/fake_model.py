"""A model that needs no network: each pixel's class is its brightest channel. Imports no torch."""

import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import LabelSet
from core.images import RGB
from core.networks.card import WEIGHTS_FILE, ModelCard, NetworkConfig, read_card, write_card

CARD = ModelCard(
    network=NetworkConfig(name="unet", classes=3, width=8, depth=2),
    labels=LabelSet.of(["house", "road"]),
    window=64,
    metrics={"mean_iou": 0.9},
    created="2026-01-02T03:04:05+00:00",
)


def write_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    write_card(folder, CARD)
    (folder / WEIGHTS_FILE).write_bytes(b"")
    return folder


def coloured(height: int, width: int) -> tuple[RGB, NDArray[np.uint8]]:
    """A picture of red (background), green (house) and blue (road) blocks, and its classes."""
    blocks = np.random.default_rng(0).integers(0, 3, (-(-height // 8), -(-width // 8)), dtype=np.uint8)
    ids = blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
    return np.asarray(np.eye(3, dtype=np.uint8)[ids] * 200), ids


class BrightestChannel:
    """open: clear it to make predictions wait.  seconds: what a window takes."""

    multiple_of = 4

    def __init__(self, card: ModelCard = CARD, *, seconds: float = 0) -> None:
        self.card = card
        self.seconds = seconds
        self.open = threading.Event()
        self.open.set()
        self.began = threading.Semaphore(0)
        self.windows = 0

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.windows += 1
        self.began.release()
        assert self.open.wait(30)
        time.sleep(self.seconds)
        return 20 * batch


def load(folder: Path) -> BrightestChannel:
    return BrightestChannel(read_card(folder))
