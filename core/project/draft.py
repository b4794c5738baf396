"""Corrections that are not saved yet, on disk, so that a reload loses none.

A draft holds the strokes and the version of the Annotation that they were drawn over; the Mask that they make is
painted again from both. So it is small, exact at every zoom, and can go onto another version.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.annotation.edit import Stroke
from core.errors import ReadError
from core.files import now, read_json, write_bytes
from core.project.project import Project


@dataclass(frozen=True)
class Draft:
    """Strokes over version `base_version` of an Annotation, in the order in which they were drawn."""

    base_version: int
    strokes: tuple[Stroke, ...] = ()
    time: str = ""  # of the last stroke


def draft_path(project: Project, sample: str) -> Path:
    return project.folder / "drafts" / f"{sample}.json"


def read_draft(path: Path) -> Draft | None:
    """The draft in `path`, None when there is none. Raises ReadError when the file is damaged."""
    if not path.is_file():
        return None
    value = read_json(path)
    try:
        strokes = tuple(_read_stroke(item) for item in value["strokes"])
        return Draft(int(value["base_version"]), strokes, str(value["time"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(
            f"The unsaved corrections in {path.name} are damaged ({error!r}).", hint="Throw them away to go on."
        ) from error


def write_draft(path: Path, base_version: int, strokes: tuple[Stroke, ...]) -> Draft:
    """Keep the strokes; without any the file goes. Raises WriteError."""
    if not strokes:
        remove_draft(path)
        return Draft(base_version)
    draft = Draft(base_version, strokes, now())
    items = [{"class_id": x.class_id, "width": x.width, "points_xy": x.points_xy} for x in strokes]
    value = {"base_version": base_version, "time": draft.time, "strokes": items}
    write_bytes(path, json.dumps(value).encode(), durable=False)
    return draft


def remove_draft(path: Path) -> None:
    path.unlink(missing_ok=True)


def _read_stroke(item: dict[str, Any]) -> Stroke:
    class_id = int(item["class_id"])
    if not 0 <= class_id < 256:
        raise ValueError(f"class id {class_id}")
    return Stroke(tuple((float(x), float(y)) for x, y in item["points_xy"]), float(item["width"]), class_id)
