"""Exports over HTTP: whole, as a download, and nothing else of the project's folder."""

from pathlib import Path

import pytest
from starlette.applications import Starlette

from core.annotation.labels import LabelSet
from core.project.exporting import exports_folder
from core.project.home import create_project
from core.serving.routes import ROUTES
from tests.serving.asgi import ask

APP = Starlette(routes=ROUTES)


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    folder = exports_folder(create_project("P", preset="general", labels=LabelSet.of(["car"])))
    folder.mkdir()
    return folder


def test_an_export_comes_as_a_download(exports: Path) -> None:
    data = bytes(range(256)) * 4000
    (exports / "P-coco.zip").write_bytes(data)
    answer = ask(APP, "/api/projects/P/exports/P-coco.zip")
    assert (answer.code, answer.body) == (200, data)
    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    "name", ["gone.zip", "..%2Fproject.json", "../project.json", ".hidden.zip", "notes.txt", "x\0.zip"]
)
def test_nothing_else_comes(exports: Path, name: str) -> None:
    (exports / "notes.txt").write_text("mine")
    (exports / ".hidden.zip").write_text("half written")
    assert ask(APP, f"/api/projects/P/exports/{name}").code == 404


def test_models_come_as_zip_or_onnx(exports: Path) -> None:
    (exports / "models").mkdir()
    for name in ("P-model.zip", "P-model.onnx"):
        (exports / "models" / name).write_bytes(b"model")
        assert ask(APP, f"/api/projects/P/exports/models/{name}").body == b"model"
    (exports / "models" / "notes.txt").write_text("mine")
    for name in ("notes.txt", "gone.onnx", "..%2Fnotes.txt", "../notes.txt"):
        assert ask(APP, f"/api/projects/P/exports/models/{name}").code == 404
