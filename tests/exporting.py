"""What the tests of every format share: an archive in memory, what goes into it, and the Source of what came out."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import strategies as st

from core.annotation.shapes import Annotation
from core.formats.dataset import ExportItem, Part, SizeOf
from core.formats.source import Source, source_of_uploads
from core.images import ImageInfo, ImageSize
from tests.drawings import annotations


class MemoryArchive:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def add(self, name: str, data: bytes) -> None:
        assert name not in self.files
        self.files[name] = data

    def source(self) -> Source:
        return source_of_uploads(list(self.files.items()))


def item(annotation: Annotation, *, name: str = "a.png", part: Part | None = None, picture: bytes = b"") -> ExportItem:
    return ExportItem(name.rpartition(".")[0], name, annotation, part, lambda: picture)


def info_of(size: ImageSize, *, orientation: int = 1) -> ImageInfo:
    return ImageInfo(size, size, 1, "PNG", orientation)


def sizes(known: ImageSize | Mapping[str, ImageSize]) -> SizeOf:
    """size_of for pictures that all have one size, or that are known by their names."""
    if isinstance(known, ImageSize):
        return lambda name: info_of(known)
    return lambda name: info_of(known[name]) if name in known else None


def source_of(files: Mapping[str, str | bytes]) -> Source:
    """A Source of files by name."""
    items = [(name, content.encode() if isinstance(content, str) else content) for name, content in files.items()]
    return source_of_uploads(items)


@st.composite
def labelled_annotations(draw: st.DrawFn, names: tuple[str, ...]) -> Annotation:
    """Annotations of every kind of Shape whose labels are among `names`."""
    annotation = draw(annotations())
    shapes = tuple(replace(shape, label=draw(st.sampled_from(names))) for shape in annotation.shapes)
    return Annotation(size=annotation.size, shapes=shapes)
