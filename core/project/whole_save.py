"""A whole Annotation saved at once: by an import, a page, a renamed label or a restored version.

The file before goes to the history. Where the Sample has an event log, the save is one event of it as well; none is
begun here, since thousands of files shall come in fast. All functions want the Project's lock to be held.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from core.annotation.shapes import Annotation
from core.errors import ReadError, StaleSaveError
from core.files import now, unused_name, write_bytes
from core.formats.labelme import read_labelme, write_labelme
from core.project.document import (
    Document,
    Origins,
    Place,
    commit,
    counted,
    keep_damaged,
    open_document,
    rescue_document,
)
from core.project.sample import SampleState, stamp_of, stamped
from core.project.steps import after_steps, drawing_of, steps_between

_REFUSED: Final = re.compile(r"refused-[\w+-]+")


def save_whole(
    place: Place,
    annotation: Annotation,
    origin: Origins,
    *,
    state: SampleState,
    base_version: int | None,
    durable: bool,
) -> int:
    """Write an Annotation and return its version. Raises StaleSaveError when `base_version` is not the present one."""
    before, version = _before(place)
    document = _logged(place) if place.log.is_file() else None
    if base_version not in (None, version):
        kept = keep_refused(place, annotation, author=origin.author, state=state, version=version + 1)
        raise StaleSaveError(
            f"{place.sample} was saved by someone else in between (version {version}, you began from {base_version}).",
            hint=f"Nothing is lost: yours is in the history as {kept}. Choose which one to go on with.",
        )
    if document is not None:
        version = document.version
    if before is not None:
        write_bytes(place.history / f"{version}.json", before, durable=durable)
    if document is not None:
        steps = steps_between(document.drawing, drawing_of(annotation.shapes))
        drawing = after_steps(document.drawing, steps)
        rest = replace(annotation, shapes=())
        return commit(document, steps, drawing, origin, state=state, rest=rest, durable=durable).version
    saved = stamped(annotation, version=version + 1, state=state, author=origin.author, source=origin.source)
    write_bytes(place.annotation, write_labelme(saved, image_path=f"../images/{place.image.name}"), durable=durable)
    return version + 1


def keep_refused(place: Place, annotation: Annotation, *, author: str, state: SampleState, version: int) -> str:
    """Keep an Annotation that could not be saved in the history; returns its name there."""
    used = {path.stem.casefold() for path in place.history.glob("refused-*.json")}
    name = unused_name(f"refused-{now().replace(':', '')}", used)
    saved = stamped(annotation, version=version, state=state, author=author)
    data = write_labelme(saved, image_path=f"../images/{place.image.name}")
    write_bytes(place.history / f"{name}.json", data)
    return name


def refused_files(place: Place) -> Mapping[str, Path]:
    """What was refused and kept, by name, the oldest first."""
    return {path.stem: path for path in sorted(place.history.glob("refused-*.json")) if _REFUSED.fullmatch(path.stem)}


def _before(place: Place) -> tuple[bytes | None, int]:
    """The bytes of the file that a save replaces, and their version. A damaged file is kept, never overwritten."""
    try:
        data = place.annotation.read_bytes()
    except FileNotFoundError:
        return None, counted(stamp_of(None), place.history).version
    try:
        stamp = stamp_of(read_labelme(data, name=place.annotation.name).annotation)
    except ReadError:
        keep_damaged(place)
        return None, counted(stamp_of(None), place.history).version
    return data, counted(stamp, place.history).version


def _logged(place: Place) -> Document:
    try:
        return open_document(place)
    except ReadError:  # the damaged file is in the history
        return rescue_document(place)
