"""The Annotate page around the editor. What the editor does is tested in tests/browser and tests/serving."""

from pathlib import Path
from typing import Any

import pytest

import pages.ui.editor.surface as surface
from core.annotation.labels import LabelSet
from core.project.home import create_project, projects_home
from core.project.project import Project
from tests.pages.opening import Page, open_page
from tests.samples import box, picture


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    project = create_project("Coins", preset="general", labels=LabelSet.of(["coin", "cup"]))
    with project.bulk():
        for i in range(3):
            project.add_image(picture(i), filename=f"s{i}.png")
    project.save_annotation("s1", box(), author="Ann")
    return project


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """In place of the component: what it was given, run by run."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(surface, "_component", lambda: lambda *, key, data: given.append({"key": key, **data}))
    return given


@pytest.fixture
def page(project: Project, mounted: list[dict[str, Any]]) -> Page:
    return lambda **query: open_page("annotate", **{"project": "Coins", **query})


def test_the_editor_opens_the_picture_of_the_address(page: Page, mounted: list[dict[str, Any]]) -> None:
    page(sample="s1")
    assert mounted[-1]["project"] == "Coins"
    assert mounted[-1]["sample"] == "s1"


def test_without_a_picture_in_the_address_the_editor_chooses(page: Page, mounted: list[dict[str, Any]]) -> None:
    page()
    assert mounted[-1]["sample"] is None


def test_an_address_without_its_picture_says_so(page: Page, mounted: list[dict[str, Any]]) -> None:
    app = page(sample="gone")
    assert "no picture gone" in app.warning[0].value
    assert mounted[-1]["sample"] is None


def test_new_pictures_are_told_to_the_editor(project: Project, page: Page, mounted: list[dict[str, Any]]) -> None:
    app = page()
    before = mounted[-1]["stamp"]
    project.add_image(picture(9), filename="s9.png")
    app.run()
    assert mounted[-1]["stamp"] != before


def test_a_project_without_pictures_says_what_to_do(page: Page, mounted: list[dict[str, Any]]) -> None:
    create_project("Bare", preset="general", labels=LabelSet.of(["coin"]))
    assert "no picture yet" in page(project="Bare").info[0].value
    assert mounted == []


def test_the_import_stays_out_of_the_way_once_there_are_pictures(page: Page) -> None:
    (block,) = [expander for expander in page().expander if "Import" in expander.label]
    assert not block.proto.expanded
