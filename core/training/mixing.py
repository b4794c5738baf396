"""Tiles made of two: a rectangle of another one (CutMix), or its objects pasted in (copy-paste).

Pixels keep their own label always, so no class id is invented. B: Tiles, S: their side.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.training.batch import Batch

_Object = tuple[NDArray[np.bool_], int]  # (S, S) region, class id

_PART: Final = (0.2, 0.6)  # of a Tile's area that comes from another (CutMix)
_LONGEST: Final = 2.0  # of that rectangle: length over width, at most
_PASTED: Final = 3  # objects at most into a Tile
_LEAST: Final = 16  # pixels of an object that is worth pasting
_SOFT: Final = 1.0  # pixels: sigma of a pasted object's edge, which would else be seen as what an object is


def cut_mix(batch: Batch, random: np.random.Generator, chance: float) -> Batch:
    """Some Tiles with a rectangle of the next one and its labels (Yun et al. 2019).

    chance: of each Tile, 0..1.
    """
    images, masks = batch.images.copy(), batch.masks.copy()
    side = images.shape[1]
    for i in range(len(images)):
        if random.random() >= chance:
            continue
        area, ratio = random.uniform(*_PART), np.exp(random.uniform(-1, 1) * np.log(_LONGEST))
        height = min(side, round(side * np.sqrt(area * ratio)))
        width = min(side, round(side * np.sqrt(area / ratio)))
        top, left = random.integers(side - height + 1), random.integers(side - width + 1)
        part = np.s_[top : top + height, left : left + width]
        other = (i + 1) % len(images)
        images[i][part], masks[i][part] = batch.images[other][part], batch.masks[other][part]
    return Batch(images, masks)


def copy_paste(batch: Batch, random: np.random.Generator, chance: float) -> Batch:
    """Some Tiles with objects of another one pasted at random places (Ghiasi et al. 2021), rare classes more often.

    chance: of each Tile, 0..1. Objects that touch the edge of their Tile are left out: half a thing does not occur in
    the middle of a picture. Nothing is pasted where a Tile is not labelled, so what is unknown stays unknown.
    """
    images, masks = batch.images.copy(), batch.masks.copy()
    for i in range(len(images)):
        if len(images) < 2 or random.random() >= chance:
            continue
        other = (i + 1 + random.integers(len(images) - 1)) % len(images)
        objects = _whole_objects(batch.masks[other], random)
        for region, class_id in objects[: 1 + random.integers(_PASTED)]:
            _paste(images[i], masks[i], batch.images[other], region, class_id, random)
    return Batch(images, masks)


def _whole_objects(mask: NDArray[np.uint8], random: np.random.Generator) -> list[_Object]:
    """Some of the objects that lie wholly within the Tile, each class in its turn, so that rare ones come as often."""
    by_class: list[list[_Object]] = []
    for class_id in np.unique(mask):
        if class_id in (0, IGNORE_ID):
            continue
        count, objects, figures, _ = cv2.connectedComponentsWithStats((mask == class_id).astype(np.uint8))
        touching = set(np.unique(np.concatenate((objects[0], objects[-1], objects[:, 0], objects[:, -1]))))
        large = [n for n in range(1, count) if figures[n, cv2.CC_STAT_AREA] >= _LEAST and n not in touching]
        if large:
            by_class.append([(objects == n, int(class_id)) for n in random.permutation(large)[:_PASTED]])
    order = [by_class[i] for i in random.permutation(len(by_class))]
    return [found for turn in range(_PASTED) for some in order for found in some[turn : turn + 1]]


def _paste(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    source: NDArray[np.uint8],
    region: NDArray[np.bool_],
    class_id: int,
    random: np.random.Generator,
) -> None:
    """One object into `image` (S, S, 3) and `mask` (S, S), in place, somewhere and perhaps mirrored."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    turn = np.s_[:: 1 - 2 * random.integers(2), :: 1 - 2 * random.integers(2)]
    shape, pixels = region[box][turn], source[box][turn]
    height, width = shape.shape
    top, left = random.integers(len(mask) - height + 1), random.integers(len(mask) - width + 1)
    place = np.s_[top : top + height, left : left + width]
    known = mask[place] != IGNORE_ID
    soft = cv2.GaussianBlur((shape & known).astype(np.float32), (0, 0), _SOFT, borderType=cv2.BORDER_CONSTANT)
    weight = np.where(known, soft, 0)[..., None]
    image[place] = np.rint(pixels * weight + image[place] * (1 - weight)).astype(np.uint8)
    mask[place][shape & known] = class_id
