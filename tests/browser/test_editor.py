"""The editor in a real browser: draw, edit, undo, reload, and find everything; on disk before it says so."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from core.annotation.labels import IGNORE, LabelSet
from core.annotation.raster import shape_to_region
from core.annotation.shapes import Annotation, Circle, MaskShape, Polygon, Rectangle
from core.images import ImageSize, encode_png
from core.project.earlier import states
from core.project.project import Project
from core.project.sample import stamp_of
from tests.browser.conftest import PATIENCE
from tests.browser.editing import EditorOnScreen, Place

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)

SIZE = ImageSize(200, 300)
SQUARE = ((100.0, 50.0), (200.0, 50.0), (200.0, 150.0), (100.0, 150.0))


@pytest.fixture
def project(home: Path, request: pytest.FixtureRequest) -> Project:
    """A Project of its own for each test: three pictures, two labels, a square drawn on the second."""
    made = Project.create(home / f"e-{request.node.name}"[:60], name="Edit", labels=LabelSet.of(["house", "tree"]))
    rng = np.random.default_rng(0)
    for name in "abc":
        pixels = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        made.add_image(encode_png(pixels), filename=f"{name}.png")
    square = Polygon(label="house", points_xy=SQUARE)
    made.save_annotation("b", Annotation(size=SIZE, shapes=(square,)), author="Ann", state="doing")
    return made


@pytest.fixture
def editor(page: Page, address: str, project: Project) -> EditorOnScreen:
    return EditorOnScreen(page, f"{address}/annotate?project={project.folder.name}&sample=a")


def on_disk(project: Project, name: str = "a") -> Annotation:
    found = project.read_annotation(name)
    assert found is not None
    return found


def test_draw_edit_undo_reload_and_find_everything(editor: EditorOnScreen, project: Project) -> None:
    editor.key("w")
    for place in ((20, 20), (80, 20), (80, 80), (20, 80)):
        editor.click(place)
    editor.key("Enter")
    editor.wait_for(shapes=1)
    assert isinstance(on_disk(project).shapes[0], Polygon)

    editor.key("v")
    editor.drag((80, 80), (95, 90))  # a point
    editor.wait_for(version=2)
    (polygon,) = on_disk(project).shapes
    np.testing.assert_allclose(polygon.points_xy[2], (95, 90), atol=0.7)

    editor.click((50, 20))  # a point on an edge
    editor.wait_for(version=3)
    assert len(on_disk(project).shapes[0].points_xy) == 5

    editor.key("b")
    editor.key("2")
    editor.drag((150, 100), (220, 110), (200, 160))
    editor.wait_for(shapes=2)
    before = editor.shapes()
    mask = on_disk(project).shapes[1]
    assert isinstance(mask, MaskShape)
    assert mask.label == "tree"
    assert int(mask.region.sum()) == before[1]["area"] > 500

    editor.key("e")
    editor.drag((180, 104), (190, 106))
    editor.wait_for(version=5)
    erased = editor.shapes()[1]["area"]
    assert erased < before[1]["area"]
    assert int(shape_to_region(on_disk(project).shapes[1], SIZE).sum()) == erased

    editor.key("Control+z")
    editor.wait_for(version=6)
    assert editor.shapes() == before

    editor.page.reload()
    editor.wait_for(sample="a", shapes=2, version=6)
    assert editor.shapes() == before

    editor.key("Control+z")  # undo goes on where it was before the reload
    editor.wait_for(shapes=1)
    editor.key("Control+Shift+z")
    editor.key("Control+Shift+z")
    editor.wait_for(shapes=2, version=9)
    assert editor.shapes()[1]["area"] == erased


def test_a_stroke_is_on_disk_when_it_says_saved_even_if_the_browser_dies(
    browser: Browser, address: str, project: Project
) -> None:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    editor = EditorOnScreen(context.new_page(), f"{address}/annotate?project={project.folder.name}&sample=a")
    editor.key("r")
    editor.drag((20, 30), (90, 100))
    editor.wait_for(shapes=1)
    context.close()  # no farewell
    (shape,) = on_disk(project).shapes
    assert isinstance(shape, Rectangle)


def test_what_was_drawn_without_a_server_is_saved_when_it_is_back(editor: EditorOnScreen, project: Project) -> None:
    page = editor.page
    page.route(re.compile("/changes$"), lambda route: route.abort())
    editor.key("c")
    editor.drag((100, 100), (130, 100))
    page.locator(".maskloop-editor[data-status=offline]").wait_for()
    assert project.read_annotation("a") is None
    page.unroute(re.compile("/changes$"))
    page.reload()  # the change waits in the browser's store
    editor.wait_for(shapes=1)
    (circle,) = on_disk(project).shapes
    assert isinstance(circle, Circle)
    np.testing.assert_allclose(circle.points_xy, [(100, 100), (130, 100)], atol=0.7)


def test_a_stroke_whose_answer_was_lost_is_there_once_after_a_reload(editor: EditorOnScreen, project: Project) -> None:
    page = editor.page
    requests: list[Route] = []

    def lose(route: Route) -> None:
        requests.append(route)
        if len(requests) == 1:
            route.fetch()  # the server takes the first one
        route.abort()

    page.route(re.compile("/changes$"), lose)
    editor.key("r")
    editor.drag((20, 20), (60, 60))
    editor.drag((100, 20), (160, 60))
    page.locator(".maskloop-editor[data-status=offline]").wait_for()
    page.unroute(re.compile("/changes$"))
    page.reload()
    editor.wait_for(shapes=2, version=2)
    assert [shape["points"] for shape in editor.shapes()] == [
        [list(place) for place in shape.points_xy] for shape in on_disk(project).shapes
    ]


def test_what_waited_for_the_server_is_kept_although_somebody_else_saved(
    editor: EditorOnScreen, project: Project
) -> None:
    page = editor.page
    page.route(re.compile("/changes$"), lambda route: route.abort())
    editor.key("c")
    editor.drag((150, 100), (180, 100))
    page.locator(".maskloop-editor[data-status=offline]").wait_for()
    for side in (50.0, 60.0):
        theirs = Rectangle(label="house", points_xy=((20.0, 20.0), (side, side)))
        project.save_annotation("a", Annotation(size=SIZE, shapes=(theirs,)), author="Ann", state="doing")
    page.unroute(re.compile("/changes$"))
    page.reload()
    page.locator(".maskloop-editor[data-status=conflict]").wait_for()
    page.get_by_role("button", name="Mine", exact=True).click()
    editor.wait_for(version=3)
    assert [shape.kind for shape in on_disk(project).shapes] == ["circle"]


def test_an_outline_that_is_not_closed_waits_on_its_picture(editor: EditorOnScreen, project: Project) -> None:
    editor.key("w")
    for place in ((20, 20), (80, 20), (80, 80)):
        editor.click(place)
    editor.key("w")  # again: goes on
    editor.key("b")  # by mistake
    editor.key("ArrowRight")
    editor.wait_for(sample="b", tool="brush")
    editor.key("ArrowLeft")
    editor.wait_for(sample="a", tool="polygon")
    editor.page.reload()
    editor.wait_for(sample="a", tool="polygon")
    editor.click((20, 80))
    editor.key("Enter")
    editor.wait_for(shapes=1)
    assert len(on_disk(project).shapes[0].points_xy) == 4
    editor.page.reload()
    editor.wait_for(sample="a", shapes=1)
    assert not editor.ask("e.tool.busy")


def test_keys_change_nothing_while_the_pointer_is_down(editor: EditorOnScreen, project: Project) -> None:
    errors: list[Exception] = []
    page = editor.page
    page.on("pageerror", lambda error: errors.append(error))

    def drag_with_keys(*keys: str) -> None:
        page.mouse.move(*editor.on_screen((100, 100)))
        page.mouse.down()
        page.mouse.move(*editor.on_screen((120, 120)), steps=3)
        for key in keys:
            editor.key(key)
        page.mouse.move(*editor.on_screen((140, 120)), steps=3)
        page.mouse.up()

    editor.key("b")
    drag_with_keys("e", "Delete", "ArrowRight", "s", "w")
    editor.wait_for(shapes=1, sample="a", tool="brush")
    editor.key("v")
    before = editor.shapes()[0]["area"]
    drag_with_keys("Control+z", "d")
    editor.wait_for(shapes=1, version=2)
    assert editor.shapes()[0]["area"] == before

    editor.key("b")
    drag_with_keys("Escape")  # gives the stroke up
    editor.wait_for(shapes=1, version=4)
    assert editor.shapes()[0]["area"] == before
    editor.key("Escape")
    drag_with_keys("Escape")
    editor.wait_for(version=4)
    assert editor.ask("e.doc.shapes.length") == 1
    assert not errors


def test_holes_are_cut_and_filled(editor: EditorOnScreen, project: Project) -> None:
    page = editor.page
    editor.page.locator(".picture[data-name=b]").click()
    editor.wait_for(sample="b", shapes=1)
    editor.key("v")
    editor.click((150, 60))
    editor.key("-")
    for place in ((130, 80), (170, 80), (170, 120), (130, 120)):
        editor.click(place)
    editor.key("Enter")
    editor.wait_for(version=2)
    (shape,) = on_disk(project, "b").shapes
    assert isinstance(shape, MaskShape)
    assert not shape_to_region(shape, SIZE)[100, 150]
    assert shape_to_region(shape, SIZE)[60, 150]

    editor.key("f")
    editor.click((150, 100))
    editor.wait_for(version=3)
    assert shape_to_region(on_disk(project, "b").shapes[0], SIZE)[100, 150]
    expect(page.locator(".shape.row")).to_have_count(1)


def test_labels_order_and_deletion(editor: EditorOnScreen, project: Project) -> None:
    editor.key("r")
    editor.drag((20, 20), (80, 80))
    editor.wait_for(shapes=1)
    editor.drag((40, 40), (120, 120))
    editor.wait_for(shapes=2)
    editor.key("v")
    editor.click((110, 110))
    editor.key("2")
    editor.wait_for(version=3)
    assert [shape.label for shape in on_disk(project).shapes] == ["house", "tree"]
    editor.key("Control+[")
    editor.wait_for(version=4)
    assert [shape.label for shape in on_disk(project).shapes] == ["tree", "house"]
    editor.key("0")
    editor.wait_for(version=5)
    assert [shape.label for shape in on_disk(project).shapes] == [IGNORE, "house"]
    editor.key("d")
    editor.wait_for(shapes=1)
    assert [shape.label for shape in on_disk(project).shapes] == ["house"]


def test_tool_and_label_in_hand_outlive_a_reload(editor: EditorOnScreen, project: Project) -> None:
    editor.key("r")
    editor.key("2")
    editor.page.reload()
    editor.wait_saved()
    editor.drag((20, 20), (60, 60))
    editor.wait_for(shapes=1)
    assert [(shape.kind, shape.label) for shape in on_disk(project).shapes] == [("rectangle", "tree")]


def test_done_and_next_goes_through_the_pictures(editor: EditorOnScreen, project: Project) -> None:
    editor.key("s")
    editor.wait_for(sample="b")
    assert stamp_of(on_disk(project)).state == "done"
    assert on_disk(project).shapes == ()
    editor.key("q")
    editor.wait_for(sample="c")
    assert stamp_of(on_disk(project, "b")).state == "review"
    expect(editor.page).to_have_url(re.compile("sample=c"))
    editor.key("ArrowLeft")
    editor.wait_for(sample="b", shapes=1)


def test_shapes_are_copied_from_the_picture_before(editor: EditorOnScreen, project: Project) -> None:
    editor.page.locator(".picture[data-name=b]").click()
    editor.wait_for(sample="b")
    editor.page.locator(".picture[data-name=c]").click()
    editor.wait_for(sample="c")
    editor.key("Control+Shift+v")
    editor.wait_for(shapes=1)
    assert on_disk(project, "c").shapes[0].points_xy == SQUARE


def test_of_two_tabs_the_later_is_told_and_both_are_kept(
    browser: Browser, editor: EditorOnScreen, address: str, project: Project
) -> None:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    other = EditorOnScreen(context.new_page(), f"{address}/annotate?project={project.folder.name}&sample=a")
    editor.key("r")
    editor.drag((20, 20), (60, 60))
    editor.wait_for(shapes=1)
    other.key("c")
    other.drag((150, 100), (180, 100))
    page = other.page
    page.locator(".maskloop-editor[data-status=conflict]").wait_for()
    expect(page.get_by_role("alert").filter(has_text="Which one shall go on?")).to_be_visible()
    page.get_by_role("button", name="Mine", exact=True).click()
    other.wait_for(version=2)
    assert [shape.kind for shape in on_disk(project).shapes] == ["circle"]
    other.key("Control+z")  # theirs is one step back
    other.wait_for(version=3)
    assert [shape.kind for shape in on_disk(project).shapes] == ["rectangle"]
    kept = list((project.folder / "history" / "a").glob("refused-*.json"))
    assert len(kept) == 1
    assert [shape["shape_type"] for shape in json.loads(kept[0].read_text())["shapes"]] == ["circle"]
    context.close()


def test_the_slider_goes_back_to_an_earlier_state(editor: EditorOnScreen, project: Project) -> None:
    editor.key("r")
    editor.drag((20, 20), (60, 60))
    editor.wait_for(shapes=1)
    editor.drag((100, 100), (160, 160))
    editor.wait_for(shapes=2)
    page = editor.page
    page.get_by_text("Earlier states").click()
    slider = page.get_by_label("Earlier states")
    expect(slider).to_be_enabled()
    slider.press("ArrowLeft")
    expect(page.locator(".shape.row")).to_have_count(1)
    page.get_by_role("button", name="Go back to this state").click()
    editor.wait_for(version=3, shapes=1)
    assert len(on_disk(project).shapes) == 1


def test_the_list_is_searched_and_filtered(editor: EditorOnScreen) -> None:
    page = editor.page
    page.get_by_label("Search names").fill("B")
    expect(page.locator(".row.picture")).to_have_count(1)
    page.get_by_label("Search names").press("Enter")
    editor.wait_for(sample="b")
    editor.key("w")  # a key again, not a letter of the name
    editor.wait_for(sample="b", tool="polygon")
    page.get_by_label("Search names").fill("")
    page.get_by_label("Which pictures").select_option("doing")
    expect(page.locator(".row.picture")).to_have_count(1)


def test_a_narrow_window_shows_all_parts_one_below_the_other(editor: EditorOnScreen) -> None:
    page = editor.page
    page.set_viewport_size({"width": 900, "height": 900})
    parts = [".bar", ".stage", ".foot", ".labels", ".side .list", ".actions", ".pictures .list", ".steps"]
    expect(page.locator(".body")).to_have_css("flex-direction", "column")
    boxes = [page.locator(f".maskloop-editor {part}").bounding_box() for part in parts]
    for part, above, below in zip(parts, boxes, boxes[1:], strict=False):
        assert above is not None
        assert below is not None
        assert above["height"] > 20
        assert above["y"] + above["height"] <= below["y"], part


def test_labelme_keys_are_a_choice_and_help_shows_them(editor: EditorOnScreen) -> None:
    page = editor.page
    editor.key("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.get_by_label("Labelme keys").check()
    editor.key("Escape")
    editor.key("d")  # Labelme's key for the next picture
    editor.wait_for(sample="b")
    editor.key("a")
    editor.wait_for(sample="a")


def test_a_finger_draws_and_two_zoom(browser: Browser, address: str, project: Project) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, has_touch=True)
    page = context.new_page()
    editor = EditorOnScreen(page, f"{address}/annotate?project={project.folder.name}&sample=a")
    finger = Fingers(page, editor)
    page.get_by_title(re.compile("^Polygon")).tap()
    for place in ((20, 20), (80, 20), (80, 80), (20, 20)):  # the first point closes
        page.touchscreen.tap(*editor.on_screen(place))
    editor.wait_for(shapes=1)
    page.get_by_title(re.compile("^Brush")).tap()
    finger.drag((150, 50), (200, 100))
    editor.wait_for(shapes=2)
    assert [shape.kind for shape in on_disk(project).shapes] == ["polygon", "mask"]
    before = editor.ask("e.view.scale")
    finger.spread((100, 100), by=3)
    assert editor.ask("e.view.scale") > 2 * before
    editor.wait_for(shapes=2)  # the two drew nothing
    assert editor.ask("e.doc.shapes.length") == 2
    page.get_by_title(re.compile("^Polygon")).tap()
    for place in ((120, 120), (140, 120)):
        page.touchscreen.tap(*editor.on_screen(place))
    finger.spread((130, 110), by=1.2)
    assert editor.ask("e.tool.points.length") == 2
    context.close()


class Fingers:
    """Touches of one and of two fingers, which playwright itself has no words for."""

    def __init__(self, page: Page, editor: EditorOnScreen) -> None:
        self._session = page.context.new_cdp_session(page)
        self._editor = editor

    def drag(self, *places: Place) -> None:
        self._send("touchStart", [self._editor.on_screen(places[0])])
        for place in places[1:]:
            self._send("touchMove", [self._editor.on_screen(place)])
        self._send("touchEnd", [])

    def spread(self, center: Place, *, by: float) -> None:
        """Two fingers around `center`, in the end `by` times as far apart."""
        x, y = self._editor.on_screen(center)
        self._send("touchStart", [(x - 20, y)])
        self._send("touchStart", [(x - 20, y), (x + 20, y)])
        for step in range(1, 6):
            half = 20 * (1 + (by - 1) * step / 5)
            self._send("touchMove", [(x - half, y), (x + half, y)])
        self._send("touchEnd", [])

    def _send(self, kind: str, places: list[Place]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_suggestions_are_taken_one_by_one_or_all_at_once(page: Page, address: str, home: Path) -> None:
    """With the model of the sample project, on a copy of it."""
    page.goto(address)  # the first visit makes the sample projects
    expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()
    town = next(folder for folder in home.iterdir() if (folder / "models" / "sample-town").is_dir())
    copy = shutil.copytree(town, home / "suggested")
    editor = EditorOnScreen(page, f"{address}/annotate?project=suggested&sample=new_1")
    editor.key("g")
    page.locator(".maskloop-editor[data-suggestions]:not([data-suggestions='0'])").wait_for()
    suggested = editor.ask("e.suggestions.length")
    assert suggested > 5
    inside = editor.ask(
        "(() => { const m = e.suggestions.reduce((a, b) => a.mask.area() > b.mask.area() ? a : b).mask;"
        " for (let y = 2; y < 300; y++) for (let x = 2; x < 300; x++)"
        "   if ([0, 2, 4, 6].every(d => m.get(x + d, y + d))) return [x + 3, y + 3]; })()"
    )
    editor.click(tuple(inside))
    page.get_by_role("button", name="Accept this").click()
    editor.wait_for(shapes=1, suggestions=suggested - 1)
    page.get_by_role("button", name="Accept all").click()
    editor.wait_for(shapes=suggested)
    editor.key("Control+z")
    editor.wait_for(shapes=1)
    made = states(Project.open(copy), "new_1")
    assert "suggestion" in made[1].what
    assert "sample-town" in made[1].what
