"""Exports for download, streamed from disk."""

from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from core.files import safe_name
from core.project.exporting import exports_folder
from core.serving.answers import NotThereError, answering, project_of


def _export(request: Request) -> Response:
    project, name = project_of(request), request.path_params["name"]
    path = exports_folder(project) / name
    if name != safe_name(name) or path.suffix != ".zip" or not path.is_file():
        raise NotThereError(f"There is no export {name!r}.", hint="Export again on the Data set page.")
    return FileResponse(path, filename=name, media_type="application/zip", headers={"Cache-Control": "no-cache"})


ROUTES: Final[tuple[BaseRoute, ...]] = (Route("/api/projects/{project}/exports/{name}", answering(_export)),)
