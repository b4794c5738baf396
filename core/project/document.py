"""The document of a Sample: its annotation file and its event log as one, kept in memory while it is worked on.

A change is written to the log first, then to the annotation file. Killed between the two, the file is one event behind
and `open_document` makes it good; the other way round, a change would be in the file of which no one knows who made it
and how to undo it. A file that fits neither the last event nor the one before was written by somebody else: that
becomes an event of its own. All functions here want the Project's lock to be held.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from core.annotation.shapes import Annotation
from core.errors import ReadError, WriteError
from core.files import now, write_bytes
from core.formats.labelme import UNKNOWN_SIZE, read_labelme
from core.formats.labelme_text import file_text, finite
from core.images import ImageSize
from core.project.events import Event, Log, append, cut_back, read_log
from core.project.kept_documents import KeptDocuments, Signature, signature_of
from core.project.sample import OWN_KEY, Origin, SampleState, Stamp, stamp_of, with_stamp
from core.project.steps import Drawing, MisfitError, Replaced, Step, after_steps, drawing_of, steps_between, undone

_BEGINNINGS: Final[dict[Origin, str]] = {
    "person": "Saved",
    "import": "Imported",
    "model": "Predicted",
    "outside": "Drawn in another program",
}


class Place(NamedTuple):
    """The files of a Sample."""

    sample: str
    image: Path
    annotation: Path
    log: Path
    history: Path  # the folder of its earlier files

    @property
    def signature(self) -> Signature:
        return signature_of(self.annotation, self.log)


@dataclass(frozen=True)
class Document:
    """What a Sample holds now. `rest`: its Annotation without Shapes; its size is UNKNOWN_SIZE where none is known.

    digest: SHA-256 of the annotation file, "" without one.
    """

    place: Place
    drawing: Drawing
    rest: Annotation
    stamp: Stamp
    log: Log
    digest: str
    is_known: bool = True  # False: the file is damaged, and no log says what was in it

    @property
    def version(self) -> int:
        return self.stamp.version

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return sum(item.nbytes for item in self.drawing) + 400 * len(self.log.entries)


class Origins(NamedTuple):
    """Who or what makes a change, in words, and the version that it takes back, makes again or brings back."""

    author: str
    what: str
    source: Origin = "person"
    undoes: int | None = None
    redoes: int | None = None
    restores: int | None = None


OPEN: Final = KeptDocuments[Document](limit=400_000_000)


def open_document(place: Place) -> Document:
    """The document as its files are now. Raises ReadError when the annotation file is damaged, WriteError."""
    signature = place.signature  # of before the reading: what another program writes meanwhile is read the next time
    kept = OPEN.get(place.annotation, signature)
    if kept is not None:
        return kept if kept.place == place else replace(kept, place=place)  # its picture has another suffix now
    data = _read(place.annotation)
    annotation = None if data is None else read_labelme(data, name=place.annotation.name).annotation
    log = read_log(place.log)
    document = Document(
        place=place,
        drawing=drawing_of(annotation.shapes) if annotation else (),
        rest=replace(annotation, shapes=()) if annotation else Annotation(size=UNKNOWN_SIZE),
        stamp=counted(stamp_of(annotation), place.history),
        log=log,
        digest=_digest(data),
    )
    if log.last is not None:
        document = _matched(document, log.last, data)
    OPEN.put(place.annotation, signature, document)
    return document


def rescue_document(place: Place) -> Document:
    """The last state that the log knows, in place of a file that cannot be read. Raises ReadError, too.

    The caller keeps the file before it writes another (`keep_damaged`).
    """
    digest, log = _digest(_read(place.annotation)), read_log(place.log)
    rest = Annotation(size=UNKNOWN_SIZE)
    if log.last is None:
        return Document(place, (), rest, counted(stamp_of(None), place.history), log, digest, is_known=False)
    others = next((entry.event.rest for entry in reversed(log.entries) if entry.event.rest is not None), None)
    rest = rest if others is None else _with_others(rest, others)
    return Document(place, drawing_at(log, len(log.entries) - 1), rest, log.last.stamp, log, digest)


def keep_damaged(place: Place) -> None:
    """Keep a file that cannot be read in the history, where there is one."""
    data = _read(place.annotation)
    if data is not None:
        write_bytes(place.history / f"damaged-{now().replace(':', '')}.json", data)


def commit(
    document: Document,
    steps: Sequence[Step],
    drawing: Drawing,
    origin: Origins,
    *,
    state: SampleState,
    rest: Annotation,
    durable: bool = True,
) -> Document:
    """Write a change to the disk: an event and the annotation file. Raises WriteError; nothing is changed then.

    drawing: what `steps` make of the document's.  rest: what the file holds beside the Shapes.
    """
    place = document.place
    last, others = document.log.last, _others(rest)
    stamp = Stamp(document.version + 1, state, origin.author, now(), origin.source)
    data = file_of(place, with_stamp(rest, stamp), drawing)
    event = Event(
        **stamp._asdict(),
        what=origin.what,
        shapes=len(drawing),
        digest=_digest(data),
        undoes=origin.undoes,
        redoes=origin.redoes,
        restores=origin.restores,
        marks=not steps,
        rest=None if last is not None and last.source != "outside" and others == _others(document.rest) else others,
    )
    changes: list[tuple[Event, Sequence[Step]]] = [(event, steps)]
    if last is None:
        _keep_foreign(document)
        changes.insert(0, (first_event(document), (Replaced(0, (), document.drawing),)))
    log = append(document.log, changes, durable=durable)
    try:
        write_bytes(place.annotation, data, durable=durable)
    except WriteError:
        with suppress(WriteError):  # then the next one who opens it finds the change in the log, and it is made
            cut_back(document.log)
        raise
    changed = Document(place, drawing, replace(rest, shapes=()), stamp, log, event.digest)
    OPEN.put(place.annotation, place.signature, changed)
    return changed


def drawing_at(log: Log, at: int, present: Drawing | None = None) -> Drawing:
    """The Shapes after the entry `at`, from the nearest state that is known: a fresh one before, or the present one.

    Raises MisfitError when damaged lines lie between, ReadError when the log cannot be read.
    """
    start = at
    while start and log.entries[start].follows:
        start -= 1
    last = len(log.entries) - 1
    from_fresh = at - start if log.entries[start].event.fresh else None
    from_present = last - at if present is not None and all(entry.follows for entry in log.entries[at + 1 :]) else None
    if from_present is not None and (from_fresh is None or from_present <= from_fresh):
        drawing = present or ()
        for i in range(last, at, -1):
            drawing = after_steps(drawing, undone(log.steps(i)))
        return drawing
    if from_fresh is None:
        raise MisfitError(
            f"Version {log.entries[at].event.version} cannot be shown: the log of this picture is damaged there.",
            hint="Choose another version.",
        )
    drawing = ()
    for i in range(start, at + 1):
        drawing = after_steps(drawing, log.steps(i))
    return drawing


def file_of(place: Place, annotation: Annotation, drawing: Drawing) -> bytes:
    """The annotation file with these Shapes."""
    return file_text(annotation, [item.text for item in drawing], image_path=f"../images/{place.image.name}")


def counted(stamp: Stamp, history: Path) -> Stamp:
    """`stamp` with a version behind all that the history holds, when the file says none itself."""
    if stamp.version:
        return stamp
    return stamp._replace(version=1 + max((int(name) for name in kept_versions(history)), default=-1))


def kept_versions(history: Path) -> list[str]:
    """Names of the whole files in a Sample's history that are versions, in order."""
    names = (path.stem for path in history.glob("*.json"))
    return sorted((name for name in names if name.isdecimal() and name.isascii()), key=int)


