"""CVAT for images 1.1: XML of many pictures to Annotations (FORMATS 3.3); one shape is read in cvat_shape.py."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from core.annotation.labels import BACKGROUND, IGNORE, parse_color
from core.annotation.shapes import Annotation, Shape
from core.errors import ConfigError, ReadError
from core.formats.cvat_shape import SHAPES, read_element, z_order
from core.formats.dataset import LabelEntry, Part, PictureAnnotation, Reading, SizeOf
from core.formats.label_text import clean_label
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.labelme_shape import FARTHEST, BrokenShapeError
from core.formats.note import Note
from core.formats.picture_path import clean_path
from core.formats.reading import MaskRoom
from core.formats.source import Source, SourceFile
from core.formats.xml_events import BrokenXmlError, xml_events
from core.images import ImageSize

_PARTS: Final[tuple[tuple[str, Part], ...]] = (("train", "train"), ("val", "val"), ("test", "test"))
_LOOK: Final = 4096  # bytes from the beginning within which the outermost element stands


class _Place(NamedTuple):
    """One <image>."""

    picture: str
    size: ImageSize
    part: Part | None


@dataclass
class _Table:
    """What one file holds besides its shapes.  places: None for an <image> that is left out; only whole ones count."""

    file: SourceFile
    colors: dict[str, LabelEntry] = field(default_factory=dict)
    places: list[_Place | None] = field(default_factory=list)
    tracks: int = 0
    problem: str = ""


def is_cvat_source(source: Source) -> bool:
    """Whether at least one file of the Source is CVAT's XML, by content."""
    return any(_is_cvat(file) for file in source.with_suffix(".xml"))


def read_cvat(source: Source, size_of: SizeOf) -> Reading:
    """All XML files of CVAT in a Source. Raises ReadError when no picture can be read from them.

    Pictures come one by one; shapes by ascending z_order, those of one layer in the order of the file.
    """
    notes: list[Note] = []
    tables: list[_Table] = []
    taken: set[str] = set()
    for file in source.with_suffix(".xml"):
        if _is_cvat(file):
            tables.append(_read_table(file, size_of, taken, notes))
    for table in tables:
        if table.problem and table.places:
            notes.append(Note("error", f"{table.file.name} ends after {len(table.places):,} pictures: {table.problem}"))
        elif table.problem:
            notes.append(Note("error", f"{table.file.name} cannot be read: {table.problem}"))
        if table.tracks:
            notes.append(
                Note(
                    "ignored",
                    f"{table.file.name} holds {table.tracks:,} tracks of a video, which were left out; "
                    'export as "CVAT for images 1.1"',
                )
            )
    if not any(table.places for table in tables):
        said = f": {notes[0].text}" if notes else ""
        raise ReadError(
            f"{source.title} holds no picture of CVAT that can be read{said}.",
            hint='Export the task again as "CVAT for images 1.1".',
        )
    entries = {name: entry for table in reversed(tables) for name, entry in table.colors.items()}
    order = dict.fromkeys(name for table in tables for name in table.colors)
    pictures = (picture for table in tables for picture in _read_pictures(table))
    return Reading(tuple(entries[name] for name in order), pictures, tuple(notes))


# ------------------------------------------------------------------------------------------------- first pass: tables


def _is_cvat(file: SourceFile) -> bool:
    """By the outermost elements; a file that breaks later is CVAT's all the same."""
    try:
        data = file.read()
    except ReadError:
        return False
    if b"annotations" not in data[:_LOOK].replace(b"\0", b""):
        return False
    try:
        for event in xml_events(data, keep=2):
            if event.depth == 1 and event.element.tag != "annotations":
                return False
            if event.depth == 2 and event.begins and event.element.tag in ("meta", "image", "track"):
                return True
    except BrokenXmlError:
        return b"<annotations" in data[:_LOOK]
    return False


def _read_table(file: SourceFile, size_of: SizeOf, taken: set[str], notes: list[Note]) -> _Table:
    table = _Table(file)
    used: dict[str, None] = {}
    try:
        for event in xml_events(file.read(), keep=2):
            if event.begins or event.depth != 2:
                continue
            if event.element.tag == "meta":
                table.colors |= _read_labels(event.element)
            elif event.element.tag == "track":
                table.tracks += 1
            elif event.element.tag == "image":
                table.places.append(_read_place(event.element, size_of, taken, notes, file.name))
                used |= dict.fromkeys(clean_label(child.get("label", "")) for child in event.element)
    except BrokenXmlError as error:
        table.problem = str(error)
    except ReadError as error:
        table.problem = error.message.rstrip(".")
    for name in used:
        if name not in ("", BACKGROUND, IGNORE):
            table.colors.setdefault(name, LabelEntry(name))
    return table


