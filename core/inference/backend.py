"""What runs a network: one Protocol, without state for a single picture (a shared one serves several people)."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.networks.card import ModelCard


class Backend(Protocol):
    """A loaded Checkpoint that computes logits."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def multiple_of(self) -> int:
        """Height and width of a batch must be multiples of this."""
        ...

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C_in, H, W) normalised float32 -> (B, classes, H, W) float32, before softmax."""
        ...
