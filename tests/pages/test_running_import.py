"""An import goes on in a thread: it can be watched, left, stopped, and ends in words or in its error."""

import threading
import time
from pathlib import Path

import pytest

from core.annotation.labels import LabelSet
from core.errors import ReadError, UserError
from core.formats.labelme import write_labelme
from core.formats.source import Source, source_of_uploads
from core.project.preview import mapping_of
from core.project.project import Project
from pages.ui.running_import import Request, RunningImport, begin_import, begin_look, forget_import, import_of
from tests.samples import box, picture

PATIENCE = 30.0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "coins", name="Coins", labels=LabelSet.of(["coin"]))


class Gate:
    """A Source that is opened only when the test lets it."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self) -> Source:
        assert self.opened.wait(PATIENCE)
        return source_of_uploads([(f"{i}.png", picture(i)) for i in range(3)])


def test_an_import_goes_on_by_itself_and_ends_in_words(project: Project) -> None:
    gate = Gate()
    going = begin_import(project, Request(gate))
    assert import_of(project) is going
    assert not going.over.is_set()
    gate.opened.set()
    assert going.over.wait(PATIENCE)
    assert going.sentences[0].startswith("3 pictures")
    assert len(project.samples()) == 3
    forget_import(project)
    assert import_of(project) is None


def test_a_project_has_one_import_at_a_time(project: Project) -> None:
    gate = Gate()
    first = begin_import(project, Request(gate))
    assert begin_import(project, Request(gate)) is first
    forget_import(project)  # it goes on, so there is nothing to forget
    assert import_of(project) is first
    gate.opened.set()
    assert first.over.wait(PATIENCE)


def test_a_stopped_import_says_what_stays(project: Project) -> None:
    gate = Gate()
    going = begin_import(project, Request(gate))
    going.stop.set()
    gate.opened.set()
    assert going.over.wait(PATIENCE)
    assert going.sentences == ["The import was stopped. What had come in stays: 0 pictures."]


def test_what_cannot_be_opened_is_the_persons_to_mend(project: Project) -> None:
    def missing() -> Source:
        raise ReadError("There is no such folder.")

    going = begin_import(project, Request(missing))
    assert going.over.wait(PATIENCE)
    assert isinstance(going.failure, UserError)


def test_time_left_is_reckoned_from_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    going = RunningImport(Request(Gate()), started=0.0)
    monkeypatch.setattr(time, "monotonic", lambda: 10.0)
    assert going.seconds_left() is None
    going.step(1, 3, "a.png")
    assert going.seconds_left() == 20.0
    going.step(3, 3, "c.png")
    assert going.seconds_left() == 0


def test_a_look_writes_nothing_and_the_import_takes_the_names_that_were_chosen(project: Project) -> None:
    files = [("a.png", picture(1)), ("a.json", write_labelme(box("Coin_"), image_path="a.png"))]
    going = begin_look(project, Request(lambda: source_of_uploads(files)))
    assert going.over.wait(PATIENCE)
    assert going.failure is None
    assert project.samples() == []
    preview = going.preview
    assert preview is not None
    assert [(label.name, label.shapes, label.proposed) for label in preview.labels] == [("Coin_", 1, "coin")]
    assert [name for name, _ in going.examples] == ["a.png"]
    forget_import(project)
    done = begin_import(project, going.request, mapping_of(preview, {}))
    assert done.over.wait(PATIENCE)
    annotation = project.read_annotation("a")
    assert annotation is not None
    assert annotation.label_names == ("coin",)


def test_plain_pictures_come_in_without_a_question(project: Project) -> None:
    going = begin_look(project, Request(lambda: source_of_uploads([("a.png", picture(1))])))
    assert going.over.wait(PATIENCE)
    assert going.preview is None
    assert going.sentences[0].startswith("1 picture")
