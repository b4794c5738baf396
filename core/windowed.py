"""Parts of a picture that is too large to be decoded whole: rows in order, and the whole of it shrunk.

Read through rasterio (GDAL): it decodes JPEG, PNG and TIFF block by block, so memory stays at a band of rows. Only the
driver of the format that Pillow or tifffile saw is let in, and no file beside the picture is looked at.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import ReadError
from core.images import (
    MAX_PIXELS,
    RGB,
    ImageSize,
    IntensityRule,
    probe_image,
    read_image,
    read_jpeg_draft,
    sampling_step,
    shrink,
    stretch,
    turn_upright,
)

WHOLE: Final = 40_000_000  # pixels up to which decoding all is the quickest way to a small picture
_CACHE: Final = 128_000_000  # bytes that GDAL keeps of decoded blocks; by itself a twentieth of the memory
_LARGEST_BLOCK: Final = 300_000_000  # bytes that GDAL has to decode at once
_OVERSIZE: Final = 4  # a small picture is averaged from one so many times its size
_ROWS: Final = 512  # read at once where all rows are
_DRIVERS: Final = {"TIFF": "GTiff", "JPEG": "JPEG", "PNG": "PNG", "BMP": "BMP", "WEBP": "WEBP"}
_whole: Final = threading.Lock()  # one picture at a time is decoded whole only to be shrunk


class WindowedPicture:
    """An open picture. `size` is as stored; `orientation` is what EXIF says, and nothing is turned here."""

    def __init__(self, dataset: Any, rule: IntensityRule, orientation: int) -> None:
        self._dataset = dataset
        self.size = ImageSize(dataset.height, dataset.width)
        self.orientation = orientation
        self._bands = [1, 2, 3] if dataset.count >= 3 else [1]
        self._palette = _palette_of(dataset)
        bits = int(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8))
        self._spread = 255 // (2**bits - 1) if bits in (1, 2, 4) else 1  # 1, 2 and 4 bits a pixel come as 0..15
        self._rule = rule
        self._ends: tuple[float, float] | None = None  # the values that become 0 and 255 in all parts

    @property
    def exact(self) -> bool:
        """Whether `rows` gives what `read_image` does, to the bit. Decoders of JPEG differ, as do colour spaces."""
        known = self._dataset.driver in ("GTiff", "PNG", "BMP") and self._dataset.dtypes[0] != "int8"
        grey_and_alpha = self._dataset.driver == "PNG" and self._dataset.count == 2
        return known and not grey_and_alpha and "SOURCE_COLOR_SPACE" not in self._dataset.tags(ns="IMAGE_STRUCTURE")

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of decoded values."""
        return self.size.width * len(self._bands) * np.dtype(self._dataset.dtypes[0]).itemsize

    def rows(self, top: int, height: int) -> RGB:
        """`height` rows from `top` on, (height, W, 3) uint8. In ascending order each row is decoded once."""
        bands = self._values(top, height)
        if bands.dtype == np.uint8 or self._palette is not None:
            return self._finished(bands)
        self._ends = self._ends or self._window()
        return self._finished(stretch(bands, *self._ends))

    def shrunk(self, side: int) -> RGB:
        """The whole picture with its longer side at most `side`, windowed by what it shows itself."""
        scale = min(1.0, side / max(self.size))
        shape = (len(self._bands), max(1, round(self.size.height * scale)), max(1, round(self.size.width * scale)))
        bands = np.asarray(self._dataset.read(self._bands, out_shape=shape))
        return self._finished(bands if self._palette is not None else self._rule.apply(bands))

    def check(self) -> None:
        """Decode the last row, and the first: some formats begin with the last. Raises what GDAL does."""
        for top in (0, self.size.height - 1):
            self._values(top, 1)

    def _values(self, top: int, height: int) -> NDArray[Any]:
        window = ((top, top + height), (0, self.size.width))
        return np.asarray(self._dataset.read(self._bands, window=window))

    def _window(self) -> tuple[float, float]:
        """What IntensityRule.window gives for the whole picture, from the very same values; may read all rows."""
        if self._rule.kind == "fixed":
            return self._rule.low, self._rule.high
        step = sampling_step(self.size.pixels * len(self._bands))
        known, seen = [], 0
        for top in range(0, self.size.height, _ROWS):
            values = np.moveaxis(self._values(top, min(_ROWS, self.size.height - top)), 0, -1).ravel()
            if values.dtype.kind == "f":
                values = values[np.isfinite(values)]
            known.append(values[-seen % step :: step].copy())
            seen += values.size
        return self._rule.window_of(np.concatenate(known))

    def _finished(self, bands: NDArray[Any]) -> RGB:
        if self._palette is not None:
            return self._palette[bands[0]]
        if self._spread > 1:
            bands = bands * np.uint8(self._spread)
        pixels = np.moveaxis(bands, 0, -1)
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)


