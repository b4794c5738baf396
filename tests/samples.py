"""Pictures and Annotations small enough to draw, for the tests."""

import numpy as np

from core.annotation.shapes import Annotation, Rectangle
from core.images import ImageSize, encode_png

SIZE = ImageSize(12, 16)


def picture(seed: int, size: ImageSize = SIZE) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def box(label: str = "coin", size: ImageSize = SIZE, left: float = 2) -> Annotation:
    """A box of 3 x 4 pixels (both edges inclusive)."""
    return Annotation(size=size, shapes=(Rectangle(label=label, points_xy=((left, 2.0), (left + 2, 5.0))),))
