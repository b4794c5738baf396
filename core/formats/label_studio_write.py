"""Writing what Label Studio imports (FORMATS 3.7): tasks.json, and label_config.xml for the project's settings."""

import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from core.annotation.labels import Color, LabelSet
from core.formats.dataset import Archive, ExportItem
from core.formats.label_studio import PART_KEY
from core.formats.label_studio_shape import EXTRA_KEY, write_region
from core.formats.losses import Loss, Losses
from core.formats.note import Note
from core.formats.tool_losses import EMPTY, PICTURE_FLAGS, add_losses
from core.formats.xml_text import xml_attributes

TASKS: Final = "tasks.json"
CONFIG: Final = "label_config.xml"
_GREY: Final = (128, 128, 128)  # of labels that the project does not have, __ignore__ among them
_CONTROLS: Final = {
    "polygon": "PolygonLabels",
    "rectangle": "RectangleLabels",
    "ellipse": "EllipseLabels",
    "brush": "BrushLabels",
    "keypoint": "KeyPointLabels",
}
_GROUP: Final = Loss("the group id of a shape was left out", "the group ids of # shapes were left out")


def write_label_studio(items: Iterable[ExportItem], labels: LabelSet, archive: Archive) -> tuple[Note, ...]:
    """tasks.json with one task a picture, and label_config.xml. Returns what Label Studio cannot hold.

    The pictures are named as files in the folder that Label Studio serves (LOCAL_FILES_DOCUMENT_ROOT); with the
    archive unpacked there, they are found.
    """
    losses = Losses()
    tasks: list[str] = []  # as text, which takes a tenth of the room
    colors = {label.name: label.color for label in labels.foreground}
    for number, item in enumerate(items, start=1):
        for name in item.annotation.label_names:
            colors.setdefault(name, _GREY)
        tasks.append(json.dumps(_finite(_task(number, item, losses)), ensure_ascii=False, allow_nan=False))
    text = "[\n" + ",\n".join(tasks) + "\n]\n"
    archive.add(TASKS, text.encode("utf-8", errors="replace"))  # no lone surrogates
    archive.add(CONFIG, _config(colors).encode())
    return losses.notes()


def _task(number: int, item: ExportItem, losses: Losses) -> dict[str, Any]:
    annotation = item.annotation
    if annotation.flags:
        losses.add(PICTURE_FLAGS)
    results = []
    for place, shape in enumerate(annotation.shapes):
        result = write_region(shape, place, annotation.size)
        if result is None:
            losses.add(EMPTY)
            continue
        kind = "pixels" if result["from_name"] == "brush" else str(result["from_name"])
        add_losses(losses, shape, annotation.size, kind=kind, extra_key=EXTRA_KEY)
        if shape.group_id is not None:
            losses.add(_GROUP)
        results.append(result)
    data = {"image": f"/data/local-files/?d=images/{quote(item.file_name, errors='replace')}"}
    if item.part:
        data[PART_KEY] = item.part
    return {"id": number, "data": data, "annotations": [{"result": results, "was_cancelled": False}]}


def _config(colors: dict[str, Color]) -> str:
    lines = ["<View>", '  <Image name="image" value="$image" zoom="true"/>']
    for kind, control in _CONTROLS.items():
        lines.append(f'  <{control} name="{kind}" toName="image">')
        for name, color in colors.items():
            shown = "#{:02x}{:02x}{:02x}".format(*color)
            lines.append(f"    <Label{xml_attributes({'value': name, 'background': shown})}/>")
        lines.append(f"  </{control}>")
    return "\n".join([*lines, "</View>", ""])


def _finite(value: Any) -> Any:
    """`value` with null for each number that JSON has no word for."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return json.loads(json.dumps(value), parse_constant=lambda _: None)
    return value
