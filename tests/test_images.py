"""The one loader: depth, colour, orientation, pages, limits, garbage."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from core import images
from core.errors import ConfigError, ReadError
from core.images import ImageSize, IntensityRule, encode_png, probe_image, read_image, read_jpeg_draft, shrink

DATA = Path(os.environ.get("MASKLOOP_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def _bytes(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _tiff(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


GRADIENT = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_a_grey_picture_becomes_three_equal_channels(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    source = Image.fromarray(GRADIENT) if kind != "WEBP" else Image.fromarray(GRADIENT).convert("RGB")
    image = read_image(_bytes(source, kind, **options))
    assert image.shape == (6, 8, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(image, np.repeat(GRADIENT[:, :, None], 3, axis=2))


def test_alpha_is_dropped_not_blended() -> None:
    rgba = np.dstack([GRADIENT, GRADIENT, GRADIENT, np.zeros_like(GRADIENT)])
    assert np.array_equal(read_image(_bytes(Image.fromarray(rgba), "PNG"))[:, :, 0], GRADIENT)


def test_a_palette_picture_shows_its_colours() -> None:
    picture = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None).convert("P")
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putdata([0, 1])
    assert read_image(_bytes(picture, "PNG")).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_cmyk_becomes_rgb() -> None:
    assert read_image(_bytes(Image.new("CMYK", (2, 2), (0, 0, 0, 0)), "TIFF")).min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_picture_is_turned_as_exif_says(orientation: int, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _bytes(Image.fromarray(noise), kind, exif=exif)
    with Image.open(io.BytesIO(data)) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    info = probe_image(data)
    assert np.array_equal(read_image(data), expected)
    assert info.size == ImageSize(*expected.shape[:2])
    assert info.stored_size == ImageSize(16, 24)
    assert info.orientation == orientation


@pytest.mark.parametrize("pixels", [
    np.linspace(1000, 3000, 64).reshape(8, 8).astype(np.uint16),
    np.linspace(-5, 5, 64).reshape(8, 8).astype(np.float32),
    np.linspace(-9000, 9000, 64).reshape(8, 8).astype(np.int32),
    np.linspace(-900, 900, 64).reshape(8, 8).astype(np.int16),
])  # fmt: skip
def test_wide_values_are_stretched_to_the_whole_range(pixels: np.ndarray) -> None:
    image = read_image(_tiff(pixels))
    assert (image[0, 0, 0], image[-1, -1, 0]) == (0, 255)
    assert (np.diff(image[:, :, 0].ravel().astype(int)) >= 0).all()


def test_one_hot_pixel_does_not_blacken_a_16_bit_picture() -> None:
    pixels = np.linspace(1000, 3000, 10_000).reshape(100, 100).astype(np.uint16)
    pixels[0, 0] = 65535
    assert read_image(_tiff(pixels))[50].mean() > 100


def test_a_fixed_window_means_the_same_in_every_picture() -> None:
    rule = IntensityRule("fixed", 0, 1000)
    dark = read_image(_tiff(np.full((4, 4), 250, np.uint16)), intensity=rule)
    bright = read_image(_tiff(np.full((4, 4), 2000, np.uint16)), intensity=rule)
    assert (dark[0, 0, 0], bright[0, 0, 0]) == (64, 255)


def test_16_bit_colour_png_keeps_its_channel_order() -> None:
    pixels = np.zeros((2, 2, 3), np.uint16)
    pixels[0, 0] = (65535, 30000, 0)  # red first
    done, data = cv2.imencode(".png", pixels[:, :, ::-1])
    assert done
    image = read_image(data.tobytes(), intensity=IntensityRule("fixed", 0, 65535))
    assert image[0, 0].tolist() == [255, 117, 0]


def test_16_bit_colour_tiff_and_separate_planes() -> None:
    rule = IntensityRule("fixed", 0, 65535)
    pixels = np.zeros((4, 5, 3), np.uint16)
    pixels[..., 0] = 65535
    assert read_image(_tiff(pixels, photometric="rgb"), intensity=rule)[0, 0].tolist() == [255, 0, 0]
    planes = _tiff(np.moveaxis(pixels, -1, 0), photometric="rgb", planarconfig="separate")
    assert read_image(planes, intensity=rule).shape == (4, 5, 3)
    assert read_image(planes, intensity=rule)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_colour_tiff_keeps_all_bits(compression: str | None) -> None:
    pixels = np.linspace(1000, 1255, 3 * 64).reshape(8, 8, 3).astype(np.uint16)
    image = read_image(
        _tiff(pixels, photometric="rgb", compression=compression), intensity=IntensityRule("fixed", 1000, 1255)
    )
    assert np.array_equal(image, pixels - 1000)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_turned_tiff_is_the_same_from_a_file_as_from_bytes(tmp_path: Path, dtype: type, orientation: int) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(_tiff(np.arange(12).reshape(3, 4).astype(dtype), extratags=[(274, "H", 1, orientation, True)]))
    image = read_image(path)
    assert image.shape[:2] == probe_image(path).size
    assert np.array_equal(image, read_image(path.read_bytes()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_png_is_turned_without_being_decoded_first(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    data = _bytes(Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)), "PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(read_image(data)[:, :, 0], expected)
    header_and_notes = data[: data.index(b"IDAT") - 4] + b"\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e"
    assert probe_image(header_and_notes).size == expected.shape


@pytest.mark.parametrize(("kind", "data"), [(b"eXIf", b"MM\0*garbage"), (b"zTXt", b"Raw profile type exif\0\0x")])
def test_broken_notes_in_a_png_turn_nothing(kind: bytes, data: bytes) -> None:
    whole = _bytes(Image.fromarray(np.zeros((3, 4), np.uint8)), "PNG")
    note = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    assert probe_image(whole[:33] + note + whole[33:]).size == (3, 4)


def test_wide_values_are_stretched_in_parts_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(50, 7, 3)).astype(np.float32)
    values[3, 3] = np.nan
    whole = IntensityRule().apply(values)
    monkeypatch.setattr(images, "_BLOCK", 40)
    assert np.array_equal(IntensityRule().apply(values), whole)


@pytest.mark.parametrize("size", [(1, 700), (300, 200), (2000, 1601)])
def test_a_draft_of_a_jpeg_is_the_picture_at_a_fraction(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.jpg"
    smooth = np.add.outer(np.arange(size[0]), np.arange(size[1])).astype(np.float32) % 400
    Image.fromarray(np.abs(smooth - 200).astype(np.uint8)).convert("RGB").save(path, quality=95)
    draft = read_jpeg_draft(path, 160)
    assert max(draft.shape) >= min(160, max(size))
    assert np.abs(shrink(draft, 100).astype(int) - shrink(read_image(path), 100)).mean() < 5


def test_a_page_of_a_stack_is_chosen() -> None:
    stack = _tiff(np.stack([np.full((3, 4), value, np.uint8) for value in (10, 20, 30)]), photometric="minisblack")
    assert probe_image(stack).pages == 3
    assert read_image(stack, page=2)[0, 0, 0] == 30
    with pytest.raises(ReadError, match="3 page"):
        read_image(stack, page=3)


def test_not_finite_values_become_black() -> None:
    pixels = np.linspace(0, 1, 16).reshape(4, 4).astype(np.float32)
    pixels[0, 0] = np.nan
    assert read_image(_tiff(pixels))[0, 0, 0] == 0


def test_names_in_any_script_are_read(tmp_path: Path) -> None:
    path = tmp_path / "снимок 图像 é.png"
    path.write_bytes(encode_png(GRADIENT))
    assert read_image(path).shape == (6, 8, 3)


def test_a_memory_bomb_is_refused_before_it_is_decoded() -> None:
    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)  # 200 megapixels in a few bytes
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(ReadError, match="the limit is 178"):
        read_image(b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IDAT", name="huge.png")


@pytest.mark.parametrize("data", [b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, b"II*\x00\x08\x00\x00\x00"])
def test_garbage_gives_one_sentence_with_its_name(data: bytes) -> None:
    with pytest.raises(ReadError, match=r"cannot be read as a picture") as caught:
        read_image(data, name="scan.png")
    assert caught.value.message.startswith("scan.png")
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_an_empty_upload_says_so() -> None:
    with pytest.raises(ReadError, match="0 bytes"):
        read_image(b"", name="a.png")


def test_a_truncated_picture_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "BMP"):
        data = _bytes(Image.fromarray(noise), kind)
        with pytest.raises(ReadError, match="cannot be read"):
            read_image(data[: len(data) // 2])


def test_an_impossible_intensity_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="from 10 to 5"):
        IntensityRule("fixed", 10, 5)


def test_shrinking_keeps_the_aspect_and_never_enlarges() -> None:
    assert shrink(np.zeros((100, 50, 3), np.uint8), 20).shape == (20, 10, 3)
    assert shrink(np.zeros((10, 5, 3), np.uint8), 20).shape == (10, 5, 3)


@pytest.mark.skipif(not (DATA / "odd_images").is_dir(), reason="../shared/data/odd_images is not here")
def test_odd_pictures_are_read_or_refused_in_one_sentence() -> None:
    read, refused = 0, {}
    for path in sorted((DATA / "odd_images").rglob("*.*")):
        if path.suffix.lower() in (".csv", ".txt", ".md"):
            continue
        try:
            image = read_image(path)
        except ReadError as error:
            refused[path] = error.message
            continue
        assert probe_image(path).size == image.shape[:2], path
        read += 1
    assert read >= 75
    assert {path.parent.name for path in refused} <= {"truncated_or_broken", "bomb", "geotiff"}
    assert not any("\n" in message for message in refused.values())
