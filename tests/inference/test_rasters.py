"""Rasters: the mask is that of the picture read whole, at the same place, and nothing is left after an error."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tifffile
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from core.annotation.clean_up import CleanUp
from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError
from core.images import IntensityRule, read_image
from core.inference import banded_clean_up, raster_picture
from core.inference.predict import predict
from core.inference.rasters import predict_raster
from core.inference.rows import Cancelled, PredictConfig
from core.networks.card import ModelCard, NetworkConfig

PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 5_500_000)
CONFIG = PredictConfig(window=32)


class Brightness:
    """Three classes by the brightness of the three channels together: known for each pixel, whatever the window."""

    multiple_of = 4

    def __init__(self, how: CleanUp | None = None, rule: IntensityRule | None = None) -> None:
        self.card = ModelCard(
            NetworkConfig(classes=3),
            LabelSet.of(["dim", "bright"]),
            intensity=rule or IntensityRule(),
            clean_up=how or CleanUp(),
            name="brightness",
        )
        self.windows = 0

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.windows += len(batch)
        grey = (batch * np.float32([3, 2, 1])[:, None, None]).sum(axis=1)
        return np.stack([-grey, np.full_like(grey, 0.8), grey], axis=1) * 5


def values(kind: str, shape: tuple[int, ...] = (70, 90, 3), seed: int = 0) -> NDArray[Any]:
    random = np.random.default_rng(seed)
    if np.dtype(kind).kind == "f":
        return (random.normal(5, 90, shape)).astype(kind)
    info = np.iinfo(kind)
    return random.integers(max(info.min, -30_000), min(info.max, 60_000), shape, endpoint=True).astype(kind)


def write(path: Path, bands: NDArray[Any], **options: Any) -> Path:
    """bands: (bands, H, W)."""
    options = {"crs": "EPSG:25832", "transform": PLACE, **options}
    colours, mask = options.pop("colorinterp", None), options.pop("mask", None)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=len(bands),
            height=bands.shape[1],
            width=bands.shape[2],
            dtype=bands.dtype,
            **options,
        ) as dataset,
    ):
        if colours:
            dataset.colorinterp = colours
        dataset.write(bands)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def write_empty(path: Path, height: int, width: int) -> Path:
    """A TIFF whose header claims a size, without any tile."""
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=height, width=width, dtype="uint8", tiled=True, blockxsize=16384,
        blockysize=16384, sparse_ok=True, bigtiff="YES", transform=PLACE,
    ):  # fmt: skip
        pass
    return path


def mask_of(path: Path) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            return np.asarray(dataset.read(1))


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("rule", [IntensityRule(), IntensityRule("fixed", 20, 150)])
@pytest.mark.parametrize("shape", [(70, 90, 3), (70, 90)])
def test_the_mask_is_that_of_the_picture_read_whole(
    tmp_path: Path, kind: str, rule: IntensityRule, shape: tuple[int, ...]
) -> None:
    pixels = values(kind, shape)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb" if len(shape) == 3 else "minisblack", tile=(32, 32))
    backend = Brightness(rule=rule)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raster_picture, "_AT_ONCE", 9000)  # few rows at a time
        result = predict_raster(path, backend, tmp_path / "mask.tif", config=CONFIG)
    whole = predict(read_image(path, intensity=rule), backend, config=CONFIG).mask
    assert len(np.unique(whole)) > 1
    np.testing.assert_array_equal(mask_of(tmp_path / "mask.tif"), whole)
    assert result.pixels == tuple(np.bincount(whole.ravel(), minlength=3))
    assert result.without_data == 0


@pytest.mark.parametrize(
    "kind", ["palette", "1", "L", "png", "png16", "bmp", "planes", "miniswhite", "jpeg", "big", "jp2"]
)
def test_other_pictures_are_read_as_everywhere(tmp_path: Path, kind: str) -> None:
    colour = values("uint8")
    path = tmp_path / "a.tif"
    if kind == "palette":
        Image.fromarray(colour).quantize(16).save(path)
    elif kind in ("1", "L"):
        Image.fromarray(colour).convert(kind).save(path)
    elif kind == "bmp":
        path = tmp_path / "a.bmp"
        Image.fromarray(colour).save(path)
    elif kind == "png":
        path = tmp_path / "a.png"
        Image.fromarray(colour).save(path)
    elif kind == "png16":
        path = tmp_path / "a.png"
        Image.fromarray(values("uint16", (70, 90))).save(path)
    elif kind == "planes":
        tifffile.imwrite(path, np.moveaxis(colour, 2, 0), photometric="rgb", planarconfig="separate")
    elif kind == "miniswhite":
        tifffile.imwrite(path, colour[:, :, 0], photometric="miniswhite")
    elif kind == "jpeg":
        smooth = np.moveaxis(np.repeat(np.arange(90, dtype=np.uint8)[None, :, None] * 2, 70, 0).repeat(3, 2), 2, 0)
        write(path, smooth, compress="jpeg", photometric="ycbcr")
    elif kind == "big":
        tifffile.imwrite(path, colour, photometric="rgb", bigtiff=True)
    else:
        path = tmp_path / "a.jp2"
        Image.fromarray(colour).save(path, irreversible=False)
    backend = Brightness()
    predict_raster(path, backend, tmp_path / "mask.tif", config=CONFIG)
    whole = predict(read_image(path), backend, config=CONFIG).mask
    same = (mask_of(tmp_path / "mask.tif") == whole).mean()
    assert same == 1 or (kind == "jpeg" and same > 0.98)  # decoders of JPEG differ by a value


def test_the_result_lies_where_the_raster_lies(tmp_path: Path) -> None:
    turned = Affine(0.3, 0.1, 500_000.25, 0.1, -0.3, 5_500_000.75)
    path = write(tmp_path / "a.tif", np.moveaxis(values("uint8", (1000, 600, 3)), 2, 0), transform=turned)
    target = tmp_path / "new" / "mask.tif"
    result = predict_raster(path, Brightness(), target)
    with rasterio.open(path) as before, rasterio.open(target) as after:
        assert after.transform == before.transform == turned
        assert after.crs == before.crs
        assert after.shape == before.shape
        assert (after.count, after.dtypes[0], after.nodata) == (1, "uint8", 255)
        assert after.block_shapes == [(512, 512)]
        assert after.compression.name == "deflate"
        assert after.colormap(1)[1][:3] == Brightness().card.labels.labels[1].color
        assert after.tags(1)["CLASS_2"] == "bright"
        assert after.tags()["MODEL"] == "brightness"
        assert after.descriptions == ("class id",)
    assert leftovers(target.parent) == {"mask.tif"}
    assert os.stat(target).st_mode & 0o777 == 0o644
    assert result.crs == "EPSG:25832"
    assert not result.notes


def test_control_points_and_rational_polynomials_are_kept(tmp_path: Path) -> None:
    points = [
        GroundControlPoint(row, column, 9 + column / 1e4, 50 - row / 1e4) for row in (0, 40) for column in (0, 40)
    ]
    rpc = RPC(0, 100, 50, 1, [1.0] + [0.0] * 19, [0.0, 0.0, 1.0] + [0.0] * 17, 9, 1, 20, 20, [1.0] + [0.0] * 19,
              [0.0, 1.0] + [0.0] * 18, 20, 20)  # fmt: skip
    bands = np.moveaxis(values("uint8", (40, 40, 3)), 2, 0)
    write(tmp_path / "gcp.tif", bands, transform=None, gcps=points, crs="EPSG:4326")
    write(tmp_path / "rpc.tif", bands, transform=None, crs=None, rpcs=rpc)
    for name in ("gcp", "rpc"):
        predict_raster(tmp_path / f"{name}.tif", Brightness(), tmp_path / f"{name}_mask.tif")
    with rasterio.open(tmp_path / "gcp.tif") as before, rasterio.open(tmp_path / "gcp_mask.tif") as after:
        assert [point.asdict() | {"id": ""} for point in after.gcps[0]] == [
            point.asdict() | {"id": ""} for point in before.gcps[0]
        ]
        assert after.gcps[1] == before.gcps[1]
    with rasterio.open(tmp_path / "rpc.tif") as before, rasterio.open(tmp_path / "rpc_mask.tif") as after:
        assert after.rpcs is not None
        assert after.rpcs.to_dict() == before.rpcs.to_dict()


def test_a_world_file_gives_the_place(tmp_path: Path) -> None:
    Image.fromarray(values("uint8")).save(tmp_path / "a.jpg")
    (tmp_path / "a.jgw").write_text("0.5\n0\n0\n-0.5\n100.25\n199.75\n")
    result = predict_raster(tmp_path / "a.jpg", Brightness(), tmp_path / "mask.tif")
    with rasterio.open(tmp_path / "mask.tif") as after:
        assert after.transform == Affine(0.5, 0, 100, 0, -0.5, 200)
    assert "no coordinate system" in result.notes[0]


# ------------------------------------------------------------------------------------------------ bands and no data


def test_bands_are_chosen_by_colour_then_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bands = rng.integers(1, 255, (5, 40, 40), dtype=np.uint8)
    names = ["blue", "green", "red", "undefined", "undefined"]
    plain = write(tmp_path / "plain.tif", bands, photometric="minisblack")
    named = write(
        tmp_path / "named.tif",
        bands,
        photometric="minisblack",
        colorinterp=[rasterio.enums.ColorInterp[n] for n in names],
    )
    two = write(tmp_path / "two.tif", bands[:2], photometric="minisblack")
    backend = Brightness()

    def found(path: Path, chosen: tuple[int, ...] | None) -> tuple[tuple[int, ...], NDArray[np.uint8]]:
        result = predict_raster(path, backend, tmp_path / "mask.tif", bands=chosen)
        return result.bands, mask_of(tmp_path / "mask.tif")

    for path, chosen, used in [
        (plain, None, (1, 2, 3)),
        (named, None, (3, 2, 1)),
        (two, None, (1, 1, 1)),
        (plain, (5, 1, 4), (5, 1, 4)),
        (plain, (4,), (4, 4, 4)),
        (plain, (2, 2, 2), (2, 2, 2)),
    ]:
        bands_used, mask = found(path, chosen)
        assert bands_used == used
        image = np.ascontiguousarray(np.moveaxis(bands[[band - 1 for band in used]], 0, -1))
        np.testing.assert_array_equal(mask, predict(image, backend).mask)


@pytest.mark.parametrize("chosen", [(0, 1, 2), (1, 2, 6), (-1,), (1, 2), (), (1, 2, 3, 4), (1.0, 2, 3), (True, 1, 2)])
def test_bands_that_are_not_there_are_refused(tmp_path: Path, chosen: tuple[Any, ...]) -> None:
    path = write(tmp_path / "a.tif", np.ones((5, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(ConfigError):
        predict_raster(path, Brightness(), tmp_path / "mask.tif", bands=chosen)
    assert leftovers(tmp_path) == {"a.tif"}


@pytest.mark.parametrize("kind", ["nodata", "mask", "alpha", "nan", "float nodata"])
def test_what_holds_no_data_is_255_and_costs_nothing(tmp_path: Path, kind: str) -> None:
    data = np.zeros((200, 260), bool)
    data[20:70, 10:90] = True
    float_kind = kind in ("nan", "float nodata")
    bands = np.moveaxis(values("float32" if float_kind else "uint8", (200, 260, 3)), 2, 0)
    bands = bands if float_kind else np.clip(bands, 2, None)
    options: dict[str, Any] = {"photometric": "rgb"}
    if kind == "nodata":
        bands[:, ~data] = 1
        bands[0, 30, 30] = 1  # one band alone says nothing
        options["nodata"] = 1
    elif kind == "mask":
        options["mask"] = data
    elif kind == "alpha":
        bands, options["alpha"] = np.concatenate([bands, data[None] * np.uint8(255)]), "yes"
    elif kind == "nan":
        bands[:, ~data] = np.nan
        bands[1, 30, 30] = np.nan
    else:
        bands[:, ~data] = -9999
        options["nodata"] = -9999
    path = write(tmp_path / "a.tif", bands, **options)
    backend = Brightness()
    result = predict_raster(path, backend, tmp_path / "mask.tif", config=CONFIG)
    mask = mask_of(tmp_path / "mask.tif")
    np.testing.assert_array_equal(mask == 255, ~data)
    assert result.without_data == (~data).sum()
    assert sum(result.pixels) == data.sum()
    assert 0 < backend.windows <= 16  # of some 90
    inside = np.moveaxis(bands[:3, 20:70, 10:90], 0, -1)
    expected = predict(IntensityRule().apply(np.ascontiguousarray(inside)), backend, config=CONFIG).mask
    assert (
        mask[data].reshape(50, 80) == expected
    ).mean() > 0.999  # windows lie otherwise, the network sees pixels alone


def test_an_alpha_band_that_is_asked_for_is_a_colour(tmp_path: Path) -> None:
    bands = np.full((4, 20, 20), 200, np.uint8)
    bands[3] = 0
    path = write(tmp_path / "a.tif", bands, photometric="rgb", alpha="yes")
    assert predict_raster(path, Brightness(), tmp_path / "m.tif").without_data == 400
    assert predict_raster(path, Brightness(), tmp_path / "m.tif", bands=(4, 1, 2)).without_data == 0


def test_a_raster_without_any_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.full((1, 50, 50), np.nan, np.float32))
    backend = Brightness()
    assert predict_raster(path, backend, tmp_path / "m.tif").pixels == (0, 0, 0)
    assert backend.windows == 0


# ------------------------------------------------------------------------------------------------------ clean-up


@pytest.mark.parametrize(
    "how", [CleanUp(smooth=1.5), CleanUp(close=5), CleanUp(drop_below=40), CleanUp(smooth=1, close=3, drop_below=300)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_large_mask_is_cleaned_in_bands_as_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: CleanUp, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (75, 15, 3), dtype=np.uint8)
    image = np.kron(coarse, np.ones((4, 4, 1), np.uint8))  # (300, 60, 3)
    image[rng.random((300, 60)) < 0.2] = 255
    path = write(tmp_path / "a.tif", np.moveaxis(image, 2, 0), photometric="rgb", nodata=17)
    monkeypatch.setattr(banded_clean_up, "WHOLE", 4200)
    monkeypatch.setattr(banded_clean_up, "_LEAST_ROWS", 7)
    told: list[float] = []
    predict_raster(path, Brightness(how), tmp_path / "m.tif", config=CONFIG, progress=told.append)
    whole = predict(image, Brightness(how), config=CONFIG).mask
    assert not np.array_equal(whole, predict(image, Brightness(), config=CONFIG).mask)
    np.testing.assert_array_equal(mask_of(tmp_path / "m.tif"), whole)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert leftovers(tmp_path) == {"a.tif", "m.tif"}


def test_splitting_a_small_mask_is_that_of_the_whole(tmp_path: Path) -> None:
    image = np.zeros((60, 90, 3), np.uint8)
    yy, xx = np.mgrid[:60, :90]
    image[((yy - 30) ** 2 + (xx - 30) ** 2 < 200) | ((yy - 30) ** 2 + (xx - 54) ** 2 < 200)] = 255
    path = write(tmp_path / "a.tif", np.moveaxis(image, 2, 0), photometric="rgb")
    predict_raster(path, Brightness(CleanUp(split=True)), tmp_path / "m.tif")
    whole = predict(image, Brightness(CleanUp(split=True))).mask
    np.testing.assert_array_equal(mask_of(tmp_path / "m.tif"), whole)


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("size", [(1, 1), (16, 50_000), (3000, 2), (1, 700)])
def test_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    image = values("uint8", (*size, 3))
    path = write(tmp_path / "a.tif", np.moveaxis(image, 2, 0), photometric="rgb")
    predict_raster(path, Brightness(), tmp_path / "m.tif")
    np.testing.assert_array_equal(mask_of(tmp_path / "m.tif"), predict(image, Brightness()).mask)


def test_a_width_that_no_memory_holds_is_said(tmp_path: Path) -> None:
    path = write_empty(tmp_path / "a.tif", 1000, 2_000_000_000)
    with pytest.raises(ReadError, match="pixels wide"):
        predict_raster(path, Brightness(), tmp_path / "m.tif")
    assert leftovers(tmp_path) == {"a.tif"}


@pytest.mark.parametrize("damage", ["cut off", "noise", "no block"])
def test_a_damaged_raster_is_named_and_leaves_nothing(tmp_path: Path, damage: str) -> None:
    path = write(
        tmp_path / "a.tif", np.moveaxis(values("uint8", (600, 300, 3)), 2, 0), tiled=True, blockxsize=64, blockysize=64,
        compress="deflate", photometric="rgb",
    )  # fmt: skip
    data = bytearray(path.read_bytes())
    if damage == "cut off":
        data = data[: len(data) // 2]
    elif damage == "noise":
        data[len(data) // 2 : len(data) // 2 + 4000] = bytes(range(250)) * 16
    else:
        data = data[:300]
    path.write_bytes(data)
    with pytest.raises(ReadError, match=r"a\.tif") as caught:
        predict_raster(path, Brightness(), tmp_path / "m.tif", config=CONFIG)
    if damage != "no block":
        assert "of 600" in caught.value.message
    assert leftovers(tmp_path) == {"a.tif"}


def test_what_is_no_raster_is_refused(tmp_path: Path) -> None:
    other = write(tmp_path / "other.tif", np.ones((1, 4, 4), np.uint8))
    band = f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>{other}</SourceFilename>'
    text = f'<VRTDataset rasterXSize="4" rasterYSize="4">{band}</SimpleSource></VRTRasterBand></VRTDataset>'
    (tmp_path / "list.tif").write_text(text)
    (tmp_path / "list2.tif").write_text("II*\0" + text)
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "text.tif").write_text("hello")
    (tmp_path / "noise.tif").write_bytes(b"II*\0" + bytes(range(256)) * 20)
    write(tmp_path / "complex.tif", np.ones((1, 4, 4), np.complex64))
    for name in ("list.tif", "list2.tif", "empty.tif", "text.tif", "noise.tif", "complex.tif", "missing.tif", "."):
        with pytest.raises(ReadError) as caught:
            predict_raster(tmp_path / name, Brightness(), tmp_path / "m.tif")
        assert caught.value.hint
    with pytest.raises(ReadError, match="list of other files"):
        predict_raster(tmp_path / "list.tif", Brightness(), tmp_path / "m.tif")
    for name in ("/vsicurl/http://127.0.0.1:9/a.tif", "http://127.0.0.1:9/a.tif", "/vsizip/a.zip/a.tif"):
        with pytest.raises(ReadError):
            predict_raster(Path(name), Brightness(), tmp_path / "m.tif")
    assert not (tmp_path / "m.tif").exists()


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_a_picture_that_its_camera_turned_is_refused(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / f"a{suffix}", exif=exif)
    with pytest.raises(ReadError, match="turned"):
        predict_raster(tmp_path / f"a{suffix}", Brightness(), tmp_path / "m.tif")


def test_the_result_never_replaces_the_raster(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((1, 4, 4), np.uint8))
    (tmp_path / "link.tif").symlink_to(path)
    before = path.read_bytes()
    for target in (path, tmp_path / "link.tif", tmp_path):
        with pytest.raises(ConfigError):
            predict_raster(path, Brightness(), target)
    assert path.read_bytes() == before


@pytest.mark.parametrize("how", [CleanUp(), CleanUp(drop_below=5)])
def test_a_cancelled_prediction_leaves_what_was_there(tmp_path: Path, how: CleanUp) -> None:
    path = write(tmp_path / "a.tif", np.moveaxis(values("uint16", (300, 300, 3)), 2, 0))
    (tmp_path / "m.tif").write_text("before")
    asked = iter([False] * 20)
    with pytest.raises(Cancelled):
        predict_raster(path, Brightness(how), tmp_path / "m.tif", config=CONFIG, cancelled=lambda: next(asked, True))
    assert (tmp_path / "m.tif").read_text() == "before"
    assert leftovers(tmp_path) == {"a.tif", "m.tif"}


def test_an_error_of_the_network_passes_and_leaves_nothing(tmp_path: Path) -> None:
    class Broken(Brightness):
        def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            raise OSError("the network broke")

    path = write(tmp_path / "a.tif", np.ones((1, 40, 40), np.uint8))
    with pytest.raises(OSError, match="the network broke"):
        predict_raster(path, Broken(), tmp_path / "m.tif")
    assert leftovers(tmp_path) == {"a.tif"}


_APART = """
import resource, signal, sys
from pathlib import Path
from tests.inference.test_rasters import Brightness
from core.errors import WriteError
from core.inference.rasters import predict_raster
"""


def apart(code: str, *arguments: object) -> str:
    """What `code` prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _APART + code, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("limit", [20_000, 300_000])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """A file may grow to `limit` only: what GDAL sees is what it sees when the disk is full."""
    path = write(tmp_path / "a.tif", np.moveaxis(values("uint8", (1200, 1200, 3)), 2, 0), photometric="rgb")
    said = apart(
        """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    predict_raster(Path(sys.argv[1]), Brightness(), Path(sys.argv[2]))
except WriteError as error:
    print("refused:", error)
""",
        path,
        tmp_path / "m.tif",
        limit,
    )
    assert said.startswith("refused: m.tif was not")
    assert leftovers(tmp_path) == {"a.tif"}


def test_memory_does_not_grow_with_the_height(tmp_path: Path) -> None:
    """The tall one holds 28 MB of values, 9 MB of mask and 94 MB of probabilities more; GDAL keeps the values."""
    tile = values("uint8", (512, 512, 3))
    used = []
    for height in (1200, 9000):
        path = tmp_path / f"{height}.tif"
        tiles = (tile for _ in range(-(-height // 512) * 3))
        tifffile.imwrite(path, tiles, shape=(height, 1200, 3), dtype=np.uint8, tile=(512, 512))
        code = "predict_raster(Path(sys.argv[1]), Brightness(), Path(sys.argv[2]))\n"
        code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
        used.append(int(apart(code, path, tmp_path / "m.tif")))
    assert used[1] - used[0] < 60, used
