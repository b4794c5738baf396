import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.raster import Mask
from core.formats.label_studio_brush import Runs, decode_brush, encode_brush, pack_runs, unpack_runs
from core.formats.rle import Crop
from core.images import ImageSize
from tests.drawings import masks

# the example of label-studio-converter's own test (tests/test_brush.py)
VALUES = [1, 1, 1, 1, 2, 3, 5, 6, 7, 8, 4, 4, 4, 4, 4, 4, 4, 4]
BYTES = [0, 0, 0, 18, 57, 27, 252, 96, 32, 1, 0, 6, 0, 40, 0, 192, 3, 128, 17, 56, 32]


def slow_unpack(data: Sequence[int]) -> list[int]:
    """From the words of the format, on a text of zeros and ones."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    total, width = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        is_run, kind = take(1), take(2)
        count = take(sizes[kind]) + 1
        values += [take(width)] * count if is_run else [take(width) for _ in range(count)]
    return values[:total]


def pack(records: Sequence[tuple[bool, int, list[int]]], width: int, sizes: Sequence[int]) -> list[int]:
    """Bytes of any form that the format allows: (is a run, kind of count, values)."""
    total = sum(len(values) for _, _, values in records)
    bits = f"{total:032b}{width - 1:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    for is_run, kind, values in records:
        bits += f"{is_run:b}{kind:02b}{len(values) - 1:0{sizes[kind]}b}"
        bits += "".join(f"{value:0{width}b}" for value in (values[:1] if is_run else values))
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def full(crop: Crop, size: ImageSize) -> np.ndarray:
    region = np.zeros(size, dtype=bool)
    height, width = crop.region.shape
    region[crop.top : crop.top + height, crop.left : crop.left + width] = crop.region
    return region


def test_label_studios_own_example() -> None:
    runs = unpack_runs(BYTES, most=18)
    assert np.repeat(runs.values, runs.lengths).tolist() == VALUES
    packed = pack_runs(Runs(np.array([1, 2, 3, 5, 6, 7, 8, 4]), np.array([4, 1, 1, 1, 1, 1, 1, 8])))
    assert packed == BYTES


@st.composite
def streams(draw: st.DrawFn) -> list[int]:
    width = draw(st.integers(1, 16))
    sizes = draw(st.lists(st.integers(1, 16), min_size=4, max_size=4))
    records = []
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.integers(0, 3))
        count = draw(st.integers(1, min(1 << sizes[kind], 40)))
        value = st.integers(0, (1 << width) - 1)
        is_run = draw(st.booleans())
        values = [draw(value)] * count if is_run else draw(st.lists(value, min_size=count, max_size=count))
        records.append((is_run, kind, values))
    return pack(records, width, sizes)


@settings(max_examples=300, deadline=None)
@given(streams())
def test_any_form_of_the_bits_is_read_as_their_description_says(data: list[int]) -> None:
    runs = unpack_runs(data, most=10_000)
    assert np.repeat(runs.values, runs.lengths).tolist() == slow_unpack(data)


@settings(max_examples=200, deadline=None)
@given(masks())
def test_any_mask_survives_and_all_four_channels_say_the_same(mask: Mask) -> None:
    region, size = mask > 0, ImageSize(*mask.shape)
    data = encode_brush(Crop(0, 0, region), size)
    assert slow_unpack(data) == np.repeat(region.ravel() * 255, 4).tolist()
    assert np.array_equal(full(decode_brush(data, size), size), region)


def test_only_the_alpha_says_what_is_drawn() -> None:
    colours = np.zeros((3, 5, 4), dtype=int)
    colours[..., :3] = 7
    colours[1, 2:4, 3] = (1, 255)
    data = pack([(False, 3, colours.ravel().tolist())], 8, (3, 4, 8, 16))
    crop = decode_brush(data, ImageSize(3, 5))
    assert (crop.top, crop.left, crop.region.tolist()) == (1, 2, [[True, True]])


def test_a_window_of_a_picture_is_placed() -> None:
    size = ImageSize(9, 12)
    crop = Crop(3, 5, np.array([[1, 0, 1], [0, 1, 1]], dtype=bool))
    assert np.array_equal(full(decode_brush(encode_brush(crop, size), size), size), full(crop, size))


@pytest.mark.parametrize("drawn", [False, True])
def test_runs_longer_than_a_count_can_tell_are_cut(drawn: bool) -> None:
    size = ImageSize(300, 400)
    region = np.full(size, drawn)
    data = encode_brush(Crop(0, 0, region), size)
    assert slow_unpack(data) == [255 * drawn] * size.pixels * 4
    assert np.array_equal(full(decode_brush(data, size), size), region)


@pytest.mark.parametrize(
    ("rle", "words"),
    [
        ([], "cut off"),
        ([0, 0, 0], "cut off"),
        (BYTES[:-3], "cut off"),
        (BYTES[:8], "cut off"),
        (BYTES, "not of a picture of 3 x 3"),
        ([255] * 40, "more than 4 for each pixel"),
        ("abc", "not a list of bytes"),
        (None, "not a list of bytes"),
        ([1, 2, 300], "not a list of bytes"),
        ([1, -1], "not a list of bytes"),
        ([1.5, None], "not a list of bytes"),
    ],
)
def test_what_cannot_be_raises_a_clause(rle: Sequence[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decode_brush(rle, ImageSize(3, 3))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 255), max_size=60), st.booleans())
def test_noise_gives_a_mask_or_a_clause(noise: list[int], with_head: bool) -> None:
    size = ImageSize(4, 5)
    try:
        crop = decode_brush([0, 0, 0, 80, *noise] if with_head else noise, size)
    except ValueError:
        return
    assert full(crop, size).shape == size


def test_a_picture_of_unknown_size_is_refused() -> None:
    with pytest.raises(ValueError, match="not known"):
        decode_brush(BYTES, ImageSize(0, 0))


def test_a_large_mask_takes_no_time() -> None:
    rows, columns = np.ogrid[:3000, :3000]
    region = (rows - 1500) ** 2 + (columns - 1400) ** 2 < 1300**2
    region[::7] = False
    size = ImageSize(3000, 3000)
    start = time.monotonic()
    crop = decode_brush(encode_brush(Crop(0, 0, region), size), size)
    assert time.monotonic() - start < 1
    assert np.array_equal(full(crop, size), region)
