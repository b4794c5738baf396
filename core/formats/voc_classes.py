"""What the values of a Pascal VOC data set are called: by labelmap.txt (CVAT), class_names.txt (labelme2voc) or VOC's
own 20 names; and the palette of its pictures (FORMATS 3.4)."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.labels import BACKGROUND, IGNORE, IGNORE_ID, Color, LabelSet
from core.errors import ReadError
from core.formats.class_table import FILE_NAMES, pack, read_class_table
from core.formats.dataset import LabelEntry
from core.formats.mask_coding import voc_color
from core.formats.mask_png import Codes, read_mask_file
from core.formats.note import Note
from core.formats.source import Source, SourceFile
from core.images import guarded

LABELMAP: Final = "labelmap.txt"
CLASS_NAMES: Final = "class_names.txt"
_OFFICIAL: Final = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_MEANINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("background", BACKGROUND), BACKGROUND),
    **dict.fromkeys(("ignore", "ignored", "void", IGNORE), IGNORE),
}


@dataclass(frozen=True)
class VocClasses:
    """Labels, BACKGROUND and IGNORE among them, by index and by packed colour.  known: the data set names them."""

    names: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, str] = field(default_factory=dict)
    known: bool = True
    notes: tuple[Note, ...] = ()

    def of_index(self, index: int) -> str:
        """A label for any index; one that has no name is called after its number."""
        fixed = {0: BACKGROUND, IGNORE_ID: IGNORE}
        return self.names.get(index) or fixed.get(index) or f"class_{index}"

    def color_table(self) -> dict[int, str]:
        """Packed colour -> label; by VOC's palette where no table has colours."""
        if self.colors:
            return {0: BACKGROUND, voc_color(IGNORE_ID): IGNORE, **self.colors}
        return {voc_color(index): self.of_index(index) for index in range(256)}

    def entries(self) -> tuple[LabelEntry, ...]:
        """The labels in the order of their indices."""
        colors = {name: (color >> 16, color >> 8 & 255, color & 255) for color, name in self.colors.items()}
        drawn = dict.fromkeys(name for _, name in sorted(self.names.items()) if name not in (BACKGROUND, IGNORE))
        return tuple(LabelEntry(name, colors.get(name)) for name in drawn)


# ---------------------------------------------------------------------------------------------------------- reading


def read_classes(source: Source) -> VocClasses:
    """The outermost table of classes that can be read, labelmap.txt first; `known` is False when there is none."""
    notes: list[Note] = []
    for file in _tables(source):
        try:
            return _read_table(file, notes)
        except ReadError as error:
            notes.append(Note("error", error.message.rstrip(".")))
    if any(file.base.startswith("aeroplane_") or "/voc20" in f"/{file.name.casefold()}" for file in source.files):
        notes.append(Note("assumed", "nothing names the classes; they were read as the 20 of Pascal VOC"))
        return VocClasses(dict(enumerate(_OFFICIAL, start=1)), notes=tuple(notes))
    return VocClasses(known=False, notes=tuple(notes))


def _tables(source: Source) -> list[SourceFile]:
    ranks = (LABELMAP, *FILE_NAMES)
    found = [file for file in source.files if file.base.casefold() in ranks]
    return sorted(found, key=lambda file: (ranks.index(file.base.casefold()) > 0, file.name.count("/")))


def _read_table(file: SourceFile, notes: list[Note]) -> VocClasses:
    if file.base.casefold() == LABELMAP:
        names, colors = parse_labelmap(file.read(), name=file.name)
    else:
        table = read_class_table(file.read(), name=file.name)
        names, colors = dict(table.names), dict(table.colors)
    void = [name for name in names.values() if _MEANINGS.get(name.casefold()) == IGNORE and name != IGNORE]
    notes += [Note("assumed", f"the class {name!r} was read as not labelled") for name in void]
    return VocClasses(_meant(names), _meant(colors), notes=tuple(notes))


