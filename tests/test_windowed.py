"""Pictures read in parts equal pictures read whole."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from core import images, windowed
from core.errors import ReadError
from core.images import IntensityRule, read_image
from core.windowed import check_windowed, is_exact, open_windowed, read_small

RULE = IntensityRule()


def saved(pixels: np.ndarray, path: Path, **options: object) -> Path:
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, **options)
    else:
        Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("shape", [(70, 50), (70, 50, 3), (70, 50, 4)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_bands_of_rows_are_the_picture(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    path = saved(pixels, tmp_path / f"a{suffix}")
    with open_windowed(path, RULE) as picture:
        bands = [picture.rows(top, min(32, 70 - top)) for top in range(0, 70, 32)]
        assert picture.shrunk(35).shape == (35, 25, 3)
    np.testing.assert_array_equal(np.concatenate(bands), read_image(path))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["uint16", "colour", "float", "int32", "planes"])
def test_wide_values_are_to_the_bit_what_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, compression: str | None
) -> None:
    monkeypatch.setattr(windowed, "_ROWS", 32)
    monkeypatch.setattr(images, "sampling_step", lambda count: 7)
    monkeypatch.setattr(windowed, "sampling_step", lambda count: 7)
    rng = np.random.default_rng(1)
    colour = rng.integers(0, 60_000, (70, 50, 3)).astype(np.uint16)
    pixels, options = {
        "uint16": (colour[:, :, 0], {}),
        "colour": (colour, {"photometric": "rgb"}),
        "float": (np.where(colour[:, :, 0] > 50_000, np.nan, colour[:, :, 0] / np.float32(7)).astype(np.float32), {}),
        "int32": (colour[:, :, 0].astype(np.int32) - 30_000, {}),
        "planes": (np.moveaxis(colour, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    }[kind]
    path = saved(pixels, tmp_path / "a.tif", compression=compression, **options)
    with open_windowed(path, RULE) as picture:
        assert picture.exact
        bands = np.concatenate([picture.rows(top, min(32, 70 - top)) for top in range(0, 70, 32)])
    np.testing.assert_array_equal(bands, read_image(path))


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
def test_other_colour_spaces_are_not_said_to_be_exact(tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(tmp_path / "a.tif")
    assert not is_exact(tmp_path / "a.tif", RULE)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    assert not is_exact(tmp_path / "a.jpg", RULE)


def test_a_picture_of_few_bits_uses_the_whole_range(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (40, 30)) > 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        with open_windowed(tmp_path / name, RULE) as picture:
            np.testing.assert_array_equal(picture.rows(0, 40)[:, :, 0], pixels * 255)


def test_a_file_that_is_a_picture_and_something_else_is_only_the_picture(tmp_path: Path) -> None:
    """GDAL would take a virtual data set, which names other files or addresses, for a picture."""
    other = saved(np.full((4, 4), 7, np.uint8), tmp_path / "other.tif")
    band = f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>{other}</SourceFilename>'
    text = f'<VRTDataset rasterXSize="4" rasterYSize="4">{band}</SimpleSource></VRTRasterBand></VRTDataset>'
    path = tmp_path / "a.tif"
    path.write_text(text)
    with pytest.raises(ReadError), open_windowed(path, RULE):
        pass
    saved(np.full((4, 4), 200, np.uint8), path, description=text)
    with open_windowed(path, RULE) as picture:
        assert (picture.rows(0, 4) == 200).all()


def test_nothing_beside_the_picture_is_looked_at(tmp_path: Path) -> None:
    path = saved(np.full((40, 40), 200, np.uint8), tmp_path / "a.tif")
    saved(np.full((20, 20), 7, np.uint8), tmp_path / "b.tif").rename(tmp_path / "a.tif.ovr")
    with open_windowed(path, RULE) as picture:
        assert (picture.shrunk(20) == 200).all()


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    path = saved(np.zeros((4, 4), np.complex64), tmp_path / "a.tif")
    with pytest.raises(ReadError, match="complex numbers"), open_windowed(path, RULE):
        pass


def test_a_small_picture_of_one_too_large_to_be_decoded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smooth = np.add.outer(np.arange(300) / 2, np.arange(200) / 2).astype(np.uint8)
    path = saved(smooth, tmp_path / "a.tif", extratags=[(274, "H", 1, 6, True)])
    expected = read_small(path, 60, RULE)
    assert expected.shape == (40, 60, 3)
    monkeypatch.setattr(windowed, "MAX_PIXELS", 1000)
    monkeypatch.setattr(windowed, "read_image", None)
    found = read_small(path, 60, RULE)
    assert np.abs(found.astype(int) - expected).max() < 6


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg"])
def test_what_is_cut_off_does_not_come_in(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    data = saved(pixels, tmp_path / f"a{suffix}").read_bytes()
    check_windowed(data, RULE, name=f"a{suffix}")
    with pytest.raises(ReadError, match=rf"a\{suffix} cannot be read in parts"):
        check_windowed(data[: len(data) * 2 // 3], RULE, name=f"a{suffix}")


def test_a_palette_gives_its_colours(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).quantize(7).save(path)
    with open_windowed(path, RULE) as picture:
        np.testing.assert_array_equal(picture.rows(0, 40), read_image(path))


def test_a_turned_picture_is_refused() -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[274] = 6
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(buffer, "JPEG", exif=exif)
    with pytest.raises(ReadError, match="turned"):
        check_windowed(buffer.getvalue(), RULE, name="a.jpg")
