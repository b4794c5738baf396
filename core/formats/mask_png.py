"""Pictures whose pixels are class ids or class colours: reading them as stored, as a Mask, and writing them.

What the values mean is decided for a whole set together (mask_coding.py). Palette pictures are read by their indices,
never by their colours.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.annotation.labels import LabelSet
from core.annotation.overlay import colors
from core.annotation.raster import Mask
from core.errors import ReadError
from core.formats.note import Note
from core.images import check_size, guarded, probe_image, turn_upright

Codes = NDArray[Any]  # (H, W) unsigned: a grey value or index, or red << 16 | green << 8 | blue
MaskKind = Literal["indexed", "binary", "scaled", "objects", "coloured"]
_GREY: Final = 0x010101  # a grey value times this is its packed colour
_LARGEST: Final = 0xFFFFFF  # code
_MANY_VALUES: Final = 64


@dataclass(frozen=True)
class RawMask:
    """One mask file as stored, upright. Grey values, indices or packed colours; nothing is interpreted yet."""

    name: str
    codes: Codes
    coloured: bool = False  # at least one pixel is not grey; the codes are then packed colours
    lossy: bool = False  # JPEG: values near the true ones


@dataclass(frozen=True)
class MaskSummary:
    """What `detect_coding` needs of one RawMask; small, so that thousands fit into memory."""

    name: str
    counts: Mapping[int, int]  # code -> pixels
    coloured: bool
    lossy: bool
    single_objects: bool  # each code but 0 is one connected object


@dataclass(frozen=True)
class MaskCoding:
    """What the codes of a set mean: the class id in `labels` of each code, and what was assumed.

    labels: those that were given, with the names that the set brought at the end.  other: the class id of codes that
    are not in the table; None when such a code is an error.
    """

    kind: MaskKind
    table: Mapping[int, int]
    labels: LabelSet
    coloured: bool = False
    other: int | None = None
    notes: tuple[Note, ...] = ()


# ---------------------------------------------------------------------------------------------------------- reading


def read_mask_file(data: bytes, *, name: str = "The mask") -> RawMask:
    """The values of a mask picture. Raises ReadError for what is not a picture, has pages, or is not whole numbers."""
    info = probe_image(data, name=name)
    check_size(name, info.size)
    if info.pages > 1:
        raise ReadError(f"{name} has {info.pages} pages.", hint="Save one mask a file.")
    pixels, lossy = guarded(name, lambda: _decode(data))
    pixels = turn_upright(pixels, info.orientation)
    if pixels.dtype.kind == "f":
        pixels = _whole_numbers(pixels, name)
    if pixels.ndim == 2:
        return RawMask(name, _unsigned(pixels, name), coloured=False, lossy=lossy)
    red, green, blue = (pixels[:, :, channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return RawMask(name, _unsigned(red, name), coloured=False, lossy=lossy)
    packed = red.astype(np.uint32) << 16 | green.astype(np.uint32) << 8 | blue.astype(np.uint32)
    return RawMask(name, packed, coloured=True, lossy=lossy)


def _decode(data: bytes) -> tuple[NDArray[Any], bool]:
    """Pixels (H, W) or (H, W, 3) in the file's own values; indices of a palette stay indices."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            lossy = picture.format in ("JPEG", "MPO") or (picture.format == "WEBP" and data[12:16] == b"VP8 ")
            if picture.mode in ("1", "L", "P", "I", "F") or picture.mode.startswith("I;16"):
                return np.asarray(picture), lossy
            if picture.mode in ("LA", "PA"):
                return np.asarray(picture)[:, :, 0], lossy
            # the bare channels: convert() would blend nothing, but CMYK and the like need it
            return np.asarray(picture if picture.mode in ("RGB", "RGBA") else picture.convert("RGB"))[:, :, :3], lossy
    except UnidentifiedImageError:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            pixels = np.squeeze(np.asarray(tiff.pages.first.asarray()))
            if pixels.ndim == 3 and int(tiff.pages.first.planarconfig) == 2:
                pixels = np.moveaxis(pixels, 0, -1)
            return pixels if pixels.ndim == 2 else pixels[:, :, :3], False


def _whole_numbers(pixels: NDArray[Any], name: str) -> NDArray[Any]:
    whole = np.rint(pixels)  # NaN differs from itself, so it ends here too
    if not np.array_equal(whole, pixels) or np.abs(whole).max() > _LARGEST:
        raise ReadError(
            f"{name} holds numbers that are not whole, as a probability map does.", hint="Save class ids as a PNG."
        )
    return whole.astype(np.int64)


def _unsigned(pixels: NDArray[Any], name: str) -> Codes:
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > _LARGEST:
        raise ReadError(f"{name} holds values from {low} to {high}; class ids go from 0 to 255.", hint="Save it anew.")
    return pixels.astype(np.uint8 if high < 256 else np.uint32)


def summarise(raw: RawMask) -> MaskSummary:
    """What `detect_coding` needs of a mask."""
    values, counts = np.unique(raw.codes, return_counts=True)
    return MaskSummary(
        raw.name,
        dict(zip(values.tolist(), counts.tolist(), strict=True)),
        raw.coloured,
        raw.lossy,
        not raw.coloured and _single_objects(raw.codes, values),
    )


def _single_objects(codes: Codes, values: NDArray[Any]) -> bool:
    """Whether each code but 0 covers one 8-connected object, as object numbers do and class ids seldom."""
    for value in values[values != 0][:_MANY_VALUES]:
        pieces = cv2.connectedComponents((codes == value).astype(np.uint8), connectivity=8)[0] - 1
        if pieces > 1:
            return False
    return True


# --------------------------------------------------------------------------------------------------------- Mask


def decode_mask(raw: RawMask, coding: MaskCoding) -> Mask:
    """The class ids of `coding.labels`, (H, W) uint8. Raises ReadError for a value that the coding does not know."""
    codes = raw.codes.astype(np.uint32) * _GREY if coding.coloured and not raw.coloured else raw.codes
    if codes.size == 0:
        return np.zeros(codes.shape, dtype=np.uint8)
    ids = np.full(int(codes.max()) + 1, -1 if coding.other is None else coding.other, dtype=np.int16)
    for code, class_id in coding.table.items():
        if code < len(ids):
            ids[code] = class_id
    decoded = ids[codes]
    if (decoded < 0).any():
        unknown = ", ".join(_shown(int(code), coding.coloured) for code in np.unique(codes[decoded < 0])[:5])
        raise ReadError(f"{raw.name} has pixels of {unknown}, which is no class here.", hint="Name it in classes.csv.")
    return decoded.astype(np.uint8)


def write_mask_png(mask: Mask, labels: LabelSet) -> bytes:
    """A Mask as an indexed PNG whose palette holds the labels' colours; 255 is grey."""
    picture = Image.fromarray(mask)
    picture.putpalette(colors(labels).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _shown(code: int, coloured: bool) -> str:
    return f"colour #{code:06x}" if coloured else f"value {code}"
