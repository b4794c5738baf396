"""Reading Pascal VOC's folders, CVAT's labelmap.txt among them (FORMATS 3.4): a mask of classes and one of objects a
picture, lists of parts, and boxes where there is no mask. Writing is in voc_write.py."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import BACKGROUND, IGNORE, IGNORE_ID
from core.annotation.raster import region_to_shapes
from core.annotation.shapes import Annotation, Region, Shape
from core.errors import ReadError
from core.files import natural_key
from core.formats.canvas import crop_to_drawn, mask_shape
from core.formats.dataset import LabelEntry, Part, PictureAnnotation, Reading, SizeOf
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.mask_png import Codes, read_mask_file
from core.formats.note import Note
from core.formats.rle import Crop
from core.formats.source import Source, SourceFile
from core.formats.voc_boxes import read_boxes
from core.formats.voc_classes import LABELMAP, VocClasses, read_classes, read_values
from core.images import ImageSize

_CLASSES: Final = ("segmentationclass", "segmentationclasspng")
_OBJECTS: Final = ("segmentationobject", "segmentationobjectpng")
_PICTURES: Final = ("jpegimages",)
_BOXES: Final = ("annotations",)
_LISTS: Final = "imagesets/segmentation"
_MANY_PIECES: Final = (
    1000  # from here on one Shape a class: thousands of Shapes of a few pixels only slow a picture down
)
_UNNUMBERED: Final = 1 << 32  # behind all numbers of objects
_Key = tuple[str, str]  # where a data set begins, and the name of a picture in it


@dataclass
class _Files:
    """What a data set has of one picture."""

    mask: SourceFile | None = None
    objects: SourceFile | None = None
    boxes: SourceFile | None = None
    picture: SourceFile | None = None


def is_voc_source(source: Source) -> bool:
    """Whether a Source has VOC's folders: SegmentationClass, with JPEGImages, ImageSets or a labelmap.txt."""
    folders = {part.casefold() for file in source.files for part in file.folder.split("/")}
    told = {*_PICTURES, "imagesets"} & folders or any(file.base.casefold() == LABELMAP for file in source.files)
    return bool(told) and any(_place(file, _CLASSES) for file in source.pictures())


# ---------------------------------------------------------------------------------------------------------- reading


def read_voc(source: Source, size_of: SizeOf) -> Reading:
    """All masks of a Source, picture by picture, and the boxes of those without one. Raises ReadError without any."""
    found = {key: files for key, files in _found(source).items() if files.mask or files.boxes}
    if not found:
        raise ReadError(f"{source.title} holds no masks of Pascal VOC.", hint="They lie in a folder SegmentationClass.")
    classes = read_classes(source)
    notes = list(classes.notes)
    parts = _read_parts(source, notes)
    boxes = {key: _read_boxes(files.boxes) for key, files in found.items() if files.boxes and not files.mask}
    names = [entry.name for entry in classes.entries()]
    if not classes.known:
        names += _used(files.mask for files in found.values() if files.mask)
    names += [shape.label for one in boxes.values() for shape in one[0].shapes]
    colors = dict(classes.entries())
    labels = tuple(LabelEntry(name, colors.get(name)) for name in dict.fromkeys(names))

    def pictures() -> Iterator[PictureAnnotation]:
        for key, files in found.items():
            name = files.picture.name if files.picture else key[1]
            if files.mask:
                annotation, said = _read_mask(files.mask, files.objects, classes)
            else:
                annotation, said = boxes[key]
            about = files.mask or files.boxes
            yield PictureAnnotation(name, annotation, about.name if about else name, tuple(said), parts.get(key))

    return Reading(labels, pictures(), tuple(notes))


def _found(source: Source) -> dict[_Key, _Files]:
    """The files of each picture, in natural order."""
    found: dict[_Key, _Files] = {}
    for folders, kind, files in (
        (_CLASSES, "mask", source.pictures()),
        (_OBJECTS, "objects", source.pictures()),
        (_PICTURES, "picture", source.pictures()),
        (_BOXES, "boxes", source.with_suffix(".xml")),
    ):
        for file in files:
            key = _place(file, folders)
            if key:
                setattr(found.setdefault(key, _Files()), kind, file)
    return dict(sorted(found.items(), key=lambda pair: (natural_key(pair[0][0]), natural_key(pair[0][1]))))


def _place(file: SourceFile, folders: Iterable[str]) -> _Key | None:
    """Where the data set of a file begins, and the picture's name in it, when it lies in one of `folders`."""
    parts = file.name.split("/")
    at = next((i for i, part in enumerate(parts[:-1]) if part.casefold() in folders), None)
    if at is None:
        return None
    inside = PurePosixPath(*parts[at + 1 :])
    return "/".join(parts[:at]), inside.with_suffix("").as_posix()


def _read_parts(source: Source, notes: list[Note]) -> dict[_Key, Part]:
    """The part of each picture that a list of ImageSets/Segmentation names; the first list that names it counts."""
    parts: dict[_Key, Part] = {}
    lists: tuple[Part, ...] = ("train", "val", "test")
    for part in lists:
        for file in source.with_suffix(".txt"):
            head, _, name = f"/{file.name}".casefold().rpartition("/")
            if name != f"{part}.txt" or not head.endswith(f"/{_LISTS}"):
                continue
            root = file.folder[: -len(_LISTS)].rstrip("/")
            try:
                lines = file.read().decode("utf-8-sig").splitlines()
            except (ReadError, UnicodeDecodeError):
                notes.append(Note("error", f"{file.name} cannot be read; its pictures are in no part"))
                continue
            for line in lines:
                parts.setdefault((root, line.strip()), part)
    return parts


