"""The routes of pictures: what a browser gets, and what it is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette

from core.annotation.labels import LabelSet
from core.images import encode_png
from core.project.home import create_project
from core.project.project import Project
from core.project.shown import Shown
from core.serving import pictures
from core.serving.routes import ROUTES
from tests.serving.asgi import Answer, ask

APP = Starlette(routes=ROUTES)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    project = create_project("P", preset="general", labels=LabelSet.of(["car"]))
    pixels = np.random.default_rng(0).integers(0, 255, (600, 40, 3), dtype=np.uint8)
    project.add_image(encode_png(pixels), filename="größe 1.png")
    return project


def get(rest: str, sample: str = "größe 1") -> Answer:
    return ask(APP, f"/api/projects/P/samples/{sample}/{rest}")


def test_a_picture_is_described(project: Project) -> None:
    told = get("picture").json
    stamp = told.pop("stamp")
    assert len(stamp) == 12
    assert told == {
        "width": 40,
        "height": 600,
        "tile": 512,
        "levels": 2,
        "ready": True,
        "progress": 1.0,
        "channels": 3,
    }


def test_tiles_are_the_picture(project: Project) -> None:
    tiles = [np.asarray(Image.open(io.BytesIO(get(f"tiles/0/0/{row}").body))) for row in range(2)]
    np.testing.assert_array_equal(np.concatenate(tiles), project.read_image("größe 1"))
    assert Image.open(io.BytesIO(get("tiles/1/0/0").body)).size == (20, 300)


def test_a_thumbnail(project: Project) -> None:
    assert Image.open(io.BytesIO(get("thumbnail").body)).size == (11, 160)


@pytest.mark.parametrize("rest", ["tiles/0/0/0", "tiles/1/0/0", "thumbnail"])
def test_only_what_has_the_stamp_that_was_asked_for_is_kept_for_good(project: Project, rest: str) -> None:
    stamp = get("picture").json["stamp"]
    assert "immutable" in get(f"{rest}?v={stamp}").headers["cache-control"]
    for other in ("", "?v=", "?v=0123456789ab"):
        assert get(rest + other).headers["cache-control"] == "no-cache"
    assert get("picture").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("rest", ["tiles/0/0/0", "thumbnail"])
def test_a_picture_that_changes_while_it_is_read_is_not_kept_for_good(
    project: Project, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    def slow(shown: Shown, *_: int) -> bytes:
        shown.image.write_bytes(encode_png(np.zeros((9, 9, 3), np.uint8)))
        return b"whatever"

    stamp = get("picture").json["stamp"]
    monkeypatch.setattr(pictures, "read_tile", slow)
    monkeypatch.setattr(pictures, "read_thumbnail", slow)
    assert get(f"{rest}?v={stamp}").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "place", ["0/1/0", "2/0/0", "0/0/2", "-1/0/0", "a/0/0", "0/0/1.5", f"0/0/{'9' * 5000}", "0/0/²"]
)
def test_a_tile_that_is_not_there(project: Project, place: str) -> None:
    answer = get(f"tiles/{place}")
    assert answer.code == 404
    assert "no such tile" in answer.json["message"]


@pytest.mark.parametrize("sample", ["other", "..", "../../P/images", "größe 1.png", "..\\P", "größe 1\0"])
def test_a_picture_that_is_not_there(project: Project, sample: str) -> None:
    assert get("picture", sample).code == 404


@pytest.mark.parametrize("folder", ["Q", "..", "P/../P", ""])
def test_a_project_that_is_not_there(project: Project, folder: str) -> None:
    assert ask(APP, f"/api/projects/{folder}/samples/größe 1/picture").code == 404


def test_a_damaged_picture_is_said(project: Project) -> None:
    project.sample("größe 1").image.write_bytes(b"nothing of the kind")
    answer = get("picture")
    assert answer.code == 422
    assert "größe 1.png" in answer.json["message"]
