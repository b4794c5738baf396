"""Formats by name: whether a Source is of that format, by content. The first that fits is taken."""

from collections.abc import Callable, Mapping
from typing import Final

from core.errors import ReadError
from core.formats.labelme import is_labelme_source
from core.formats.mask_folder import is_mask_source
from core.formats.source import Source, is_picture_source

FORMATS: Final[Mapping[str, Callable[[Source], bool]]] = {
    "labelme": is_labelme_source,
    "masks": is_mask_source,
    "images": is_picture_source,
}


def detect(source: Source) -> str:
    """The name of the format of a Source. Raises ReadError when it holds nothing that can be read."""
    found = next((name for name, fits in FORMATS.items() if fits(source)), None)
    if found is None:
        raise ReadError(
            f"{source.title} holds no picture and no Labelme file.",
            hint=" ".join(source.refused[:3])
            or "Choose pictures (JPEG, PNG, TIFF, BMP, WebP), with their JSON or masks.",
        )
    return found
