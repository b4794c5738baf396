"""One loader for every picture: (H, W, 3) uint8 RGB, turned as EXIF says, wide value ranges windowed, alpha dropped.

Pixel (0, 0) covers [0, 1) x [0, 1). Arrays are (row, column). Never use cv2.imread for pictures: it turns some files
and not others, and returns None for the rest (FORMATS: "Orientation").
"""

import io
import struct
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Self, TypeVar

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import ConfigError, ReadError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
MAX_PIXELS = 178_000_000  # 0.5 GB as RGB: what is decoded whole; larger pictures are read in parts (windowed.py)
LARGEST = 400_000_000  # pixels, 20,000 x 20,000
Image.MAX_IMAGE_PIXELS = LARGEST  # Pillow's own limit is lower than ours; both are looked at before any pixel is
_ORIENTATION, _BITS, _SAMPLE_FORMAT = 0x0112, 0x0102, 0x0153  # TIFF tags
_SIGNED = 2  # a sample format
_GREY_MODES = ("1", "L", "LA", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_MOST_NOTES = 4_000_000  # bytes of a PNG that may hold its orientation
_BLOCK = 4_000_000  # values that are stretched at once: their floats take four times the room

_ONE_PIXEL = bytes.fromhex(  # a PNG; its header takes 33 bytes
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001"
    "48afa4710000000049454e44ae426082"
)

RGB = NDArray[np.uint8]  # (H, W, 3)
T = TypeVar("T")
P = TypeVar("P", bound=np.generic)


class ImageSize(NamedTuple):
    """Height and width in pixels, as the person sees the picture (after EXIF)."""

    height: int
    width: int

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def __str__(self) -> str:
        return f"{self.width} x {self.height}"


@dataclass(frozen=True)
class IntensityRule:
    """How values of more than 8 bits become 0..255: all channels linked, from `low` to `high`.

    percentile: low and high are percentiles of the picture itself. fixed: they are values, the same for all.
    8-bit pictures pass unchanged. Stored in the Project and in each Checkpoint: what trains is what predicts.
    """

    kind: Literal["percentile", "fixed"] = "percentile"
    low: float = 0.5
    high: float = 99.5

    def __post_init__(self) -> None:
        if self.kind not in ("percentile", "fixed"):
            raise ConfigError(f"The intensity rule is {self.kind!r}.", hint="Choose percentile or fixed.")
        if not self.low < self.high:
            raise ConfigError(
                f"The intensity window goes from {self.low:g} to {self.high:g}.", hint="Low must be under high."
            )
        if self.kind == "percentile" and (self.low < 0 or self.high > 100):
            raise ConfigError(f"Percentiles {self.low:g} and {self.high:g} are not within 0 to 100.")

    def apply(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """`values` of any number type, (H, ...), as uint8. Pixels that are not finite become 0."""
        if values.dtype == np.uint8:
            return values
        if values.dtype == bool:
            return values.astype(np.uint8) * 255
        return stretch(values, *self.window(values))

    def window(self, values: NDArray[Any]) -> tuple[float, float]:
        """The values that become 0 and 255."""
        if self.kind == "fixed":
            return self.low, self.high
        step = sampling_step(values.size)
        finite = np.isfinite(values) if values.dtype.kind == "f" else None
        return self.window_of(values.flat[::step] if finite is None or finite.all() else values[finite][::step])

    def window_of(self, known: NDArray[Any]) -> tuple[float, float]:
        """The percentiles of `known` values, all of them finite."""
        low, high = np.percentile(known, (self.low, self.high)) if known.size else (0.0, 1.0)
        return float(low), float(high)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(kind=value["kind"], low=float(value["low"]), high=float(value["high"]))


def sampling_step(count: int) -> int:
    """Every so many of `count` values tell the percentiles: of millions, in milliseconds."""
    return max(1, count // 2_000_000)


def stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """`values`, (H, ...), as uint8: `low` becomes 0 and `high` 255. Some rows at a time, as floats take much room."""
    stretched = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK * len(values) // max(1, values.size))
    scale = np.float32(255.0 / max(high - low, 1e-12))
    for top in range(0, len(values), rows):
        part = values[top : top + rows]
        moved = np.clip((part.astype(np.float32) - np.float32(low)) * scale, 0, 255)
        if values.dtype.kind == "f":
            moved[~np.isfinite(part)] = 0
        stretched[top : top + rows] = np.rint(moved)
    return stretched


class ImageInfo(NamedTuple):
    """What a picture's header says, without decoding its pixels."""

    size: ImageSize  # as seen, after EXIF
    stored_size: ImageSize  # as the file holds it
    pages: int
    format: str  # "JPEG", "TIFF", ...
    orientation: int  # EXIF, 1 = upright
    channels: int = 3  # 1: grey


def probe_image(source: Path | bytes, *, name: str | None = None) -> ImageInfo:
    """Read the header of a picture. Raises ReadError for what is not a picture or has more than LARGEST pixels."""
    name = name or _name_of(source)
    return guarded(name, lambda: _probe(source, name))


def read_image(
    source: Path | bytes, *, page: int = 0, intensity: IntensityRule | None = None, name: str | None = None
) -> RGB:
    """The picture as (H, W, 3) uint8 RGB, upright.

    source: a path or the file's bytes.  page: of a multi-page TIFF, from 0.  name: what an error calls the picture.
    Raises ReadError with one sentence when it is empty, cut off, not a picture, too large, or has no such page.
    """
    name = name or _name_of(source)
    rule = intensity or IntensityRule()
    return guarded(name, lambda: _read(source, page, rule, name))


def read_jpeg_draft(path: Path, side: int) -> RGB:
    """A JPEG at the smallest of 1, 1/2, 1/4 and 1/8 of its size at which its longer side has `side` pixels.

    (H, W, 3), upright. The decoder skips what is not asked for: a tenth of the time and of the memory of the whole.
    """
    return guarded(path.name, lambda: _read_draft(path, side))


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """(H, W) or (H, W, 3) uint8 as PNG bytes, packed fast rather than small."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def encode_jpeg(image: RGB, *, quality: int = 88) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG bytes: for showing (st.image of a large array as PNG takes seconds)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def shrink(image: RGB, side: int) -> RGB:
    """`image` with its longer side at most `side`, by area averaging; never enlarged."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


# ---------------------------------------------------------------------------------------------------- reading


def _name_of(source: Path | bytes) -> str:
    return source.name if isinstance(source, Path) else "The upload"


# Decoders meet garbage with whatever comes: a picture that cannot be decoded is the person's to mend.
_DECODER_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    LookupError,
    EOFError,
    struct.error,
    RuntimeError,
    ArithmeticError,
    AttributeError,
    cv2.error,
)


def guarded(name: str, read: Callable[[], T]) -> T:
    """What `read` gives; whatever a decoder raises on garbage becomes a ReadError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow grumbles about odd tags; the pixels decide, and our own limit
            return read()
    except ReadError:
        raise
    except FileNotFoundError as error:
        raise ReadError(f"{name} is not there any more.", hint="Was it moved or renamed?") from error
    except (MemoryError, Image.DecompressionBombError) as error:
        raise _too_large(name, None) from error
    except _DECODER_ERRORS as error:
        detail = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ReadError(
            f"{name} cannot be read as a picture ({detail}).",
            hint="It may be cut off or renamed from another kind of file. Export it again as PNG, JPEG or TIFF.",
        ) from error


def _too_large(name: str, size: ImageSize | None, limit: int = MAX_PIXELS) -> ReadError:
    seen = f"is {size} = {size.pixels / 1e6:.0f} megapixels" if size else "is very large"
    return ReadError(
        f"{name} {seen}; the limit is {limit // 1_000_000} megapixels.",
        hint="Cut it into smaller pictures and import those.",
    )


def check_size(name: str, size: ImageSize, limit: int = MAX_PIXELS) -> None:
    """Raises ReadError for a picture that has no pixels, or more than are decoded whole."""
    if size.pixels > limit:
        raise _too_large(name, size, limit)
    if size.pixels == 0:
        raise ReadError(f"{name} has no pixels.", hint="Export it again from the program that made it.")


def _open(source: Path | bytes, name: str) -> Image.Image:
    if (isinstance(source, bytes) and not source) or (isinstance(source, Path) and source.stat().st_size == 0):
        raise ReadError(f"{name} is empty (0 bytes).", hint="Copy the file again; the transfer was probably cut off.")
    return Image.open(source if isinstance(source, Path) else io.BytesIO(source))


def _probe(source: Path | bytes, name: str) -> ImageInfo:
    try:
        with _open(source, name) as picture:
            opened = ImageSize(picture.height, picture.width)
            check_size(name, opened, LARGEST)
            channels = 1 if picture.mode in _GREY_MODES else 3
            orientation = _png_orientation(source) if picture.format == "PNG" else _orientation(picture)
            turned = _turned(opened, orientation)
            if picture.format == "TIFF":  # Pillow turns TIFF by itself, and no other format
                return ImageInfo(opened, turned, getattr(picture, "n_frames", 1), "TIFF", orientation, channels)
            return ImageInfo(turned, opened, 1, picture.format or "", orientation, channels)
    except UnidentifiedImageError as error:
        with _file(source) as file:
            if file.read(2) not in (b"II", b"MM"):
                raise ValueError("it is damaged, or not of a kind that is known here") from error
        with tifffile.TiffFile(_stream(source)) as tiff:
            page = tiff.pages.first
            stored = ImageSize(page.imagelength, page.imagewidth)
            check_size(name, stored, LARGEST)
            tag = page.tags.get(_ORIENTATION)
            orientation = int(tag.value) if tag else 1
            channels = 3 if page.samplesperpixel >= 3 else 1
            return ImageInfo(_turned(stored, orientation), stored, len(tiff.pages), "TIFF", orientation, channels)


def _read(source: Path | bytes, page: int, rule: IntensityRule, name: str) -> RGB:
    info = _probe(source, name)
    check_size(name, info.size)
    if not 0 <= page < info.pages:
        raise ReadError(f"{name} has {info.pages} page(s), page {page + 1} was asked for.")
    orientation = info.orientation
    if info.format == "TIFF":
        pixels, upright = _read_tiff(source, page, name)
        orientation = 1 if upright else orientation
    elif info.format == "PNG" and _png_depth(source) == 16:
        pixels = _decode_with_cv2(source)  # Pillow keeps only the high byte of 16-bit RGB
    else:
        with _open(source, name) as picture:
            pixels = _from_pillow(picture)
    return turn_upright(_to_rgb(rule.apply(_colour_channels(pixels))), orientation)


def _read_draft(path: Path, side: int) -> RGB:
    info = _probe(path, path.name)
    with _open(path, path.name) as picture:
        if picture.info.get("progressive"):  # the decoder keeps all of it
            check_size(path.name, info.size)
        longer = max(picture.size)
        picture.draft(None, (-(-picture.width * side // longer), -(-picture.height * side // longer)))
        return turn_upright(_to_rgb(_colour_channels(_from_pillow(picture))), info.orientation)


def _read_tiff(source: Path | bytes, page: int, name: str) -> tuple[NDArray[Any], bool]:
    """Pillow where it keeps all bits, else tifffile, else OpenCV (LZW of 16-bit RGB); and whether it is upright."""
    try:
        # a stream: a file that Pillow maps into memory by its path is left as it is stored
        with _file(source) as file, Image.open(file) as picture:
            if page:
                picture.seek(page)
            check_size(name, ImageSize(picture.height, picture.width))  # pages may differ in size
            if not _loses_bits(picture):
                return _from_pillow(picture), True
    except UnidentifiedImageError:
        pass
    try:
        with tifffile.TiffFile(_stream(source)) as tiff:
            plane = tiff.pages[page]
            check_size(name, ImageSize(plane.imagelength, plane.imagewidth))  # type: ignore[union-attr]
            pixels = np.asarray(plane.asarray())
            separate = pixels.ndim == 3 and int(getattr(plane, "planarconfig", 1)) == 2
            return (np.moveaxis(pixels, 0, -1) if separate else pixels), False
    except (ValueError, KeyError, ImportError):  # a compression that needs one more package
        return _decode_with_cv2(source, page), False


def _loses_bits(picture: Image.Image) -> bool:
    """Whether Pillow would keep only the high byte of 16-bit colour, or take -1 for 255."""
    tags = getattr(picture, "tag_v2", {})
    depths = tags.get(_BITS) or (8,)
    signed = _SIGNED in (tags.get(_SAMPLE_FORMAT) or ())
    return (max(depths) > 8 and picture.mode not in _GREY_MODES) or (signed and max(depths) == 8)


def _from_pillow(picture: Image.Image) -> NDArray[Any]:
    """Pixels in the file's own depth. Palette, CMYK, Lab and the like as RGB; alpha kept for `_colour_channels`."""
    if picture.mode == "1":
        return np.asarray(picture.convert("L"))
    if picture.mode in ("RGB", "RGBA", *_GREY_MODES):
        return np.asarray(picture)
    return np.asarray(picture.convert("RGB"))


def _decode_with_cv2(source: Path | bytes, page: int = 0) -> NDArray[Any]:
    data = np.frombuffer(source.read_bytes() if isinstance(source, Path) else source, dtype=np.uint8)
    done, pages = (
        cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED) if page else (True, [cv2.imdecode(data, cv2.IMREAD_UNCHANGED)])
    )
    if not done or page >= len(pages) or pages[page] is None:
        raise OSError("no decoder for its compression")
    pixels = np.asarray(pages[page])
    return pixels if pixels.ndim == 2 or pixels.shape[2] < 3 else pixels[:, :, [2, 1, 0]]  # OpenCV keeps BGR


def _colour_channels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Drop alpha and bands past the third; drop dimensions of length one."""
    if pixels.ndim > 3:
        pixels = np.squeeze(pixels)
    if pixels.ndim == 2:
        return pixels
    if pixels.ndim != 3:
        raise ValueError(f"its pixels have {pixels.ndim} dimensions")
    return pixels[:, :, :3] if pixels.shape[2] >= 3 else pixels[:, :, 0]


def _to_rgb(pixels: NDArray[np.uint8]) -> RGB:
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else np.ascontiguousarray(pixels)


def turn_upright(pixels: NDArray[P], orientation: int) -> NDArray[P]:
    """Stored pixels, (H, W) or (H, W, C), turned as the EXIF orientation 1..8 asks; other values change nothing."""
    turn = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, 1),
    }.get(orientation)
    return np.ascontiguousarray(turn(pixels)) if turn else pixels


def _turned(stored: ImageSize, orientation: int) -> ImageSize:
    return ImageSize(stored.width, stored.height) if orientation in (5, 6, 7, 8) else stored


def _orientation(picture: Image.Image) -> int:
    try:
        value = int(picture.getexif().get(_ORIENTATION, 1))
    except (ValueError, TypeError, SyntaxError, OSError):  # a broken EXIF block does not make a broken picture
        return 1
    return value if 1 <= value <= 8 else 1


def _png_depth(source: Path | bytes) -> int:
    head = source[:26] if isinstance(source, bytes) else _first_bytes(source, 26)
    return head[24] if len(head) > 25 and head[25] in (2, 6) else 8  # only colour: Pillow reads 16-bit grey well


def _png_orientation(source: Path | bytes) -> int:
    """EXIF orientation of a PNG. Pillow decodes all pixels before it tells: it is given a PNG of one, same notes."""
    notes = bytearray()
    with _file(source) as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt") and len(notes) + length < _MOST_NOTES:
                notes += head + file.read(length + 4)
            else:
                file.seek(length + 4, io.SEEK_CUR)
    if not notes:
        return 1
    try:
        with Image.open(io.BytesIO(_ONE_PIXEL[:33] + notes + _ONE_PIXEL[33:])) as picture:
            return _orientation(picture)
    except (OSError, ValueError, SyntaxError):  # broken notes do not make a broken picture
        return 1


def _file(source: Path | bytes) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def _first_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def _stream(source: Path | bytes) -> Path | io.BytesIO:
    return source if isinstance(source, Path) else io.BytesIO(source)
