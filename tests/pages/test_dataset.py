"""The Data set page: pictures with their masks, balance, problems."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation
from core.project.home import create_project, projects_home
from core.project.project import Project
from tests.pages.opening import Page, open_page
from tests.samples import SIZE, box, picture


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    return create_project("Coins", preset="general", labels=LabelSet.of(["coin", "cup"]))


@pytest.fixture
def page(project: Project) -> Page:
    return lambda **query: open_page("dataset", project="Coins", **query)


def _shown(app: AppTest) -> int:
    """How many pictures the gallery shows: each has its state under it."""
    return sum(caption.value in ("to do", "done") for caption in app.caption)


def test_an_empty_project_says_where_pictures_come_in(page: Page) -> None:
    assert "no pictures yet" in page().info[0].value


def test_pictures_are_counted_filtered_and_paged(project: Project, page: Page) -> None:
    with project.bulk():
        for i in range(30):
            project.add_image(picture(i), filename=f"s{i}.png")
    project.save_annotation("s3", box("cup"), author="Ann")
    app = page()
    assert [metric.value for metric in app.metric] == ["30", "1", "not decided", "2", "29"]
    assert _shown(app) == 24
    app.selectbox(key="data-label").set_value("cup").run()
    assert _shown(app) == 1
    app.selectbox(key="data-label").set_value("any").run()
    app.text_input(key="data-search").set_value("s1").run()
    assert _shown(app) == 11


def test_the_balance_has_a_tab_with_an_address(project: Project, page: Page) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box("cup"), author="Ann")
    assert not any("Background is" in caption.value for caption in page().caption)
    assert any("Background is" in caption.value for caption in page(**{"data-tab": "Balance and sizes"}).caption)


def test_problems_are_told_in_plain_words(project: Project, page: Page) -> None:
    project.add_image(picture(1), filename="a.png")
    project.add_image(picture(2), filename="b.png")
    project.save_annotation("a", Annotation(size=SIZE), author="Ann")
    labels = [expander.label for expander in page(**{"data-tab": "Problems"}).expander]
    assert labels == ["Nothing is marked: 1 picture", "No annotation yet: 1 picture"]
