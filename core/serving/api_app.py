"""The prediction API alone: an app without pages, its token, and the server that runs it."""

import hmac
import ipaddress
import json
import logging
import socket
from collections.abc import Sequence
from typing import Any, Final

import h11
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.errors import ConfigError
from core.serving.api import PredictionApi
from core.serving.guard import Guard, allowed_hosts
from core.serving.refusals import RefusedError
from core.serving.served import Load, Served

_OPEN: Final = ("/", "/healthz", "/api", "/openapi.json")  # paths that tell nothing of the models
_HEAD_SECONDS: Final = 15.0  # for the lines before a body
_IDLE_SECONDS: Final = 15  # between two requests of one connection
_STOP_SECONDS: Final = 5  # for what is under way when the server is told to end
_CONNECTIONS: Final = 500


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name


def make_app(models: Sequence[Served], load: Load, *, host: str = "127.0.0.1", token: str | None = None) -> Starlette:
    """The API over `models`, the first the default.  host: the address it will listen on.

    Loads them all. Raises ConfigError when others could reach it and there is no token, UserError when one cannot be
    loaded.
    """
    if not token and not is_loopback(host):
        raise ConfigError(
            f"Others can reach {host}, so a token is needed.",
            hint="Give --token, or better set MASKLOOP_TOKEN, which other users of this machine cannot see.",
        )
    middleware = []
    if is_loopback(host):
        name = f"[{host}]" if ":" in host else host
        middleware.append(Middleware(Guard, hosts=(*allowed_hosts(), name)))
    if token:
        middleware.append(Middleware(TokenCheck, token=token))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "models": len(models)})

    async def start(_: Request) -> Response:
        return RedirectResponse("api")

    api = PredictionApi(models, load, most_loaded=len(models))
    api.load_all()
    return Starlette(
        routes=[Route("/healthz", health), Route("/", start), *api.routes()],
        middleware=middleware,
        exception_handlers={HTTPException: _as_json},
    )


class TokenCheck:
    """Answers 401 to a request without `Authorization: Bearer TOKEN`; `_OPEN` paths pass."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN or self._is_known(scope):
            await self._app(scope, receive, send)
            return
        refused = RefusedError(
            401,
            "The token is missing or wrong.",
            hint="Send the header Authorization: Bearer TOKEN.",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refused.last_answer(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        sent = next((value for key, value in scope["headers"] if key.lower() == b"authorization"), b"")
        kind, _, token = sent.partition(b" ")
        return kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)


class HeadInTime(H11Protocol):
    """Closes a connection whose request lines do not come to an end (uvicorn waits for ever). Sends at once."""

    _clock: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # asyncio does it only where the socket was made with the number of TCP; without, each answer waits 40 ms
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clock = self.loop.call_later(_HEAD_SECONDS, self._too_slow)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_clock()
        elif self._clock is None and self.conn.trailing_data[0]:
            self._clock = self.loop.call_later(_HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _too_slow(self) -> None:
        self._clock = None
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            return
        content = json.dumps({"message": "The request took too long to come in.", "hint": "Send it again."}).encode()
        head = f"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + content)
        self.transport.close()


def make_server(app: ASGIApp) -> Server:
    """What serves `app` on sockets that are open already: `server.run(sockets=[...])`."""
    config = Config(
        app,
        http=HeadInTime,
        ws="none",
        lifespan="off",
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return Server(config)


async def _as_json(_: Request, error: Exception) -> Response:
    """Of Starlette's own errors: no such path, another method."""
    assert isinstance(error, HTTPException)
    content = {"message": f"{error.detail}.", "hint": "The page /api says what there is."}
    return JSONResponse(content, error.status_code, error.headers)
