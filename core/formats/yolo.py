"""YOLO's segmentation format: data.yaml has the names, a text file a picture has a row an object (FORMATS 3.5)."""

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final

from core.annotation.labels import BACKGROUND, IGNORE, LabelSet
from core.annotation.shapes import KIND_WORDS, Annotation, MaskShape, Shape
from core.errors import ReadError
from core.formats.dataset import Archive, ExportItem, LabelEntry, Part, PictureAnnotation, Reading, SizeOf
from core.formats.label_text import decode_text
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.labelme_shape import BrokenShapeError
from core.formats.losses import Loss, Losses
from core.formats.note import Note
from core.formats.reading import MaskRoom
from core.formats.source import Source
from core.formats.yolo_layout import LabelFile, Layout, Table, is_yolo_source, read_layout
from core.formats.yolo_row import Written, parse_row, read_row, write_rows
from core.images import ImageInfo, ImageSize

__all__ = ["is_yolo_source", "read_yolo", "write_yolo", "yolo_picture_path"]

_PARTS: Final[tuple[Part, ...]] = ("train", "val", "test")
_LARGEST_FILE: Final = 1 << 28  # bytes


# ---------------------------------------------------------------------------------------------------------- reading


def read_yolo(source: Source, size_of: SizeOf) -> Reading:
    """Read the label files of a Source; a picture without one is background. Raises ReadError when there is none."""
    layout = read_layout(source)
    if not layout.labels:
        raise ReadError(
            f"{source.title} holds no label file of YOLO.",
            hint="Choose the folder with data.yaml, or the one with the folders images and labels.",
        )
    names = dict.fromkeys(name for table in layout.tables for name in table.names.values())
    notes = [Note("ignored", f"{name} holds no rows of YOLO and was left out") for name in layout.left_out]
    if not layout.tables:
        notes.append(
            Note("assumed", "there is no data.yaml with the names of the classes; they are called by their ids")
        )
    entries = tuple(LabelEntry(name) for name in names if name not in (BACKGROUND, IGNORE))
    return Reading(entries, _pictures(layout, size_of), tuple(notes))


def _pictures(layout: Layout, size_of: SizeOf) -> Iterator[PictureAnnotation]:
    for label in layout.labels:
        yield _read_file(label, layout.table_for(label.file), size_of(label.picture))
    for picture, part in layout.background:
        info = size_of(picture)
        note = Note(
            "assumed",
            "it has no label file and was taken as background",
            "# pictures have no label file and were taken as background",
        )
        yield PictureAnnotation(picture, Annotation(size=info.size if info else UNKNOWN_SIZE), picture, (note,), part)


def _read_file(label: LabelFile, table: Table, info: ImageInfo | None) -> PictureAnnotation:
    """One label file. What is wrong with a row, or with all of the file, is a note."""
    nothing = Annotation(size=info.size if info else UNKNOWN_SIZE)
    if info is None:
        note = Note("unmatched", "its picture is not there, and without a size its fractions mean nothing")
        return PictureAnnotation(label.picture, nothing, label.file.name, (note,), label.part)
    try:
        if label.file.size > _LARGEST_FILE:
            raise ReadError(f"{label.file.name} is too large for a label file.", hint="Cut the picture into tiles.")
        text = decode_text(label.file.read())
    except ReadError as error:
        return PictureAnnotation(
            label.picture, nothing, label.file.name, (Note("error", str(error).rstrip(".")),), label.part
        )
    annotation, notes = _read_rows(text, table, info)
    return PictureAnnotation(label.picture, annotation, label.file.name, tuple(notes), label.part)


def _read_rows(text: str, table: Table, info: ImageInfo) -> tuple[Annotation, list[Note]]:
    """Fractions are of the upright picture, as Ultralytics reads it."""
    notes: list[Note] = []
    shapes: list[Shape] = []
    room = MaskRoom()
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            row = parse_row(line)
            shape = read_row(row, table.name_of(row.class_id), info.size, keypoints=table.keypoints, notes=notes)
            room.take(shape)
        except BrokenShapeError as error:
            notes.append(error.note)
            continue
        shapes.append(shape)
        if table.names and row.class_id not in table.names:
            notes.append(Note("assumed", f"the class {row.class_id} has no name and was called {shape.label!r}"))
    if info.orientation != 1 and shapes:
        notes.append(
            Note("assumed", "the picture carries a camera rotation; the rows were taken as of the upright picture")
        )
    return Annotation(size=info.size, shapes=tuple(shapes)), notes


