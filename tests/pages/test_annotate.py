"""The Annotate page: list, correct, save, history, and what happens when two people save."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation, MaskShape
from core.images import ImageSize
from core.project.draft import draft_path, read_draft
from core.project.history import restore
from core.project.home import create_project, projects_home
from core.project.project import Project
from core.project.sample import stamp_of
from pages.ui.scribble import stroke_color
from tests.pages.opening import Page, open_page
from tests.samples import SIZE, box, picture


class Canvas:
    """In place of the component: what was drawn on the canvas that is shown, in canvas pixels."""

    def __init__(self) -> None:
        self.drawn: dict[str, list[dict[str, Any]]] = {}
        self.shown: dict[str, Any] = {}

    def __call__(self, *, key: str, **shown: Any) -> SimpleNamespace:
        self.shown = {"key": key, **shown}
        return SimpleNamespace(json_data={"objects": self.drawn.get(key, [])})

    def draw(self, row: int, column: int, color: str) -> None:
        """A dot on one pixel of a picture of SIZE, all of which is shown."""
        scale = self.shown["width"] / SIZE.width
        x, y = (column + 0.5) * scale, (row + 0.5) * scale
        dot = {
            "type": "Path",
            "left": x,
            "top": y,
            "path": [["M", x, y], ["L", x, y]],
            "stroke": color,
            "strokeWidth": 1,
        }
        self.drawn.setdefault(self.shown["key"], []).append(dot)


@pytest.fixture
def canvas(monkeypatch: pytest.MonkeyPatch) -> Canvas:
    canvas = Canvas()
    monkeypatch.setitem(sys.modules, "streamlit_drawable_canvas", SimpleNamespace(st_canvas=canvas))
    return canvas


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    project = create_project("Coins", preset="general", labels=LabelSet.of(["coin", "cup"]))
    with project.bulk():
        for i in range(20):
            project.add_image(picture(i), filename=f"s{i}.png")
    project.save_annotation("s3", box(), author="Ann")
    return project


@pytest.fixture
def page(project: Project, canvas: Canvas) -> Page:
    return lambda **query: open_page("annotate", **{"project": "Coins", **query})


def button(app: AppTest, label: str) -> Any:
    (found,) = [button for button in app.button if button.label == label]
    return found


def click(app: AppTest, label: str) -> None:
    button(app, label).click().run()
    assert not app.exception


def shown(app: AppTest) -> str:
    """The picture in the address."""
    value = app.query_params["sample"]
    return value if isinstance(value, str) else value[0]


def heading(app: AppTest) -> str:
    """The line over the picture: what it is, who saved it when."""
    return next(element.value for element in app.markdown if " of 20" in element.value)


def pixels(project: Project, name: str) -> int:
    mask = project.read_mask(name)
    assert mask is not None
    return int((mask == 1).sum())


def coin(project: Project) -> str:
    return stroke_color(project.settings.labels, 1)


def eraser(project: Project) -> str:
    return stroke_color(project.settings.labels, 0)


def test_the_first_picture_that_is_to_do_is_open_and_in_the_address(page: Page) -> None:
    app = page()
    assert shown(app) == "s0"
    assert app.radio(key="list-picture").value == "s0"
    assert len(app.radio(key="list-picture").options) == 14


def test_the_address_opens_a_picture_and_the_page_of_the_list_that_has_it(page: Page) -> None:
    app = page(sample="s17")
    assert app.radio(key="list-picture").value == "s17"
    assert "version" not in heading(app)


def test_an_address_without_its_picture_says_so(page: Page) -> None:
    app = page(sample="gone")
    assert "There is no picture gone" in app.warning[0].value
    assert shown(app) == "s0"


def test_next_and_previous_go_through_the_filtered_list(page: Page) -> None:
    app = page(sample="s2")
    click(app, "Next")
    assert shown(app) == "s3"
    app.selectbox(key="list-state").set_value("todo").run()
    click(app, "Next")
    click(app, "Previous")
    assert shown(app) == "s2"  # s3 is done and not in the list


def test_the_list_is_searched_and_chosen_from(page: Page) -> None:
    app = page()
    app.text_input(key="list-search").set_value("S1").run()
    assert len(app.radio(key="list-picture").options) == 11
    app.radio(key="list-picture").set_value("s12").run()
    assert shown(app) == "s12"
    app.text_input(key="list-search").set_value("nothing like it").run()
    assert any("No picture fits" in caption.value for caption in app.caption)


def test_a_picture_is_scribbled_from_nothing_and_saved(project: Project, page: Page, canvas: Canvas) -> None:
    app = page(sample="s0")
    canvas.draw(4, 5, coin(project))
    app.run()
    click(app, "Save")
    mask = project.read_mask("s0")
    assert mask is not None
    assert np.argwhere(mask).tolist() == [[4, 5]]
    assert stamp_of(project.read_annotation("s0")).state == "done"
    assert not draft_path(project, "s0").exists()


def test_save_and_next_opens_the_next_picture(project: Project, page: Page, canvas: Canvas) -> None:
    app = page(sample="s0")
    canvas.draw(4, 5, coin(project))
    app.run()
    click(app, "Save and next")
    assert shown(app) == "s1"
    assert pixels(project, "s0") == 1


def test_a_picture_that_needs_a_review_says_so(project: Project, page: Page) -> None:
    project.save_annotation("s3", box(), author="Ann", state="review")
    app = page(sample="s3")
    assert not app.exception
    assert any("needs review" in item.value for item in app.markdown)
    assert any("1 needs review" in item.value for item in app.caption)


def test_a_picture_can_be_left_unfinished(project: Project, page: Page, canvas: Canvas) -> None:
    app = page(sample="s0")
    canvas.draw(4, 5, coin(project))
    app.run()
    click(app, "Not finished yet")
    assert stamp_of(project.read_annotation("s0")).state == "doing"
    assert "not finished" in heading(app)


def test_shapes_that_were_not_touched_stay_as_they_are(project: Project, page: Page, canvas: Canvas) -> None:
    app = page(sample="s3")
    canvas.draw(9, 12, coin(project))
    app.run()
    click(app, "Save")
    saved = project.read_annotation("s3")
    assert saved is not None
    assert saved.shapes[0] == box().shapes[0]
    assert isinstance(saved.shapes[1], MaskShape)
    assert pixels(project, "s3") == 13


def test_unsaved_strokes_are_there_again_in_a_new_session(project: Project, page: Page, canvas: Canvas) -> None:
    app = page(sample="s3")
    canvas.draw(2, 2, eraser(project))
    app.run()
    assert pixels(project, "s3") == 12  # nothing is saved
    canvas.drawn.clear()
    again = page(sample="s3")
    click(again, "Save")
    assert pixels(project, "s3") == 11


def test_strokes_can_be_undone_and_thrown_away(project: Project, page: Page, canvas: Canvas) -> None:
    app = page(sample="s3")
    assert button(app, "Undo").disabled
    for row in (2, 3, 4):
        canvas.draw(row, 2, eraser(project))
        app.run()
    click(app, "Undo")
    draft = read_draft(draft_path(project, "s3"))
    assert draft is not None
    assert len(draft.strokes) == 2
    click(app, "Throw away")
    assert not draft_path(project, "s3").exists()
    assert button(app, "Undo").disabled


def test_a_change_of_zoom_keeps_the_strokes(tmp_path: Path, page: Page, canvas: Canvas) -> None:
    project = Project.open(projects_home() / "Coins")
    project.add_image(picture(99, ImageSize(300, 400)), filename="large.png")
    app = page(sample="large")
    first = canvas.shown["key"]
    canvas.draw(1, 1, coin(project))
    app.run()
    zoom = next(group for group in app.button_group if str(group.key).startswith("zoom-"))
    zoom.set_value(4).run()
    assert canvas.shown["key"] != first
    canvas.draw(1, 1, coin(project))
    app.run()
    click(app, "Save")
    mask = project.read_mask("large")
    assert mask is not None
    assert mask[:100].any()  # from the whole picture
    assert mask[112:188, 150:250].any()  # from the part in the middle


def test_the_background_is_not_made_again_while_strokes_are_drawn(project: Project, page: Page, canvas: Canvas) -> None:
    app = page(sample="s3")
    before = canvas.shown["background_image"], canvas.shown["key"]
    canvas.draw(2, 2, eraser(project))
    app.run()
    assert canvas.shown["background_image"] is before[0]
    assert canvas.shown["key"] == before[1]
    click(app, "Save")
    assert canvas.shown["key"] != before[1]


@pytest.mark.parametrize(
    ("way", "mine", "theirs"),
    [("Keep mine", True, False), ("Take theirs", False, True), ("Put my strokes on theirs", True, True)],
)
def test_of_two_versions_the_person_chooses_and_none_is_lost(
    project: Project, page: Page, canvas: Canvas, way: str, mine: bool, theirs: bool
) -> None:
    app = page(sample="s3")
    canvas.draw(9, 12, coin(project))
    app.run()
    both = Annotation(size=SIZE, shapes=(*box().shapes, *box("cup", left=8).shapes))
    project.save_annotation("s3", both, author="Bob")
    app.run()
    assert "Bob saved version 2" in app.warning[0].value
    click(app, way)
    if way == "Put my strokes on theirs":
        click(app, "Save")
    mask = project.read_mask("s3")
    assert mask is not None
    assert (mask[9, 12] == 1) == mine
    assert (mask == 2).any() == theirs
    assert not app.warning
    assert {path.stem for path in (project.history / "s3").glob("*.json")} >= {"1"}


def test_an_earlier_version_comes_back(project: Project, page: Page) -> None:
    project.save_annotation("s3", Annotation(size=SIZE), author="Bob")
    app = page(sample="s3")
    assert "version 2 by Bob" in heading(app)
    restore(project, "s3", "1", author="Ann")
    app.run()
    assert "version 3 by Ann" in heading(app)


def test_a_damaged_annotation_is_said_and_the_list_goes_on(project: Project, page: Page) -> None:
    project.annotation_path("s5").write_text("{broken")
    app = page(sample="s5")
    assert "s5.json" in app.error[0].value
    click(app, "Next")
    assert shown(app) == "s6"
    assert not app.error


def test_a_picture_that_cannot_be_read_is_said(project: Project, page: Page) -> None:
    (project.images / "s5.png").write_bytes(b"no picture")
    app = page(sample="s5")
    assert "s5.png" in app.error[0].value
    click(app, "Previous")
    assert shown(app) == "s4"


def test_a_picture_of_another_size_than_its_annotation_says_so(project: Project, page: Page) -> None:
    project.save_annotation("s5", box(size=ImageSize(30, 40)), author="Ann")
    assert "for a picture of 40 x 30" in page(sample="s5").error[0].value


def test_a_label_of_another_project_is_named(project: Project, page: Page) -> None:
    project.save_annotation("s5", box("spoon"), author="Ann")
    assert "spoon" in page(sample="s5").info[0].value


def test_a_project_without_pictures_says_what_to_do(tmp_path: Path, page: Page) -> None:
    create_project("Bare", preset="general", labels=LabelSet.of(["coin"]))
    assert "no picture yet" in page(project="Bare").info[0].value


def test_a_project_without_labels_says_what_to_do(page: Page) -> None:
    create_project("Bare", preset="general", labels=LabelSet.of([])).add_image(picture(1), filename="a.png")
    assert "Without labels" in page(project="Bare").info[0].value


def test_a_damaged_draft_can_be_thrown_away(project: Project, page: Page) -> None:
    path = draft_path(project, "s5")
    path.parent.mkdir()
    path.write_text("{")
    app = page(sample="s5")
    assert "s5.json" in app.error[0].value
    click(app, "Throw them away")
    assert not app.error
    assert not path.exists()
