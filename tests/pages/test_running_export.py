"""Exports in the app: what they write can be fetched."""

from pathlib import Path

import pytest
from starlette.applications import Starlette

from core.annotation.labels import LabelSet
from core.project.home import create_project
from core.serving.routes import ROUTES
from pages.ui.running_export import Wish, begin_export
from tests.samples import box, picture
from tests.serving.asgi import ask


@pytest.mark.parametrize("name", ["p", "x" * 100, "ü" * 100], ids=["short", "long", "wide"])
def test_each_export_of_a_project_with_a_long_name_can_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    project = create_project(name, preset="general", labels=LabelSet.of(["coin"]))
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(), author="me")
    targets = set()
    for format in ("coco", "voc"):
        going = begin_export(project, Wish(format))
        assert going.over.wait(30)
        assert going.failure is None
        targets.add(going.target.name)
        address = f"/api/projects/{project.folder.name}/exports/{going.target.name}"
        assert ask(Starlette(routes=ROUTES), address).code == 200
    assert len(targets) == 2
