"""Label Studio's brush masks: bits that pack the red, green, blue and alpha of each pixel of a picture, row by row.

A head of 53 bits: the number of values (32), the bits of a value less 1 (5), and four times the bits of a count
less 1 (4 each). Then records until there are as many values: 1 bit (1: a run of one value, 0: each value for itself),
2 bits (which of the four), the count less 1, and one value or that many. A pixel is drawn where its alpha is not 0.
Decoders raise ValueError with a clause for what cannot be.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.formats.rle import Crop, decode_coco_crop, encode_coco
from core.images import MAX_PIXELS, ImageSize

_COUNT_BITS: Final = (3, 4, 8, 16)  # as Label Studio's own encoder chooses them
_HEAD: Final = 53  # bits
_VALUE_BITS: Final = 8
_CUT_OFF: Final = "its runs are cut off"
Numbers = NDArray[np.int64]


class Runs(NamedTuple):
    """Values, each with how often it comes in a row."""

    values: Numbers
    lengths: Numbers


def decode_brush(rle: Sequence[Any], size: ImageSize) -> Crop:
    """The drawn part of a mask on a picture of `size`. Raises ValueError.

    rle: the bytes as numbers, as they stand in "value": {"rle": [...]}.
    """
    if not 0 < size.pixels <= MAX_PIXELS:
        raise ValueError("its size is too large" if size.pixels > 0 else "its size is not known")
    values, lengths = unpack_runs(rle, most=4 * size.pixels)
    ends = np.cumsum(lengths)
    if not ends.size or int(ends[-1]) != 4 * size.pixels:
        raise ValueError(f"its runs are not of a picture of {size}")
    # of the values start..end-1 those at 3, 7, 11, ... are alpha: they belong to the pixels start//4..end//4-1
    pixels = np.diff(ends // 4, prepend=0)
    drawn = values > 0
    drawn, pixels = drawn[pixels > 0], pixels[pixels > 0]
    changes = np.flatnonzero(np.diff(drawn, prepend=False))
    starts = np.concatenate(([0], np.cumsum(pixels)))[np.concatenate((changes, [len(pixels)]))]
    counts = np.diff(starts, prepend=0)
    # row by row is column by column of the transposed picture
    top, left, region = decode_coco_crop({"size": [size.width, size.height], "counts": counts})
    return Crop(left, top, np.ascontiguousarray(region.T))


def encode_brush(crop: Crop, size: ImageSize) -> list[int]:
    """The bytes that `decode_brush` takes; what is drawn has 255 in all four channels."""
    turned = encode_coco(
        crop.region.T, size=ImageSize(size.width, size.height), top=crop.left, left=crop.top, compressed=False
    )
    lengths = 4 * np.array(turned["counts"], dtype=np.int64)
    values = np.where(np.arange(len(lengths)) % 2 == 1, 255, 0)
    return pack_runs(Runs(values[lengths > 0], lengths[lengths > 0]))


def unpack_runs(rle: Sequence[Any], *, most: int) -> Runs:
    """The values in such bytes as runs, in order. Raises ValueError, also when they are more than `most`."""
    data = _bytes(rle)
    bits = 8 * len(data)
    if bits < _HEAD:
        raise ValueError(_CUT_OFF)
    head = int.from_bytes(data[:8], "big") >> (64 - _HEAD) if len(data) >= 8 else int.from_bytes(data, "big") >> 3
    total, value_bits = head >> 21, (head >> 16 & 31) + 1
    if total > most:
        raise ValueError(f"its runs hold {total:,} values, more than 4 for each pixel")
    count_bits = [(head >> shift & 15) + 1 for shift in (12, 8, 4, 0)]
    padded = data + bytes(8)  # so that eight bytes can be read everywhere
    values, lengths = [], []
    position, done = _HEAD, 0
    while done < total:
        if position > bits:
            raise ValueError(_CUT_OFF)
        byte, shift = divmod(position, 8)
        window = int.from_bytes(padded[byte : byte + 8], "big") << shift & 0xFFFFFFFFFFFFFFFF  # 57 bits are sure
        size = count_bits[window >> 61 & 3]
        count = (window >> (61 - size) & ((1 << size) - 1)) + 1
        position += 3 + size
        if window >> 63:
            values.append(window >> (61 - size - value_bits) & ((1 << value_bits) - 1))
            lengths.append(count)
            position += value_bits
        else:
            count = min(count, total - done)
            single = _single_values(data, position, count, value_bits)
            values += single
            lengths += [1] * count
            position += count * value_bits
        done += count
    if position > bits:
        raise ValueError(_CUT_OFF)
    return Runs(np.array(values, dtype=np.int64), np.array(lengths, dtype=np.int64))


def pack_runs(runs: Runs) -> list[int]:
    """The bytes of values of 0 to 255. Runs longer than a count can tell are cut."""
    longest = 1 << _COUNT_BITS[-1]
    pieces = -(-runs.lengths // longest)
    values = np.repeat(runs.values, pieces)
    last = np.cumsum(pieces) - 1
    lengths = np.full(len(values), longest)
    lengths[last] = runs.lengths - (pieces - 1) * longest
    kind = np.searchsorted(1 << np.array(_COUNT_BITS), lengths)  # the shortest count that can tell
    size = np.array(_COUNT_BITS)[kind]
    words = ((lengths > 1).astype(np.int64) << 2 | kind) << size | (lengths - 1)
    words = words << _VALUE_BITS | values
    widths = 3 + size + _VALUE_BITS
    sizes = [(size - 1, 4) for size in _COUNT_BITS]
    head = [_bits(number, width) for number, width in ((int(runs.lengths.sum()), 32), (_VALUE_BITS - 1, 5), *sizes)]
    place = np.arange(int(widths.max(initial=1)))
    body = (words[:, None] >> (widths[:, None] - 1 - place).clip(0)) & 1
    bits = np.concatenate((*head, body[place < widths[:, None]].astype(np.uint8)))
    packed: list[int] = np.packbits(bits).tolist()
    return packed if len(bits) % 8 else [*packed, 0]  # as Label Studio's own encoder ends


def _bytes(rle: Sequence[Any]) -> bytes:
    if not isinstance(rle, list | tuple | bytes):
        raise ValueError("its runs are not a list of bytes")
    try:
        return bytes(rle)
    except (TypeError, ValueError) as error:
        raise ValueError("its runs are not a list of bytes") from error


def _single_values(data: bytes, position: int, count: int, width: int) -> list[int]:
    """`count` numbers of `width` bits from `position` on."""
    first, end = position // 8, -(-(position + count * width) // 8)
    if end > len(data):
        raise ValueError(_CUT_OFF)
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8, count=end - first, offset=first))
    digits = bits[position % 8 :][: count * width].reshape(count, width).astype(np.int64)
    numbers: list[int] = (digits @ (1 << np.arange(width - 1, -1, -1))).tolist()
    return numbers


def _bits(number: int, width: int) -> NDArray[np.uint8]:
    return np.array([number >> place & 1 for place in range(width - 1, -1, -1)], dtype=np.uint8)
