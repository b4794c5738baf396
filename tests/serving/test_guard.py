"""Only the own host may talk to the server, over HTTP and over the websocket."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from core.serving.guard import Guard, allowed_hosts
from tests.serving.asgi import ask, open_websocket

HOST = "127.0.0.1:8501"
OWN = [HOST, "localhost:8501", "localhost", "LOCALHOST:1", "[::1]:8501", "[::1]"]
FOREIGN = ["evil.example", "evil.example:8501", "127.0.0.1.evil.example", "localhost.evil.example:8501", "", HOST + "x"]
FOREIGN_ORIGINS = ["http://evil.example", "https://evil.example:8501", "http://127.0.0.1:9999", "null", "", "http://["]


async def _page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("page")


async def _stream(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def guarded() -> Starlette:
    routes = [Route("/", _page, methods=["GET", "POST"]), WebSocketRoute("/stream", _stream)]
    return Starlette(routes=routes, middleware=[Middleware(Guard)])


@pytest.mark.parametrize("host", OWN)
def test_loopback_is_served(host: str) -> None:
    assert ask(guarded(), host=host).body == b"page"
    assert open_websocket(guarded(), "/stream", host=host).code == 0


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_refused_with_a_sentence(host: str) -> None:
    answer = ask(guarded(), host=host)
    assert answer.code == 403
    assert "MASKLOOP_HOSTS" in answer.json["message"]
    assert open_websocket(guarded(), "/stream", host=host).code == 1008


def test_a_request_without_a_host_is_refused() -> None:
    assert ask(guarded()).code == 403


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_foreign_origin_is_refused(origin: str) -> None:
    assert ask(guarded(), method="POST", host=HOST, origin=origin).code == 403
    assert open_websocket(guarded(), "/stream", host=HOST, origin=origin).code == 1008


def test_the_own_origin_passes() -> None:
    assert ask(guarded(), method="POST", host=HOST, origin=f"http://{HOST}").body == b"page"
    assert open_websocket(guarded(), "/stream", host=HOST, origin=f"http://{HOST}").code == 0


def test_a_request_without_origin_passes() -> None:
    assert ask(guarded(), method="POST", host=HOST).body == b"page"


def test_hosts_can_be_added_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKLOOP_HOSTS", "lab.local, Node7 ,")
    assert allowed_hosts()[-2:] == ("lab.local", "node7")
    assert ask(guarded(), host="lab.local:8501", origin="http://lab.local:8501").body == b"page"
    assert ask(guarded(), host="other.local:8501").code == 403
