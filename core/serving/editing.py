"""The routes of the editor: a Project at a glance, documents, and everything that changes one."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from core.project import earlier, journal
from core.project.document import Document
from core.project.index import Index, SampleRow
from core.project.opening import open_sample
from core.project.project import Project
from core.project.sample import Origin
from core.project.shown import shown_stamp
from core.serving.answers import BadRequestError, answering, project_of, sample_of
from core.serving.wire import (
    document_to_wire,
    edit_from_wire,
    plain,
    shape_from_wire,
    splice_to_wire,
    stamp_to_wire,
)

Body = Mapping[str, Any]
_LONGEST_AUTHOR: Final = 80
_LONGEST_WHAT: Final = 200


def _project(request: Request) -> Response:
    project = project_of(request)
    index = Index(project)
    index.refresh()
    settings = project.settings
    return _json(
        {
            "name": settings.name,
            "folder": project.folder.name,
            "preset": settings.preset,
            "unit": settings.unit,
            "pixel_size": settings.pixel_size,
            "labels": _labels(project),
            "has_model": project.current_model() is not None,
            "samples": [_row(project, row) for row in index.rows()],
        }
    )


def _add_label(request: Request, body: Body) -> Response:
    project = project_of(request)
    project.add_labels([plain(_text(body, "name")).strip()])
    return _json({"labels": _labels(project)})


def _document(request: Request) -> Response:
    project = project_of(request)
    return _json(_present(open_sample(project, sample_of(request, project))))


def _changes(request: Request, body: Body) -> Response:
    project, base_version, author = _asked(request, body)
    if not isinstance(body.get("edits"), list):
        raise BadRequestError("The request has no list of edits.")
    edits = tuple(edit_from_wire(edit) for edit in body["edits"])
    source: Origin = "model" if body.get("source") == "model" else "person"
    changed = journal.change(
        project,
        sample_of(request, project),
        edits,
        base_version=base_version,
        author=author,
        what=_line(_text(body, "what", ""), _LONGEST_WHAT) or "Change",
        source=source,
    )
    return _changed(changed)


def _turn(turn: Callable[..., journal.Changed]) -> Callable[[Request, Body], Response]:
    def work(request: Request, body: Body) -> Response:
        project, base_version, author = _asked(request, body)
        return _changed(turn(project, sample_of(request, project), base_version=base_version, author=author))

    return work


def _state(request: Request, body: Body) -> Response:
    project, base_version, author = _asked(request, body)
    state: Any = _text(body, "state")
    sample = sample_of(request, project)
    return _changed(journal.set_state(project, sample, state, base_version=base_version, author=author))


def _restore(request: Request, body: Body) -> Response:
    project, base_version, author = _asked(request, body)
    sample, version = sample_of(request, project), _number(body, "to")
    return _changed(journal.restore(project, sample, version, base_version=base_version, author=author))


def _states(request: Request) -> Response:
    project = project_of(request)
    found = earlier.states(project, sample_of(request, project))
    keys = ("version", "time", "author", "source", "what", "state", "shapes")
    return _json({"states": [{key: getattr(event, key) for key in keys} for event in found]})


def _state_at(request: Request) -> Response:
    project = project_of(request)
    document = earlier.state_at(project, sample_of(request, project), request.path_params["version"])
    return _json(document_to_wire(document, undo=None, redo=None))


def _keep(request: Request, body: Body) -> Response:
    project, base_version, author = _asked(request, body)
    if not isinstance(body.get("shapes"), list):
        raise BadRequestError("The request has no list of shapes.")
    shapes = tuple(shape_from_wire(shape) for shape in body["shapes"])
    sample = sample_of(request, project)
    return _json({"kept": earlier.keep(project, sample, shapes, base_version=base_version, author=author)})


def _kept(request: Request) -> Response:
    project = project_of(request)
    return _json({"kept": [kept._asdict() for kept in earlier.kept(project, sample_of(request, project))]})


def _read_kept(request: Request) -> Response:
    project = project_of(request)
    document = earlier.read_kept(project, sample_of(request, project), request.path_params["name"])
    return _json(document_to_wire(document, undo=None, redo=None))


# -------------------------------------------------------------------------------------------------------------- parts


def _present(document: Document) -> dict[str, Any]:
    return document_to_wire(document, undo=journal.next_undo(document), redo=journal.next_redo(document))


def _changed(changed: journal.Changed) -> Response:
    document = changed.document
    return _json(
        {
            **stamp_to_wire(document),
            "splices": [splice_to_wire(step) for step in changed.unknown],
            "undo": journal.next_undo(document),
            "redo": journal.next_redo(document),
            "notes": list(changed.notes),
        }
    )


def _labels(project: Project) -> list[dict[str, Any]]:
    return project.settings.labels.to_json()[1:]  # the first is background


def _row(project: Project, row: SampleRow) -> dict[str, Any]:
    # changes when the picture shows otherwise; a link to its thumbnail may be kept as long as this stays
    shown = shown_stamp(row.picture_stamp, project.settings.intensity)
    keys = ("name", "state", "version", "author", "time", "width", "height", "shapes", "error")
    return {key: getattr(row, key) for key in keys} | {"stamp": shown}


def _asked(request: Request, body: Body) -> tuple[Project, int, str]:
    """The Project of a change, the version that it was made on, and who made it."""
    author = _line(_text(body, "author", ""), _LONGEST_AUTHOR) or "person"
    return project_of(request), _number(body, "base_version"), author


def _line(text: str, longest: int) -> str:
    """`text` on one line, without blanks around it, cut where it is too long."""
    return "".join(letter if letter.isprintable() else " " for letter in plain(text)).strip()[:longest].strip()


def _text(body: Body, key: str, default: str | None = None) -> str:
    value = body.get(key, default)
    if not isinstance(value, str):
        raise BadRequestError(f"The request has no text {key!r}.")
    return value


def _number(body: Body, key: str) -> int:
    value = body.get(key)
    if type(value) is not int or value < 0:
        raise BadRequestError(f"The request has no version {key!r}.")
    return value


def _json(value: Any) -> Response:
    """`value` as JSON. Half of a letter pair, which some files hold, has no UTF-8 and becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    headers = {"Cache-Control": "no-store"}
    return Response(text.encode("utf-8", errors="replace"), media_type="application/json", headers=headers)


_PROJECT: Final = "/api/projects/{project}"
_SAMPLE: Final = f"{_PROJECT}/samples/{{sample}}"
_POSTS: Final = {
    f"{_PROJECT}/labels": _add_label,
    f"{_SAMPLE}/changes": _changes,
    f"{_SAMPLE}/undo": _turn(journal.undo),
    f"{_SAMPLE}/redo": _turn(journal.redo),
    f"{_SAMPLE}/state": _state,
    f"{_SAMPLE}/restore": _restore,
    f"{_SAMPLE}/keep": _keep,
}
_GETS: Final = {
    _PROJECT: _project,
    f"{_SAMPLE}/document": _document,
    f"{_SAMPLE}/states": _states,
    f"{_SAMPLE}/states/{{version:int}}": _state_at,
    f"{_SAMPLE}/kept": _kept,
    f"{_SAMPLE}/kept/{{name}}": _read_kept,
}
ROUTES: Final[tuple[BaseRoute, ...]] = (
    *(Route(path, answering(work), methods=["POST"]) for path, work in _POSTS.items()),
    *(Route(path, answering(work)) for path, work in _GETS.items()),
)
