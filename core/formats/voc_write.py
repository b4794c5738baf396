"""Writing Pascal VOC's folders (FORMATS 3.4): what is seen of each object, and what masks cannot hold, told."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.labels import BACKGROUND, IGNORE, IGNORE_ID, LabelSet
from core.annotation.raster import paint_shape
from core.annotation.shapes import Annotation, MaskShape, Shape
from core.formats.canvas import Canvas
from core.formats.dataset import Archive, ExportItem, Part
from core.formats.losses import Loss, Losses
from core.formats.note import Note
from core.formats.voc_classes import CLASS_NAMES, LABELMAP, write_class_names, write_indexed, write_labelmap

_MOST_OBJECTS: Final = 254  # that 8 bits can number beside 0 and 255
_MOST_IN_16_BITS: Final = 65_534
_LISTS: Final[Mapping[Part | None, tuple[str, ...]]] = {
    "train": ("train", "trainval"),
    "val": ("val", "trainval"),
    "test": ("test",),
    None: ("default",),
}
_OUTLINES: Final = Loss(
    "a shape with points was written as the pixels that it covers",
    "# shapes with points were written as the pixels that they cover",
)
_COVERED: Final = Loss(
    "an object lies partly under others; the masks hold what is seen of it",
    "# objects lie partly under others; the masks hold what is seen of them",
)
_HIDDEN: Final = Loss(
    "an object lies wholly under others or outside of its picture and is not in the masks",
    "# objects lie wholly under others or outside of their pictures and are not in the masks",
)
_TOLD: Final = Loss(
    "a description, flags or other words about a shape are not in the masks",
    "descriptions, flags or other words about # shapes are not in the masks",
)
_SIXTEEN_BITS: Final = Loss(
    "a picture has more than 254 objects; its SegmentationObject has 16 bits and no palette",
    "# pictures have more than 254 objects; their SegmentationObject has 16 bits and no palette",
)


def voc_picture_path(item: ExportItem) -> str:
    """Where the picture of an export lies."""
    return f"JPEGImages/{item.file_name}"


def write_voc(items: Iterable[ExportItem], labels: LabelSet, archive: Archive) -> tuple[Note, ...]:
    """SegmentationClass, SegmentationObject, ImageSets, class_names.txt and labelmap.txt; indices are class ids.

    Objects are the Shapes of one label and group, numbered in painting order. Returns what masks cannot hold.
    """
    losses = Losses()
    lists: dict[str, list[str]] = {}
    for item in items:
        stem = PurePosixPath(item.file_name).stem
        mask, numbers = _paint(item.annotation, labels, losses)
        archive.add(f"SegmentationClass/{stem}.png", write_indexed(mask))
        archive.add(f"SegmentationObject/{stem}.png", write_indexed(numbers))
        for name in _LISTS[item.part]:
            lists.setdefault(name, []).append(stem)
    for name, stems in lists.items():
        data = "".join(f"{stem}\n" for stem in stems).encode("utf-8", errors="replace")
        archive.add(f"ImageSets/Segmentation/{name}.txt", data)
    archive.add(CLASS_NAMES, write_class_names(labels))
    archive.add(LABELMAP, write_labelmap(labels))
    return losses.notes()


def _paint(
    annotation: Annotation, labels: LabelSet, losses: Losses
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | NDArray[np.uint16]]:
    """Class ids, and the numbers of the objects, each (H, W); the largest number is not labelled."""
    size = annotation.size
    picture = Image.new("I", (size.width, size.height))
    codes: dict[object, int] = {BACKGROUND: 0, IGNORE: 1}
    class_ids = [0, IGNORE_ID]
    objects: dict[int, list[Shape]] = {}
    for i, shape in enumerate(annotation.shapes):
        if shape.label in (BACKGROUND, IGNORE):
            paint_shape(picture, shape, codes[shape.label])
        elif shape.label not in labels:
            losses.unknown_label(shape.label)
        else:
            key = i if shape.group_id is None else (shape.label, shape.group_id)
            code = codes.setdefault(key, len(class_ids))
            if code == len(class_ids):
                class_ids.append(labels.id_of(shape.label))
            objects.setdefault(code, []).append(shape)
            paint_shape(picture, shape, code)
    painted = np.asarray(picture)
    visible = np.bincount(painted.ravel(), minlength=len(class_ids))
    _note_losses(objects, visible, Canvas(size), losses)
    shown = [code for code in objects if visible[code]]
    losses.add(_SIXTEEN_BITS, len(shown) > _MOST_OBJECTS)
    most = _MOST_OBJECTS if len(shown) <= _MOST_OBJECTS else _MOST_IN_16_BITS
    numbers = np.zeros(len(class_ids), dtype=np.uint8 if most == _MOST_OBJECTS else np.uint16)
    numbers[shown[:most]] = np.arange(1, len(shown) + 1)[:most]
    numbers[codes[IGNORE]] = most + 1
    return np.array(class_ids, dtype=np.uint8)[painted], numbers[painted]


def _note_losses(
    objects: Mapping[int, list[Shape]], visible: NDArray[np.int64], canvas: Canvas, losses: Losses
) -> None:
    for code, shapes in objects.items():
        drawn = np.count_nonzero(canvas.crop((shape, True) for shape in shapes).region)
        losses.add(_HIDDEN, not visible[code])
        losses.add(_COVERED, 0 < visible[code] < drawn)
        losses.add(_OUTLINES, sum(not isinstance(shape, MaskShape) for shape in shapes))
        losses.add(_TOLD, sum(bool(shape.description or shape.flags or shape.extra) for shape in shapes))
