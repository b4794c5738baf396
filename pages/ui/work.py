"""Work that goes on in a thread while its person may leave the page: one of a kind a Project at a time.

No streamlit in this file: a page asks how far the work is, and shows what it found when it is over.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from core.project.project import Project


class Stopped(Exception):
    """The person stopped the work."""


@dataclass
class Work:
    """How far it is, and how it ended. `failure` is a UserError, or a bug that the page raises.

    what: in words, where counts say nothing to a person.
    """

    started: float = field(default_factory=time.monotonic, kw_only=True)
    done: int = field(default=0, kw_only=True)
    total: int = field(default=0, kw_only=True)
    what: str = field(default="", kw_only=True)
    failure: Exception | None = field(default=None, kw_only=True)
    over: threading.Event = field(default_factory=threading.Event, kw_only=True)
    stop: threading.Event = field(default_factory=threading.Event, kw_only=True)

    def seconds_left(self) -> float | None:
        """None while nothing is done that one could reckon with."""
        if not 0 < self.done <= self.total:
            return None
        return (time.monotonic() - self.started) / self.done * (self.total - self.done)

    def step(self, done: int, total: int, _name: str) -> None:
        """The progress of the work; raises Stopped when the person wants it to end."""
        if self.stop.is_set():
            raise Stopped
        self.done, self.total = done, total


AnyWork = TypeVar("AnyWork", bound=Work)


class Works(Generic[AnyWork]):
    """The works of one kind, by Project."""

    def __init__(self) -> None:
        self._works: dict[Path, AnyWork] = {}
        self._lock = threading.Lock()

    def of(self, project: Project) -> AnyWork | None:
        """The one that goes on, or whose end nobody has closed yet."""
        with self._lock:
            return self._works.get(project.folder)

    def begin(self, project: Project, work: AnyWork, run: Callable[[AnyWork, Project], None]) -> AnyWork:
        """Begin `run(work, project)` in a thread. While another one of this Project goes on, that is returned."""
        with self._lock:
            found = self._works.get(project.folder)
            if found is not None and not found.over.is_set():
                return found
            self._works[project.folder] = work

        def all_of_it() -> None:
            try:
                run(work, Project.open(project.folder))
            except Exception as error:  # a UserError or a bug: the page shows the one and raises the other
                work.failure = error
            finally:
                work.over.set()

        threading.Thread(target=all_of_it, name=type(work).__name__, daemon=True).start()
        return work

    def forget(self, project: Project) -> None:
        """What it found was read. One that goes on stays."""
        with self._lock:
            found = self._works.get(project.folder)
            if found is not None and found.over.is_set():
                del self._works[project.folder]
