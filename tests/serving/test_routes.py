"""Our own routes answer beside the pages."""

from pathlib import Path

import pytest
from starlette.applications import Starlette

from core.serving.routes import ROUTES
from tests.serving.asgi import ask


def test_health_names_the_folder_of_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    answer = ask(Starlette(routes=list(ROUTES)), "/healthz", host="127.0.0.1")
    assert answer.json == {"status": "ok", "projects": str(tmp_path)}
