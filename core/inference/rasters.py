"""Rasters of any size, as GeoTIFFs: their mask at the same place on the map, in memory that depends on their width."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.annotation.clean_up import CleanUp
from core.annotation.raster import Mask
from core.errors import ConfigError, ReadError
from core.images import RGB, ImageSize
from core.inference.backend import Backend
from core.inference.banded_clean_up import RowFile, cleaned_rows
from core.inference.predict import decide_rows
from core.inference.raster_mask import NO_DATA, MaskRaster, mask_raster
from core.inference.raster_picture import Bits, Place, RasterPicture, open_raster
from core.inference.rows import Cancelled, PredictConfig, plan_of, probability_rows
from core.inference.windows import Window, cut_window

_MOST_BYTES: Final = 8_000_000_000  # of a row of windows
_PER_PIXEL: Final = 8  # bytes beside the probabilities: values, which hold data, the mask
_PREDICTED: Final = 0.95  # of the work; the rest is cleaning up, where there is any


class RasterResult(NamedTuple):
    """What was written.

    bands: the three that were looked at.  pixels: of each class, by id.  without_data: pixels that are 255.
    crs: as text, "" for a raster without one.  notes: what a person should know of it, in sentences.
    """

    path: Path
    size: ImageSize
    bands: tuple[int, ...]
    pixels: tuple[int, ...]
    without_data: int
    crs: str
    notes: tuple[str, ...]


def predict_raster(
    path: Path,
    backend: Backend,
    target: Path,
    *,
    bands: Sequence[int] | None = None,
    config: PredictConfig | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> RasterResult:
    """Write the mask of the raster `path` to `target`: a GeoTIFF of class ids at the same place, 255 without data.

    bands: three of the raster, or one, from 1 on; None for red, green and blue, else the first three, else the first.
    Values become 0..255 by the card's IntensityRule, as those of pictures do; percentiles are those of pixels that hold
    data. The mask is made by the thresholds and cleaned up as the card says, see `banded_clean_up.py`. Windows without
    data cost nothing.
    progress is told the part done, up to 1.0.  `target` appears when all is done; after an error nothing is left.
    Raises ReadError, WriteError, ConfigError, and Cancelled once `cancelled` says so.
    """
    _check_target(path, target)
    how = backend.card.clean_up
    cleans = how != CleanUp()
    share = _PREDICTED if cleans else 1.0
    tell = None if progress is None else (lambda done: progress(done * share))
    with open_raster(path, backend.card.intensity, bands) as picture:
        _check_width(path.name, picture.size, backend, config)
        picture.find_window(cancelled)
        rows = _predicted_rows(picture, backend, config, tell, cancelled)
        labels = backend.card.labels
        with closing(rows), mask_raster(target, picture.size, picture.place, labels, backend.card.name) as mask:
            if cleans:
                counts = _add_all(mask, _cleaned(rows, picture.size, how, target.parent, cancelled))
            else:
                counts = _add_all(mask, rows)
        crs = picture.place.crs.to_string() if picture.place.crs is not None else ""
        result = RasterResult(
            target,
            picture.size,
            picture.bands,
            tuple(int(count) for count in counts[: len(labels)]),
            int(counts[NO_DATA]),
            crs,
            _notes(picture),
        )
    if progress is not None:
        progress(1.0)
    return result


def _predicted_rows(
    picture: RasterPicture,
    backend: Backend,
    config: PredictConfig | None,
    progress: Callable[[float], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Generator[Mask, None, None]:
    """Class ids, 255 without data, some rows at a time."""
    band = _RasterBand(picture)
    for top, probabilities in probability_rows(
        picture.size, band.read, backend, config=config, progress=progress, cancelled=cancelled
    ):
        mask = np.empty(probabilities.shape[1:], np.uint8)
        decide_rows(probabilities, backend.card, mask, np.empty_like(mask))
        mask[~band.data(top, len(mask))] = NO_DATA
        yield mask


class _RasterBand:
    """The rows of a raster that windows are being cut from; they must ask from top to bottom."""

    def __init__(self, picture: RasterPicture) -> None:
        self._picture = picture
        self._top = 0
        self._pixels: RGB = np.empty((0, picture.size.width, 3), np.uint8)
        self._data: Bits = np.empty((0, picture.size.width), bool)

    def read(self, window: Window) -> RGB | None:
        """The pixels of `window`, mirrored past the edge; None where it holds no data, or is black all over."""
        self._reach(window.top, min(window.top + window.height, self._picture.size.height))
        inside = window._replace(top=window.top - self._top)
        rows, columns = slice(inside.top, inside.top + inside.height), slice(inside.left, inside.left + inside.width)
        if not self._data[rows, columns].any() or not self._pixels[rows, columns].any():
            return None
        return cut_window(self._pixels, inside)

    def data(self, top: int, height: int) -> Bits:
        """(height, W): which pixels hold data. Only of rows that no window was asked below of."""
        self._reach(top, top + height)
        return self._data[top - self._top : top - self._top + height]

    def _reach(self, top: int, bottom: int) -> None:
        """Let go of what lies above `top`, and read down to `bottom`."""
        held = self._top + len(self._pixels)
        if bottom <= held:
            return
        passed = top - self._top
        # copies, so that the rows above are given back before more are read
        self._top, self._pixels, self._data = top, self._pixels[passed:].copy(), self._data[passed:].copy()
        new = self._picture.rows(held, bottom - held)
        self._pixels = np.concatenate([self._pixels, new.pixels])
        self._data = np.concatenate([self._data, new.data])


def _cleaned(
    rows: Iterator[Mask], size: ImageSize, how: CleanUp, folder: Path, cancelled: Callable[[], bool] | None
) -> Iterator[Mask]:
    def check() -> None:
        if cancelled is not None and cancelled():
            raise Cancelled

    with RowFile(folder, size) as raw:
        for part in rows:
            raw.add(part)
        yield from cleaned_rows(raw, how, folder, check=check)


def _add_all(mask: MaskRaster, rows: Iterator[Mask]) -> NDArray[np.int64]:
    """Write all `rows`; gives the pixels of each of the 256 values."""
    counts = np.zeros(256, np.int64)
    for part in rows:
        mask.add(part)
        counts += np.bincount(part.ravel(), minlength=256)
    return counts


def _check_target(path: Path, target: Path) -> None:
    if not path.is_file():
        raise ReadError(f"{path} is not a file.", hint="Give the path of a raster on this machine.")
    if target.is_dir():
        raise ConfigError(f"{target} is a folder.", hint="Give the path of a new file, as result.tif.")
    if target.exists() and target.samefile(path):
        raise ConfigError(f"The result would replace {path.name} itself.", hint="Choose another name for the result.")


def _check_width(name: str, size: ImageSize, backend: Backend, config: PredictConfig | None) -> None:
    """A header may claim any width; what is kept is a row of windows."""
    plan = plan_of(size, backend, config or PredictConfig())
    needed = plan.rows.side * size.width * (_PER_PIXEL + 4 * backend.card.network.classes)
    if needed > _MOST_BYTES:
        raise ReadError(
            f"{name} is {size.width:,} pixels wide; a row of windows of it would take {needed / 1e9:.0f} GB of memory.",
            hint="Cut it into narrower rasters, or choose smaller windows.",
        )


def _notes(picture: RasterPicture) -> tuple[str, ...]:
    place: Place = picture.place
    notes = []
    if place.crs is None:
        notes.append("The raster names no coordinate system, so the result has none either.")
    elif not place.known:
        notes.append("The raster does not say where it lies in its coordinate system, so the result does not either.")
    if picture.pages > 1:
        notes.append(f"The file holds {picture.pages} rasters; this is the first.")
    return tuple(notes)
