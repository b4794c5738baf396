"""The mask of a raster as polygons along the edges of its pixels, with their measures; memory depends on what is open.

The mask is read in bands of rows. What ends within a band is given at once; pieces that reach the next band are kept
and become one polygon when no band below holds more of them. So only objects that cross a seam are in memory, as
corners. Parts of a label that touch at a corner only are polygons of their own.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask
from core.errors import ConfigError, ReadError
from core.images import ImageSize
from core.inference.map_measures import Measures, measures_of
from core.inference.raster_mask import NO_DATA
from core.inference.raster_picture import reason_of

_PIXELS: Final = 10_000_000  # of a band
_MOST_CORNERS: Final = 4_000_000  # of all objects that are open at a time: some 100 bytes each when they are joined

Ids = NDArray[np.int64]


class RasterPolygon(NamedTuple):
    """One connected part of a label.

    shape: a shapely Polygon in the raster's own coordinates, or pixel corners (x right, y down) where it has none.
    pixels: that it holds.  area: in `unit` squared, of those pixels, whatever the tolerance.  perimeter: in `unit`, of
    `shape`, holes included.  unit: "metre", "US survey foot", ..., "pixel"; always metres where the map is in degrees.
    """

    label: str
    class_id: int
    pixels: int
    area: float
    perimeter: float
    unit: str
    shape: Any


class _Object(NamedTuple):
    """Pieces of one object, as far as bands have been read."""

    class_id: int
    pieces: list[Any]

    @property
    def corners(self) -> int:
        return int(shapely.get_num_coordinates(self.pieces).sum())


class OpenMask:
    """A mask that lies open to be read in rows."""

    def __init__(self, dataset: Any, name: str) -> None:
        self._dataset, self._name = dataset, name
        self.size = ImageSize(dataset.height, dataset.width)
        self.crs = dataset.crs
        self.transform = None if dataset.transform.is_identity else dataset.transform

    def rows(self, top: int, height: int) -> Mask:
        from rasterio._err import CPLE_BaseError
        from rasterio.errors import RasterioError

        try:
            window = ((top, top + height), (0, self.size.width))
            return np.asarray(self._dataset.read(1, window=window))
        except (RasterioError, CPLE_BaseError) as error:
            raise ReadError(
                f"{self._name} cannot be read from row {top + 1} on ({reason_of(error)}).", hint="Predict it again."
            ) from error


def raster_polygons(
    mask_path: Path, labels: LabelSet, *, tolerance: float = 0.0, least_pixels: int = 0
) -> Iterator[RasterPolygon]:
    """The polygons of the mask that `predict_raster` wrote, from top to bottom by where they end.

    tolerance: in pixels, how far a simplified border may lie from the pixels' edges; 0 keeps every pixel, and above
    neighbours of different labels may overlap by as much.  least_pixels: smaller ones are left out.
    Raises ReadError for what is no mask, ConfigError for settings that cannot be, for a mask of other labels, and for
    one whose objects have too many corners to be put together in memory.
    """
    _check_settings(tolerance, least_pixels)
    with open_mask(mask_path) as mask:
        yield from polygons_of(mask, labels, tolerance=tolerance, least_pixels=least_pixels)


def polygons_of(
    mask: OpenMask, labels: LabelSet, *, tolerance: float = 0.0, least_pixels: int = 0
) -> Iterator[RasterPolygon]:
    """`raster_polygons` of a mask that is open already."""
    _check_settings(tolerance, least_pixels)
    measures = measures_of(mask.crs, mask.transform, mask.size)
    for found in _objects(mask, len(labels)):
        whole = found.pieces[0] if len(found.pieces) == 1 else shapely.union_all(found.pieces)
        pixels = round(whole.area)
        if pixels < least_pixels:
            continue
        shape = shapely.simplify(whole, tolerance, preserve_topology=True)  # 0: no corner in the middle of an edge
        yield _measured(whole, shape, pixels, found.class_id, labels, measures)


def _measured(
    whole: Any, shape: Any, pixels: int, class_id: int, labels: LabelSet, measures: Measures
) -> RasterPolygon:
    placed = shapely.transform(shape, measures.to_map)
    area, perimeter = measures.area(whole), measures.length(shape)
    return RasterPolygon(labels.names[class_id], class_id, pixels, area, perimeter, measures.unit, placed)


@contextmanager
def open_mask(path: Path) -> Iterator[OpenMask]:
    """A one-band GeoTIFF of class ids. Raises ReadError."""
    import rasterio
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    hint = "Give the GeoTIFF that a prediction wrote."
    if not path.is_file():
        raise ReadError(f"{path} is not a file.", hint=hint)
    with rasterio.Env(GDAL_CACHEMAX=64_000_000, GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                dataset = rasterio.open(path.absolute(), driver="GTiff")
        except (RasterioError, CPLE_BaseError) as error:
            raise ReadError(f"{path.name} cannot be read as a mask ({reason_of(error)}).", hint=hint) from error
        with dataset:
            if dataset.count != 1 or dataset.dtypes[0] != "uint8":
                raise ReadError(
                    f"{path.name} is no mask: it has {dataset.count} band(s) of {dataset.dtypes[0]}.", hint=hint
                )
            if dataset.gcps[0] or dataset.rpcs is not None:
                raise ReadError(
                    f"{path.name} is placed by control points, which polygons cannot follow.",
                    hint="Rectify the raster, as with gdalwarp, and predict that.",
                )
            yield OpenMask(dataset, path.name)


def _check_settings(tolerance: float, least_pixels: int) -> None:
    if not (0 <= tolerance <= 1000 and math.isfinite(tolerance)):
        raise ConfigError(f"A tolerance of {tolerance:g} pixels is not possible.", hint="Choose 0 to 1000.")
    if least_pixels < 0:
        raise ConfigError(f"{least_pixels} pixels are not possible.", hint="Choose 0 or more.")


# ------------------------------------------------------------------------------------------------- bands and seams


def _objects(mask: OpenMask, classes: int) -> Iterator[_Object]:
    """The objects of a mask, each with the pieces that bands cut it into, in pixel corners."""
    height = max(1, _PIXELS // mask.size.width)
    opened: list[_Object] = []
    above = np.full(mask.size.width, -1, np.int64)  # which of `opened` each pixel of the last row belongs to
    for top in range(0, mask.size.height, height):
        rows = mask.rows(top, min(height, mask.size.height - top))
        _check_classes(rows, classes)
        objects = [*opened, *_pieces(rows, top)]
        first, last = (_on_line(objects, len(opened), line, len(above)) for line in (top, top + len(rows)))
        merged, place = _merge(objects, _joined(above, first, objects))
        goes_on = np.zeros(len(merged), bool)
        goes_on[place[last[last >= 0]]] = True
        yield from (found for found, more in zip(merged, goes_on, strict=True) if not more)
        opened = [found for found, more in zip(merged, goes_on, strict=True) if more]
        _check_corners(opened)
        above = np.full(len(last), -1, np.int64)
        above[last >= 0] = (np.cumsum(goes_on) - 1)[place[last[last >= 0]]]
    yield from opened


def _pieces(rows: Mask, top: int) -> list[_Object]:
    """The 4-connected parts of all classes within a band."""
    from rasterio import Affine
    from rasterio.features import shapes

    drawn = (rows != 0) & (rows != NO_DATA)
    if not drawn.any():
        return []
    found = shapes(rows, mask=drawn, connectivity=4, transform=Affine.translation(0, top))
    return [_Object(int(class_id), [shapely.geometry.shape(outline)]) for outline, class_id in found]


def _on_line(objects: list[_Object], first: int, line: int, width: int) -> Ids:
    """(W,): which of `objects`, from number `first` on, has an edge along the line y = `line`; -1 where none."""
    belongs = np.full(width, -1, np.int64)
    for number in range(first, len(objects)):
        piece = objects[number].pieces[0]
        _, least, _, most = piece.bounds
        if line not in (least, most):
            continue
        corners = shapely.get_coordinates(piece.exterior)
        along = (corners[:-1, 1] == line) & (corners[1:, 1] == line)
        for left, right in np.sort(np.column_stack([corners[:-1, 0], corners[1:, 0]])[along]).astype(int):
            belongs[left:right] = number
    return belongs


def _joined(above: Ids, below: Ids, objects: list[_Object]) -> Ids:
    """(n, 2): numbers of objects of one class that share an edge along a seam."""
    both = (above >= 0) & (below >= 0)
    pairs = np.unique(np.column_stack([above[both], below[both]]), axis=0)
    class_ids = np.array([found.class_id for found in objects], np.int64)
    return pairs[class_ids[pairs[:, 0]] == class_ids[pairs[:, 1]]] if len(pairs) else pairs


def _merge(objects: list[_Object], joined: Ids) -> tuple[list[_Object], Ids]:
    """The objects with those that are `joined` put together, and the place of each one among them."""
    graph = coo_array((np.ones(len(joined), bool), (joined[:, 0], joined[:, 1])), shape=(len(objects),) * 2)
    count, of = connected_components(graph, directed=False) if objects else (0, np.empty(0, np.int64))
    merged: list[_Object | None] = [None] * count
    for found, place in zip(objects, of.tolist(), strict=True):
        known = merged[place]
        if known is None:
            merged[place] = found
        else:
            known.pieces.extend(found.pieces)
    return [found for found in merged if found is not None], of.astype(np.int64)


def _check_corners(opened: list[_Object]) -> None:
    if sum(found.corners for found in opened) > _MOST_CORNERS:
        raise ConfigError(
            f"The mask holds objects with more than {_MOST_CORNERS:,} corners that are open at a time.",
            hint="It is ragged: smooth the mask (clean_up.smooth of the model), or cut the raster into parts.",
        )


def _check_classes(rows: Mask, classes: int) -> None:
    known = np.ones(256, bool)
    known[classes:NO_DATA] = False
    unknown = np.flatnonzero(~known & (np.bincount(rows.ravel(), minlength=256) > 0))
    if len(unknown):
        raise ConfigError(
            f"The mask holds class {unknown[0]}, but there are {classes - 1} labels.",
            hint="Give the labels of the model that predicted it.",
        )
