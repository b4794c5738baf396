"""Pictures read in parts equal pictures read whole."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from core.errors import ReadError
from core.images import IntensityRule, read_image
from core.windowed import check_windowed, open_windowed

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


def test_a_palette_gives_its_colours(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).quantize(7).save(path)
    with open_windowed(path, RULE) as picture:
        np.testing.assert_array_equal(picture.rows(0, 40), read_image(path))


def test_the_window_of_values_is_that_of_the_whole_picture(tmp_path: Path) -> None:
    values = np.linspace(0, 60_000, 90 * 80).reshape(90, 80).astype(np.uint16)
    path = saved(values, tmp_path / "a.tif")
    with open_windowed(path, RULE) as picture:
        bands = np.concatenate([picture.rows(0, 45), picture.rows(45, 45)])
    assert np.abs(bands.astype(int) - read_image(path)).max() <= 1


def test_a_cut_off_file_is_said(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    with pytest.raises(ReadError, match=r"half\.png"):
        check_windowed(buffer.getvalue()[: len(buffer.getvalue()) // 2], RULE, name="half.png")
    check_windowed(buffer.getvalue(), RULE, name="whole.png")


def test_a_turned_picture_is_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = saved(np.zeros((20, 30, 3), np.uint8), tmp_path / "a.jpg", exif=exif)
    with pytest.raises(ReadError, match="turned"), open_windowed(path, RULE):
        pass
