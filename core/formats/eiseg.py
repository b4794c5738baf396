"""EISeg's JSON: a list of polygons beside each picture, and the list of labels (label.txt, autosave_label.txt).

EISeg paints label by label, those further down in its list over those above; within a label all look alike.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from core.annotation.labels import BACKGROUND, IGNORE, Color
from core.annotation.shapes import Annotation, Shape
from core.errors import ReadError
from core.formats.dataset import LabelEntry, PictureAnnotation, Reading, SizeOf
from core.formats.label_text import clean_label, decode_text
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.labelme_shape import BrokenShapeError, read_shape
from core.formats.note import Note
from core.formats.source import Source, SourceFile

_GRID: Final = "_grid_saved"  # a file of tiles of a large picture; the picture's own file has the same, joined
_KEYS: Final = ("name", "labelIdx", "color", "points")
_LABEL_FOLDERS: Final = ("label", "labels")


class _Label(NamedTuple):
    """A row of the list of labels."""

    number: int
    name: str
    color: Color | None


def is_eiseg_source(source: Source) -> bool:
    """Whether at least one file of the Source is EISeg's list of polygons, by content."""
    return any(_is_eiseg(_parsed(file)) for file in source.with_suffix(".json") if _may_be_eiseg(file))


def read_eiseg(source: Source, size_of: SizeOf) -> Reading:
    """All lists of polygons in a Source, each beside its picture. Raises ReadError when there is none.

    The painting order is that of the list of labels; without such a file, that of the labels' numbers.
    """
    notes: list[Note] = []
    files: list[tuple[SourceFile, list[Any]]] = []
    for file in source.with_suffix(".json"):
        if _may_be_eiseg(file) and _is_eiseg(value := _parsed(file)):
            files.append((file, value))
    grids = [file for file, _ in files if file.stem.endswith(_GRID)]
    files = [(file, value) for file, value in files if file not in grids]
    notes += [
        Note(
            "ignored",
            f"{file.name} holds tiles of a large picture and was left out",
            "# files of tiles of a large picture were left out",
        )
        for file in grids
    ]
    if not files:
        said = f": {notes[0].text}" if notes else ""
        raise ReadError(
            f"{source.title} holds no file of EISeg that can be read{said}.",
            hint="Save in EISeg with JSON switched on.",
        )
    labels = _read_label_list(source) or _labels_of(value for _, value in files)
    order = {label.number: place for place, label in enumerate(labels)}
    colors = {label.number: label.color for label in _labels_of(value for _, value in files)}
    entries: dict[str, LabelEntry] = {}
    for label in (*labels, *_labels_of(value for _, value in files)):
        if label.name not in (BACKGROUND, IGNORE):
            entries.setdefault(label.name, LabelEntry(label.name, label.color or colors.get(label.number)))
    pictures = (_read_picture(file, value, order, size_of) for file, value in files)
    return Reading(tuple(entries.values()), pictures, tuple(notes))


# ------------------------------------------------------------------------------------------------------------ files


def _may_be_eiseg(file: SourceFile) -> bool:
    try:
        data = file.read()
    except ReadError:
        return False
    return b'"labelIdx"' in data


def _parsed(file: SourceFile) -> Any:
    try:
        return json.loads(decode_text(file.read()))
    except (ReadError, ValueError, RecursionError):
        return None


def _is_eiseg(value: object) -> bool:
    if not isinstance(value, list):
        return False
    return any(isinstance(item, Mapping) and "labelIdx" in item and "points" in item for item in value)


def _read_label_list(source: Source) -> list[_Label]:
    """The rows "1 crack 255 0 0" of the list of labels; EISeg's own file first."""
    found = [file for file in source.with_suffix(".txt") if "label" in file.stem.lower()]
    for file in sorted(found, key=lambda file: "autosave" not in file.stem.lower()):
        try:
            rows = [_read_row(line) for line in decode_text(file.read()).splitlines() if line.strip()]
        except ReadError:
            continue
        labels = [row for row in rows if row is not None]
        if labels:
            return labels
    return []


def _read_row(line: str) -> _Label | None:
    """A name may hold blanks."""
    parts = line.split()
    try:
        index = int(parts[0])
        red, green, blue = (int(part) for part in parts[-3:])
        color = (red, green, blue)
        name = clean_label(" ".join(parts[1:-3]))
    except ValueError:
        if len(parts) != 2 or not parts[0].isdecimal():
            return None
        index, name, color = int(parts[0]), clean_label(parts[1]), None
    if not name or (color is not None and not all(0 <= part <= 255 for part in color)):
        return None
    return _Label(index, name, color)


def _labels_of(values: Any) -> list[_Label]:
    """The labels that the polygons themselves name, by their numbers."""
    found: dict[int, _Label] = {}
    for value in values:
        for item in value:
            name = clean_label(item.get("name")) if isinstance(item, Mapping) else ""
            index = _index(item) if name else None
            if index is not None:
                found.setdefault(index, _Label(index, name, _color(item.get("color"))))
    return [found[index] for index in sorted(found)]


def _index(item: Mapping[str, Any]) -> int | None:
    index = item.get("labelIdx")
    if isinstance(index, float) and index.is_integer():
        index = int(index)
    return index if isinstance(index, int) and not isinstance(index, bool) else None


def _color(value: object) -> Color | None:
    if not isinstance(value, list) or len(value) < 3:
        return None
    parts = [part for part in value[:3] if isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= 255]
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


# --------------------------------------------------------------------------------------------------------- pictures


def _read_picture(file: SourceFile, value: list[Any], order: Mapping[int, int], size_of: SizeOf) -> PictureAnnotation:
    notes: list[Note] = []
    layers: list[tuple[int, Shape]] = []
    for item in value:
        try:
            layer, shape, said = _read_polygon(item, order)
        except BrokenShapeError as error:
            notes.append(error.note)
            continue
        layers.append((layer, shape))
        notes += said
    shapes = tuple(shape for _, shape in sorted(layers, key=lambda layer: layer[0]))
    names = list(_picture_names(file))
    picture = next((name for name in names if size_of(name)), names[0])
    return PictureAnnotation(picture, Annotation(size=UNKNOWN_SIZE, shapes=shapes), file.name, tuple(notes))


def _read_polygon(item: object, order: Mapping[int, int]) -> tuple[int, Shape, list[Note]]:
    if not isinstance(item, Mapping):
        raise BrokenShapeError("a shape was not an object and was left out", "# shapes were not objects and left out")
    points = item.get("points")
    kept = {str(key): entry for key, entry in item.items() if key not in _KEYS}
    shape, notes = read_shape({"label": item.get("name"), "points": points, "shape_type": "polygon", **kept})
    index = _index(item)
    return order.get(index, len(order)) if index is not None else len(order), shape, notes


def _picture_names(file: SourceFile) -> Iterator[str]:
    """The picture beside the file, or beside its folder of labels: without suffix, or with its own (a.jpg.json)."""
    name = file.name[: -len(file.suffix)]
    yield name
    folder, _, base = name.rpartition("/")
    above, _, last = folder.rpartition("/")
    if last.casefold() in _LABEL_FOLDERS:
        yield f"{above}/{base}".lstrip("/")
