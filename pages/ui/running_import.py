"""Imports on their way, one a Project at a time: a thread does the work, so that leaving the page stops nothing.

No streamlit here: a page asks how far it is, and shows the report when it is over.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from core.formats.source import Source
from core.project.importing import import_source
from core.project.project import Project
from pages.ui.words import count


class _Stopped(Exception):
    """The person stopped the import."""


@dataclass
class RunningImport:
    """One import: how far it is, and how it ended. `failure` is a UserError, or a bug that the page shall raise."""

    started: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0
    sentences: list[str] = field(default_factory=list)  # the report, once it is over
    failure: Exception | None = None
    over: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def seconds_left(self) -> float | None:
        """None while nothing is done that one could reckon with."""
        if not 0 < self.done <= self.total:
            return None
        return (time.monotonic() - self.started) / self.done * (self.total - self.done)

    def step(self, done: int, total: int, _name: str) -> None:
        if self.stop.is_set():
            raise _Stopped
        self.done, self.total = done, total


_imports: Final[dict[Path, RunningImport]] = {}  # by the Project's folder
_lock: Final = threading.Lock()


def import_of(project: Project) -> RunningImport | None:
    """The import that goes on, or whose report nobody has closed yet."""
    with _lock:
        return _imports.get(project.folder)


def begin_import(
    project: Project, source: Callable[[], Source], images: Callable[[], Source] | None, format_name: str
) -> RunningImport:
    """Begin to bring in what `source` opens, its pictures from `images` where they lie elsewhere.

    While another import into this Project goes on, that one is returned and nothing begins.
    """
    with _lock:
        found = _imports.get(project.folder)
        if found is not None and not found.over.is_set():
            return found
        _imports[project.folder] = started = RunningImport()
    arguments = (started, Project.open(project.folder), source, images, format_name)
    threading.Thread(target=_work, args=arguments, name="import", daemon=True).start()
    return started


def forget_import(project: Project) -> None:
    """Its report was read. One that goes on stays."""
    with _lock:
        found = _imports.get(project.folder)
        if found is not None and found.over.is_set():
            del _imports[project.folder]


def _work(
    going: RunningImport,
    project: Project,
    source: Callable[[], Source],
    images: Callable[[], Source] | None,
    format_name: str,
) -> None:
    before = len(project.samples())
    try:
        pictures = images() if images is not None else None
        report = import_source(
            project, source(), images=pictures, format=format_name, author="import", progress=going.step
        )
        going.sentences = report.sentences()
    except _Stopped:
        came = count(len(project.samples()) - before, "picture")
        going.sentences = [f"The import was stopped. What had come in stays: {came}."]
    except Exception as error:  # a UserError or a bug: the page shows the one and raises the other
        going.failure = error
    finally:
        going.over.set()
