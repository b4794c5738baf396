"""Imports on their way, one a Project at a time: a thread does the work, so that leaving the page stops nothing.

An import begins with a look, which writes nothing; a person then says what the labels are called here. No streamlit in
this file: a page asks how far it is, and shows the preview, and the report when it is over.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from core.errors import UserError
from core.formats.source import Source
from core.images import encode_jpeg
from core.project.importing import import_source
from core.project.preview import ImportPreview, draw_example, preview_source
from core.project.project import Project
from pages.ui.words import count

EXAMPLE_SIDE: Final = 420  # pixels


class _Stopped(Exception):
    """The person stopped the import."""


class Request(NamedTuple):
    """What is to come in: files, pictures that lie elsewhere, and the format or auto."""

    source: Callable[[], Source]
    images: Callable[[], Source] | None = None
    format: str = "auto"


@dataclass
class RunningImport:
    """One look or import: how far it is, and how it ended. `failure` is a UserError, or a bug that the page raises."""

    request: Request
    started: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0
    preview: ImportPreview | None = None  # of a look, once it is over
    examples: list[tuple[str, bytes]] = field(default_factory=list)  # names and JPEGs for the preview
    sentences: list[str] = field(default_factory=list)  # the report of an import, once it is over
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
    """The look or import that goes on, or whose preview or report nobody has closed yet."""
    with _lock:
        return _imports.get(project.folder)


def begin_look(project: Project, request: Request) -> RunningImport:
    """Begin to look at what would come in. Plain pictures, of which there is nothing to say, come in at once.

    While another one of this Project goes on, that is returned and nothing begins.
    """
    return _begin(project, request, _look)


def begin_import(project: Project, request: Request, mapping: Mapping[str, str | None] | None = None) -> RunningImport:
    """Begin to bring it in, labels named as `mapping` says. The same while another one goes on."""
    return _begin(project, request, lambda going, project: _import(going, project, mapping or {}))


def forget_import(project: Project) -> None:
    """Its preview or report was read. One that goes on stays."""
    with _lock:
        found = _imports.get(project.folder)
        if found is not None and found.over.is_set():
            del _imports[project.folder]


def _begin(project: Project, request: Request, work: Callable[[RunningImport, Project], None]) -> RunningImport:
    with _lock:
        found = _imports.get(project.folder)
        if found is not None and not found.over.is_set():
            return found
        _imports[project.folder] = started = RunningImport(request)

    def run() -> None:
        try:
            work(started, Project.open(project.folder))
        except Exception as error:  # a UserError or a bug: the page shows the one and raises the other
            started.failure = error
        finally:
            started.over.set()

    threading.Thread(target=run, name="import", daemon=True).start()
    return started


def _look(going: RunningImport, project: Project) -> None:
    source = going.request.source()
    images = going.request.images() if going.request.images is not None else None
    # what was opened once is not opened again when it comes in
    going.request = Request(lambda: source, (lambda: images) if images is not None else None, going.request.format)
    try:
        preview = preview_source(project, source, images=images, format=going.request.format, progress=going.step)
        if preview.format == "images":
            _import(going, project, {})
            return
        for example in preview.examples:
            try:
                drawn = draw_example(example, preview, project, side=EXAMPLE_SIDE)
            except UserError:
                continue  # the import says why
            going.examples.append((example.picture.base, encode_jpeg(drawn)))
        going.preview = preview
    except _Stopped:
        going.sentences = ["It was stopped before anything came in."]


def _import(going: RunningImport, project: Project, mapping: Mapping[str, str | None]) -> None:
    before = len(project.samples())
    images = going.request.images() if going.request.images is not None else None
    try:
        report = import_source(
            project,
            going.request.source(),
            images=images,
            format=going.request.format,
            mapping=mapping,
            progress=going.step,
        )
        going.sentences = report.sentences()
    except _Stopped:
        came = count(len(project.samples()) - before, "picture")
        going.sentences = [f"The import was stopped. What had come in stays: {came}."]
