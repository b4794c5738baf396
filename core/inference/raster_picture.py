"""A raster of any size as a network sees it: rows of RGB from top to bottom, and which pixels hold data at all.

Read through rasterio (GDAL), some rows at a time. Only drivers of plain picture formats are let in and no file beside
the raster is opened, but for the six numbers of a world file: a list of other files (VRT) is refused, and so is
whatever is not on this machine.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from core.errors import ConfigError, ReadError
from core.formats.geo import read_geo
from core.images import RGB, ImageSize, IntensityRule, guarded, probe_image, sampling_step, stretch
from core.inference.rows import Cancelled

_DRIVERS: Final = (  # first bytes of a file, and what reads it
    (b"II*\0", "GTiff"),
    (b"MM\0*", "GTiff"),
    (b"II+\0", "GTiff"),  # BigTIFF
    (b"MM\0+", "GTiff"),
    (b"\0\0\0\x0cjP  ", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
)
_KINDS: Final = "GeoTIFF, JPEG 2000, PNG, JPEG and BMP are. Convert it, as with gdal_translate, or copy it again."
_LEAST_CACHE, _MOST_CACHE = 64_000_000, 512_000_000  # bytes of decoded blocks that GDAL keeps
_LARGEST_BLOCK: Final = 300_000_000  # bytes that GDAL has to decode at once
_AT_ONCE: Final = 64_000_000  # bytes of values in one reading
_ORIENTATION: Final = 274  # TIFF tag
_WORLD_BYTES: Final = 4096

Bits = NDArray[np.bool_]


class Place(NamedTuple):
    """Where a raster lies: what a result of the same pixels must have too. Without any of it: nowhere."""

    crs: Any | None  # rasterio's CRS
    transform: Any | None  # Affine, from pixel corners to the map
    gcps: tuple[Any, ...] = ()
    rpcs: Any | None = None

    @property
    def known(self) -> bool:
        return self.crs is not None and bool(self.transform is not None or self.gcps or self.rpcs is not None)


class RasterRows(NamedTuple):
    """pixels: (rows, W, 3).  data: (rows, W), False where the raster holds none."""

    pixels: RGB
    data: Bits


class RasterPicture:
    """An open raster. Rows come as they are stored, never turned."""

    def __init__(self, dataset: Any, bands: tuple[int, ...], rule: IntensityRule, place: Place, name: str) -> None:
        self._dataset, self._bands, self._rule, self._name = dataset, bands, rule, name
        self.size = ImageSize(dataset.height, dataset.width)
        self.place = place
        self.bands = bands if len(bands) == 3 else bands * 3
        self.pages = max(1, len(dataset.subdatasets))
        self._type = np.dtype(dataset.dtypes[bands[0] - 1])
        self._palette = _palette_of(dataset, bands)
        bits = int(dataset.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", 8))
        self._spread = 255 // (2**bits - 1) if bits in (1, 2, 4) else 1  # 1, 2 and 4 bits a pixel come as 0..15
        self._masked = _is_masked(dataset, bands)
        self._ends: tuple[float, float] | None = None  # the values that become 0 and 255

    def find_window(self, cancelled: Callable[[], bool] | None = None) -> None:
        """Settle which values become 0 and 255: IntensityRule's own, of all values that are data.

        Where they are percentiles of wide values, this reads the whole raster once. Raises ReadError, Cancelled.
        """
        if self._type == np.uint8 or self._palette is not None or self._rule.kind == "fixed":
            self._ends = self._rule.low, self._rule.high
            return
        step = sampling_step(self.size.pixels * len(self._bands))
        known, seen = [], 0
        for top, height in self._pieces(0, self.size.height):
            if cancelled is not None and cancelled():
                raise Cancelled
            values, data = self._values(top, height)
            kept = np.moveaxis(values, 0, -1)[data].ravel()
            if kept.dtype.kind == "f":
                kept = kept[np.isfinite(kept)]
            known.append(kept[-seen % step :: step].copy())
            seen += kept.size
        self._ends = self._rule.window_of(np.concatenate(known))

    def rows(self, top: int, height: int) -> RasterRows:
        """`height` rows from `top` on. In ascending order each block is decoded about once. Raises ReadError."""
        if self._ends is None:
            self.find_window()
        found = RasterRows(np.empty((height, self.size.width, 3), np.uint8), np.empty((height, self.size.width), bool))
        for start, count in self._pieces(top, height):
            part = slice(start - top, start - top + count)
            values, found.data[part] = self._values(start, count)
            found.pixels[part] = self._colours(values, found.data[part])
        return found

    def _pieces(self, top: int, height: int) -> Iterator[tuple[int, int]]:
        """Rows that are read at once, as (top, count)."""
        count = max(1, _AT_ONCE // (self.size.width * len(self._bands) * max(4, self._type.itemsize)))
        for start in range(top, top + height, count):
            yield start, min(count, top + height - start)

    def _values(self, top: int, height: int) -> tuple[NDArray[Any], Bits]:
        """(bands, height, W) of the raster's own type, and (height, W) whether there is data."""
        from rasterio._err import CPLE_BaseError
        from rasterio.errors import RasterioError

        window = ((top, top + height), (0, self.size.width))
        try:
            values = np.asarray(self._dataset.read(self._bands, window=window))
            data: Bits = np.ones(values.shape[1:], bool)
            if self._masked:
                data = np.asarray(self._dataset.read_masks(self._bands, window=window).any(axis=0))
        except (RasterioError, CPLE_BaseError, MemoryError, ValueError) as error:
            where = f"row {top + 1}" if height == 1 else f"rows {top + 1} to {top + height}"
            raise ReadError(
                f"{self._name} cannot be read in {where} of {self.size.height} ({reason_of(error)}).",
                hint="It may be damaged or cut off. Copy it again, or export it again from the program that made it.",
            ) from error
        if values.dtype.kind == "f":
            data &= np.asarray(np.isfinite(values).any(axis=0))
        return values, data

    def _colours(self, values: NDArray[Any], data: Bits) -> NDArray[np.uint8]:
        """(height, W, 3), or (height, W, 1) of a grey one."""
        if self._palette is not None:
            return self._palette[values[0]]
        pixels = np.moveaxis(values, 0, -1)
        if values.dtype == np.uint8:
            return pixels if self._spread == 1 else pixels * np.uint8(self._spread)
        assert self._ends is not None
        stretched = stretch(pixels, *self._ends)
        stretched[~data] = 0
        return stretched


