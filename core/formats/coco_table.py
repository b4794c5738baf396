"""The tables of a COCO file: its categories as labels, its pictures each with its annotations."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from core.annotation.labels import BACKGROUND, Color, parse_color
from core.errors import ConfigError
from core.formats.dataset import LabelEntry, Part
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.note import Note
from core.formats.source import Source, SourceFile
from core.images import ImageSize

LABELME_KEY: Final = "labelme"  # of what we wrote: what COCO has no word for, in Labelme's words
PAINTING_ORDER: Final = ("painting_order", "annotations")  # in "info" of our own files
_PART: Final = re.compile(r"(?<![a-z])(train|training|val|valid|validation|test|testing)(?![a-z])")
_PARTS: Final[Mapping[str, Part]] = {"train": "train", "val": "val", "test": "test"}
_IMAGE_KEYS: Final = ("id", "file_name", "width", "height", LABELME_KEY)
Id = int | str


@dataclass(frozen=True)
class CocoPicture:
    """One of "images".  size: UNKNOWN_SIZE when it does not say.  items: labels and annotations as they stand."""

    picture: str
    size: ImageSize
    extra: Mapping[str, Any]
    flags: Mapping[str, bool]
    items: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)


@dataclass(frozen=True)
class CocoTable:
    """One file.  in_order: the annotations stand in the order of painting."""

    name: str
    part: Part | None
    entries: tuple[LabelEntry, ...]
    pictures: tuple[CocoPicture, ...]
    in_order: bool
    notes: tuple[Note, ...]


class PicturePlaces:
    """Where the pictures of a Source lie, to tell those of equal names apart."""

    def __init__(self, source: Source) -> None:
        self._by_base: dict[str, list[str]] = {}
        for file in source.pictures():
            self._by_base.setdefault(file.base, []).append(file.name)

    def find(self, name: str, folder: str, part: Part | None) -> str:
        """The file that a COCO file in `folder` means by `name`; `name` itself when there is none or no telling."""
        found = [path for path in self._by_base.get(name.rpartition("/")[2], ()) if f"/{path}".endswith(f"/{name}")]
        beside = f"{folder}/{name}" if folder else name
        if beside in found:
            return beside
        if len(found) > 1:
            found = [path for path in found if part is not None and part_of(path.rpartition("/")[0]) == part]
        return found[0] if len(found) == 1 else name


def is_coco(value: object) -> bool:
    """Whether a JSON value has the lists of a COCO data set."""
    if not isinstance(value, Mapping) or not isinstance(value.get("annotations"), list):
        return False
    return any(isinstance(value.get(key), list) for key in ("images", "categories"))


def part_of(path: str) -> Part | None:
    """The part that a path names, its last folder or file first: annotations/instances_val2017 is "val"."""
    for name in reversed(path.casefold().split("/")):
        found = _PART.search(name)
        if found:
            return next(part for start, part in _PARTS.items() if found[1].startswith(start))
    return None


def read_table(value: Mapping[str, Any], file: SourceFile, places: PicturePlaces) -> CocoTable:
    """The tables of a file that `is_coco`. What does not fit is left out and told."""
    tally = _Tally(file.name)
    part = part_of(file.name.removesuffix(file.suffix))
    entries, labels = _read_categories(value.get("categories"), tally)
    pictures = _read_images(value.get("images"), file, part, places, tally)
    for item in value["annotations"]:
        _place(item, pictures, labels, tally)
    named = {entry.name for entry in entries}
    entries += [LabelEntry(name) for name in dict.fromkeys(labels.values()) if name not in named and name != BACKGROUND]
    info = value.get("info")
    in_order = isinstance(info, Mapping) and info.get(PAINTING_ORDER[0]) == PAINTING_ORDER[1]
    return CocoTable(file.name, part, tuple(entries), tuple(pictures.values()), in_order, tuple(tally.notes()))


class _Tally:
    """Counts what is alike, so that thousands of broken annotations are one note."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[tuple[str, str]] = Counter()
        self._notes: list[Note] = []

    def left_out(self, one: str, many: str) -> None:
        self._counts[one, many] += 1

    def assume(self, text: str) -> None:
        self._notes.append(Note("assumed", f"{self._name}: {text}"))

    def notes(self) -> list[Note]:
        counted = [
            Note("ignored", f"{self._name}: {one if count == 1 else many.replace('#', f'{count:,}')}")
            for (one, many), count in self._counts.items()
        ]
        return [*self._notes, *counted]


# ------------------------------------------------------------------------------------------------------- categories


