"""The Projects page: what is here, a new one, an import that ends in words."""

from pathlib import Path

import pytest

from core.annotation.labels import LabelSet
from core.project.home import create_project, projects_home
from core.project.project import Project
from tests.pages.opening import open_page
from tests.samples import picture


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own home without the sample projects."""
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    return projects_home()


def test_without_a_project_the_page_says_what_to_do() -> None:
    app = open_page("projects")
    assert "There is no project yet" in app.info[0].value
    assert app.button[0].disabled  # no name yet


def test_a_new_project_is_made_and_open() -> None:
    app = open_page("projects")
    app.text_input(key="new-name").set_value("Cracks in concrete")
    app.text_area(key="new-labels").set_value("crack\nrust")
    app.run()
    next(button for button in app.button if button.label == "Make the project").click().run()
    assert not app.exception
    project = Project.open(projects_home() / "Cracks in concrete")
    assert project.settings.labels.names[1:] == ("crack", "rust")
    assert app.query_params["project"] == "Cracks in concrete"


def test_a_new_visit_opens_the_project_that_was_open_last() -> None:
    for name in ("A", "B"):
        create_project(name, preset="general", labels=LabelSet.of(["road"]))
    assert open_page("projects").query_params["project"] == "A"
    open_page("projects", project="B")
    assert open_page("projects").query_params["project"] == "B"


def test_a_taken_name_is_refused_in_words() -> None:
    create_project("Town", preset="general", labels=LabelSet.of(["road"]))
    app = open_page("projects", project="Town")
    app.text_input(key="new-name").set_value("Town").run()
    next(button for button in app.button if button.label == "Make the project").click().run()
    assert "already holds a project" in app.error[0].value


def test_an_import_from_a_folder_ends_with_a_report(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(picture(1))
    (tmp_path / "pictures/broken.png").write_bytes(b"garbage")
    project = create_project("Town", preset="general", labels=LabelSet.of(["road"]))
    app = open_page("projects", project="Town")
    app.button_group[0].set_value("path").run()
    next(field for field in app.text_input if field.label.startswith("Folder, zip")).set_value(
        str(tmp_path / "pictures")
    ).run()
    next(button for button in app.button if button.label == "Look at it").click().run()
    assert not app.exception
    said = " ".join(block.value for block in app.markdown)
    assert "1 picture" in said
    assert "broken.png" in said.replace("\\", "")
    assert [sample.name for sample in project.samples()] == ["a"]


def test_a_link_to_a_project_that_is_gone_says_so() -> None:
    app = open_page("projects", project="gone")
    assert "There is no project" in app.error[0].value


def test_of_two_projects_of_one_name_the_open_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    (tmp_path / ".samples-made").touch()
    for folder in ("first", "second"):
        Project.create(tmp_path / folder, name="Twins", labels=LabelSet.of(["a"])).add_image(
            picture(1), filename="a.png"
        )
    app = open_page("dataset", project="second")
    app.text_input(key="data-search").set_value("a").run()
    assert "second" in app.query_params["project"]
    assert app.selectbox[0].value == "second"
