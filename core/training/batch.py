"""What a Step learns from."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Batch(NamedTuple):
    """images: (B, side, side, 3) uint8.  masks: (B, side, side) uint8 class ids, 255 where nothing is labelled."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
