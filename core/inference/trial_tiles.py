"""Tiles that back ends are tried on: parts of the Project's own pictures where the Checkpoint lies in a Project."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import UserError
from core.images import IMAGE_SUFFIXES, RGB, read_image
from core.inference.windows import Window, cut_window
from core.networks.card import ModelCard
from core.project.project import Project

BESIDE: Final = "pictures"  # a folder in a Checkpoint that travels without its Project
_SEED: Final = 0
_BLOBS: Final = 24  # pixels: about the size of a soft blob in a made tile

_Item = TypeVar("_Item")


def trial_tiles(
    folder: Path, card: ModelCard, side: int, count: int, pictures: Sequence[Path] = ()
) -> tuple[list[RGB], bool]:
    """`count` tiles (side, side, 3) for the Checkpoint in `folder`, the same each time; and whether they are real.

    They come from the middles of `pictures`; where none are given, of those in `<folder>/pictures`, else of the Project
    around it, spread evenly over them. Soft blobs with noise where there is no picture either.
    """
    beside = folder / BESIDE
    kept = sorted(beside.iterdir()) if beside.is_dir() else []
    given = pictures or [path for path in kept if path.suffix.lower() in IMAGE_SUFFIXES]
    found = [_middle(image, side) for image in _read(given, card, count) or _of_project(folder, count)]
    if found:
        return [found[i % len(found)] for i in range(count)], True
    random = np.random.default_rng(_SEED)
    return [_made(random, side) for _ in range(count)], False


def _read(pictures: Sequence[Path], card: ModelCard, count: int) -> list[RGB]:
    return [read_image(path, intensity=card.intensity) for path in _spread(pictures, count)]


def _of_project(folder: Path, count: int) -> list[RGB]:
    """Pictures of the Project around; one that cannot be read is the Data set page's business."""
    project, found = project_around(folder), list[RGB]()
    if project is not None:
        for name in _spread([sample.name for sample in project.samples()], count):
            with suppress(UserError):
                found.append(project.read_image(name))
    return found


def _spread(items: Sequence[_Item], count: int) -> Sequence[_Item]:
    return items[:: max(1, len(items) // max(count, 1))][:count]


def _middle(image: RGB, side: int) -> RGB:
    top, left = max(0, image.shape[0] - side) // 2, max(0, image.shape[1] - side) // 2
    return np.ascontiguousarray(cut_window(image, Window(top, left, side, side)))


def project_around(folder: Path) -> Project | None:
    """The Project that a Checkpoint lies in, as those of its Runs do; None outside."""
    for parent in folder.resolve().parents:
        if (parent / "project.json").is_file():
            try:
                return Project.open(parent)
            except UserError:
                return None
    return None


def normalised(tile: RGB, card: ModelCard) -> NDArray[np.float32]:
    """(H, W, 3) uint8 -> the batch (1, 3, H, W) float32 that a Backend takes."""
    return card.normalisation.apply(tile)[None]


def _made(random: np.random.Generator, side: int) -> RGB:
    coarse = random.integers(0, 256, (max(2, side // _BLOBS), max(2, side // _BLOBS), 3), dtype=np.uint8)
    blobs = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.asarray((blobs + random.integers(-12, 13, blobs.shape)).clip(0, 255), np.uint8)
