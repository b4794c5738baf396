"""Our own HTTP routes, beside the pages on the same port."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.project.home import projects_home
from core.serving import api, editing, exports, pictures, suggesting


async def health(_: Request) -> JSONResponse:
    """Whether the server answers, and which folder of Projects it serves."""
    return JSONResponse({"status": "ok", "projects": str(projects_home())})


ROUTES: Final[Sequence[BaseRoute]] = (
    Route("/healthz", health),
    *editing.ROUTES,
    *pictures.ROUTES,
    *suggesting.ROUTES,
    *exports.ROUTES,
    *api.ROUTES,
)
