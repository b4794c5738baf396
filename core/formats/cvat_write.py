"""Writing CVAT for images 1.1 (FORMATS 3.3): every shape as CVAT draws it, masks as run lengths, and what CVAT cannot
hold, told."""

from collections.abc import Iterable
from itertools import count
from typing import Final

from core.annotation.labels import Color, LabelSet
from core.annotation.shapes import Shape
from core.formats.cvat_shape import EXTRA_KEY, write_element
from core.formats.dataset import Archive, ExportItem
from core.formats.losses import Loss, Losses
from core.formats.note import Note
from core.formats.tool_losses import EMPTY, PICTURE_FLAGS, add_losses
from core.formats.xml_text import xml_attributes, xml_text

FILE_NAME: Final = "annotations.xml"
_GREY: Final = (128, 128, 128)  # of labels that the project does not have, __ignore__ among them
_RAISED: Final = Loss(
    "the group ids of a picture were raised, as CVAT counts groups from 1",
    "the group ids of # pictures were raised, as CVAT counts groups from 1",
)
_DESCRIPTION: Final = Loss("the description of a shape was left out", "the descriptions of # shapes were left out")


def write_cvat(items: Iterable[ExportItem], labels: LabelSet, archive: Archive) -> tuple[Note, ...]:
    """annotations.xml: what is painted later has a higher z_order. Returns what CVAT cannot hold.

    With parts it has the form of a project, whose subsets they are; else that of a task.
    """
    losses = Losses()
    images: list[str] = []  # as text, which takes a tenth of the room
    parts: dict[str, None] = {}
    colors = {label.name: label.color for label in labels.foreground}
    for number, item in zip(count(), items, strict=False):
        if item.part:
            parts[item.part] = None
        for name in item.annotation.label_names:
            colors.setdefault(name, _GREY)
        images.append(_image(number, item, losses))
    head = _meta(colors, tuple(parts), len(images))
    text = "\n".join(['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", *head, *images, "</annotations>", ""])
    archive.add(FILE_NAME, text.encode())
    return losses.notes()


def _meta(colors: dict[str, Color], parts: tuple[str, ...], pictures: int) -> list[str]:
    kind = "project" if parts else "task"
    lines = ["  <version>1.1</version>", "  <meta>", f"    <{kind}>", "      <name>Maskloop</name>"]
    if parts:
        lines.append(f"      <subsets>{xml_text(chr(10).join(parts))}</subsets>")
    else:
        lines += [f"      <size>{pictures}</size>", "      <mode>annotation</mode>"]
    lines.append("      <labels>")
    for name, color in colors.items():
        shown = "#{:02x}{:02x}{:02x}".format(*color)
        lines.append(f"        <label><name>{xml_text(name)}</name><color>{shown}</color></label>")
    return [*lines, "      </labels>", f"    </{kind}>", "  </meta>"]


def _image(number: int, item: ExportItem, losses: Losses) -> str:
    annotation, size = item.annotation, item.annotation.size
    if annotation.flags:
        losses.add(PICTURE_FLAGS)
    subset = {"subset": item.part} if item.part else {}
    sides = {"width": str(size.width), "height": str(size.height)}
    lines = [f"  <image{xml_attributes({'id': str(number), 'name': item.file_name, **subset, **sides})}>"]
    # CVAT counts groups from 1 and says 0 for none
    raised = max(0, 1 - min((shape.group_id for shape in annotation.shapes if shape.group_id is not None), default=1))
    if raised:
        losses.add(_RAISED)
    for z, shape in enumerate(annotation.shapes):
        lines += _shape(shape, item, z, raised, losses)
    return "\n".join([*lines, "  </image>"])


def _shape(shape: Shape, item: ExportItem, z: int, raised: int, losses: Losses) -> list[str]:
    size = item.annotation.size
    written = write_element(shape, size)
    if written is None:
        losses.add(EMPTY)
        return []
    kind = "pixels" if written.tag == "mask" else written.tag
    add_losses(losses, shape, size, kind=kind, extra_key=EXTRA_KEY)
    if shape.description:
        losses.add(_DESCRIPTION)
    group = {} if shape.group_id is None else {"group_id": str(shape.group_id + raised)}
    opened = f"    <{written.tag}{xml_attributes({**written.attributes, 'z_order': str(z), **group})}>"
    children = [
        f"      <attribute{xml_attributes({'name': key})}>{xml_text(value)}</attribute>"
        for key, value in written.children.items()
    ]
    return [opened, *children, f"    </{written.tag}>"] if children else [f"{opened[:-1]}/>"]
