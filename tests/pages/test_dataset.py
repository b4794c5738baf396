"""The Data set page: pictures with their masks, balance, problems."""

import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation
from core.formats import FORMATS
from core.project.exporting import exports_folder
from core.project.home import create_project, projects_home
from core.project.project import Project
from pages.ui.export_form import PURPOSES
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


def test_labels_go_out_with_their_pictures_and_the_report_says_how_true_they_are(project: Project, page: Page) -> None:
    project.add_image(picture(1), filename="a.png")
    project.add_image(picture(2), filename="b.png")
    project.save_annotation("a", box("cup"), author="Ann")
    app = page(**{"data-tab": "Export"})
    app.selectbox(key="export-format").set_value("coco")
    app.button(key="export-now").click().run(timeout=60)
    while not any("Close the report" in button.label for button in app.button):
        app.run()
    told = " ".join(text.value for text in app.markdown)
    assert "1 picture with 1 shape was written as COCO" in told
    assert "pixel IoU 1\\.0000" in told or "pixel IoU 1.0000" in told
    assert "not done: 1" in told.replace("\\", "")
    (made,) = exports_folder(project).iterdir()
    with zipfile.ZipFile(made) as archive:
        assert any(name.endswith("a.png") for name in archive.namelist())
    app.button(key="close-export").click().run()
    app.button(key=f"delete-{made.name}").click().run()
    assert list(exports_folder(project).iterdir()) == []
    assert not app.exception


def test_an_export_waits_for_a_picture_that_is_done(project: Project, page: Page) -> None:
    project.add_image(picture(1), filename="a.png")
    app = page(**{"data-tab": "Export"})
    assert "No picture is done yet" in app.info[0].value


def test_every_format_says_what_it_is_for() -> None:
    assert set(PURPOSES) == {name for name, format in FORMATS.items() if format.write}
