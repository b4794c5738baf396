"""An export in memory, and the same files as the Source of an import."""

from dataclasses import dataclass, field

from core.annotation.shapes import Annotation
from core.formats.dataset import ExportItem, Part
from core.formats.source import Source, source_of_uploads
from core.images import ImageInfo
from tests.samples import picture


@dataclass
class MemoryArchive:
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, data: bytes) -> None:
        assert name not in self.files, f"{name} was written twice"
        self.files[name] = data

    def source(self) -> Source:
        return files(self.files)


def files(contents: dict[str, bytes]) -> Source:
    return source_of_uploads(list(contents.items()))


def item(annotation: Annotation, name: str = "a.png", part: Part | None = None) -> ExportItem:
    return ExportItem(name.rpartition(".")[0], name, annotation, part, lambda: picture(0, annotation.size))


def no_size(name: str) -> ImageInfo | None:
    """A picture whose header nobody has read."""
    return None
