"""The API alone, on a real socket: token, slow and endless clients, those that go away, and many at once."""

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from core.errors import ConfigError
from core.images import encode_png
from core.serving import api_app
from core.serving.api import PredictionApi
from core.serving.api_app import is_loopback, make_app, make_server
from core.serving.queue import TurnQueue
from core.serving.served import Served, served_checkpoints
from core.serving.upload import UploadLimits
from tests.serving.asgi import ask
from tests.serving.fake_model import BrightestChannel, coloured, load, write_model
from tests.serving.forms import FORM, form

PICTURE = form(encode_png(coloured(40, 50)[0]))


class Running(NamedTuple):
    port: int
    backend: BrightestChannel

    def post(self, body: Any = PICTURE, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/predict", body, {**FORM, **headers})
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def metrics(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text


@contextmanager
def _serving(app: ASGIApp) -> Iterator[int]:
    server = make_server(app)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture
def models(tmp_path: Path) -> list[Served]:
    return served_checkpoints([write_model(tmp_path / "town")])


@pytest.fixture
def running(models: list[Served]) -> Iterator[Running]:
    backend = BrightestChannel()
    api = PredictionApi(
        lambda: models,
        lambda _: backend,
        limits=UploadLimits(size=3_000_000, pause=0.3, seconds=0.8),
        make_queue=lambda name: TurnQueue(name, waiting=2),
    )
    with _serving(Starlette(routes=list(api.routes()))) as port:
        yield Running(port, backend)
        backend.open.set()


def _wait_until(said: str, running: Running) -> None:
    until = time.monotonic() + 10
    while said not in running.metrics():
        assert time.monotonic() < until, running.metrics()
        time.sleep(0.02)


def _answer(connection: socket.socket) -> tuple[int, dict[str, str]]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, json.loads(answer.read())


# --------------------------------------------------------------------------------------------------------- clients


def test_an_upload_that_stands_still_ends_with_408(running: Running) -> None:
    with running.connect() as connection:
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\n"
        connection.sendall(f"{head}Content-Length: {len(PICTURE)}\r\n\r\n".encode() + PICTURE[:50])
        status, said = _answer(connection)
    assert status == 408
    assert said["message"] == "The picture took too long to come in; 50 bytes are here."
    assert running.post()[0] == 200


def test_an_upload_that_drips_ends_with_408(running: Running) -> None:
    with running.connect() as connection:
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\n"
        connection.sendall(f"{head}Content-Length: {len(PICTURE)}\r\n\r\n".encode())
        started = time.monotonic()
        for at in range(60):
            connection.sendall(PICTURE[at : at + 1])
            time.sleep(0.02)
        status, _ = _answer(connection)
    assert status == 408
    assert time.monotonic() - started < 10


def test_a_request_line_that_drips_ends_with_408(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_app, "_HEAD_SECONDS", 0.2)
    with running.connect() as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: ")
        assert _answer(connection)[0] == 408
        assert connection.recv(10) == b""
    with running.connect() as connection:  # the second request of a connection
        connection.sendall(b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n")
        assert _answer(connection)[0] == 200
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: ")
        assert _answer(connection)[0] == 408
    assert running.post()[0] == 200


def test_an_endless_body_is_refused_while_the_client_still_sends(running: Running) -> None:
    def endless() -> Iterator[bytes]:
        yield PICTURE[:200]
        for _ in range(500):
            yield bytes(20_000)

    status, headers, said = running.post(endless())  # chunked: without a Content-Length
    assert status == 413
    assert json.loads(said)["message"] == "The request is larger than 3 MB."
    assert headers["connection"] == "close"
    assert running.post()[0] == 200


def test_a_large_body_is_refused_before_it_is_read(running: Running) -> None:
    with running.connect() as connection:
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\n"
        connection.sendall(f"{head}Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n".encode())
        assert _answer(connection)[0] == 413
    assert running.post()[0] == 200


def test_a_client_that_goes_away_is_dropped_from_the_queue(running: Running) -> None:
    running.backend.open.clear()
    with ThreadPoolExecutor(1) as pool, running.connect() as connection:
        first = pool.submit(running.post)
        assert running.backend.began.acquire(timeout=10)
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\n"
        connection.sendall(f"{head}Content-Length: {len(PICTURE)}\r\n\r\n".encode() + PICTURE)
        _wait_until('maskloop_waiting{model="town"} 1', running)
        connection.close()
        _wait_until('maskloop_waiting{model="town"} 0', running)
        running.backend.open.set()
        assert first.result()[0] == 200
    assert running.backend.windows == 1
    assert 'path="/predict",status="499"} 1' in running.metrics()


def test_too_many_at_once_are_told_to_come_back(running: Running) -> None:
    running.backend.open.clear()
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(running.post)
        assert running.backend.began.acquire(timeout=10)
        rest = [pool.submit(running.post) for _ in range(8)]
        _wait_until('status="429"} 6', running)
        running.backend.open.set()
        answers = [asked.result() for asked in (first, *rest)]
    assert sorted(status for status, _, _ in answers) == [200] * 3 + [429] * 6
    for status, headers, body in answers:
        if status == 429:
            assert int(headers["retry-after"]) >= 1
            assert json.loads(body)["hint"].startswith("Try again in")
    assert running.post()[0] == 200


def test_a_large_body_is_not_read_while_the_queue_is_full(running: Running) -> None:
    running.backend.open.clear()
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(running.post)]
        assert running.backend.began.acquire(timeout=10)
        asked += [pool.submit(running.post) for _ in range(2)]
        _wait_until('maskloop_waiting{model="town"} 2', running)
        assert running.post(form(bytes(2_000_000)))[0] == 429
        running.backend.open.set()
        assert [one.result()[0] for one in asked] == [200] * 3


def test_garbage_on_the_socket_harms_nobody(running: Running) -> None:
    for garbage in (
        b"\x16\x03\x01" + os.urandom(200),
        b"GET\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ):
        with running.connect() as connection:
            connection.sendall(garbage)
            assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert running.post()[0] == 200


# ----------------------------------------------------------------------------------------------------------- token


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.9.9.9", True), ("0.0.0.0", False), ("::", False), ("lab", False), ("192.168.1.2", False), ("", False)])  # fmt: skip  # noqa: E501
def test_what_only_this_machine_can_reach(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected


@pytest.mark.parametrize("token", [None, ""])
def test_others_need_a_token(token: str | None, models: list[Served]) -> None:
    with pytest.raises(ConfigError, match="token is needed"):
        make_app(models, load, host="0.0.0.0", token=token)


@pytest.mark.parametrize("sent", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer s3cre", "Bearer s3crett", "Bearer ä"])  # fmt: skip  # noqa: E501
def test_without_the_token_nothing_is_told(sent: str, models: list[Served]) -> None:
    app = make_app(models, load, host="0.0.0.0", token="s3cret")
    for path in ("/models", "/metrics", "/predict", "/nothing"):
        answer = ask(app, path, authorization=sent)
        assert answer.code == 401
        assert answer.json["hint"] == "Send the header Authorization: Bearer TOKEN."
        assert answer.headers["www-authenticate"] == "Bearer"


def test_with_the_token_any_host_is_served(models: list[Served]) -> None:
    app = make_app(models, load, host="0.0.0.0", token="s3cret")
    for sent in ("Bearer s3cret", "bearer  s3cret "):
        assert ask(app, "/predict", body=PICTURE, host="lab.example", authorization=sent, **FORM).code == 200
    assert ask(app, "/healthz").json == {"status": "ok", "models": 1}
    assert ask(app, "/api").code == ask(app, "/openapi.json").code == 200


def test_on_loopback_foreign_hosts_and_origins_are_refused(models: list[Served]) -> None:
    app = make_app(models, load)
    assert ask(app, "/models", host="127.0.0.1:8502").code == 200
    assert ask(app, "/models", host="evil.example").code == 403
    own = {**FORM, "host": "127.0.0.1:8502"}
    assert ask(app, "/predict", body=PICTURE, origin="http://evil.example", **own).code == 403
    assert ask(app, "/predict", body=PICTURE, origin="http://127.0.0.1:8502", **own).code == 200
    assert ask(make_app(models, load, token="x"), "/models", host="127.0.0.1").code == 401


def test_what_there_is_not_is_told_as_json(models: list[Served]) -> None:
    app = make_app(models, load)
    assert ask(app, "/nothing", host="localhost").json["message"] == "Not Found."
    answer = ask(app, "/predict", host="localhost")
    assert (answer.code, answer.json["message"]) == (405, "Method Not Allowed.")