@contextmanager
def open_raster(path: Path, rule: IntensityRule, bands: Sequence[int] | None = None) -> Iterator[RasterPicture]:
    """The raster in the file `path`. What is written meanwhile through rasterio keeps to the same settings of GDAL.

    bands: three of its bands, or one that stands for all three, from 1 on; None for red, green and blue where it says
    which they are, else the first three, else the first.  rule: how values of more than 8 bits become 0..255; pixels
    without data count nowhere.  Raises ReadError for what cannot be read, ConfigError for bands that it has not.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    driver = _driver_of(path)
    with ExitStack() as stack:
        stack.enter_context(
            rasterio.Env(
                GDAL_CACHEMAX=_LEAST_CACHE,
                GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
                GDAL_PAM_ENABLED="NO",
                GDAL_NUM_THREADS=1,
            )
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a plain picture has no place on Earth
            dataset = stack.enter_context(_opened(path, driver))
            place = _place_of(dataset, path)
        _check_kind(dataset, path)
        chosen = _chosen(dataset, bands, path.name)
        _check_type(dataset, chosen, path.name)
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_cache(dataset, chosen)))
        yield RasterPicture(dataset, chosen, rule, place, path.name)


def reason_of(error: BaseException) -> str:
    """What GDAL says, without its own prefixes."""
    text = str(error.__cause__ or error) or type(error).__name__
    return text.splitlines()[0].rsplit(": ", 1)[-1][:120].rstrip(".")


# --------------------------------------------------------------------------------------------------- opening


def _driver_of(path: Path) -> str:
    """The one driver of GDAL that the first bytes of the file ask for."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ReadError(f"{path.name} cannot be opened ({error.strerror}).", hint="Is it there still?") from error
    if not head:
        raise ReadError(f"{path.name} is empty (0 bytes).", hint="Copy the file again; the transfer was cut off.")
    for magic, driver in _DRIVERS:
        if head.startswith(magic):
            return driver
    if b"<VRTDataset" in head:
        raise ReadError(
            f"{path.name} is a virtual raster (VRT), a list of other files.",
            hint="Make one file of it: gdal_translate -of GTiff the.vrt the.tif",
        )
    raise ReadError(f"{path.name} is no raster of a kind that is read here.", hint=_KINDS)


def _opened(path: Path, driver: str) -> Any:
    import rasterio
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    try:
        return rasterio.open(path.absolute(), driver=driver)
    except (RasterioError, CPLE_BaseError, MemoryError, ValueError) as error:
        raise ReadError(f"{path.name} cannot be read as a raster ({reason_of(error)[:90]}).", hint=_KINDS) from error


