import io
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from PIL import Image

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask
from core.errors import ReadError
from core.formats.mask_coding import detect_coding
from core.formats.mask_png import MaskCoding, RawMask, decode_mask, read_mask_file, write_mask_png
from tests.drawings import masks

LABELS = LabelSet.of(["wall", "crack"])
IDS = np.array([[0, 1, 2], [0, 2, 255]], dtype=np.uint8)


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def with_palette(ids: np.ndarray) -> Image.Image:
    picture = Image.fromarray(ids)
    picture.putpalette([value * 7 % 256 for value in range(768)])
    return picture


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.fromarray(IDS)),
        saved(with_palette(IDS)),
        saved(Image.fromarray(IDS.astype(np.uint16))),
        saved(Image.fromarray(np.dstack([IDS, IDS, IDS]))),
        saved(Image.fromarray(np.dstack([IDS, IDS, IDS, np.full_like(IDS, 7)]))),
        saved(Image.fromarray(np.dstack([IDS, np.full_like(IDS, 9)]))),
        saved(Image.fromarray(IDS), "TIFF"),
        saved(Image.fromarray(IDS), "BMP"),
        saved(Image.fromarray(IDS.astype(np.float32)), "TIFF"),
        saved(Image.fromarray(IDS.astype(np.int32)), "TIFF"),
    ],
    ids=["L", "P", "I;16", "RGB", "RGBA", "LA", "TIFF", "BMP", "float", "int32"],
)
def test_the_values_are_read_as_stored(data: bytes) -> None:
    raw = read_mask_file(data)
    assert np.array_equal(raw.codes, IDS)
    assert not raw.coloured
    assert not raw.lossy


def test_a_one_bit_mask_holds_0_and_1() -> None:
    assert np.array_equal(read_mask_file(saved(Image.fromarray(IDS > 0))).codes, (IDS > 0).astype(np.uint8))


def test_a_tiff_that_pillow_cannot_read_is_read() -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, IDS.astype(np.uint64), photometric="minisblack")
    assert np.array_equal(read_mask_file(buffer.getvalue()).codes, IDS)


def test_colours_are_packed() -> None:
    raw = read_mask_file(saved(Image.new("RGB", (1, 1), (1, 2, 3))))
    assert raw.coloured
    assert raw.codes.tolist() == [[0x010203]]


def test_a_jpeg_is_marked_as_lossy() -> None:
    assert read_mask_file(saved(Image.fromarray(IDS), "JPEG")).lossy


def test_a_mask_with_a_camera_rotation_comes_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = read_mask_file(saved(Image.fromarray(IDS), exif=exif))
    assert np.array_equal(raw.codes, np.rot90(IDS, -1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello", "cannot be read as a picture"),
        (saved(Image.fromarray(IDS))[:-30], "m.png cannot be read as a picture"),
        (saved(Image.fromarray(IDS / np.float32(3)), "TIFF"), "holds numbers that are not whole"),
        (saved(Image.fromarray(np.array([[np.nan, np.inf]], dtype=np.float32)), "TIFF"), "are not whole"),
        (saved(Image.fromarray(IDS.astype(np.int32) - 1), "TIFF"), "holds values from -1 to 254"),
        (saved(Image.fromarray(IDS), "TIFF", save_all=True, append_images=[Image.fromarray(IDS)]), "has 2 pages"),
    ],
    ids=["empty", "text", "cut", "fractions", "not finite", "negative", "pages"],
)
def test_what_is_not_a_mask_is_one_sentence(data: bytes, message: str) -> None:
    with pytest.raises(ReadError, match=message):
        read_mask_file(data, name="m.png")


@settings(max_examples=50, deadline=None)
@given(masks((0, 1, 2, 255)))
def test_a_written_mask_reads_back_exactly(mask: Mask) -> None:
    raw = read_mask_file(write_mask_png(mask, LABELS))
    ids = {value: value for value in (0, 1, 2, 255)}
    assert np.array_equal(decode_mask(raw, MaskCoding("indexed", ids, LABELS)), mask)


def test_a_written_mask_shows_the_colours_of_its_labels() -> None:
    with Image.open(io.BytesIO(write_mask_png(IDS, LABELS))) as picture:
        assert picture.mode == "P"
        assert picture.convert("RGB").getpixel((1, 0)) == LABELS.labels[1].color


def test_a_value_that_no_other_mask_had_is_refused_by_name() -> None:
    coding = detect_coding([RawMask("a", IDS)], LABELS)
    with pytest.raises(ReadError, match=r"b\.png has pixels of value 7, which is no class here"):
        decode_mask(RawMask("b.png", np.array([[7]], dtype=np.uint8)), coding)


def test_a_grey_file_among_coloured_ones_is_read_by_its_greys() -> None:
    labels = LabelSet.of(["wall"])
    colour = RawMask("a", np.array([[0, 0xE69F00]], dtype=np.uint32), coloured=True)
    black = RawMask("b", np.zeros((1, 2), dtype=np.uint8))
    coding = detect_coding([colour, black], labels)
    assert decode_mask(black, coding).tolist() == [[0, 0]]
    assert decode_mask(colour, coding).tolist() == [[0, 1]]
