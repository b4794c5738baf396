"""The event log of a Sample, `events/<sample>.jsonl`: one line of JSON a change, only ever added to.

A line begins with its head (who, when, which version) and ends with its steps, `,"splices":[...]}`; so a long log is
listed without reading all the shapes in it. A log begins, and goes on where the Shapes before are not known, with a
line whose "fresh" is true: its steps begin from an empty list.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from core.errors import ReadError
from core.files import write_error
from core.project.sample import ORIGINS, STATES, Origin, SampleState, Stamp
from core.project.steps import MisfitError, Step, step_from_json

_STEPS: Final = b',"splices":['  # cannot stand in a head: quotes within its texts are escaped


@dataclass(frozen=True)
class Event:
    """The head of a line: the state `version` and how it came about.

    what: in words for the person.  shapes: how many there are after it.  digest: SHA-256 of the annotation file after
    it, "" where there is none.  undoes, redoes, restores: the version whose change it takes back, makes again, or
    whose state it brings back.
    """

    version: int
    time: str
    author: str
    source: Origin
    what: str
    state: SampleState
    shapes: int
    digest: str
    undoes: int | None = None
    redoes: int | None = None
    restores: int | None = None
    fresh: bool = False
    marks: bool = False  # it changed the state only
    rest: Mapping[str, Any] | None = None  # what the file holds beside Shapes and our own key, where that changed

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.version, self.state, self.author, self.time, self.source)

    def line(self, steps: Iterable[Step]) -> bytes:
        head = {key: item for key, item in vars(self).items() if item is not None and item is not False}
        text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
        # half of a letter pair, which files of other programs may hold, has no UTF-8
        return (
            text.encode("utf-8", errors="replace")[:-1] + _STEPS + b",".join(step.to_json() for step in steps) + b"]}\n"
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError, ValueError for a head that cannot be."""
        event = cls(**{key: value[key] for key in value.keys() & cls.__dataclass_fields__.keys()})
        numbers = (event.version, event.shapes, *(x for x in (event.undoes, event.redoes, event.restores) if x))
        texts = (event.time, event.author, event.what, event.digest)
        if not all(type(x) is int and x >= 0 for x in numbers) or not all(isinstance(x, str) for x in texts):
            raise ValueError("a number or a text is of another kind")
        if event.state not in STATES or event.source not in ORIGINS:
            raise ValueError(f"{event.state!r} or {event.source!r} is unknown")
        return event


@dataclass(frozen=True)
class Entry:
    """An Event and where its line stands in the file: bytes `start` to `end`.

    follows: it goes on from the entry before it. False for a fresh one, and where a line between them is damaged.
    """

    event: Event
    start: int
    end: int
    follows: bool


@dataclass(frozen=True)
class Log:
    """A log as read. `size`: the bytes of its whole lines; a line behind them was cut off by a crash.

    undo, redo: versions whose changes can be undone or made again, the next one last.
    whole: whether the last line is an entry; a damaged one may stand there, and nothing follows from it.
    """

    path: Path
    entries: tuple[Entry, ...] = ()
    size: int = 0
    undo: tuple[int, ...] = ()
    redo: tuple[int, ...] = ()
    whole: bool = True

    @property
    def last(self) -> Event | None:
        return self.entries[-1].event if self.entries else None

    def find(self, version: int) -> int | None:
        """The place of an entry."""
        for place in range(len(self.entries) - 1, -1, -1):
            if self.entries[place].event.version == version:
                return place
        return None

    def steps(self, place: int) -> tuple[Step, ...]:
        """What the change at `place` did. Raises MisfitError for a damaged line, ReadError when the log is gone."""
        entry = self.entries[place]
        try:
            with self.path.open("rb") as file:
                file.seek(entry.start)
                value = json.loads(file.read(entry.end - entry.start))
            return tuple(step_from_json(item) for item in value["splices"])
        except OSError as error:
            raise ReadError(f"{self.path.name} cannot be read ({error.strerror}).", hint="Try again.") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MisfitError(f"A line of {self.path.name} is damaged ({error}).") from error

    def with_entry(self, entry: Entry) -> "Log":
        """This Log with one entry more, and what can be undone after it."""
        undo, redo = list(self.undo), list(self.redo)
        _advance(undo, redo, entry)
        return replace(
            self, entries=(*self.entries, entry), size=entry.end, undo=tuple(undo), redo=tuple(redo), whole=True
        )


def read_log(path: Path) -> Log:
    """The log in `path`, an empty one when there is none. Damaged lines are passed over. Raises ReadError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Log(path)
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read ({error.strerror}).", hint="Check the disk.") from error
    entries: list[Entry] = []
    undo: list[int] = []
    redo: list[int] = []
    size = start = 0
    whole = True  # no damaged line since the last entry
    while (newline := data.find(b"\n", start)) >= 0:
        end = newline + 1
        event = _read_head(data[start:end], last=end == len(data))
        if event is not None and (not entries or event.version > entries[-1].event.version):
            entry = Entry(event, start, end, follows=whole and bool(entries) and not event.fresh)
            _advance(undo, redo, entry)
            entries.append(entry)
            whole, size = True, end
        elif end < len(data):
            whole, size = False, end
        start = end
    return Log(path, tuple(entries), size, tuple(undo), tuple(redo), whole)


def append(log: Log, changes: Sequence[tuple[Event, Sequence[Step]]], *, durable: bool = True) -> Log:
    """Write events behind those of `log`, all or none, and return the longer log. Raises WriteError.

    The caller holds the Project's lock and has read `log` under it.
    """
    lines = [event.line(steps) for event, steps in changes]
    try:
        log.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not log.path.exists()
        with log.path.open("ab") as file:
            if file.tell() != log.size:
                file.truncate(log.size)  # a line that was cut off
            try:
                file.write(b"".join(lines))
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(log.size)
                raise
        if is_new and durable:
            _sync_folder(log.path.parent)
    except OSError as error:
        raise write_error(log.path, error) from error
    for (event, _), line in zip(changes, lines, strict=True):
        follows = bool(log.entries) and not event.fresh and log.whole
        log = log.with_entry(Entry(event, log.size, log.size + len(line), follows))
    return log


def cut_back(log: Log) -> None:
    """Take what was written behind `log` off the file again: its change did not come about. Raises WriteError."""
    try:
        os.truncate(log.path, log.size)
    except OSError as error:
        raise write_error(log.path, error) from error


def _advance(undo: list[int], redo: list[int], entry: Entry) -> None:
    """What can be undone and redone after `entry`."""
    event = entry.event
    if not entry.follows or event.source == "outside":
        undo.clear()
        redo.clear()
    elif event.undoes is not None:
        _move(event.undoes, undo, redo)
    elif event.redoes is not None:
        _move(event.redoes, redo, undo)
    elif not event.marks:
        undo.append(event.version)
        redo.clear()


def _move(version: int, from_: list[int], to: list[int]) -> None:
    while from_ and from_.pop() != version:
        pass  # a log that was edited by hand may skip some
    to.append(version)


def _read_head(line: bytes, *, last: bool) -> Event | None:
    """The Event of a line, None when it is damaged. The last line is looked at as a whole: a crash may have torn it."""
    head, found, _ = line.partition(_STEPS)
    try:
        if last:
            json.loads(line)
        return Event.from_json(json.loads(head + b"}")) if found and line.endswith(b"]}\n") else None
    except (ValueError, TypeError, RecursionError):
        return None


def _sync_folder(folder: Path) -> None:
    """Tell the disk to keep that a file is new in `folder`; a system that cannot do that does it by itself."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