def _palette_of(dataset: Any) -> RGB | None:
    """(values, 3) the colour of each value; None where values are colours already."""
    if dataset.count != 1 or dataset.colorinterp[0].name != "palette":
        return None
    colors = dataset.colormap(1)
    table = np.zeros((max(256, max(colors) + 1), 3), np.uint8)
    for value, color in colors.items():
        table[value] = color[:3]
    return table


@contextmanager
def open_windowed(source: Path | bytes, rule: IntensityRule, *, name: str = "") -> Iterator[WindowedPicture]:
    """The picture in `source`, to be read in parts. Raises ReadError for what cannot be, also while it is read."""
    import rasterio  # loads GDAL: only where a picture is that large
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    name = name or (source.name if isinstance(source, Path) else "The upload")
    info = probe_image(source, name=name)
    quiet = rasterio.Env(
        GDAL_CACHEMAX=_CACHE, GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO", GDAL_NUM_THREADS=1
    )
    try:
        with ExitStack() as stack:
            stack.enter_context(quiet)
            if isinstance(source, bytes):
                source = stack.enter_context(rasterio.MemoryFile(source)).name
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a plain picture has no place on Earth
                dataset = stack.enter_context(rasterio.open(source, driver=_DRIVERS.get(info.format, "GTiff")))
            _check_kind(dataset, name)
            yield WindowedPicture(dataset, rule, info.orientation)
    except (RasterioError, CPLE_BaseError, MemoryError) as error:
        reason = (str(error.__cause__ or error) or type(error).__name__).splitlines()[0].rsplit(": ", 1)[-1][:120]
        raise ReadError(
            f"{name} cannot be read in parts ({reason}).",
            hint="It may be cut off. Or save it as a TIFF with tiles, or cut it into smaller pictures.",
        ) from error


def _check_kind(dataset: Any, name: str) -> None:
    if dataset.dtypes[0].startswith("complex"):
        raise ReadError(f"{name} holds complex numbers.", hint="Save it as a picture of whole numbers or floats.")
    height, width = dataset.block_shapes[0]
    planes = dataset.count if dataset.interleaving is not None and dataset.interleaving.name == "pixel" else 1
    block = height * width * planes * np.dtype(dataset.dtypes[0]).itemsize
    if block > _LARGEST_BLOCK:
        raise ReadError(
            f"{name} is packed in pieces of {block / 1e9:.1f} GB each.", hint="Save it as a TIFF with tiles or strips."
        )


def check_windowed(data: bytes, rule: IntensityRule, *, name: str) -> None:
    """Raises ReadError when the very large picture in `data` cannot be read in parts to its last row."""
    with open_windowed(data, rule, name=name) as picture:
        refuse_turned(picture, name)
        picture.check()


def refuse_turned(picture: WindowedPicture, name: str) -> None:
    if picture.orientation != 1:
        raise ReadError(
            f"{name} is very large and turned by its camera's mark (EXIF).", hint="Save it upright, and import that."
        )


def is_exact(path: Path, rule: IntensityRule) -> bool:
    """Whether the picture can be read in parts, upright, and they are to the bit what `read_image` gives."""
    try:
        with open_windowed(path, rule) as picture:
            return picture.exact and picture.orientation == 1
    except ReadError:
        return False


def read_small(path: Path, side: int, rule: IntensityRule) -> RGB:
    """The picture, upright, with its longer side at most `side`; memory stays bounded. Raises ReadError."""
    info = probe_image(path)
    if info.format == "JPEG":
        return shrink(read_jpeg_draft(path, side), side)
    if info.size.pixels > MAX_PIXELS or (info.size.pixels > WHOLE and is_exact(path, rule)):
        with open_windowed(path, rule) as picture:
            return turn_upright(shrink(picture.shrunk(_OVERSIZE * side), side), picture.orientation)
    with _whole:
        return shrink(read_image(path, intensity=rule), side)
