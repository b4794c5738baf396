"""What the editor does with a Sample: change, undo, redo, mark, and go back to an earlier state. Nothing is lost.

Each change is on the disk, in the annotation file and in the event log, before its function returns. It names the
version that it was made on; on any other it is refused (StaleSaveError), unless it is the one that made the present
version: then an answer was lost on its way and is given again.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from core.errors import ConfigError, ReadError, StaleSaveError
from core.project.document import Document, Origins, commit, drawing_at, keep_damaged, rescue_document
from core.project.earlier import state_of
from core.project.edits import Edit, apply_edits, visible
from core.project.events import Event
from core.project.opening import fitted, lock, opened
from core.project.project import Project
from core.project.sample import STATES, Origin, SampleState
from core.project.steps import Drawing, Replaced, Step, steps_between, undone

_MARKED: Final[dict[SampleState, str]] = {
    "todo": "Marked as to do",
    "doing": "Marked as begun",
    "review": "Marked as needs review",
    "done": "Marked as done",
}


class Changed(NamedTuple):
    """The document after a change.

    unknown: what the person who asked does not see yet, in order.  notes: sentences for the person.
    """

    document: Document
    unknown: tuple[Replaced, ...] = ()
    notes: tuple[str, ...] = ()


def change(
    project: Project,
    sample: str,
    edits: Sequence[Edit],
    *,
    base_version: int,
    author: str,
    what: str,
    source: Origin = "person",
) -> Changed:
    """Apply edits as one change, one step of undo. Edits that change nothing make no version.

    Raises StaleSaveError, ConfigError when an edit does not fit, WriteError; nothing is written then.
    """
    place = project.place(sample)
    with lock(project):
        document = opened(place)
        size = document.rest.size
        last = _answered(document, base_version)
        if last is not None and (last.author, last.what) == (author, what):
            edited = apply_edits(_before_last(document), edits, size)
            if edited.steps and not steps_between(edited.drawing, document.drawing):
                return Changed(document, edited.unknown, edited.notes)
        _check_version(document, base_version)
        edited = apply_edits(document.drawing, edits, size)
        if edited.steps:
            document = _commit(document, edited.steps, edited.drawing, Origins(author, what, source))
        return Changed(document, edited.unknown, edited.notes)


def undo(project: Project, sample: str, *, base_version: int, author: str) -> Changed:
    """Take the last change back that was not taken back yet. Raises ConfigError when there is none."""
    return _turn(project, sample, "undo", base_version=base_version, author=author)


def redo(project: Project, sample: str, *, base_version: int, author: str) -> Changed:
    """Make the change again that was taken back last. Raises ConfigError when there is none."""
    return _turn(project, sample, "redo", base_version=base_version, author=author)


def next_undo(document: Document) -> str | None:
    """What an undo would take back, in words; None when there is nothing."""
    return _what(document, document.log.undo)


def next_redo(document: Document) -> str | None:
    """What a redo would make again, in words; None when there is nothing."""
    return _what(document, document.log.redo)


def set_state(project: Project, sample: str, state: SampleState, *, base_version: int, author: str) -> Changed:
    """Mark a Sample. That is an event, but no step of undo."""
    if state not in STATES:
        raise ConfigError(f"A picture cannot be {state!r}.", hint=f"Choose one of {', '.join(STATES)}.")
    place = project.place(sample)
    with lock(project):
        document = opened(place)
        last = _answered(document, base_version)
        if last is not None and last.marks and (last.author, last.state) == (author, state):
            return Changed(document)
        _check_version(document, base_version)
        if document.stamp.state != state:
            document = _commit(document, (), document.drawing, Origins(author, _MARKED[state]), state=state)
        return Changed(document)


def restore(project: Project, sample: str, version: int, *, base_version: int, author: str) -> Changed:
    """Bring an earlier state back, as a change that can be undone. It works on a damaged annotation file, too."""
    place = project.place(sample)
    with lock(project):
        try:
            document, damaged = opened(place), False
        except ReadError:
            document, damaged = fitted(rescue_document(place)), True
        last = _answered(document, base_version)
        if last is not None and (last.author, last.restores) == (author, version) and not damaged:
            return Changed(document, steps_between(_before_last(document), document.drawing))
        _check_version(document, base_version)
        drawing = state_of(document, version).drawing
        steps = steps_between(document.drawing, drawing)
        if damaged:
            keep_damaged(place)
        if steps or damaged:
            origin = Origins(author, f"Back to version {version}", restores=version)
            document = _commit(document, steps, drawing, origin)
        return Changed(document, steps)


def _turn(project: Project, sample: str, way: Literal["undo", "redo"], *, base_version: int, author: str) -> Changed:
    """The change of a version taken back or made again."""
    place = project.place(sample)
    with lock(project):
        document = opened(place)
        last = _answered(document, base_version)
        if last is not None and last.author == author and (last.undoes if way == "undo" else last.redoes) is not None:
            return Changed(document, _shown(_before_last(document), document.log.steps(-1))[1])
        _check_version(document, base_version)
        stack = document.log.undo if way == "undo" else document.log.redo
        at = document.log.find(stack[-1]) if stack else None
        if at is None:
            raise ConfigError(f"There is nothing to {way}.")
        steps, event = document.log.steps(at), document.log.entries[at].event
        if way == "undo":
            steps, origin = undone(steps), Origins(author, f"Undo: {event.what}", undoes=event.version)
        else:
            origin = Origins(author, f"Redo: {event.what}", redoes=event.version)
        drawing, unknown = _shown(document.drawing, steps)
        return Changed(_commit(document, steps, drawing, origin), unknown)


def _what(document: Document, stack: Sequence[int]) -> str | None:
    at = document.log.find(stack[-1]) if stack else None
    return None if at is None else document.log.entries[at].event.what


def _check_version(document: Document, base_version: int) -> None:
    if base_version != document.version:
        who = document.stamp.author or "another program"
        raise StaleSaveError(
            f"{document.place.sample} was changed by {who} in between "
            f"(version {document.version}, you began from {base_version}).",
            hint="Nothing is lost: both versions can be kept. Choose which one to go on with.",
        )


def _answered(document: Document, base_version: int) -> Event | None:
    """The last event, when a change on `base_version` may be the one that it came from."""
    entries = document.log.entries
    if document.version != base_version + 1 or len(entries) < 2 or not entries[-1].follows:
        return None
    return entries[-1].event


def _before_last(document: Document) -> Drawing:
    return drawing_at(document.log, len(document.log.entries) - 2, document.drawing)


def _commit(
    document: Document, steps: Sequence[Step], drawing: Drawing, origin: Origins, *, state: SampleState | None = None
) -> Document:
    state = state or ("doing" if document.stamp.state == "todo" else document.stamp.state)
    return commit(document, steps, drawing, origin, state=state, rest=document.rest)


def _shown(drawing: Drawing, steps: Sequence[Step]) -> tuple[Drawing, tuple[Replaced, ...]]:
    """The Shapes after the steps, and these as whole Shapes in place of others."""
    found = []
    for step in steps:
        drawing, shown = visible(drawing, step)
        found.append(shown)
    return drawing, tuple(found)
