"""Tiles: squares cut from decoded pictures at native resolution, a share of them centred on what is drawn.

Each picture is decoded once, when it is first needed, and kept as uint8: decoding anew for each Tile costs 450 to 1,400
times as much (ENGINE 4). Which Tiles a Step sees follows from seed and Step alone, so a resumed Run sees the same.
"""

import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask
from core.errors import WriteError
from core.files import write_error
from core.images import RGB, ImageSize
from core.training.augment import Augmentation
from core.training.batch import Batch as Batch  # part of this door as well
from core.training.mixing import copy_paste, cut_mix

Read = Callable[[str], tuple[RGB, Mask]]

_POINTS: Final = 2048  # remembered of each class in each picture, to centre Tiles on
_TRIES: Final = 4  # for a Tile in which something is labelled


class LabelledPicture(NamedTuple):
    """What is known of a Sample before it is decoded. classes: the class ids drawn in it, without background.

    pixels: by class id, with background; needed only where classes weigh differently in the loss.
    """

    name: str
    size: ImageSize
    classes: frozenset[int]
    pixels: Mapping[int, int] = MappingProxyType({})


class DecodedPicture(NamedTuple):
    """pixels: (H, W, 4) uint8, red, green, blue and class id.  points: by class id, (N, 2) rows and columns."""

    pixels: NDArray[np.uint8]
    points: dict[int, NDArray[np.int32]]

    @property
    def image(self) -> RGB:
        return np.ascontiguousarray(self.pixels[..., :3])

    @property
    def mask(self) -> Mask:
        return np.ascontiguousarray(self.pixels[..., 3])