def first_event(document: Document) -> Event:
    """The event that a log begins with: the file as it was found."""
    return Event(
        **document.stamp._asdict(),
        what=_BEGINNINGS[document.stamp.source] if document.digest else "Nothing drawn yet",
        shapes=len(document.drawing),
        digest=document.digest,
        fresh=True,
    )


def _matched(document: Document, last: Event, data: bytes | None) -> Document:
    """The document brought together with the last event of its log."""
    log = document.log
    if document.digest == last.digest:
        return replace(document, stamp=last.stamp)
    if len(log.entries) > 1 and log.entries[-1].follows and document.digest == log.entries[-2].event.digest:
        try:
            drawing = after_steps(document.drawing, log.steps(-1))
        except MisfitError:
            return _recorded(document, last, data)
        rest = document.rest if last.rest is None else _with_others(document.rest, last.rest)
        data = file_of(document.place, with_stamp(rest, last.stamp), drawing)
        write_bytes(document.place.annotation, data)
        document = replace(document, drawing=drawing, rest=rest, stamp=last.stamp, digest=_digest(data))
        if document.digest == last.digest:
            return document
    return _recorded(document, last, data)


def _recorded(document: Document, last: Event, data: bytes | None) -> Document:
    """The document after an event was written for what another program did to its file; the file stays as it is."""
    place, log = document.place, document.log
    version = max(last.version, document.version) + 1
    try:
        steps = steps_between(drawing_at(log, len(log.entries) - 1), document.drawing)
        fresh = False
    except MisfitError:
        steps, fresh = (Replaced(0, (), document.drawing),), True
    if data is not None:
        write_bytes(place.history / f"{version}.json", data)  # it may hold what we do not read
    stamp = document.stamp._replace(version=version, time=now(), author="", source="outside")
    what = "The annotation file was removed" if data is None else "Changed by another program"
    event = Event(
        **stamp._asdict(),
        what=what,
        shapes=len(document.drawing),
        digest=document.digest,
        fresh=fresh,
        marks=not steps,
    )
    return replace(document, stamp=stamp, log=append(log, [(event, steps)]))


def _keep_foreign(document: Document) -> None:
    """Keep a file that we did not write in the history before it is written anew: it may hold what we do not read."""
    data = _read(document.place.annotation)
    if data is not None and data != file_of(document.place, document.rest, document.drawing):
        write_bytes(document.place.history / f"{document.version}.json", data)


def _others(rest: Annotation) -> dict[str, Any]:
    """What an Annotation holds beside its Shapes and our own key, as JSON."""
    extra = {key: item for key, item in rest.extra.items() if key != OWN_KEY}
    value = {"version": rest.version, "flags": dict(rest.flags), "size": list(rest.size), "extra": extra}
    found: dict[str, Any] = finite(value)
    return found


def _with_others(rest: Annotation, others: Mapping[str, Any]) -> Annotation:
    try:
        height, width = others["size"]
        return replace(
            rest,
            version=str(others["version"]),
            flags=dict(others["flags"]),
            size=ImageSize(int(height), int(width)),
            extra=dict(others["extra"]),
        )
    except (KeyError, TypeError, ValueError):
        return rest  # a log that was edited by hand; the Shapes are what counts


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read ({error.strerror}).", hint="Check the disk.") from error


def _digest(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()
