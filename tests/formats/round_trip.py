"""An export in memory, and a Source of what is in it."""

from collections.abc import Callable, Iterable, Mapping

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask, annotation_to_mask
from core.annotation.shapes import Annotation
from core.formats.dataset import ExportItem, Part, PictureAnnotation, Reading, SizeOf
from core.formats.source import Source, source_of_uploads
from core.images import ImageInfo, ImageSize


class Files:
    """An Archive that keeps what is put into it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, name: str, data: bytes) -> None:
        assert name not in self.files
        self.files[name] = data


def source(files: Mapping[str, bytes]) -> Source:
    return source_of_uploads(list(files.items()))


def export_item(annotation: Annotation, name: str = "a.png", part: Part | None = None) -> ExportItem:
    return ExportItem(name.rpartition(".")[0], name, annotation, part, lambda: b"")


def nothing_known(name: str) -> ImageInfo | None:
    return None


def known(sizes: Mapping[str, ImageSize]) -> SizeOf:
    """Pictures of these sizes are there."""
    return lambda name: ImageInfo(sizes[name], sizes[name], 1, "PNG", 1) if name in sizes else None


def read_one(read: Callable[[Source, SizeOf], Reading], files: Mapping[str, bytes]) -> PictureAnnotation:
    """The only picture in `files`."""
    (picture,) = read(source(files), nothing_known).pictures
    return picture


def painted(annotation: Annotation, names: Iterable[str]) -> Mask:
    """Class ids by `names`."""
    return annotation_to_mask(annotation, LabelSet.of(names))


def said(picture: PictureAnnotation) -> list[str]:
    return [note.text for note in picture.notes]
