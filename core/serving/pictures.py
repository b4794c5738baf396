"""Pictures for the editor: what they are, their tiles, their thumbnails."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.project.project import Project
from core.project.pyramid import open_pyramid, read_tile
from core.project.shown import TILE, Shown, look_at, read_thumbnail
from core.serving.answers import NotThereError, answering, project_of, sample_of

_FOR_GOOD: Final = {"Cache-Control": "private, max-age=31536000, immutable"}
_ASK_AGAIN: Final = {"Cache-Control": "no-cache"}


def _picture(request: Request) -> Response:
    project, sample, shown = _shown(request)
    found = open_pyramid(project, shown, sample)
    answer = {
        "width": found.size.width,
        "height": found.size.height,
        "tile": TILE,
        "levels": found.levels,
        "stamp": found.stamp,
        "ready": found.ready,
        "progress": found.progress,
        "channels": found.channels,
    }
    return JSONResponse(answer, headers=_ASK_AGAIN)


def _tile(request: Request) -> Response:
    _, sample, shown = _shown(request)
    level, column, row = (_number(request.path_params[key]) for key in ("level", "column", "row"))
    data = read_tile(shown, level, column, row)
    if data is None:
        raise NotThereError(f"{sample} has no such tile.", hint="Ask for its size, and whether it is ready.")
    return Response(data, media_type="image/jpeg" if level else "image/png", headers=_cache(request, shown))


def _thumbnail(request: Request) -> Response:
    _, _, shown = _shown(request)
    return Response(read_thumbnail(shown), media_type="image/jpeg", headers=_cache(request, shown))


def _shown(request: Request) -> tuple[Project, str, Shown]:
    project = project_of(request)
    sample = sample_of(request, project)
    return project, sample, look_at(project, project.sample(sample))


def _cache(request: Request, shown: Shown) -> dict[str, str]:
    """A browser may keep what it asked for under the stamp that the picture had, and has, now that it was read."""
    return _FOR_GOOD if request.query_params.get("v") == shown.stamp and shown.is_current() else _ASK_AGAIN


def _number(text: str) -> int:
    """A number of the path; -1, which no tile has, where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


_SAMPLE: Final = "/api/projects/{project}/samples/{sample}"
ROUTES: Final[tuple[BaseRoute, ...]] = (
    Route(f"{_SAMPLE}/picture", answering(_picture)),
    Route(f"{_SAMPLE}/tiles/{{level}}/{{column}}/{{row}}", answering(_tile)),
    Route(f"{_SAMPLE}/thumbnail", answering(_thumbnail)),
)
