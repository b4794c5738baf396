"""How much the pixels of each class weigh in the loss, from how many of them the training pictures show. No torch."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

from core.annotation.labels import IGNORE_ID

_MOST: Final = 100.0  # times the smallest weight: a stray pixel of a class seen once must not outweigh a whole Tile


def class_weights(kind: str, pictures: Sequence[Mapping[int, int]], *, classes: int) -> tuple[float, ...]:
    """The weight of each class, () for "none" and where nothing is labelled.

    pictures: of each, its pixels by class id; 255 is left out.
    "inverse": all pixels / (classes that occur * pixels of the class), so that all classes weigh the same in sum.
    "median": the median of all frequencies / that of the class (Eigen and Fergus 2015), where a frequency is taken over
    the pictures that show the class: one that is in few pictures but fills those is not rare.
    The largest is at most 100 times the smallest; a class without a pixel weighs 1.
    """
    shown = [{i: n for i, n in picture.items() if n and i != IGNORE_ID and i < classes} for picture in pictures]
    pixels = {i: sum(picture.get(i, 0) for picture in shown) for i in range(classes)}
    present = [i for i in range(classes) if pixels[i]]
    if kind == "none" or not present:
        return ()
    if kind == "inverse":
        whole = sum(pixels.values())
        weights = {i: whole / (len(present) * pixels[i]) for i in present}
    else:
        around = {i: sum(sum(picture.values()) for picture in shown if i in picture) for i in present}
        frequency = {i: pixels[i] / around[i] for i in present}
        weights = {i: statistics.median(frequency.values()) / frequency[i] for i in present}
    most = _MOST * min(weights.values())
    return tuple(min(weights[i], most) if i in weights else 1.0 for i in range(classes))
