"""Reading COCO's JSON, a whole data set a file (FORMATS 3.2): the tables of a file are read in coco_table.py, one
annotation of it in coco_shape.py. Writing is in coco_write.py."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from core.annotation.shapes import Annotation, Polygon, Shape
from core.errors import ReadError
from core.formats.canvas import Canvas
from core.formats.coco_shape import EXTRA_KEY, read_entry
from core.formats.coco_table import (
    LABELME_KEY,
    CocoPicture,
    CocoTable,
    PicturePlaces,
    is_coco,
    merged,
    read_size,
    read_table,
)
from core.formats.dataset import PictureAnnotation, Reading, SizeOf
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.labelme_shape import BrokenShapeError
from core.formats.note import Note
from core.formats.reading import MaskRoom, parse_json
from core.formats.source import Source, SourceFile
from core.images import MAX_PIXELS, ImageSize

_EDGES: Final = Note(
    "assumed",
    "its polygons keep their points; here they cover the pixels that their edges touch, in COCO those whose centre "
    "is inside",
    "the polygons of # pictures keep their points; here they cover the pixels that their edges touch, in COCO those "
    "whose centre is inside",
)


def is_coco_source(source: Source) -> bool:
    """Whether at least one file of the Source is a COCO data set, by content."""
    return any(is_coco(parse_json(file)) for file in source.with_suffix(".json") if _may_be_coco(file))


def read_coco(source: Source, size_of: SizeOf) -> Reading:
    """All COCO files of a Source as one data set. Raises ReadError when there is none that can be read.

    Pictures come one by one; objects are painted large ones first, unless a file says that its order is that of
    painting, as ours do.
    """
    tables: list[CocoTable] = []
    notes: list[Note] = []
    places = PicturePlaces(source)
    for file in _chosen(source, notes):
        value = parse_json(file, notes)
        if is_coco(value):
            tables.append(read_table(value, file, places))
            notes += tables[-1].notes
    if not tables:
        broken = next((note.text for note in notes if note.kind == "error"), "")
        raise ReadError(
            f"{broken}." if broken else f"{source.title} holds no COCO file.",
            hint='COCO is a JSON object with lists called "images", "annotations" and "categories".',
        )
    pictures = _each_once(tables, notes)
    read = (_read_picture(table, picture, size_of) for table, picture in pictures)
    return Reading(merged(tables), read, tuple(notes))


# ------------------------------------------------------------------------------------------------------------ files


def _may_be_coco(file: SourceFile) -> bool:
    """A quick look, which spares parsing a folder of other JSON."""
    try:
        data = file.read()
    except ReadError:
        return False
    return b'"annotations"' in data or b"\0" in data[:4]  # UTF-16


def _chosen(source: Source, notes: list[Note]) -> list[SourceFile]:
    """The files to read. COCO's own folder tells of the same pictures in captions, keypoints and more, too."""
    files = [file for file in source.with_suffix(".json") if _may_be_coco(file)]
    instances = [file for file in files if file.stem.startswith("instances")]
    for file in files if instances else ():
        if file not in instances:
            notes.append(
                Note(
                    "ignored",
                    f"{file.name} stands beside files called instances and was left out",
                    "# files stand beside files called instances and were left out",
                )
            )
    return instances or files


# --------------------------------------------------------------------------------------------------------- pictures


def _each_once(tables: Iterable[CocoTable], notes: list[Note]) -> list[tuple[CocoTable, CocoPicture]]:
    """The pictures of all files; one that stands in two of them is read from the first."""
    kept: dict[str, tuple[CocoTable, CocoPicture]] = {}
    for table in tables:
        for picture in table.pictures:
            first, _ = kept.setdefault(picture.picture, (table, picture))
            if kept[picture.picture][1] is not picture and picture.items:
                notes.append(
                    Note(
                        "duplicate",
                        f"{picture.picture} stands in {first.name} and again in {table.name}; the first was read",
                        "# pictures are listed twice with annotations; the first list was read",
                    )
                )
    return list(kept.values())


def _read_picture(table: CocoTable, picture: CocoPicture, size_of: SizeOf) -> PictureAnnotation:
    notes: list[Note] = []
    size = _size(picture, size_of)
    has_drawn = any(LABELME_KEY in item for _, item in picture.items) and 0 < size.pixels <= MAX_PIXELS
    canvas = Canvas(size) if has_drawn else None
    objects: list[tuple[float, tuple[Shape, ...]]] = []
    room = MaskRoom()
    for label, item in picture.items:
        try:
            entry = read_entry(item, label, size, canvas=canvas, own=table.in_order)
            room.take(*entry.shapes)
        except BrokenShapeError as error:
            notes.append(error.note)
            continue
        objects.append((entry.area, entry.shapes))
        notes += entry.notes
    if not table.in_order:
        objects.sort(key=lambda pair: -pair[0])
    if not table.in_order and any(isinstance(shape, Polygon) for _, shapes in objects for shape in shapes):
        notes.append(_EDGES)
    if not picture.items:
        notes.append(Note("unmatched", "a picture has no annotation", "# pictures have no annotation"))
    extra = {EXTRA_KEY: picture.extra} if picture.extra else {}
    shapes = _grouped([shapes for _, shapes in objects])
    annotation = Annotation(size=size, shapes=shapes, flags=picture.flags, extra=extra)
    return PictureAnnotation(picture.picture, annotation, table.name, tuple(notes), table.part)


def _size(picture: CocoPicture, size_of: SizeOf) -> ImageSize:
    """What the file says, else the picture, else the first runs."""
    if picture.size != UNKNOWN_SIZE:
        return picture.size
    info = size_of(picture.picture)
    if info is not None:
        return info.size
    for _, item in picture.items:
        segmentation = item.get("segmentation")
        size = segmentation.get("size") if isinstance(segmentation, Mapping) else None
        if isinstance(size, list) and len(size) == 2:
            return read_size(*size)
    return UNKNOWN_SIZE


def _grouped(objects: Iterable[tuple[Shape, ...]]) -> tuple[Shape, ...]:
    """The Shapes of all objects; those of one object that has several share a new group."""
    objects = list(objects)
    used = [shape.group_id for shapes in objects for shape in shapes if shape.group_id is not None]
    group_id = max([0, *used])
    grouped: list[Shape] = []
    for shapes in objects:
        if len(shapes) > 1 and all(shape.group_id is None for shape in shapes):
            group_id += 1
            shapes = tuple(replace(shape, group_id=group_id) for shape in shapes)
        grouped += shapes
    return tuple(grouped)