def _read_categories(value: object, tally: _Tally) -> tuple[list[LabelEntry], dict[Id, str]]:
    """Labels in the order of their ids, where those are numbers."""
    if not isinstance(value, list):
        tally.assume("it has no list of categories")
        value = []
    found: list[tuple[Id, LabelEntry]] = []
    for item in value:
        key = read_id(item.get("id")) if isinstance(item, Mapping) else None
        if key is None:
            tally.left_out("a category without an id was left out", "# categories without an id were left out")
            continue
        name = _clean(item.get("name"))
        if not name:
            name = f"category_{key}"
            tally.assume(f"the category {key} has no name and is called {name!r}")
        elif name.casefold() in ("background", BACKGROUND) and name != BACKGROUND:
            tally.assume(f"the category {name!r} was read as background")
            name = BACKGROUND
        found.append((key, LabelEntry(name, _color(item.get("color")))))
    if all(isinstance(key, int) for key, _ in found):
        found.sort(key=lambda pair: pair[0])
    labels: dict[Id, str] = {}
    entries: dict[str, LabelEntry] = {}
    for key, entry in found:
        if labels.setdefault(key, entry.name) != entry.name:
            tally.assume(f"two categories have the id {key}; it was read as {labels[key]!r}")
        if entry.name != BACKGROUND:
            entries.setdefault(entry.name, entry)
    return list(entries.values()), labels


def _clean(value: object) -> str:
    """A name without line breaks, lone surrogates and blanks around it; "" for what is no text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = "".join(letter if ord(letter) >= 32 else " " for letter in str(value))
    return text.encode("utf-8", errors="replace").decode().strip()


def _color(value: object) -> Color | None:
    if isinstance(value, str):
        try:
            return parse_color(value)
        except ConfigError:
            return None
    if isinstance(value, list) and len(value) == 3 and all(isinstance(part, int) and 0 <= part < 256 for part in value):
        return (int(value[0]), int(value[1]), int(value[2]))
    return None


# ---------------------------------------------------------------------------------------------- pictures and objects


def _read_images(
    value: object, file: SourceFile, part: Part | None, places: PicturePlaces, tally: _Tally
) -> dict[Id, CocoPicture]:
    if not isinstance(value, list):
        tally.assume("it has no list of pictures")
        value = []
    pictures: dict[Id, CocoPicture] = {}
    for item in value:
        key = read_id(item.get("id")) if isinstance(item, Mapping) else None
        name = picture_name(item.get("file_name")) if isinstance(item, Mapping) else ""
        if key is None or not name:
            tally.left_out(
                "a picture without an id or a file name was left out",
                "# pictures without an id or a file name were left out",
            )
        elif key in pictures:
            tally.left_out("the id of a picture is there twice", "# ids of pictures are there twice")
        else:
            extra = {str(name): thing for name, thing in item.items() if name not in _IMAGE_KEYS}
            picture = places.find(name, file.folder, part)
            size = read_size(item.get("height"), item.get("width"))
            pictures[key] = CocoPicture(picture, size, extra, _flags(item.get(LABELME_KEY)))
    return pictures


def _flags(told: object) -> dict[str, bool]:
    flags = told.get("flags") if isinstance(told, Mapping) else None
    return {str(key): bool(flag) for key, flag in flags.items()} if isinstance(flags, Mapping) else {}


def _place(item: object, pictures: Mapping[Id, CocoPicture], labels: dict[Id, str], tally: _Tally) -> None:
    """Give an annotation to its picture; a category without an entry gets a name of its own."""
    if not isinstance(item, Mapping):
        tally.left_out("an annotation is not an object", "# annotations are not objects")
        return
    image, category = read_id(item.get("image_id")), read_id(item.get("category_id"))
    picture = None if image is None else pictures.get(image)
    if picture is None:
        tally.left_out(
            "an annotation belongs to no picture of the list and was left out",
            "# annotations belong to no picture of the list and were left out",
        )
    elif category is None:
        tally.left_out(
            "an annotation without a category was left out", "# annotations without a category were left out"
        )
    else:
        if category not in labels:
            labels[category] = _clean(f"category_{category}")
            tally.assume(f"the category {category} is not in the list and is called {labels[category]!r}")
        picture.items.append((labels[category], item))


def read_id(value: object) -> Id | None:
    """An id: a whole number, or text; text of digits counts as the number, as some tools quote one side only."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value


def picture_name(value: object) -> str:
    """A file name with slashes, from a path of any system or a URL; never one that leads out of a folder."""
    if not isinstance(value, str):
        return ""
    if "://" in value:
        value = _last_of_url(value)
    parts = PureWindowsPath(value.replace("\0", "")).as_posix().split("/")
    if ".." in parts or ":" in parts[0] or not parts[0]:
        parts = parts[-1:]  # absolute paths are those of another machine
    name = "/".join(part for part in parts if part not in ("", ".", ".."))
    return name.encode("utf-8", errors="replace").decode()


def _last_of_url(url: str) -> str:
    try:
        return unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:  # a bracket that opens an address of no kind
        return url.rpartition("/")[2]


def read_size(height: object, width: object) -> ImageSize:
    """UNKNOWN_SIZE for what is no size."""
    sides = [side for side in (height, width) if isinstance(side, int | float) and not isinstance(side, bool)]
    if len(sides) < 2 or not all(0 < side < 1e9 and math.isfinite(side) for side in sides):
        return UNKNOWN_SIZE
    return ImageSize(int(sides[0]), int(sides[1]))


def merged(tables: Iterable[CocoTable]) -> tuple[LabelEntry, ...]:
    """The labels of all tables, each once."""
    entries: dict[str, LabelEntry] = {}
    for table in tables:
        for entry in table.entries:
            entries.setdefault(entry.name, entry)
    return tuple(entries.values())
