"""Imports on their way. One begins with a look, which writes nothing; a person then says what is called how here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from core.errors import UserError
from core.formats.source import Source
from core.images import encode_jpeg
from core.project.importing import import_source
from core.project.preview import ImportPreview, draw_example, preview_source
from core.project.project import Project
from pages.ui.words import count
from pages.ui.work import Stopped, Work, Works

EXAMPLE_SIDE: Final = 420  # pixels


class Request(NamedTuple):
    """What is to come in: files, pictures that lie elsewhere, and the format or auto."""

    source: Callable[[], Source]
    images: Callable[[], Source] | None = None
    format: str = "auto"


@dataclass
class RunningImport(Work):
    """One look or import, and what it found."""

    request: Request
    preview: ImportPreview | None = None  # of a look, once it is over
    examples: list[tuple[str, bytes]] = field(default_factory=list)  # names and JPEGs for the preview
    sentences: list[str] = field(default_factory=list)  # the report of an import, once it is over


_imports: Final[Works[RunningImport]] = Works()


def import_of(project: Project) -> RunningImport | None:
    """The look or import that goes on, or whose preview or report nobody has closed yet."""
    return _imports.of(project)


def begin_look(project: Project, request: Request) -> RunningImport:
    """Begin to look at what would come in. Plain pictures, of which there is nothing to say, come in at once.

    While another one of this Project goes on, that is returned and nothing begins.
    """
    return _imports.begin(project, RunningImport(request), _look)


def begin_import(project: Project, request: Request, mapping: Mapping[str, str | None] | None = None) -> RunningImport:
    """Begin to bring it in, labels named as `mapping` says. The same while another one goes on."""
    return _imports.begin(
        project, RunningImport(request), lambda going, project: _import(going, project, mapping or {})
    )


def forget_import(project: Project) -> None:
    """Its preview or report was read. One that goes on stays."""
    _imports.forget(project)


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
    except Stopped:
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
    except Stopped:
        came = count(len(project.samples()) - before, "picture")
        going.sentences = [f"The import was stopped. What had come in stays: {came}."]
