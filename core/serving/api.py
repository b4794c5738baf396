"""Predictions over HTTP: `POST /predict`, `/models`, `/metrics`, `/openapi.json`, and `/api`, a page about them.

The same routes stand beside the pages of the app and alone (api_app.py). Only POST /predict is ours in the app; GET is
the page Predict. Errors are JSON with message and hint.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial, wraps
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import UserError
from core.inference import AUTO, load_backend
from core.serving import api_metrics, api_page
from core.serving.api_formats import FORMATS, AnswerFormat, disposition, safe_file_name
from core.serving.predicting import Predicted, answer_picture
from core.serving.queue import Turn, TurnQueue
from core.serving.refusals import RefusedError
from core.serving.served import Load, LoadedModels, Served, describe, find_model, served_projects
from core.serving.upload import UploadLimits, check_length, is_read, length_of, picture_in, read_form

_LARGE: Final = 1_000_000  # bytes of a body that is not read at all while the queue is full
_GONE: Final = 499  # what is counted for a client that did not wait for its answer
_LOG: Final = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


class PredictionApi:
    """The routes over the models that `models` lists; the first is the default."""

    def __init__(
        self,
        models: Callable[[], Sequence[Served]] | Sequence[Served],
        load: Load,
        *,
        most_loaded: int = 2,
        limits: UploadLimits | None = None,
        make_queue: Callable[[str], TurnQueue] = TurnQueue,
    ) -> None:
        """models: all there are, or what looks for them on the disk.  most_loaded: are kept in memory at once."""
        self._models = models if callable(models) else lambda: models
        self._looks_up = callable(models)
        self._limits = limits or UploadLimits()
        self._loaded = LoadedModels(load, most=most_loaded, make_queue=make_queue)
        self._metrics = api_metrics.ApiMetrics()

    def routes(self) -> tuple[BaseRoute, ...]:
        return (
            Route("/predict", self._answering(self._predict), methods=["POST"]),
            Route("/models", self._answering(self._list), methods=["GET"]),
            Route("/metrics", self._count, methods=["GET"]),
            Route("/openapi.json", self._document, methods=["GET"]),
            Route("/api", self._page, methods=["GET"]),
        )

    def load_all(self) -> None:
        """Load all models before they are asked for. Raises RefusedError."""
        for model in self._models():
            loaded = self._loaded.get(model)
            loaded.queue.take(lambda _, loaded=loaded: loaded.backend()).future.result()  # type: ignore[misc]

    async def _predict(self, request: Request) -> Response:
        started = time.perf_counter()
        try:
            format = _format(request.query_params.get("format"))
            model = await self._find(request.query_params.get("model"))
            check_length(request, self._limits)
            if length_of(request) > _LARGE:
                self._loaded.get(model).queue.check()
            form = await read_form(request, self._limits)
        except RefusedError as error:
            return error.answer if is_read(request) else error.last_answer
        try:
            picture = picture_in(form)
            if "format" not in request.query_params:
                format = _format(_text(form, "format"))
            if "model" not in request.query_params and "model" in form:
                model = await self._find(_text(form, "model"))
            name, loaded = safe_file_name(picture.filename), self._loaded.get(model)
            turn = loaded.queue.take(
                lambda stopped: answer_picture(loaded, picture.file, file_name=name, format=format, stopped=stopped)
            )
            predicted = await _answer_or_gone(turn, request)
        finally:
            await form.close()
        seconds = time.perf_counter() - started
        self._metrics.predicted(seconds, predicted.seconds.network)
        timing = ", ".join(f"{what};dur={1000 * taken:.2f}" for what, taken in predicted.seconds._asdict().items())
        headers = {"Content-Disposition": disposition(name, format), "Server-Timing": timing}
        return Response(predicted.body, media_type=format.media_type, headers=headers)

    async def _list(self, _: Request) -> Response:
        return JSONResponse({"models": await run_in_threadpool(_describe_all, self._models)})

    async def _count(self, _: Request) -> Response:
        text = self._metrics.text((name, len(queue)) for name, queue in self._loaded.queues())
        return PlainTextResponse(text, media_type=api_metrics.MEDIA_TYPE)

    async def _document(self, request: Request) -> Response:
        return JSONResponse(api_page.document(str(request.base_url)))

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(api_page.page(str(request.base_url)))

    async def _find(self, name: str | None) -> Served:
        models = await run_in_threadpool(self._models) if self._looks_up else self._models()
        return find_model(models, name)

    def _answering(self, work: Endpoint) -> Endpoint:
        """Errors become JSON, every answer is counted."""

        @wraps(work)
        async def endpoint(request: Request) -> Response:
            try:
                answer = await work(request)
            except RefusedError as error:
                answer = error.answer
            except UserError as error:
                answer = JSONResponse({"message": error.message, "hint": error.hint}, 422)
            except ClientDisconnect:
                answer = Response(status_code=_GONE)
            except Exception:
                _LOG.exception("%s %s", request.method, request.url.path)
                content = {"message": "Something went wrong here.", "hint": "The log of the server says what."}
                answer = JSONResponse(content, 500)
            self._metrics.count(request.url.path, answer.status_code)
            return answer

        return endpoint


async def _answer_or_gone(turn: Turn[Predicted], request: Request) -> Predicted:
    """Its answer; a client that hangs up gives its place to the next. Raises ClientDisconnect, and what it raised."""
    answer = asyncio.wrap_future(turn.future)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        gone.cancel()
        if not answer.done():
            turn.leave()
            answer.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _format(name: str | None) -> AnswerFormat:
    name = "png" if name is None else name
    if name not in FORMATS:
        raise RefusedError(400, f"There is no format {name!r}.", hint=f"Choose of {', '.join(FORMATS)}.")
    return FORMATS[name]


def _text(form: FormData, key: str) -> str | None:
    value = form.get(key)
    return value if isinstance(value, str) else None


def _describe_all(models: Callable[[], Sequence[Served]]) -> list[dict[str, object]]:
    described = []
    for model in models():
        try:
            described.append(describe(model))
        except UserError as error:
            described.append({"name": model.name, "message": error.message, "hint": error.hint})
    return described


ROUTES: Final = PredictionApi(served_projects, partial(load_backend, name=AUTO)).routes()
