"""Run lengths of masks, in and out: row by row as CVAT and the editor have them, column by column as COCO does,
there also as COCO's compressed text.

Runs alternate between background and drawn pixels and begin with background, so the first may be 0. Decoders take
what is in a file and raise ValueError with a clause for what cannot be ("its runs sum up to 12 pixels, not to 20").
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.annotation.shapes import Region
from core.images import MAX_PIXELS, ImageSize

Runs = NDArray[np.int64]
_FIRST: Final = 48  # the character that stands for 0 in COCO's text
_MORE, _SIGN = 0x20, 0x10  # bits of a character: another one follows; a number that ends in it is negative
_LONGEST: Final = 6  # characters of a number: 30 bits hold every difference of two runs


class Crop(NamedTuple):
    """The drawn part of a mask: its box filled by `region`, (0, 0) when nothing is drawn."""

    top: int
    left: int
    region: Region


# ------------------------------------------------------------------------------------------------------- row by row


def encode_runs(region: Region) -> list[int]:
    """The runs of a Region, (H, W) bool, row by row; they sum up to H * W."""
    height, width = region.shape
    return _runs_of(region, length=width, line=0, start=0, total=height * width).tolist()


def decode_runs(runs: Sequence[Any] | NDArray[Any], height: int, width: int) -> Region:
    """The Region, (height, width) bool, of runs row by row; numbers may be text, as in `rle="17, 10"` split at commas.

    Raises ValueError when they are not whole numbers of 0 or more that sum up to height * width, or are too many.
    """
    _check_size(height, width)
    return _flat(_checked(_numbers(runs), height, width), 0, height * width).reshape(height, width)


# ------------------------------------------------------------------------------------------------------------- COCO


def encode_coco(
    region: Region, *, size: ImageSize | None = None, top: int = 0, left: int = 0, compressed: bool = True
) -> dict[str, Any]:
    """A "segmentation" of COCO: {"size": [height, width], "counts": text, or a list of runs when not compressed}.

    size: of the picture, when `region`, (H, W) bool, is a window of it with its corner at (top, left).
    """
    height, width = size or region.shape
    if top < 0 or left < 0 or top + region.shape[0] > height or left + region.shape[1] > width:
        raise ValueError(f"a window of {region.shape} at {(top, left)} is not inside of {(height, width)}")
    runs = _runs_of(region.T, length=height, line=left, start=top, total=height * width)
    return {"size": [height, width], "counts": pack_counts(runs) if compressed else runs.tolist()}


def decode_coco(segmentation: Mapping[str, Any]) -> Region:
    """The Region of a "segmentation" with size and counts, compressed (text or bytes) or not.

    Raises ValueError when it cannot be.
    """
    height, width, runs = _read_coco(segmentation)
    return np.ascontiguousarray(_flat(runs, 0, height * width).reshape(width, height).T)


def decode_coco_crop(segmentation: Mapping[str, Any]) -> Crop:
    """As `decode_coco`, but only the box of what is drawn: what a small object in a large picture costs is small."""
    height, _, runs = _read_coco(segmentation)
    ends = np.cumsum(runs)
    drawn = np.flatnonzero(runs[1::2]) * 2 + 1
    if not drawn.size:
        return Crop(0, 0, np.zeros((0, 0), dtype=bool))
    left, right = int(ends[drawn[0] - 1]) // height, (int(ends[drawn[-1]]) - 1) // height
    columns = _flat(runs, left * height, (right + 1) * height).reshape(right - left + 1, height)
    rows = np.flatnonzero(columns.any(axis=0))
    top, bottom = int(rows[0]), int(rows[-1])
    return Crop(top, left, np.ascontiguousarray(columns[:, top : bottom + 1].T))


def pack_counts(counts: Sequence[int] | Runs) -> str:
    """COCO's text of runs: from the fourth on as differences to the run two before, five bits a character."""
    runs = np.asarray(counts, dtype=np.int64)
    values = runs.copy()
    values[3:] -= runs[1:-2]
    size = np.where(values < 0, ~values, values)  # the bits that a number needs besides its sign
    lengths = np.ones(len(values), dtype=np.int64)
    while (size >> (5 * lengths - 1)).any():
        lengths += (size >> (5 * lengths - 1)) > 0
    place = np.arange(lengths.max(initial=1))
    letters = (values[:, None] >> (5 * place)) & 0x1F
    letters |= np.where(place < lengths[:, None] - 1, _MORE, 0)
    return (letters[place < lengths[:, None]] + _FIRST).astype(np.uint8).tobytes().decode("ascii")