# ---------------------------------------------------------------------------------------------------------- writing


def yolo_picture_path(item: ExportItem) -> str:
    """Where the picture of an item lies in an export; those without a part train."""
    return f"images/{item.part or 'train'}/{item.file_name}"


def write_yolo(items: Iterable[ExportItem], labels: LabelSet, archive: Archive) -> tuple[Note, ...]:
    """Add data.yaml and labels/<part>/<stem>.txt for each item. Returns what the rows cannot hold, as Notes "lost"."""
    losses = Losses()
    used: set[Part] = set()
    for item in items:
        part = item.part or "train"
        used.add(part)
        size = item.annotation.size
        lines = [line for shape in item.annotation.shapes for line in _shape_lines(shape, labels, size, losses)]
        if any(item.annotation.flags.values()):
            losses.add(Loss("the flags of a picture were left out", "the flags of # pictures were left out"))
        stem = PurePosixPath(item.file_name).stem
        archive.add(f"labels/{part}/{stem}.txt", "".join(f"{line}\n" for line in lines).encode())
    archive.add("data.yaml", _data_yaml(labels, used))
    return losses.notes()


def _shape_lines(shape: Shape, labels: LabelSet, size: ImageSize, losses: Losses) -> list[str]:
    if shape.label == IGNORE:
        losses.add(
            Loss(
                f"a shape of {IGNORE} was left out; what it marks is background there",
                f"# shapes of {IGNORE} were left out; what they mark is background there",
            )
        )
        return []
    if shape.label not in labels.names[1:]:
        losses.unknown_label(shape.label)
        return []
    written = write_rows(shape, labels.id_of(shape.label) - 1, size)
    if written.lines:
        _count_losses(shape, written, size, losses)
    else:
        losses.add(Loss("a shape that marks no pixel was left out", "# shapes that mark no pixel were left out"))
    return written.lines


def _count_losses(shape: Shape, written: Written, size: ImageSize, losses: Losses) -> None:
    if len(written.lines) > 1:
        losses.add(
            Loss(
                "a shape of several pieces became a row a piece, no longer one object",
                "# shapes of several pieces became a row a piece, no longer one object each",
            )
        )
    if not written.as_drawn and not isinstance(shape, MaskShape):
        word = KIND_WORDS.get(shape.kind, shape.kind)
        losses.add(
            Loss(
                f"a {word} became the outline of its pixels",
                f"# shapes of the type {word} became the outlines of their pixels",
            )
        )
    if _leaves(shape, size):
        losses.add(
            Loss("what lay outside of the picture was cut off", "# shapes were cut off at the edge of the picture")
        )
    if shape.group_id is not None or shape.description or any(shape.flags.values()):
        losses.add(
            Loss(
                "a group, a description or flags of a shape were left out",
                "groups, descriptions or flags of # shapes were left out",
            )
        )


def _leaves(shape: Shape, size: ImageSize) -> bool:
    last = 1 if isinstance(shape, MaskShape) else 0  # its points are pixels
    return any(not (0 <= x <= size.width - last and 0 <= y <= size.height - last) for x, y in shape.points_xy)


def _data_yaml(labels: LabelSet, used: set[Part]) -> bytes:
    """What Ultralytics asks for. Its names are written as JSON strings, which YAML reads as they are."""
    lines = ["path: .", "train: images/train", "val: images/val"]
    lines += ["test: images/test"] if "test" in used else []
    lines += ["names:" if labels.foreground else "names: {}"]
    lines += [f"  {i}: {json.dumps(label.name, ensure_ascii=False)}" for i, label in enumerate(labels.foreground)]
    return ("\n".join(lines) + "\n").encode("utf-8", errors="replace")