def _read_labels(meta: Element) -> dict[str, LabelEntry]:
    """The labels of a task, project or job; those of a skeleton's points are left out."""
    entries: dict[str, LabelEntry] = {}
    for label in meta.iterfind(".//labels/label"):
        name = clean_label(label.findtext("name", ""))
        if name and name not in (BACKGROUND, IGNORE) and not label.findtext("parent", "").strip():
            try:
                color = parse_color(label.findtext("color", "").strip())
            except ConfigError:
                color = None
            entries.setdefault(name, LabelEntry(name, color))
    return entries


def _read_place(image: Element, size_of: SizeOf, taken: set[str], notes: list[Note], file: str) -> _Place | None:
    name = clean_path(image.get("name", ""))
    if not name:
        notes.append(
            Note(
                "ignored",
                f"a picture without a name in {file} was left out",
                "# pictures without a name were left out",
            )
        )
        return None
    subset = clean_path(image.get("subset", ""))
    # the pictures of a project lie in a folder of their subset
    names = [f"{subset}/{name}", name] if subset else [name]
    found = next((candidate for candidate in names if candidate not in taken and size_of(candidate)), None)
    picture = found or next((candidate for candidate in reversed(names) if candidate not in taken), name)
    if picture in taken:
        notes.append(
            Note(
                "duplicate",
                f"{picture} stands twice in CVAT's files; the first was read",
                "# pictures stand twice in CVAT's files; the first of each was read",
            )
        )
        return None
    taken.add(picture)
    size = _read_size(image)
    if size == UNKNOWN_SIZE:
        info = size_of(picture)
        size = info.size if info else UNKNOWN_SIZE
    part = next((part for start, part in _PARTS if subset.casefold().startswith(start)), None)
    return _Place(picture, size, part)


def _read_size(image: Element) -> ImageSize:
    try:
        height, width = int(image.get("height", "")), int(image.get("width", ""))
    except ValueError:
        return UNKNOWN_SIZE
    return ImageSize(height, width) if 0 < height <= FARTHEST and 0 < width <= FARTHEST else UNKNOWN_SIZE


# -------------------------------------------------------------------------------------------- second pass: pictures


def _read_pictures(table: _Table) -> Iterator[PictureAnnotation]:
    """The pictures of a file, one by one; only those that the first pass found whole."""
    if not table.places:
        return
    places = iter(table.places)
    left = len(table.places)
    for event in xml_events(table.file.read(), keep=2):
        if event.begins or event.depth != 2 or event.element.tag != "image":
            continue
        place = next(places)
        if place is not None:
            yield _read_picture(event.element, place, table.file.name)
        left -= 1
        if not left:
            return  # behind the last whole one the file may be cut off


def _read_picture(image: Element, place: _Place, name: str) -> PictureAnnotation:
    notes: list[Note] = []
    layers: list[tuple[int, Shape]] = []
    others: Counter[str] = Counter()
    room = MaskRoom()
    for element in image:
        if element.tag not in SHAPES:
            others[element.tag] += 1
            continue
        try:
            shape, said = read_element(element, place.size)
            room.take(shape)
        except BrokenShapeError as error:
            notes.append(error.note)
            continue
        layers.append((z_order(element), shape))
        notes += said
    for tag, count in others.items():
        notes += [_left_out(tag)] * count
    shapes = tuple(shape for _, shape in sorted(layers, key=lambda layer: layer[0]))
    return PictureAnnotation(place.picture, Annotation(size=place.size, shapes=shapes), name, tuple(notes), place.part)


def _left_out(tag: str) -> Note:
    if tag == "tag":
        return Note("ignored", "a tag of the whole picture was left out", "# tags of whole pictures were left out")
    return Note(
        "ignored",
        f"a shape of the type {tag[:40]!r}, which is unknown here, was left out",
        f"# shapes of the type {tag[:40]!r}, which is unknown here, were left out",
    )
