"""What every format reads into and writes from: the annotations of many pictures, with the format's own label table."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from core.annotation.labels import Color, LabelSet
from core.annotation.shapes import Annotation
from core.formats.note import Note
from core.formats.source import Source
from core.images import ImageInfo

Part = Literal["train", "val", "test"]
SizeOf = Callable[[str], ImageInfo | None]  # a picture, named as the format names it -> what its header says


class LabelEntry(NamedTuple):
    """A label as a format's table has it, background left out."""

    name: str
    color: Color | None = None


@dataclass(frozen=True)
class PictureAnnotation:
    """What a Source says about one picture.

    picture: its path as the format names it, with slashes; formats that pair by stem give it without a suffix.
    annotation: its size is UNKNOWN_SIZE when the format does not say.  name: the file it stands in, for the report.
    """

    picture: str
    annotation: Annotation
    name: str
    notes: tuple[Note, ...] = ()
    part: Part | None = None


@dataclass(frozen=True)
class Reading:
    """A whole Source as read.  labels: in the format's order.  pictures: may be lazy, and is iterated once."""

    labels: tuple[LabelEntry, ...]
    pictures: Iterable[PictureAnnotation]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class ExportItem:
    """One Sample on its way out.  file_name: of the picture, without folder ("scene 1.png")."""

    sample: str
    file_name: str
    annotation: Annotation  # of the picture's size, upright
    part: Part | None
    read_picture: Callable[[], bytes]


class Archive(Protocol):
    """Where a writer puts its files."""

    def add(self, name: str, data: bytes) -> None: ...


@dataclass(frozen=True)
class Format:
    """One format: how to know it, read it, write it.  None where it cannot.

    read raises ReadError only when nothing in the Source can be read; what is wrong with one file or shape is a Note.
    write returns what the format could not hold, as Notes of kind "lost"; the picture files themselves are added by
    the caller, at `picture_path` of each item.
    """

    title: str
    fits: Callable[[Source], bool]
    read: Callable[[Source, SizeOf], Reading] | None = None
    write: Callable[[Iterable[ExportItem], LabelSet, Archive], tuple[Note, ...]] | None = None
    picture_path: Callable[[ExportItem], str] = lambda item: f"images/{item.file_name}"
