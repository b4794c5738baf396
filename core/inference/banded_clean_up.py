"""The clean-up of a Mask that is too large for memory: in bands of rows, from one file of rows to the next.

Exact against `clean_up` of the whole: smoothing, closing and cutting (their reach is known, and bands have it as a
margin) and dropping (objects are put together across bands before they are counted). Not exact: what looks at whole
holes and objects (filling, splitting, right angles), of which a band sees those within 512 rows of it; and right angles
come before dropping here.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.annotation.clean_up import CleanUp, clean_up
from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask
from core.files import write_error
from core.images import ImageSize

WHOLE: Final = 16_000_000  # pixels up to which a mask is cleaned at once: 40 bytes each while objects are split
_OBJECT_REACH: Final = 512  # rows around a band in which objects and holes are seen
_LEAST_ROWS: Final = 64  # of a band, without its margins

Checked = Callable[[], None]  # raises when the caller wants to stop


class RowFile:
    """The rows of a Mask in a file without a name: the system gives it back whatever happens."""

    def __init__(self, folder: Path, size: ImageSize) -> None:
        self.size = size
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise write_error(folder / "the mask", error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, rows: Mask) -> None:
        """The next rows, (rows, W). Raises WriteError."""
        try:
            self._file.write(np.ascontiguousarray(rows).data)
        except OSError as error:
            raise write_error(self._folder / "the mask", error) from error

    def read(self, top: int, bottom: int) -> Mask:
        self._file.seek(top * self.size.width)
        data = self._file.read((bottom - top) * self.size.width)
        return np.frombuffer(data, np.uint8).reshape(bottom - top, self.size.width)


def cleaned_rows(mask: RowFile, how: CleanUp, folder: Path, *, check: Checked = lambda: None) -> Iterator[Mask]:
    """The rows of the cleaned `mask` from top to bottom, some at a time. Files of rows are made in `folder`.

    check: called between bands; what it raises ends the work.  Raises WriteError.
    """
    if mask.size.pixels <= WHOLE:
        yield clean_up(mask.read(0, mask.size.height), how)
        return
    local = replace(how, drop_below=0)
    if how.drop_below <= 1:
        yield from _locally(mask, local, check)
        return
    with RowFile(folder, mask.size) as between:
        for rows in _locally(mask, local, check):
            between.add(rows)
        yield from _without_specks(between, how.drop_below, check)


def _locally(mask: RowFile, how: CleanUp, check: Checked) -> Iterator[Mask]:
    """Cleaned in bands whose margins hold all that can change a pixel."""
    margin = _reach(how)
    for top, bottom in _bands(mask.size, margin):
        check()
        first, last = max(0, top - margin), min(mask.size.height, bottom + margin)
        yield clean_up(mask.read(first, last), how)[top - first : bottom - first]


def _reach(how: CleanUp) -> int:
    """Rows that what happens to a pixel depends on: OpenCV cuts a Gaussian of floats off at 4 sigma."""
    smooth = int(4 * how.smooth + 2) if how.smooth else 0
    squares = sum(2 * side for side in (how.close, how.open) if side > 1)  # out and in, or in and out
    return smooth + squares + (_OBJECT_REACH if how.split or how.fill > 1 or how.right_angles else 0)


def _bands(size: ImageSize, margin: int) -> list[tuple[int, int]]:
    rows = max(_LEAST_ROWS, WHOLE // size.width - 2 * margin)
    return [(top, min(size.height, top + rows)) for top in range(0, size.height, rows)]


# --------------------------------------------------------------------------------------------------- specks


class _Band(NamedTuple):
    """objects: (rows, W) from 1 on, 0 around them.  pixels: of each, with that of 0 first."""

    objects: NDArray[np.int32]
    pixels: NDArray[np.int64]


def _without_specks(mask: RowFile, pixels: int, check: Checked) -> Iterator[Mask]:
    bands = _bands(mask.size, 0)
    small = _small_objects(mask, bands, pixels, check)
    for (top, bottom), dropped in zip(bands, small, strict=True):
        check()
        rows = mask.read(top, bottom)
        yield np.where(dropped[_objects(rows).objects], np.uint8(0), rows)


def _small_objects(mask: RowFile, bands: list[tuple[int, int]], pixels: int, check: Checked) -> list[NDArray[np.bool_]]:
    """Of each band, which of its objects belong to one that has fewer than `pixels` in the whole mask."""
    counts: list[NDArray[np.int64]] = []
    seams: list[NDArray[np.int64]] = []
    before = 0  # objects of the bands above
    last_row, last_objects = np.zeros(mask.size.width, np.uint8), np.zeros(mask.size.width, np.int64)
    for top, bottom in bands:
        check()
        rows = mask.read(top, bottom)
        band = _objects(rows)
        objects = band.objects[[0, -1]].astype(np.int64) + before
        if top:
            seams.append(_touching(last_row, last_objects, rows[0], objects[0]))
        last_row, last_objects = rows[-1], objects[1]
        counts.append(band.pixels)
        before += len(band.pixels)
    joined = np.concatenate(seams) if seams else np.empty((0, 2), np.int64)
    graph = coo_array((np.ones(len(joined), bool), (joined[:, 0], joined[:, 1])), shape=(before, before))
    _, whole = connected_components(graph, directed=False)
    every = np.concatenate(counts)
    small = np.bincount(whole, weights=every)[whole] < pixels
    small &= every > 0  # what is around the objects, which has no pixels here
    return np.split(small, np.cumsum([len(count) for count in counts])[:-1])


def _objects(rows: Mask) -> _Band:
    """The 8-connected objects of each class in a band, all counted together."""
    objects = np.zeros(rows.shape, np.int32)
    pixels = [np.zeros(1, np.int64)]
    before = 0
    for class_id in range(1, int(rows.max(initial=0)) + 1):
        region = rows == class_id
        if class_id == IGNORE_ID or not region.any():
            continue
        count, found, figures, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
        np.copyto(objects, found + before, where=region)
        pixels.append(figures[1:, cv2.CC_STAT_AREA].astype(np.int64))
        before += count - 1
    return _Band(objects, np.concatenate(pixels))


def _touching(
    above: Mask, objects_above: NDArray[np.int64], below: Mask, objects_below: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(n, 2): objects of one class that touch across a seam, at an edge or a corner. All are rows of W."""
    width, pairs = len(above), []
    for shift in (-1, 0, 1):
        up, down = slice(max(0, shift), width + min(0, shift)), slice(max(0, -shift), width + min(0, -shift))
        same = (above[up] == below[down]) & (above[up] != 0) & (above[up] != IGNORE_ID)
        pairs.append(np.column_stack([objects_above[up][same], objects_below[down][same]]))
    return np.unique(np.concatenate(pairs), axis=0)