class PictureCache:
    """Decoded pictures: in memory up to `budget` bytes, the others as .npy files in `spill`, mapped when needed."""

    def __init__(self, read: Read, *, budget: int, spill: Path) -> None:
        self._read = read
        self._budget = budget
        self._spill = spill
        self._pictures: dict[str, DecodedPicture] = {}
        self._lock = threading.Lock()  # see Ahead

    def __getitem__(self, name: str) -> DecodedPicture:
        """The picture called `name`, decoded now or before. Raises what `read` raises, and WriteError."""
        with self._lock:
            if name not in self._pictures:
                image, mask = self._read(name)
                pixels = np.dstack((image, mask))
                points = drawn_points(mask, zlib.crc32(name.encode()))
                self._pictures[name] = DecodedPicture(self._kept(pixels), points)
            return self._pictures[name]

    def _kept(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if pixels.nbytes <= self._budget:
            self._budget -= pixels.nbytes
            return pixels
        path = self._spill / f"{len(self._pictures)}.npy"
        try:
            self._spill.mkdir(parents=True, exist_ok=True)
            np.save(path, pixels)
        except OSError as error:
            raise _spill_error(path, error) from error
        return np.load(path, mmap_mode="r")


def _spill_error(path: Path, error: OSError) -> WriteError:
    problem = write_error(path, error)
    return WriteError(
        f"The decoded pictures need more memory than there is, and {problem.message}", hint="Free some disk space."
    )


def drawn_points(mask: Mask, seed: int = 0) -> dict[int, NDArray[np.int32]]:
    """Random pixels of each drawn class, as (N, 2) rows and columns; at most some thousands of each."""
    random = np.random.default_rng(seed)
    points = {}
    for class_id in np.unique(mask):
        if class_id in (0, IGNORE_ID):
            continue
        places = np.flatnonzero(mask == class_id)
        chosen = random.choice(places, _POINTS) if len(places) > _POINTS else places
        points[int(class_id)] = np.stack(np.unravel_index(chosen, mask.shape), axis=1).astype(np.int32)
    return points


class TileSampler:
    """Batches of random Tiles; which ones, only the seed and the number of the Step decide.

    Pictures are chosen by their area, so each labelled pixel is as likely as any other. The last `foreground_share` of
    a batch are centred on a drawn pixel: the class is drawn first, then a picture that shows it, so rare ones appear.
    """

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        cache: PictureCache,
        *,
        tile: int,
        batch: int,
        foreground_share: float,
        augment: str,
        seed: int,
        cut_mix: float = 0.0,
        copy_paste: float = 0.0,
    ) -> None:
        self._pictures = list(pictures)
        self._cache = cache
        self._tile, self._batch, self._seed = tile, batch, seed
        self._augmentation = Augmentation(augment)
        self._cut_mix, self._copy_paste = cut_mix, copy_paste  # chances of a Tile
        areas = np.array([max(picture.size.pixels / tile**2, 1.0) for picture in self._pictures])
        self._chances = areas / areas.sum()
        self._showing: dict[int, list[int]] = {}  # class id -> the pictures that show it
        for i, picture in enumerate(self._pictures):
            for class_id in sorted(picture.classes):
                self._showing.setdefault(class_id, []).append(i)
        centred = max(1, round(foreground_share * batch)) if foreground_share > 0 and self._showing else 0
        self._first_centred = batch - centred

    def batch(self, step: int) -> Batch:
        """The Tiles of Step `step`."""
        random = np.random.default_rng((self._seed, step))
        self._augmentation.seed(int(random.integers(2**31)))
        images = np.empty((self._batch, self._tile, self._tile, 3), np.uint8)
        masks = np.empty((self._batch, self._tile, self._tile), np.uint8)
        for i in range(self._batch):
            image, mask = self._centred(random) if i >= self._first_centred else self._anywhere(random)
            images[i], masks[i] = self._augmentation(image, mask)
        batch = Batch(images, masks)
        if self._copy_paste:
            batch = copy_paste(batch, random, self._copy_paste)
        if self._cut_mix:
            batch = cut_mix(batch, random, self._cut_mix)
        return batch

    def _centred(self, random: np.random.Generator) -> tuple[RGB, Mask]:
        class_ids = sorted(self._showing)
        class_id = class_ids[random.integers(len(class_ids))]
        choices = self._showing[class_id]
        picture = self._cache[self._pictures[choices[random.integers(len(choices))]].name]
        points = picture.points.get(class_id)
        if points is None:  # painted over, or erased since it was listed
            return self._anywhere(random)
        row, column = points[random.integers(len(points))]
        return cut_tile(picture.pixels, int(row) - self._tile // 2, int(column) - self._tile // 2, self._tile)

    def _anywhere(self, random: np.random.Generator) -> tuple[RGB, Mask]:
        for _ in range(_TRIES):
            picture = self._cache[self._pictures[random.choice(len(self._pictures), p=self._chances)].name]
            height, width = picture.pixels.shape[:2]
            top = int(random.integers(max(height - self._tile, 0) + 1))
            left = int(random.integers(max(width - self._tile, 0) + 1))
            image, mask = cut_tile(picture.pixels, top, left, self._tile)
            if (mask != IGNORE_ID).any():
                break
        return image, mask


class Ahead:
    """Batches of a TileSampler made in a thread, the next one while this one is learned: for a GPU, which waits else.

    On a processor it would only take a core from the learner.
    """

    def __init__(self, sampler: TileSampler) -> None:
        self._sampler = sampler
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tiles")  # one: the sampler is not for two at once
        self._coming: tuple[int, Future[Batch]] | None = None

    def batch(self, step: int) -> Batch:
        """The same as the sampler's."""
        if self._coming is None or self._coming[0] != step:  # the first, or it went back
            self._coming = step, self._pool.submit(self._sampler.batch, step)
        found = self._coming[1].result()
        self._coming = step + 1, self._pool.submit(self._sampler.batch, step + 1)
        return found

    def close(self) -> None:
        """Ends when the batch under way is made: nothing is decoded into the Run's folder afterwards."""
        self._pool.shutdown(cancel_futures=True)


def cut_tile(pixels: NDArray[np.uint8], top: int, left: int, side: int) -> tuple[RGB, Mask]:
    """The square of `side` pixels whose corner is at `top`, `left`, moved inside the picture where it juts out.

    A picture smaller than the square is mirrored at its lower and right edges; what is added counts as not labelled.
    pixels: (H, W, 4) uint8, colours and class id.
    """
    height, width = pixels.shape[:2]
    top, left = max(0, min(top, height - side)), max(0, min(left, width - side))
    cut = pixels[top : top + side, left : left + side]
    image, mask = np.ascontiguousarray(cut[..., :3]), np.ascontiguousarray(cut[..., 3])
    below, right = side - cut.shape[0], side - cut.shape[1]
    if below or right:
        image = np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT_101), np.uint8)
        mask = np.pad(mask, ((0, below), (0, right)), constant_values=IGNORE_ID)
    return image, mask
