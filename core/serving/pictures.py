"""Pictures for the editor: what they are, their tiles, their thumbnails."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.project.pyramid import TILE, open_pyramid, picture_stamp, read_thumbnail, read_tile
from core.serving.answers import NotThereError, answering, project_of, sample_of

_FOR_GOOD: Final = {"Cache-Control": "private, max-age=31536000, immutable"}
_ASK_AGAIN: Final = {"Cache-Control": "no-cache"}


def _picture(request: Request) -> Response:
    project = project_of(request)
    found = open_pyramid(project, sample_of(request, project))
    return JSONResponse(
        {
            "width": found.size.width,
            "height": found.size.height,
            "tile": TILE,
            "levels": found.levels,
            "stamp": found.stamp,
            "ready": found.ready,
            "progress": found.progress,
        },
        headers=_ASK_AGAIN,
    )


def _tile(request: Request) -> Response:
    project = project_of(request)
    sample = sample_of(request, project)
    level, column, row = (int(request.path_params[key]) for key in ("level", "column", "row"))
    data = read_tile(project, sample, level, column, row)
    if data is None:
        raise NotThereError(f"{sample} has no tile {column}, {row} in level {level}.")
    fresh = request.query_params.get("v") == picture_stamp(project, sample)
    return Response(data, media_type="image/jpeg" if level else "image/png", headers=_FOR_GOOD if fresh else _ASK_AGAIN)


def _thumbnail(request: Request) -> Response:
    project = project_of(request)
    sample = sample_of(request, project)
    headers = _FOR_GOOD if request.query_params.get("v") else _ASK_AGAIN
    return Response(read_thumbnail(project, sample), media_type="image/jpeg", headers=headers)


_SAMPLE: Final = "/api/projects/{project}/samples/{sample}"
ROUTES: Final[tuple[BaseRoute, ...]] = (
    Route(f"{_SAMPLE}/picture", answering(_picture)),
    Route(f"{_SAMPLE}/tiles/{{level:int}}/{{column:int}}/{{row:int}}", answering(_tile)),
    Route(f"{_SAMPLE}/thumbnail", answering(_thumbnail)),
)
