"""Writing COCO's JSON (FORMATS 3.2): the exact pixels of each object, and what COCO cannot hold, told."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from core.annotation.labels import BACKGROUND, IGNORE, LabelSet
from core.annotation.shapes import Line, LineStrip, MaskShape, Point, Points, Shape
from core.formats.canvas import Canvas
from core.formats.coco_shape import EXTRA_KEY, KEYS, write_as_drawn, write_segmentation
from core.formats.coco_table import LABELME_KEY, PAINTING_ORDER
from core.formats.dataset import Archive, ExportItem, Part
from core.formats.losses import Loss, Losses
from core.formats.note import Note
from core.formats.rle import Crop
from core.images import ImageSize

_INFO: Final = {
    "description": "Made with Maskloop. Annotations stand in painting order: later ones lie over earlier ones.",
    PAINTING_ORDER[0]: PAINTING_ORDER[1],
}


_IGNORE_LOST: Final = Loss(
    f"a shape drawn as {IGNORE} was left out: COCO knows no pixels without a label",
    f"# shapes drawn as {IGNORE} were left out: COCO knows no pixels without a label",
)
_BACKGROUND_LOST: Final = Loss(
    "a shape of the background was left out and cut out of the shapes below it",
    "# shapes of the background were left out and cut out of the shapes below them",
)
_EMPTY_LOST: Final = Loss(
    "a shape that covers no pixel of its picture was left out",
    "# shapes that cover no pixel of their picture were left out",
)
_OUTSIDE_LOST: Final = Loss(
    "what a mask has outside of its picture was cut off", "what # masks have outside of their pictures was cut off"
)
_LINES_LOST: Final = Loss(
    "a line or point was written as the pixels that it covers",
    "# lines and points were written as the pixels that they cover",
)
_GROUP_LOST: Final = Loss(
    "a group of shapes with a mask among them became one mask", "# groups of shapes with a mask among them became one"
)
_COVERED_LOST: Final = Loss(
    "what lies between the shapes of a group was cut out of the lower ones",
    "what lies between the shapes of a group was cut out of the lower ones in # groups",
)


def write_coco(items: Iterable[ExportItem], labels: LabelSet, archive: Archive) -> tuple[Note, ...]:
    """annotations/instances_<part>.json for each part that occurs; instances_all.json without parts.

    Shapes of one label and group are one annotation, at the place of the last. Objects that overlap stay whole, in
    painting order. Category ids are class ids. Returns what COCO cannot hold.
    """
    losses = Losses()
    sheets: dict[Part | None, _Sheet] = {}
    for item in items:
        sheets.setdefault(item.part, _Sheet()).add(item, labels, losses)
    for part, sheet in (sheets or {None: _Sheet()}).items():
        name = part or ("all" if len(sheets) < 2 else "other")
        archive.add(f"annotations/instances_{name}.json", sheet.data(labels))
    return losses.notes()


class _Sheet:
    """One file in the making. What is finished is kept as text, which takes a tenth of the room."""

    def __init__(self) -> None:
        self._images: list[str] = []
        self._annotations: list[str] = []

    def add(self, item: ExportItem, labels: LabelSet, losses: Losses) -> None:
        size, image_id = item.annotation.size, len(self._images) + 1
        image: dict[str, Any] = {"id": image_id, "file_name": item.file_name}
        image |= {"width": size.width, "height": size.height}
        if item.annotation.flags:
            image[LABELME_KEY] = {"flags": dict(item.annotation.flags)}
        self._images.append(_text(image | _foreign(item.annotation.extra, image)))
        canvas = Canvas(size)
        for shapes, crop in _objects(item.annotation.shapes, labels, canvas, losses):
            annotation_id, category_id = len(self._annotations) + 1, labels.id_of(shapes[0].label)
            head = {"id": annotation_id, "image_id": image_id, "category_id": category_id}
            self._annotations.append(_text(head | _body(shapes, crop, size)))

    def data(self, labels: LabelSet) -> bytes:
        categories = [
            _text({"id": class_id, "name": label.name, "supercategory": "", "color": list(label.color)})
            for class_id, label in enumerate(labels.foreground, start=1)
        ]
        lists = {"images": self._images, "annotations": self._annotations, "categories": categories}
        text = ",\n".join(f'"{key}": [\n' + ",\n".join(lines) + "\n]" for key, lines in lists.items())
        return f'{{"info": {_text(_INFO)},\n{text}}}\n'.encode("utf-8", errors="replace")  # no lone surrogates


def _body(shapes: Sequence[Shape], crop: Crop, size: ImageSize) -> dict[str, Any]:
    height, width = crop.region.shape
    body = {
        "segmentation": write_segmentation(crop, size),
        "area": int(np.count_nonzero(crop.region)),
        "bbox": [crop.left, crop.top, width, height],
        "iscrowd": 0,
    }
    as_drawn = write_as_drawn(shapes)
    if as_drawn:
        body[LABELME_KEY] = as_drawn
    return body | _foreign(shapes[0].extra, KEYS)


def _foreign(extra: Mapping[str, Any], ours: Iterable[str]) -> dict[str, Any]:
    """The keys that a COCO file brought along and that are not ours to write."""
    told = extra.get(EXTRA_KEY)
    return {key: value for key, value in told.items() if key not in ours} if isinstance(told, Mapping) else {}


def _text(value: Mapping[str, Any]) -> str:
    """On one line; null for each number that JSON has no word for."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(json.loads(json.dumps(value), parse_constant=lambda _: None), ensure_ascii=False)


