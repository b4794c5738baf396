"""Exports for download, streamed from disk: labels as zips, models as zips or ONNX files."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from core.files import safe_name
from core.project.exporting import exports_folder, model_exports_folder
from core.project.project import Project
from core.serving.answers import NotThereError, answering, project_of

_TYPES: Final = {".zip": "application/zip", ".onnx": "application/octet-stream"}


def _sends(folder: Callable[[Project], Path], page: str, kinds: set[str]) -> Callable[[Request], Response]:
    """An answer with a file of `folder`, of one of `kinds`; `page` is where a person makes it."""

    def send(request: Request) -> Response:
        project, name = project_of(request), request.path_params["name"]
        path = folder(project) / name
        if name != safe_name(name) or path.suffix not in kinds or not path.is_file():
            raise NotThereError(f"There is no export {name!r}.", hint=f"Export again on the {page} page.")
        return FileResponse(path, filename=name, media_type=_TYPES[path.suffix], headers={"Cache-Control": "no-cache"})

    return send


_EXPORTS: Final = "/api/projects/{project}/exports"
ROUTES: Final[tuple[BaseRoute, ...]] = (
    Route(f"{_EXPORTS}/{{name}}", answering(_sends(exports_folder, "Data set", {".zip"}))),
    Route(f"{_EXPORTS}/models/{{name}}", answering(_sends(model_exports_folder, "Deploy", set(_TYPES)))),
)
