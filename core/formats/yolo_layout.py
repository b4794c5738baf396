"""Which files of a Source are YOLO's, and what belongs together: names of the classes, label files, pictures, parts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

import yaml

from core.errors import ReadError
from core.formats.dataset import Part
from core.formats.label_text import clean_label, decode_text
from core.formats.labelme_shape import BrokenShapeError
from core.formats.source import Source, SourceFile
from core.formats.yolo_row import MAX_CLASS, parse_row

_NAME_LISTS: Final = ("classes.txt", "obj.names", "names.txt", "_darknet.labels", "predefined_classes.txt")
_PART_LISTS: Final[Mapping[str, Part]] = {
    "train.txt": "train",
    "val.txt": "val",
    "valid.txt": "val",
    "test.txt": "test",
}
_PART_KEYS: Final[Mapping[str, Part]] = {"train": "train", "val": "val", "valid": "val", "test": "test"}
_PART_FOLDER: Final = re.compile(r"(train|val|test)(?:ing|id|idation)?\d*$", re.IGNORECASE)
_LARGEST_TABLE: Final = 4 << 20  # bytes; the longest real table has 21,000 names and 0.6 MB
_FILES_TRIED: Final = 20
_HEAD: Final = 2000  # characters


@dataclass(frozen=True)
class Table:
    """What data.yaml or a list of names says for its folder and those below."""

    folder: str
    names: Mapping[int, str]
    keypoints: int = 0  # numbers of a row that are keypoints
    parts: Mapping[str, Part] = field(default_factory=dict)  # name of a folder -> part

    def name_of(self, class_id: int) -> str:
        return self.names.get(class_id) or f"class {class_id}"


@dataclass(frozen=True)
class LabelFile:
    """A label file, the picture that it belongs to by its place, without suffix if it is not here, and its part."""

    file: SourceFile
    picture: str
    part: Part | None


@dataclass(frozen=True)
class Layout:
    """A Source as YOLO. background: pictures without a label file.  left_out: text files that hold no rows."""

    tables: tuple[Table, ...]
    labels: tuple[LabelFile, ...]
    background: tuple[tuple[str, Part | None], ...]
    left_out: tuple[str, ...]

    def table_for(self, file: SourceFile) -> Table:
        """The table nearest above the file, else the first."""
        above = [
            table for table in self.tables if f"{file.folder}/".startswith(f"{table.folder}/" if table.folder else "")
        ]
        nearest = max(above, key=lambda table: len(table.folder), default=None)
        return nearest or (self.tables[0] if self.tables else Table("", {}))


def is_yolo_source(source: Source) -> bool:
    """Whether a Source has a table of names with label files beside it, or text files that all hold rows of YOLO."""
    candidates = _candidates(source)
    own = _pictures_by_place(source)
    sure = [file for file in candidates if _is_label_folder(file) or _picture_of(file, own) is not None]
    heads = [head for file in (sure or candidates)[:_FILES_TRIED] if (head := _head(file)).strip()]
    if heads and all(map(_holds_rows, heads)):
        return True
    # with a table some may be damaged, or all of them empty
    return bool(sure) and bool(_read_tables(source)) and (not heads or any(map(_holds_a_row, heads)))


def read_layout(source: Source) -> Layout:
    """Sort the files of a Source; their rows are not read yet."""
    tables = _read_tables(source)
    own = _pictures_by_place(source)
    listed = _listed_parts(source)
    labels: list[LabelFile] = []
    left_out: list[str] = []
    for file in _candidates(source):
        picture = _picture_of(file, own)
        if picture is None and (head := _head(file)).strip() and not _holds_a_row(head):
            left_out.append(file.name)
            continue
        place = _bare(picture) if picture else _image_place(file)
        labels.append(LabelFile(file, picture or place, _part_of(place, file.folder, tables, listed)))
    taken = {label.picture for label in labels}
    folders = {PurePosixPath(name).parent.as_posix() for name in taken}
    background = [
        (file.name, _part_of(_bare(file.name), file.folder, tables, listed))
        for file in source.pictures()
        if file.name not in taken and (PurePosixPath(file.name).parent.as_posix() in folders or _in_image_folder(file))
    ]
    return Layout(tuple(tables), tuple(labels), tuple(background), tuple(left_out))


# ------------------------------------------------------------------------------------------------- names of the classes


def _read_tables(source: Source) -> list[Table]:
    """Tables of names, those of a data.yaml before plain lists, the one nearest to the top first."""
    plain = [_read_list(file) for file in source.files if file.base.lower() in _NAME_LISTS]
    tables = [_read_yaml(file) for file in source.files if file.suffix in (".yaml", ".yml")]
    found = [table for table in (*tables, *plain) if table is not None and table.names]
    return sorted(found, key=lambda table: len(PurePosixPath(table.folder).parts))


def _read_yaml(file: SourceFile) -> Table | None:
    """A data.yaml. Everything in it is read as text: `no` is a name, and nothing is ever made into an object."""
    if file.size > _LARGEST_TABLE:
        return None
    try:
        value = yaml.load(decode_text(file.read()), Loader=yaml.BaseLoader)
        names = _names(value.get("names")) if isinstance(value, dict) else {}
    except (ReadError, yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError):
        return None
    return Table(file.folder, names, _keypoints(value.get("kpt_shape")), _yaml_parts(value)) if names else None


def _names(value: object) -> dict[int, str]:
    if isinstance(value, str):  # names: [a, b] that some tool quoted, or one name alone
        value = [name.strip(" '\"") for name in value.strip("[] ").split(",")]
    if isinstance(value, Mapping):
        pairs = [(int(key), name) for key, name in value.items() if str(key).strip().isdecimal()]
    else:
        pairs = list(enumerate(value)) if isinstance(value, Sequence) else []
    cleaned = {class_id: clean_label(name) for class_id, name in pairs if class_id < MAX_CLASS}
    return {class_id: name for class_id, name in sorted(cleaned.items()) if name}


def _keypoints(value: object) -> int:
    try:
        count, dimensions = (int(number) for number in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return 0
    return count * dimensions if count > 0 and dimensions in (2, 3) else 0


def _yaml_parts(value: Mapping[str, Any]) -> dict[str, Part]:
    """The folders that train, val and test name, by their last name; what two parts share says nothing."""
    found: dict[str, set[Part]] = {}
    for key, part in _PART_KEYS.items():
        paths = value.get(key)
        for path in [paths] if isinstance(paths, str) else paths if isinstance(paths, list) else []:
            names = [name for name in PureWindowsPath(str(path)).parts if name.lower() not in ("images", ".", "..")]
            if names:
                found.setdefault(names[-1].casefold(), set()).add(part)
    return {name: next(iter(parts)) for name, parts in found.items() if len(parts) == 1}


def _read_list(file: SourceFile) -> Table | None:
    """One name a line, in the order of the ids."""
    if file.size > _LARGEST_TABLE:
        return None
    try:
        lines = decode_text(file.read()).splitlines()
    except ReadError:
        return None
    return Table(file.folder, {i: name for i, line in enumerate(lines) if (name := clean_label(line))})


# --------------------------------------------------------------------------------------------- label files and pictures


def _candidates(source: Source) -> list[SourceFile]:
    """Text files that are not named as lists of names or pictures, or stand among the labels for a picture of that
    name."""
    lists = {*_NAME_LISTS, *_PART_LISTS, "labels.txt", "requirements.txt"}
    stems = {picture.stem.casefold() for picture in source.pictures()}

    def is_list(file: SourceFile) -> bool:
        among_labels = "labels" in file.folder.lower().split("/")
        return file.base.lower() in lists and not (among_labels and file.stem.casefold() in stems)

    return [file for file in source.with_suffix(".txt") if not is_list(file)]


def _head(file: SourceFile) -> str:
    """The first rows, and no part of a number that is cut off."""
    try:
        data = file.read()
    except ReadError:
        return ""
    text = decode_text(data[:_HEAD])
    return text if len(data) <= _HEAD else text.rpartition("\n")[0] or text.rpartition(" ")[0]


def _holds_rows(head: str) -> bool:
    """Whether all lines of a text are rows."""
    lines = [line for line in head.splitlines() if line.strip()]
    return bool(lines) and all(map(_is_row, lines))


def _holds_a_row(head: str) -> bool:
    return any(map(_is_row, head.splitlines()))


def _is_row(line: str) -> bool:
    try:
        return all(-0.5 <= value <= 1.5 for value in parse_row(line).values[:4])
    except BrokenShapeError:
        return False


def _pictures_by_place(source: Source) -> dict[str, list[str]]:
    """Pictures by their path without suffix, and by their stem alone; both in small letters."""
    places: dict[str, list[str]] = {}
    for file in source.pictures():
        for key in (_bare(file.name).casefold(), f"*/{file.stem.casefold()}"):
            places.setdefault(key, []).append(file.name)
    return places


def _bare(name: str) -> str:
    """A path without its suffix."""
    return name.removesuffix(PurePosixPath(name).suffix)


def _picture_of(file: SourceFile, places: Mapping[str, list[str]]) -> str | None:
    """The picture of a label file: in the folder that mirrors its own, beside it, or the only one of its name."""
    beside = f"{file.folder}/{file.stem}".lstrip("/")
    for key in (_image_place(file), beside, f"*/{file.stem}"):
        found = places.get(key.casefold(), [])
        if len(found) > 1:  # A.png may lie beside a.png
            found = [name for name in found if PurePosixPath(name).stem == file.stem]
        if len(found) == 1:
            return found[0]
    return None


def _image_place(file: SourceFile) -> str:
    """Where the picture of a label file lies, without suffix: the last folder called labels becomes images."""
    parts = file.folder.split("/") if file.folder else []
    for i in reversed(range(len(parts))):
        if parts[i].casefold() == "labels":
            parts[i] = "images"
            break
    return "/".join([*parts, file.stem])


def _is_label_folder(file: SourceFile) -> bool:
    return "labels" in (part.casefold() for part in file.folder.split("/"))


def _in_image_folder(file: SourceFile) -> bool:
    return "images" in (part.casefold() for part in file.folder.split("/"))


# ---------------------------------------------------------------------------------------------------------------- parts


def _listed_parts(source: Source) -> dict[str, list[tuple[str, Part]]]:
    """What train.txt and its like list: stem -> paths without suffix, each with its part."""
    listed: dict[str, list[tuple[str, Part]]] = {}
    for file in source.files:
        if part := _PART_LISTS.get(file.base.lower()):
            for path in _listed_paths(file):
                listed.setdefault(PurePosixPath(path).name, []).append((path, part))
    return listed


def _listed_paths(file: SourceFile) -> Iterator[str]:
    """The lines of a list of pictures, without suffix, with slashes, in small letters."""
    try:
        lines = decode_text(file.read()).splitlines()
    except ReadError:
        return
    for line in lines:
        if path := _bare(PureWindowsPath(line.strip()).as_posix()).lstrip("./").casefold():
            yield path


def _part_of(
    place: str, folder: str, tables: Sequence[Table], listed: Mapping[str, list[tuple[str, Part]]]
) -> Part | None:
    """From a list that names the picture, else from the names of its folders, innermost first.

    place: of the picture, without suffix.  folder: of its label file.
    """
    key = place.casefold()
    for other, part in listed.get(PurePosixPath(key).name, []):
        if f"/{other}".endswith(f"/{key}") or f"/{key}".endswith(f"/{other}"):
            return part
    for name in (*reversed(PurePosixPath(place).parts[:-1]), *reversed(folder.split("/"))):
        if match := _PART_FOLDER.match(name):
            return _PART_KEYS[match[1].lower()]
        for table in tables:
            if name.casefold() in table.parts:
                return table.parts[name.casefold()]
    return None
