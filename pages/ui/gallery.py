"""Small pictures with their masks over them: read once as long as neither changes, tinted as often as one likes."""

import io
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from core.annotation.overlay import overlay
from core.annotation.raster import Mask, annotation_to_mask
from core.errors import UserError
from core.images import MAX_PIXELS, RGB, ImageSize, encode_jpeg
from core.project.index import SampleRow
from core.project.project import Project
from core.project.sample import Sample
from core.project.shown import look_at, small_picture
from pages.ui.cached import Shelf
from pages.ui.scribble import View
from pages.ui.zoom import mask_part, picture_part

SIDE: Final = 420  # longer side of a thumbnail in pixels
_SQUARE_ENOUGH: Final = 0.03  # share by which the shape of a picture may differ from the frame's without a border


class _Small(NamedTuple):
    """A picture and its Mask at the size of a thumbnail; no Mask where none can be drawn."""

    image: RGB
    mask: Mask | None


_small: Final = Shelf[_Small](limit=200_000_000)
_made: Final = Shelf[bytes](limit=60_000_000)


def thumbnail(
    project: Project, row: SampleRow, *, opacity: int, frame: float | None = None, cut: bool = False
) -> bytes:
    """A Sample with its mask at `opacity` percent, as JPEG or WebP; the bare picture where the mask cannot be drawn.

    frame: width / height that several in a line share; a picture of another shape gets a see-through border.  cut: to
    its middle part of 4 by 3 instead.  Raises ReadError when the picture cannot be read.
    """
    source = f"{project.folder}:{row.name}:{row.stamp}:{project.settings.intensity}:{cut}"
    key = f"{source}:{opacity}:{frame}"
    made = _made.get(key)
    if made is None:
        image, mask = _small_of(project, row, source, cut=cut)
        if mask is not None:
            image = overlay(image, mask, project.settings.labels, opacity=opacity / 100)
        made = _framed(image, frame)
        _made.put(key, made, len(made))
    return made


def common_frame(rows: list[SampleRow]) -> float:
    """The width / height that suits most of these pictures; within limits, as one strip must not flatten the others."""
    shapes = [row.width / row.height for row in rows if row.height and row.width]
    return round(float(np.clip(np.median(shapes), 0.75, 1.8)), 2) if shapes else 1.0


def _small_of(project: Project, row: SampleRow, source: str, *, cut: bool) -> _Small:
    small = _small.get(source)
    if small is None:
        shown = look_at(project, Sample(row.name, project.images / row.image))
        view = _view(shown.size, cut=cut)
        image = small_picture(shown, round(SIDE * max(shown.size) / max(view.height, view.width)))
        part = _view(ImageSize(*image.shape[:2]), cut=cut)  # the same part, of the small picture
        view = view._replace(canvas_height=part.canvas_height, canvas_width=part.canvas_width)
        mask = _mask_of(project, row, shown.size)
        small = _Small(picture_part(image, part), None if mask is None else mask_part(mask, view))
        _small.put(source, small, small.image.nbytes * 4 // 3)
    return small


def _mask_of(project: Project, row: SampleRow, size: ImageSize) -> Mask | None:
    """None also where it is damaged, of another size or too large: the Data set page lists that as a problem."""
    try:
        annotation = project.read_annotation(row.name)
    except UserError:
        return None
    if annotation is None or annotation.size != size or size.pixels > MAX_PIXELS:
        return None
    return annotation_to_mask(annotation, project.settings.labels)


def _view(size: ImageSize, *, cut: bool) -> View:
    """All of a picture, or the largest part of 4 by 3 around its centre, at the size of a thumbnail."""
    height, width = size
    if cut:
        height, width = min(height, max(1, width * 3 // 4)), min(width, max(1, height * 4 // 3))
    scale = min(1.0, SIDE / max(height, width))
    top, left = (size.height - height) // 2, (size.width - width) // 2
    return View(top, left, height, width, max(1, round(height * scale)), max(1, round(width * scale)))


def _framed(image: RGB, frame: float | None) -> bytes:
    height, width = image.shape[:2]
    if frame is None or abs(width / height / frame - 1) <= _SQUARE_ENOUGH:
        return encode_jpeg(image, quality=85)
    outer = max(height, round(width / frame)), max(width, round(height * frame))
    canvas = np.zeros((*outer, 4), np.uint8)
    top, left = (outer[0] - height) // 2, (outer[1] - width) // 2
    canvas[top : top + height, left : left + width, :3] = image
    canvas[top : top + height, left : left + width, 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "WEBP", quality=85, method=0)
    return buffer.getvalue()
