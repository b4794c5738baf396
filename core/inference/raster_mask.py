"""The mask of a raster as a GeoTIFF, at the same place: written in rows as they are done, whole or not at all."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask
from core.errors import WriteError
from core.files import write_error
from core.images import ImageSize
from core.inference.raster_picture import Place, reason_of

TILE: Final = 512
NO_DATA: Final = IGNORE_ID


class MaskRaster:
    """Takes the rows of a mask from top to bottom, and writes whole rows of tiles: each is packed once."""

    def __init__(self, dataset: Any, target: Path) -> None:
        self._dataset, self._target = dataset, target
        self._waiting = np.empty((TILE, dataset.width), np.uint8)
        self._top = self._filled = 0

    def add(self, rows: Mask) -> None:
        """The next rows, (rows, W) class ids."""
        while len(rows):
            count = min(TILE - self._filled, len(rows))
            self._waiting[self._filled : self._filled + count] = rows[:count]
            self._filled += count
            rows = rows[count:]
            if self._filled == TILE or self._top + self._filled == self._dataset.height:
                self._write()

    def _write(self) -> None:
        window = ((self._top, self._top + self._filled), (0, self._dataset.width))
        with _refusals(self._target):
            self._dataset.write(self._waiting[: self._filled], 1, window=window)
        self._top, self._filled = self._top + self._filled, 0


@contextmanager
def mask_raster(target: Path, size: ImageSize, place: Place, labels: LabelSet, model: str) -> Iterator[MaskRaster]:
    """A GeoTIFF of `size` at `place`, class ids with the colours of `labels`, 255 where there is no data.

    It comes to lie at `target` when the block ends well; after any error nothing is left. Raises WriteError.
    """
    with written_whole(target) as temporary:
        with _refusals(target):
            dataset = _created(temporary, size, place)
        try:
            with _refusals(target):
                _describe(dataset, labels, model)
            yield MaskRaster(dataset, target)
        finally:
            with _refusals(target):
                dataset.close()
        with _refusals(target):
            _check_whole(temporary, size)


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to. What lies there becomes `target` when the block ends well, else it goes."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=".", suffix=".part"))
    except OSError as error:
        raise write_error(target, error) from error
    try:
        temporary = folder / target.name
        yield temporary
        try:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except OSError as error:
            raise write_error(target, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _refusals(target: Path) -> Iterator[None]:
    """What GDAL says when the disk refuses, as a WriteError."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise WriteError(
            f"{target.name} was not written ({reason_of(error)}).",
            hint="Is the disk full? Free some space, or choose another folder.",
        ) from error


def _created(path: Path, size: ImageSize, place: Place) -> Any:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    lies = {"crs": place.crs} if place.crs is not None else {}
    if place.transform is not None:
        lies["transform"] = place.transform
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=size.height,
            width=size.width,
            count=1,
            dtype="uint8",
            nodata=NO_DATA,
            tiled=True,
            blockxsize=TILE,
            blockysize=TILE,
            compress="deflate",
            bigtiff="IF_SAFER",
            **lies,
        )
        if place.gcps:
            dataset.gcps = (list(place.gcps), place.crs)
        if place.rpcs is not None:
            dataset.rpcs = place.rpcs
    return dataset


def _describe(dataset: Any, labels: LabelSet, model: str) -> None:
    """Before the first row: TIFF keeps a colour table in its head."""
    dataset.write_colormap(
        1, {i: (*label.color, 255) for i, label in enumerate(labels.labels)} | {NO_DATA: (0, 0, 0, 0)}
    )
    dataset.set_band_description(1, "class id")
    dataset.update_tags(TIFFTAG_SOFTWARE="Maskloop", **({"MODEL": model} if model else {}))
    dataset.update_tags(1, **{f"CLASS_{i}": name for i, name in enumerate(labels.names)}, CLASS_255="no data")


def _check_whole(path: Path, size: ImageSize) -> None:
    """GDAL writes its last blocks while it closes, and does not say so when the disk refuses them."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, driver="GTiff") as dataset:
            for top in range(0, size.height, TILE):
                dataset.read(1, window=((top, min(top + TILE, size.height)), (0, size.width)))