def _read_boxes(file: SourceFile) -> tuple[Annotation, list[Note]]:
    try:
        annotation, notes = read_boxes(file.read(), name=file.name)
        return annotation, list(notes)
    except ReadError as error:
        return Annotation(size=UNKNOWN_SIZE), [Note("error", error.message.rstrip("."))]


def _used(masks: Iterable[SourceFile]) -> list[str]:
    """The labels that the masks show, where no table names them."""
    used: set[str] = set()
    for file in masks:
        try:
            codes, coloured = read_values(file.read(), VocClasses(), name=file.name)
            used |= set(_labels_of(codes, coloured, VocClasses(), file.name, []).values())
        except ReadError:
            continue  # told when its turn comes
    return sorted(used - {BACKGROUND, IGNORE}, key=natural_key)


def _read_mask(file: SourceFile, objects_file: SourceFile | None, classes: VocClasses) -> tuple[Annotation, list[Note]]:
    """The Shapes of a mask, one an object; without any, and told, when it cannot be read."""
    notes: list[Note] = []
    try:
        codes, coloured = read_values(file.read(), classes, name=file.name)
        labels = _labels_of(codes, coloured, classes, file.name, notes)
    except ReadError as error:
        return Annotation(size=UNKNOWN_SIZE), [Note("error", error.message.rstrip("."))]
    numbers = _object_numbers(objects_file, codes.shape, notes)
    found: list[tuple[int, Shape]] = []
    for label in dict.fromkeys(labels.values()):
        if label != BACKGROUND:
            drawn = np.zeros(int(codes.max()) + 1, dtype=bool)
            drawn[[code for code, name in labels.items() if name == label]] = True
            found += _shapes(drawn[codes], numbers if label != IGNORE else None, label)
    found.sort(key=lambda pair: pair[0])  # objects are numbered in painting order
    return Annotation(size=ImageSize(*codes.shape), shapes=tuple(shape for _, shape in found)), notes


def _values(codes: Codes) -> NDArray[np.int64]:
    """The values that occur, in order: as np.unique, but without sorting millions of pixels."""
    occurs = np.zeros(int(codes.max(initial=0)) + 1, dtype=bool)
    occurs[codes] = True
    return np.flatnonzero(occurs)


def _labels_of(codes: Codes, coloured: bool, classes: VocClasses, name: str, notes: list[Note]) -> dict[int, str]:
    """The label of each value that occurs. Raises ReadError when there are too many."""
    values = _values(codes).tolist()
    if not coloured:
        if max(values, default=0) > IGNORE_ID:
            raise ReadError(f"{name} holds values up to {max(values)}, too many for classes.", hint="Save it anew.")
        return {value: classes.of_index(value) for value in values}
    table = classes.color_table()
    labels = {value: table.get(value) for value in values}
    unknown = [value for value, label in labels.items() if label is None]
    if unknown:
        shown = ", ".join(f"#{value:06x}" for value in unknown[:3]) + (" and more" if len(unknown) > 3 else "")
        notes.append(
            Note(
                "assumed",
                f"{int(np.isin(codes, unknown).sum()):,} pixels of colours that no table names ({shown}) "
                "count as not labelled",
                "in # masks pixels of colours that no table names count as not labelled",
            )
        )
    return {value: label or IGNORE for value, label in labels.items()}


def _object_numbers(file: SourceFile | None, shape: tuple[int, ...], notes: list[Note]) -> NDArray[np.int32] | None:
    """The objects of a mask numbered from 1 on without gaps, (H, W); None when there is no telling."""
    if file is None:
        return None
    try:
        numbers = read_mask_file(file.read(), name=file.name).codes
    except ReadError as error:
        notes.append(Note("error", error.message.rstrip(".")))
        return None
    if numbers.shape != shape:
        notes.append(
            Note(
                "ignored",
                f"{file.name} is not of the size of its mask and was left out",
                "# masks of objects are not of the size of their masks of classes and were left out",
            )
        )
        return None
    values = _values(numbers)
    values = values[values != 0]
    order = np.zeros(int(values.max(initial=0)) + 1, dtype=np.int32)
    order[values] = np.arange(1, len(values) + 1)
    return order[numbers]


def _shapes(region: Region, numbers: NDArray[np.int32] | None, label: str) -> list[tuple[int, Shape]]:
    """The objects of a label with their numbers; what has no number is parted where it is not connected."""
    found: list[tuple[int, Shape]] = []
    if numbers is not None:
        from scipy import ndimage  # 0.3 s, which a process that only serves predictions need not pay

        ids = np.where(region, numbers, 0)
        for number, window in enumerate(ndimage.find_objects(ids), start=1):
            if window is not None:
                crop = Crop(window[0].start, window[1].start, ids[window] == number)
                found.append((number, mask_shape(crop, label)))
        region = region & (numbers == 0)
    pieces = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)[0] - 1
    if pieces > _MANY_PIECES:
        return [*found, (_UNNUMBERED, mask_shape(crop_to_drawn(region), label))]
    return [*found, *((_UNNUMBERED, shape) for shape in region_to_shapes(region, label))]