def _meant(names: Mapping[int, str]) -> dict[int, str]:
    return {key: _MEANINGS.get(name.casefold(), name) for key, name in names.items()}


def parse_labelmap(data: bytes, *, name: str) -> tuple[dict[int, str], dict[int, str]]:
    """Names by index and by packed colour of lines "name:r,g,b:parts:actions"; without a colour, VOC's of that index.

    Raises ReadError.
    """
    names: dict[int, str] = {}
    colors: dict[int, str] = {}
    try:
        for line in data.decode("utf-8-sig").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            label, _, rest = line.rpartition(":") if line.count(":") == 1 else _split(line)
            label, index = label.strip(), len(names)
            if not label:
                raise ValueError(f"{line.strip()!r} names no label")
            names[index] = label
            colors[pack(*_color(rest)) if rest.strip() else voc_color(index)] = label
    except ValueError as error:
        raise ReadError(f"{name} cannot be used: {error}.", hint="Its lines are name:r,g,b::, one a class.") from error
    return names, colors


def _split(line: str) -> tuple[str, str, str]:
    """Name, colon, colour; a name may hold colons, so the line is read from its end."""
    label, color, *_ = line.rsplit(":", 3) if line.count(":") > 2 else (*line.split(":"), "")
    return label, ":", color


def _color(text: str) -> Color:
    red, green, blue = (int(part) for part in text.split(","))
    if not all(0 <= part < 256 for part in (red, green, blue)):
        raise ValueError(f"{text.strip()!r} is no colour")
    return red, green, blue


def read_values(data: bytes, classes: VocClasses, *, name: str) -> tuple[Codes, bool]:
    """The values of a mask, (H, W), and whether they are packed colours, not indices. Raises ReadError.

    A palette picture has indices; but where a labelmap gives the colours, its palette is asked: tools differ in which
    index they give a class.
    """
    raw = read_mask_file(data, name=name)
    palette = guarded(name, lambda: _palette(data)) if classes.colors else None
    if palette is not None and not raw.coloured and raw.codes.max(initial=0) < len(palette):
        used = np.flatnonzero(np.bincount(raw.codes.ravel()))
        if set(palette[used].tolist()) <= set(classes.color_table()):
            return palette[raw.codes], True
    return raw.codes, raw.coloured


def _palette(data: bytes) -> NDArray[np.uint32] | None:
    """The colours of a palette picture, packed, or those of a colour picture that happens to be grey."""
    with Image.open(io.BytesIO(data)) as picture:
        if picture.mode == "P":
            red, green, blue = np.array(picture.getpalette("RGB"), dtype=np.uint32).reshape(-1, 3).T
            return (red << 16 | green << 8 | blue).astype(np.uint32)
        return (np.arange(256) * 0x010101).astype(np.uint32) if picture.mode in ("RGB", "RGBA") else None


# ---------------------------------------------------------------------------------------------------------- writing


def write_labelmap(labels: LabelSet) -> bytes:
    """labelmap.txt with the colours of `write_indexed`."""
    lines = ["# label:color_rgb:parts:actions"]
    for index, label in enumerate(labels.labels):
        color = voc_color(index)
        shown = "background" if index == 0 else label.name
        lines.append(f"{shown}:{color >> 16},{color >> 8 & 255},{color & 255}::")
    return ("\n".join(lines) + "\n").encode("utf-8", errors="replace")


def write_class_names(labels: LabelSet) -> bytes:
    """class_names.txt: one a line in the order of their indices, background first."""
    return "".join(f"{name}\n" for name in labels.names).encode("utf-8", errors="replace")


def write_indexed(values: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """(H, W) indices as a PNG: 8 bits with VOC's palette, 16 bits grey."""
    picture = Image.fromarray(values)
    if values.dtype == np.uint8:
        colors = [voc_color(index) for index in range(256)]
        picture.putpalette(bytes(part for color in colors for part in (color >> 16, color >> 8 & 255, color & 255)))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
