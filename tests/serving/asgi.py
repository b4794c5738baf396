"""What a server sends to an ASGI application, and what it answers. Starlette's own client needs one package more."""

import asyncio
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    """Status of an HTTP answer or close code of a websocket (0: it was opened), and the body."""

    code: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return loads(self.body)


def ask(
    app: ASGIApp,
    path: str = "/",
    *,
    method: str = "GET",
    json: object = None,
    body: bytes | None = None,
    **headers: str,
) -> Answer:
    """One HTTP request; a POST with `json` or with the bytes `body`."""
    if json is not None:
        body = dumps(json).encode()
    method = method if body is None else "POST"
    request = {"type": "http.request", "body": body or b""}
    sent = _talk(app, {**_scope("http", path, headers), "method": method, "scheme": "http"}, request)
    body = b"".join(message.get("body", b"") for message in sent)
    start = next(message for message in sent if message["type"] == "http.response.start")
    return Answer(start["status"], body, {name.decode(): value.decode() for name, value in start["headers"]})


def open_websocket(app: ASGIApp, path: str, **headers: str) -> Answer:
    """One websocket, opened and left at once."""
    scope = {**_scope("websocket", path, headers), "scheme": "ws", "subprotocols": []}
    sent = _talk(app, scope, {"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000})
    return Answer(0 if sent[0]["type"] == "websocket.accept" else sent[0]["code"])


def _scope(kind: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    path, _, query = path.partition("?")
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    more = {"headers": raw, "root_path": ""}
    return {"type": kind, "path": path, "raw_path": path.encode(), "query_string": query.encode(), **more}


def _talk(app: ASGIApp, scope: dict[str, Any], *messages: Message) -> list[Message]:
    waiting, sent = list(messages), []

    async def receive() -> Message:
        if not waiting:  # the client listens and says no more
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent
