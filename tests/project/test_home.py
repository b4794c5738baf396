"""The home of Projects and the sample projects of the first start."""

import shutil
from pathlib import Path

import pytest

from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError
from core.networks.card import read_card
from core.project.home import (
    create_project,
    ensure_sample_project,
    last_opened,
    list_projects,
    project_folder,
    projects_home,
    remember_opened,
    samples_are_made,
)
from core.project.project import Project
from core.project.split import read_split


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_first_start_makes_sample_projects_once() -> None:
    assert list_projects() == []
    ensure_sample_project()
    assert samples_are_made()
    town, coins = (Project.open(folder) for folder in list_projects())
    assert len(town.samples()) == 10
    assert coins.settings.labels.names[1:] == ("coin",)
    (projects_home() / "Sample 2 - coins" / "project.json").unlink()
    ensure_sample_project()
    assert len(list_projects()) == 1  # what was deleted does not come back


def test_the_model_of_the_sample_project_never_saw_its_validation_pictures() -> None:
    ensure_sample_project()
    town = Project.open(list_projects()[0])
    model = town.current_model()
    assert model is not None
    card = read_card(model)
    assert card.labels.names == town.settings.labels.names
    split = read_split(town.folder)
    assert len(split.train) == card.training["pictures"]
    assert split.val == ["town_2", "town_7"]  # as in the Run that made the model


def test_a_name_in_a_link_cannot_leave_the_home() -> None:
    create_project("Town", preset="general", labels=LabelSet.of([]))
    assert project_folder("Town").name == "Town"
    for name in ("../home/Town", "/etc", "", ".."):
        with pytest.raises(ReadError, match="There is no project"):
            project_folder(name)


def test_a_project_needs_a_name_of_its_own() -> None:
    create_project("Town", preset="general", labels=LabelSet.of([]))
    with pytest.raises(ConfigError, match="already holds"):
        create_project("Town", preset="general", labels=LabelSet.of([]))
    with pytest.raises(ConfigError, match="no name"):
        create_project("  ", preset="general", labels=LabelSet.of([]))


def test_the_project_that_was_opened_last_is_known_until_it_is_gone() -> None:
    assert last_opened() is None
    folder = create_project("Coins", preset="general", labels=LabelSet.of(["coin"])).folder
    remember_opened(folder)
    assert last_opened() == folder
    shutil.rmtree(folder)
    assert last_opened() is None
    for damaged in (b"", b"../\xff", b"\0"):
        (projects_home() / ".last-opened").write_bytes(damaged)
        assert last_opened() is None