def _check_kind(dataset: Any, path: Path) -> None:
    block = _block_bytes(dataset, 1)
    if block > _LARGEST_BLOCK:
        raise ReadError(
            f"{path.name} is packed in pieces of {block / 1e9:.1f} GB each.", hint="Save it as a TIFF with tiles."
        )
    if dataset.driver == "GTiff":
        orientation = guarded(path.name, lambda: _tiff_orientation(path))
    elif dataset.driver in ("JPEG", "PNG"):
        orientation = probe_image(path).orientation
    else:
        orientation = 1
    if orientation not in (0, 1):
        raise ReadError(
            f"{path.name} is turned by its camera's mark (EXIF), which rasters are not.",
            hint="Predict it as a picture, or save it upright.",
        )


def _tiff_orientation(path: Path) -> int:
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags.get(_ORIENTATION)
        return int(tag.value) if tag else 1


def _check_type(dataset: Any, bands: tuple[int, ...], name: str) -> None:
    kinds = {dataset.dtypes[band - 1] for band in bands}
    if any(kind.startswith("complex") for kind in kinds):
        raise ReadError(f"{name} holds complex numbers.", hint="Save it as a raster of whole numbers or floats.")
    if len(kinds) > 1:
        raise ReadError(
            f"The chosen bands of {name} hold different types of numbers: {', '.join(sorted(kinds))}.",
            hint="Choose bands of one type, or convert the raster.",
        )


def _chosen(dataset: Any, bands: Sequence[int] | None, name: str) -> tuple[int, ...]:
    """One band or three."""
    if bands is None:
        colours = [colour.name for colour in dataset.colorinterp]
        if {"red", "green", "blue"} <= set(colours):
            return tuple(colours.index(colour) + 1 for colour in ("red", "green", "blue"))
        shown = [index for index, colour in enumerate(colours, start=1) if colour != "alpha"] or [1]
        return tuple(shown[:3]) if len(shown) >= 3 else (shown[0],)
    if len(bands) not in (1, 3) or any(isinstance(band, bool) or not isinstance(band, int) for band in bands):
        raise ConfigError(f"The bands {list(bands)} cannot be used.", hint="Choose three bands, or one, from 1 on.")
    missing = [band for band in bands if not 1 <= band <= dataset.count]
    if missing:
        raise ConfigError(
            f"{name} has no band {missing[0]}; it has {dataset.count}.", hint=f"Choose from 1 to {dataset.count}."
        )
    return tuple(bands)


# ---------------------------------------------------------------------------------------------- what it says of itself


def _place_of(dataset: Any, path: Path) -> Place:
    points, points_crs = dataset.gcps
    if points:
        return Place(points_crs, None, tuple(points), dataset.rpcs)
    transform = None if dataset.transform.is_identity else dataset.transform
    return Place(dataset.crs, transform or _world_transform(path), (), dataset.rpcs)


def _world_transform(path: Path) -> Any | None:
    """The six numbers of photo.jgw, photo.jpgw or photo.wld beside photo.jpg."""
    from rasterio import Affine

    suffix = path.suffix.lower()
    for candidate in (suffix[:2] + suffix[-1:] + "w", suffix + "w", ".wld"):
        try:
            with path.with_suffix(candidate).open("rb") as file:
                found = read_geo(b"", file.read(_WORLD_BYTES))
        except (OSError, ValueError):
            continue
        if found is not None:
            return Affine(*found.transform)
    return None


def _palette_of(dataset: Any, bands: tuple[int, ...]) -> RGB | None:
    """(values, 3) the colour of each value; None where values are colours already."""
    if dataset.count != 1 or dataset.colorinterp[0].name != "palette":
        return None
    colors = dataset.colormap(1)
    table = np.zeros((max(int(np.iinfo(dataset.dtypes[0]).max), max(colors)) + 1, 3), np.uint8)
    for value, color in colors.items():
        table[value] = color[:3]
    return table


def _is_masked(dataset: Any, bands: tuple[int, ...]) -> bool:
    """Whether pixels may be without data. An alpha band that is looked at as a colour is none."""
    from rasterio.enums import ColorInterp, MaskFlags

    if any(dataset.colorinterp[band - 1] == ColorInterp.alpha for band in bands):
        return False
    return any(MaskFlags.all_valid not in dataset.mask_flag_enums[band - 1] for band in bands)


def _block_bytes(dataset: Any, planes: int) -> int:
    """Bytes of a block as it is decoded: all bands of it where they lie pixel by pixel."""
    height, width = dataset.block_shapes[0]
    by_pixel = dataset.interleaving is not None and dataset.interleaving.name == "pixel"
    return int(height * width * (dataset.count if by_pixel else planes) * np.dtype(dataset.dtypes[0]).itemsize)


def _cache(dataset: Any, bands: tuple[int, ...]) -> int:
    """Room for two rows of blocks: what windows of one row share, and those that the next row needs again."""
    across = -(-dataset.width // dataset.block_shapes[0][1])
    return min(_MOST_CACHE, max(_LEAST_CACHE, 2 * across * _block_bytes(dataset, len(bands))))
