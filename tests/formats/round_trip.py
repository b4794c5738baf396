"""An export in memory, and a Source of what is in it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from hypothesis import strategies as st

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask, annotation_to_mask
from core.annotation.shapes import Annotation
from core.formats.dataset import ExportItem, Part, PictureAnnotation, Reading, SizeOf
from core.formats.source import Source, source_of_uploads
from core.images import ImageInfo, ImageSize
from tests.drawings import annotations


class Files:
    """An Archive that keeps what is put into it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, name: str, data: bytes) -> None:
        assert name not in self.files
        self.files[name] = data

    def source(self) -> Source:
        return source(self.files)


def source(files: Mapping[str, str | bytes]) -> Source:
    items = [(name, content.encode() if isinstance(content, str) else content) for name, content in files.items()]
    return source_of_uploads(items)


def export_item(
    annotation: Annotation, name: str = "a.png", part: Part | None = None, picture: bytes = b""
) -> ExportItem:
    return ExportItem(name.rpartition(".")[0], name, annotation, part, lambda: picture)


def nothing_known(name: str) -> ImageInfo | None:
    return None


def info_of(size: ImageSize, *, orientation: int = 1) -> ImageInfo:
    return ImageInfo(size, size, 1, "PNG", orientation)


def known(sizes: ImageSize | Mapping[str, ImageSize]) -> SizeOf:
    """Pictures of these sizes are there; of one size: all that anyone asks for."""
    if isinstance(sizes, ImageSize):
        return lambda name: info_of(sizes)
    return lambda name: info_of(sizes[name]) if name in sizes else None


def read_one(read: Callable[[Source, SizeOf], Reading], files: Mapping[str, bytes]) -> PictureAnnotation:
    """The only picture in `files`."""
    (picture,) = read(source(files), nothing_known).pictures
    return picture


def painted(annotation: Annotation, names: Iterable[str]) -> Mask:
    """Class ids by `names`."""
    return annotation_to_mask(annotation, LabelSet.of(names))


def said(picture: PictureAnnotation) -> list[str]:
    return [note.text for note in picture.notes]


@st.composite
def labelled_annotations(draw: st.DrawFn, names: tuple[str, ...]) -> Annotation:
    """Annotations of every kind of Shape whose labels are among `names`."""
    annotation = draw(annotations())
    shapes = tuple(replace(shape, label=draw(st.sampled_from(names))) for shape in annotation.shapes)
    return Annotation(size=annotation.size, shapes=shapes)