# ---------------------------------------------------------------------------------------------------------- objects


def _objects(
    shapes: Sequence[Shape], labels: LabelSet, canvas: Canvas, losses: Losses
) -> Iterator[tuple[list[Shape], Crop]]:
    """The objects of a picture in painting order, each with its Shapes and its pixels."""
    for shape in shapes:
        if shape.label == IGNORE:
            losses.add(_IGNORE_LOST)
        elif shape.label == BACKGROUND:
            losses.add(_BACKGROUND_LOST)
        elif shape.label not in labels:
            losses.unknown_label(shape.label)
    background = [i for i, shape in enumerate(shapes) if shape.label == BACKGROUND]
    for members in _members(shapes, labels):
        crop = canvas.crop((shapes[i], True) for i in members)
        cuts = _cuts(shapes, members, background, labels)
        if cuts:
            whole, crop = crop, canvas.crop((shapes[i], i in members) for i in sorted({*members, *cuts}))
            between = any(i < members[-1] and shapes[i].label != BACKGROUND for i in cuts)
            if between and np.count_nonzero(crop.region) < np.count_nonzero(whole.region):
                losses.add(_COVERED_LOST)
        ours = [shapes[i] for i in members]
        if not crop.region.size:
            losses.add(_EMPTY_LOST, len(ours))
            continue
        _note_losses(ours, crop, losses, cut=bool(cuts))
        yield ours, crop


def _members(shapes: Sequence[Shape], labels: LabelSet) -> list[list[int]]:
    """The places of the Shapes of each object, in the order in which objects are finished."""
    objects: dict[tuple[str, int] | int, list[int]] = {}
    for i, shape in enumerate(shapes):
        if shape.label in labels and shape.label != BACKGROUND:
            objects.setdefault(i if shape.group_id is None else (shape.label, shape.group_id), []).append(i)
    return sorted(objects.values(), key=lambda members: members[-1])


def _cuts(shapes: Sequence[Shape], members: Sequence[int], background: Iterable[int], labels: LabelSet) -> list[int]:
    """The places of what covers an object in the picture and would not in the file: background, labels amid a group."""
    first, last = members[0], members[-1]
    label = shapes[first].label
    amid = [i for i in range(first, last) if shapes[i].label not in (label, BACKGROUND) and shapes[i].label in labels]
    return amid + [i for i in background if i > first]


def _note_losses(shapes: Sequence[Shape], crop: Crop, losses: Losses, *, cut: bool) -> None:
    lines = sum(isinstance(shape, Line | LineStrip | Point | Points) for shape in shapes)
    masks = [shape for shape in shapes if isinstance(shape, MaskShape)]
    losses.add(_LINES_LOST, lines)
    if len(shapes) > 1 and masks:
        losses.add(_GROUP_LOST)
    elif masks and not cut and np.count_nonzero(masks[0].region) > np.count_nonzero(crop.region):
        losses.add(_OUTSIDE_LOST)
