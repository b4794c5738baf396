"""Who may talk to the server: one plain ASGI middleware for pages, routes and the websocket.

The app listens on loopback, but any web page that is open in the same browser could still send requests to it, and a
foreign name could be made to point at 127.0.0.1 (DNS rebinding). So the Host must be one that we know, and an Origin,
which browsers add to requests that scripts make, must be the same host.
"""

import json
import os
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.serving.nodelay import set_nodelay

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


def allowed_hosts() -> tuple[str, ...]:
    """Loopback, and what MASKLOOP_HOSTS lists with commas between (for a server in an own network)."""
    extra = os.environ.get("MASKLOOP_HOSTS", "")
    return (*LOOPBACK, *(host.strip().lower() for host in extra.split(",") if host.strip()))


class Guard:
    """Answers 403 with one sentence to a request whose Host or Origin is foreign; passes the rest on."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None = None) -> None:
        self._app = app
        self._hosts = frozenset(allowed_hosts() if hosts is None else hosts)
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if not self._begun:
            self._begun = True
            set_nodelay()
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            message: Message = {"type": "websocket.close", "code": 1008, "reason": refusal}
            await send(message)
        else:
            await _forbid(send, refusal)

    def _refusal(self, scope: Scope) -> str | None:
        headers = _headers(scope)
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            return f"The host {host!r} is not served here. List it in MASKLOOP_HOSTS to allow it."
        origin = headers.get("origin")
        if origin is not None and _host_of(origin) != host.lower():
            return f"Requests from {origin!r} are not accepted."
        return None


def _headers(scope: Scope) -> dict[str, str]:
    return {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}


def _name(host: str) -> str:
    """Host without its port, in small letters."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _host_of(origin: str) -> str:
    """Host and port of an Origin in small letters; empty where it is of no form."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def _forbid(send: Send, message: str) -> None:
    body: dict[str, Any] = {"message": message}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
