"""The states that a Sample was in, and the documents that were refused: to be listed, shown and gone back to."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from core.annotation.shapes import Annotation, Shape
from core.errors import ReadError
from core.formats.labelme import read_labelme
from core.project.document import (
    Document,
    Place,
    drawing_at,
    first_event,
    kept_versions,
    open_document,
    rescue_document,
)
from core.project.events import Event, Log
from core.project.opening import fitted, lock, opened
from core.project.project import Project
from core.project.sample import stamp_of
from core.project.steps import drawing_of
from core.project.whole_save import keep_refused, refused_files


class Kept(NamedTuple):
    """A document that was refused and kept. `shapes`: how many."""

    name: str
    author: str
    time: str
    shapes: int


def states(project: Project, sample: str) -> list[Event]:
    """All states that can be shown, the oldest first; the last one is the present one, unless its file is damaged."""
    place = project.place(sample)
    with lock(project):
        try:
            document, damaged = open_document(place), False
        except ReadError:
            document, damaged = rescue_document(place), True
    found = {event.version: event for event in _reachable(document.log, damaged=damaged)}
    if document.log.last is None and not damaged:
        found[document.version] = first_event(document)
    for name in kept_versions(place.history):
        if int(name) not in found and (event := _saved_event(place, name)) is not None:
            found[event.version] = event
    return [found[version] for version in sorted(found)]


def state_at(project: Project, sample: str, version: int) -> Document:
    """The document as it was at `version`. Raises ReadError when that is not known."""
    place = project.place(sample)
    with lock(project):
        try:
            document = opened(place)
        except ReadError:
            document = fitted(rescue_document(place))
    return state_of(document, version)


def state_of(document: Document, version: int) -> Document:
    """The same for an open document: from its log, else from a whole file of the history."""
    place, log = document.place, document.log
    if version == document.version and document.is_known:
        return document
    kept = str(version) in kept_versions(place.history)
    at = log.find(version)
    if at is not None:
        try:
            drawing = drawing_at(log, at, document.drawing)
            return replace(document, drawing=drawing, stamp=log.entries[at].event.stamp)
        except ReadError:
            if not kept:
                raise
    if not kept:
        raise ReadError(f"There is no version {version} of {place.sample}.", hint="Choose one that is listed.")
    annotation = _read(place.history / f"{version}.json")
    return fitted(_document_of(place, annotation, version))


def keep(project: Project, sample: str, shapes: Sequence[Shape], *, base_version: int, author: str) -> str:
    """Keep Shapes that were refused as stale in the history; returns their name there."""
    place = project.place(sample)
    with lock(project):
        document = opened(place)
        annotation = replace(document.rest, shapes=tuple(shapes))
        state = document.stamp.state
        return keep_refused(place, annotation, author=author, state=state, version=base_version + 1)


def kept(project: Project, sample: str) -> list[Kept]:
    """What was refused and kept, the oldest first."""
    found = []
    for name, path in refused_files(project.place(sample)).items():
        try:
            annotation = _read(path)
        except ReadError:
            continue
        stamp = stamp_of(annotation)
        found.append(Kept(name, stamp.author, stamp.time, len(annotation.shapes)))
    return found


def read_kept(project: Project, sample: str, name: str) -> Document:
    """One of what was kept. Raises ReadError."""
    place = project.place(sample)
    path = refused_files(place).get(name)
    if path is None:
        raise ReadError(f"{name!r} is not among what was kept of {sample}.", hint="Choose one that is listed.")
    return fitted(_document_of(place, _read(path)))


def _reachable(log: Log, *, damaged: bool) -> list[Event]:
    """The events whose states can be built: forwards from a fresh one, or back from the present file."""
    entries = log.entries
    forwards, known = [], False
    for entry in entries:
        known = entry.event.fresh or (known and entry.follows)
        forwards.append(known)
    found, known = [], not damaged
    for entry, forward in zip(reversed(entries), reversed(forwards), strict=True):
        if forward or known:
            found.append(entry.event)
        known = known and entry.follows
    return found


def _saved_event(place: Place, name: str) -> Event | None:
    """A whole file of the history as an event; None when it is damaged."""
    try:
        document = _document_of(place, _read(place.history / f"{name}.json"), int(name))
    except ReadError:
        return None
    return first_event(document)


def _document_of(place: Place, annotation: Annotation, version: int | None = None) -> Document:
    stamp = stamp_of(annotation)
    if version is not None:
        stamp = stamp._replace(version=version)  # a file of another program does not say it
    rest = replace(annotation, shapes=())
    return Document(place, drawing_of(annotation.shapes), rest, stamp, Log(place.log), digest="in the history")


def _read(path: Path) -> Annotation:
    try:
        return read_labelme(path.read_bytes(), name=path.name).annotation
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read ({error.strerror}).", hint="Choose another version.") from error
