"""Whether two ways to compute one network give the same: the greatest difference, and the IoU of their masks."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LEAST_IOU: Final = 0.995  # of masks; a backend below is not offered
LEAST_IOU_INT8: Final = 0.99


@dataclass(frozen=True)
class Parity:
    """max_difference, mean_difference: of probabilities, 0 to 1.  mask_iou: of the most probable classes, the mean over
    the labels that either shows, 1 where neither shows any.  real_pictures: those of the Project, or made ones."""

    max_difference: float
    mean_difference: float
    mask_iou: float
    real_pictures: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare_logits(pairs: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]], *, real_pictures: bool) -> Parity:
    """Of (reference, other) logits (B, C, H, W), counted over all pairs."""
    greatest, total, values = 0.0, 0.0, 0
    common, either = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for reference, other in pairs:
        difference = np.abs(softmax(reference) - softmax(other))
        greatest = max(greatest, float(difference.max()))
        total += float(difference.sum(dtype=np.float64))
        values += difference.size
        first, second = reference.argmax(axis=1), other.argmax(axis=1)
        same = np.bincount(first[first == second], minlength=256)
        common += same
        either += np.bincount(first.ravel(), minlength=256) + np.bincount(second.ravel(), minlength=256) - same
    shown = either[1:] > 0
    iou = float((common[1:][shown] / either[1:][shown]).mean()) if shown.any() else 1.0
    return Parity(greatest, total / max(values, 1), iou, real_pictures)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, C, H, W) logits -> probabilities, over the classes."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
