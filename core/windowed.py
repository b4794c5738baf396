"""Parts of a picture that is too large to be decoded whole: rows in order, and the whole of it shrunk.

Read through rasterio (GDAL): it decodes JPEG, PNG and TIFF block by block, so memory stays at a band of rows.
"""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ReadError
from core.images import RGB, ImageSize, IntensityRule, probe_image

_CACHE = 128  # MB that GDAL keeps of decoded blocks; by itself it would take a twentieth of the memory
_LOOK = 2000  # a side of the shrunk picture from which percentiles are taken


class WindowedPicture:
    """An open picture. `size` is as stored; a picture that its EXIF turns is refused when it is opened."""

    def __init__(self, dataset: Any, rule: IntensityRule) -> None:
        self._dataset = dataset
        self.size = ImageSize(dataset.height, dataset.width)
        count = dataset.count
        self._bands = [1, 2, 3] if count >= 3 else [1]
        self._palette = dataset.colormap(1) if count == 1 and dataset.colorinterp[0].name == "palette" else None
        self._rule = self._fixed(rule)

    def rows(self, top: int, height: int) -> RGB:
        """`height` rows from `top` on, (height, W, 3) uint8. In ascending order each row is decoded once."""
        window = ((top, top + height), (0, self.size.width))
        return self._finished(self._dataset.read(self._bands, window=window))

    def shrunk(self, side: int) -> RGB:
        """The whole picture with its longer side at most `side`."""
        return self._finished(self._shrunk(side))

    def _shrunk(self, side: int) -> NDArray[Any]:
        scale = min(1.0, side / max(self.size))
        shape = (len(self._bands), max(1, round(self.size.height * scale)), max(1, round(self.size.width * scale)))
        return np.asarray(self._dataset.read(self._bands, out_shape=shape))

    def _fixed(self, rule: IntensityRule) -> IntensityRule:
        """Percentiles of the whole picture, for each of its parts."""
        if rule.kind == "fixed" or self._dataset.dtypes[0] == "uint8":
            return rule
        values = self._shrunk(_LOOK)
        known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = np.percentile(known, (rule.low, rule.high)) if known.size else (0.0, 1.0)
        return IntensityRule("fixed", float(low), max(float(high), float(low) + 1e-6))

    def _finished(self, bands: NDArray[Any]) -> RGB:
        if self._palette is not None:
            table = np.zeros((256, 3), np.uint8)
            for value, color in self._palette.items():
                table[value] = color[:3]
            return table[bands[0]]
        pixels = self._rule.apply(np.moveaxis(bands, 0, -1))
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)


@contextmanager
def open_windowed(source: Path | bytes, rule: IntensityRule, *, name: str = "") -> Iterator[WindowedPicture]:
    """The picture in `source`, to be read in parts. Raises ReadError for what GDAL cannot read, or EXIF turns."""
    import rasterio  # loads GDAL: only where a picture is that large
    from rasterio.errors import RasterioError

    name = name or (source.name if isinstance(source, Path) else "The upload")
    if probe_image(source, name=name).orientation != 1:
        raise ReadError(
            f"{name} is very large and turned by its camera's mark (EXIF).", hint="Save it upright, and import that."
        )
    try:
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")  # a plain picture has no place on Earth
            stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE))
            if isinstance(source, bytes):
                source = stack.enter_context(rasterio.MemoryFile(source)).name
            yield WindowedPicture(stack.enter_context(rasterio.open(source)), rule)
    except RasterioError as error:
        raise ReadError(
            f"{name} cannot be read in parts ({str(error).splitlines()[0][:120]}).",
            hint="Save it as a TIFF that is not compressed, or cut it into smaller pictures.",
        ) from error


def check_windowed(data: bytes, rule: IntensityRule, *, name: str) -> None:
    """Raises ReadError when the picture in `data` cannot be read in parts to its last row."""
    with open_windowed(data, rule, name=name) as picture:
        picture.rows(picture.size.height - 1, 1)
