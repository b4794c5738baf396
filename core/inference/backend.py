"""What runs a network: one Protocol, without state for a single picture (a shared one serves several people)."""

import threading
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from core.networks.card import ModelCard

# Two people's windows at once on the same cores are 3 to 6 times slower than one after the other (SPEED 1b).
TURN: Final = threading.Lock()


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


class CardBackend:
    """What every Backend of one Checkpoint has in common: its card, and what that says."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def multiple_of(self) -> int:
        """Height and width of a batch must be multiples of this."""
        return self._card.network.multiple_of