def unpack_counts(text: str | bytes) -> Runs:
    """The runs in COCO's text. Raises ValueError for a foreign character, a number cut off, or one out of range."""
    data = text.encode("utf-8", errors="surrogatepass") if isinstance(text, str) else bytes(text)
    letters = np.frombuffer(data, dtype=np.uint8).astype(np.int64) - _FIRST
    if ((letters < 0) | (letters > 0x3F)).any():
        raise ValueError("its compressed runs hold characters that stand for nothing")
    if not letters.size:
        return np.zeros(0, dtype=np.int64)
    last = np.flatnonzero((letters & _MORE) == 0)
    if not last.size or last[-1] != len(letters) - 1:
        raise ValueError("its compressed runs are cut off")
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if lengths.max() > _LONGEST:
        raise ValueError("its compressed runs hold a number that is too large")
    place = np.arange(len(letters)) - np.repeat(first, lengths)
    values = np.add.reduceat((letters & 0x1F) << (5 * place), first)
    values -= np.where(letters[last] & _SIGN, 1 << (5 * lengths), 0)
    for every_other in (values[1::2], values[2::2]):  # the first three are not differences
        np.cumsum(every_other, out=every_other)
    return values


# --------------------------------------------------------------------------------------------------------- the runs


def _runs_of(lines: Region, *, length: int, line: int, start: int, total: int) -> Runs:
    """The runs of `lines`, (n, at most length) bool, that lie in lines of `length` from `line` on, at `start`."""
    count, inside = lines.shape
    parted = np.zeros((count, inside + 1), dtype=bool)  # an empty pixel ends each line
    parted[:, :-1] = lines
    edges = np.flatnonzero(np.diff(parted.ravel(), prepend=False))  # where runs of drawn pixels begin and end, in turn
    rows, places = np.divmod(edges, inside + 1)
    edges = (rows + line) * length + start + places
    joined = np.flatnonzero(edges[1:-1:2] == edges[2::2]) * 2 + 1  # a run that goes on in the next line
    edges = np.delete(edges, np.concatenate((joined, joined + 1)))
    ends = edges if edges.size and edges[-1] == total else np.append(edges, total)
    return np.diff(ends, prepend=0)


def _flat(runs: Runs, begin: int, end: int) -> Region:
    """The pixels `begin` to `end` of what the runs draw, as (end - begin,) bool."""
    within = np.clip(np.cumsum(runs), begin, end) - begin
    return np.repeat(np.arange(len(runs)) % 2 == 1, np.diff(within, prepend=0))


def _read_coco(segmentation: Mapping[str, Any]) -> tuple[int, int, Runs]:
    """Height, width and checked runs."""
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list | tuple) or len(size) != 2:
        raise ValueError("its size is not a height and a width")
    height, width = (_whole(side) for side in size)
    _check_size(height, width)
    if isinstance(counts, str | bytes):
        return height, width, _checked(unpack_counts(counts), height, width)
    if isinstance(counts, list | tuple | np.ndarray):
        return height, width, _checked(_numbers(counts), height, width)
    raise ValueError("it has no runs")


def _numbers(runs: Sequence[Any] | NDArray[Any]) -> Runs:
    try:
        # not asarray: it would give every number the room of the longest text among them
        values = np.fromiter(runs, dtype=np.float64, count=len(runs))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("its runs are not whole numbers") from error
    if not (np.isfinite(values).all() and np.array_equal(np.trunc(values), values)):
        raise ValueError("its runs are not whole numbers")
    if values.size and np.abs(values).max() > MAX_PIXELS:
        raise ValueError("its runs hold a number that is too large")
    return values.astype(np.int64)


def _checked(runs: Runs, height: int, width: int) -> Runs:
    if runs.size and runs.min() < 0:
        raise ValueError("its runs hold a negative number")
    total = int(runs.sum())
    if total != height * width:
        raise ValueError(f"its runs sum up to {total} pixels, not to {width} x {height} = {height * width}")
    return runs


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ValueError("its size is not a height and a width")
    if height * width > MAX_PIXELS:
        raise ValueError("its size is too large")


def _whole(side: object) -> int:
    if isinstance(side, int) and not isinstance(side, bool):
        return side
    if isinstance(side, float) and side.is_integer():
        return int(side)
    raise ValueError("its size is not a height and a width")
