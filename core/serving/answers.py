"""What our own routes have in common: finding the Project and Sample of a request, and errors as JSON.

Each error answers `{"message": ..., "hint": ...}`: 404 for what is not there, 409 for a stale save, 422 for what a
person can mend, 400 and 413 for a request that is not of our form.
"""

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.errors import ReadError, StaleSaveError, UserError
from core.project.home import project_folder
from core.project.project import Project

MOST: Final = 64 << 20  # bytes of a body
Endpoint = Callable[[Request], Awaitable[Response]]


class NotThereError(ReadError):
    """No such Project, Sample or tile."""


class BadRequestError(UserError):
    """The request is not of our form; not a person's fault."""


def answering(work: Callable[..., Response]) -> Endpoint:
    """An endpoint around `work(request)`, or `work(request, body)` for a POST, which runs in a thread of the pool.

    A POST's body is read as JSON, and must be an object. UserErrors become JSON answers.
    """

    @wraps(work)
    async def endpoint(request: Request) -> Response:
        try:
            if request.method == "POST":
                return await run_in_threadpool(work, request, await _body(request))
            return await run_in_threadpool(work, request)
        except UserError as error:
            return _refusal(error)

    return endpoint


def project_of(request: Request) -> Project:
    """The Project that the path names as {project}. Raises NotThereError."""
    name = request.path_params["project"]
    try:
        return Project.open(project_folder(name))
    except UserError as error:
        raise NotThereError(f"There is no project {name!r} here.", hint="Was it moved or renamed?") from error


def sample_of(request: Request, project: Project) -> str:
    """The name of the Sample that the path names as {sample}. Raises NotThereError."""
    name: str = request.path_params["sample"]
    if not project.has_sample(name):
        raise NotThereError(f"There is no picture {name!r} in this project.", hint="It may have been removed.")
    return name


async def _body(request: Request) -> dict[str, Any]:
    parts = bytearray()
    async for chunk in request.stream():
        parts += chunk
        if len(parts) > MOST:
            raise BadRequestError("The request is too large.", hint="Save less at once.")
    try:
        value = json.loads(parts)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"The request is not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise BadRequestError("The request is not a JSON object.")
    return value


def _refusal(error: UserError) -> JSONResponse:
    status = 422
    if isinstance(error, NotThereError):
        status = 404
    elif isinstance(error, StaleSaveError):
        status = 409
    elif isinstance(error, BadRequestError):
        status = 413 if "too large" in error.message else 400
    return JSONResponse({"message": error.message, "hint": error.hint}, status_code=status)
