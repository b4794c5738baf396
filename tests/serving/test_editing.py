"""The editor's HTTP interface: what a browser sends, what it is answered, and what is on the disk then."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette

from core.annotation.labels import LabelSet
from core.annotation.shapes import Polygon
from core.project.document import OPEN
from core.project.index import Index
from core.project.project import Project
from core.serving.routes import ROUTES
from core.serving.wire import shape_to_wire
from tests.samples import SIZE, box, picture
from tests.serving.asgi import Answer, ask

APP = Starlette(routes=list(ROUTES))
PROJECT = "/api/projects/coins"
SAMPLE = f"{PROJECT}/samples/a"
TRIANGLE = {"kind": "polygon", "label": "coin", "points": [[1, 1], [6, 1], [1, 6.5]]}
RING = {"kind": "mask", "label": "coin", "box": [3, 2, 3, 3], "rle": [0, 4, 1, 4], "group_id": 7}
FULL = {"group_id": None, "description": None, "flags": {}, "extra": {}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    project = Project.create(tmp_path / "coins", name="Coins", labels=LabelSet.of(["coin"]))
    project.add_image(picture(1), filename="a.png")
    return project


def get(path: str) -> Any:
    answer = ask(APP, path)
    assert answer.code == 200, answer.body
    return answer.json


def post(path: str, **body: Any) -> Answer:
    return ask(APP, path, json=body)


def change(base_version: int, *edits: dict[str, Any], what: str = "Drew") -> Answer:
    return post(f"{SAMPLE}/changes", base_version=base_version, author="Ann", what=what, edits=list(edits))


def splice(at: int, remove: int, *add: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "splice", "at": at, "remove": remove, "add": list(add)}


# -------------------------------------------------------------------------------------------------- a picture is drawn


def test_a_project_at_a_glance(project: Project) -> None:
    project.add_image(picture(2), filename="b.png")
    project.save_annotation("b", box(), author="import", state="review", source="import")
    found = get(PROJECT)
    assert {key: found[key] for key in ("name", "folder", "preset", "unit", "pixel_size", "has_model")} == {
        "name": "Coins",
        "folder": "coins",
        "preset": "general",
        "unit": "px",
        "pixel_size": None,
        "has_model": False,
    }
    assert found["labels"] == [{"name": "coin", "color": "#e69f00"}]
    a, b = found["samples"]
    assert (a["name"], a["state"], a["version"], a["shapes"], a["error"]) == ("a", "todo", 0, None, "")
    assert (b["state"], b["version"], b["author"], b["shapes"]) == ("review", 1, "import", 1)
    assert (a["width"], a["height"]) == (SIZE.width, SIZE.height)
    change(0, splice(0, 0, TRIANGLE))
    again = get(PROJECT)["samples"][0]
    assert (again["state"], again["shapes"], again["version"]) == ("doing", 1, 1)
    assert again["stamp"] == a["stamp"], "the picture is as it was"


def test_a_label_joins(project: Project) -> None:
    found = post(f"{PROJECT}/labels", name=" cup ").json["labels"]
    assert [label["name"] for label in found] == ["coin", "cup"]
    assert post(f"{PROJECT}/labels", name="cup").json["labels"] == found
    refused = post(f"{PROJECT}/labels", name=" ")
    assert (refused.code, list(refused.json)) == (422, ["message", "hint"])
    assert post(f"{PROJECT}/labels", name="half \ud800").json["labels"][2]["name"] == "half ?"


def test_a_document_is_drawn_undone_and_drawn_again(project: Project) -> None:
    empty = get(f"{SAMPLE}/document")
    assert empty == {
        "version": 0,
        "state": "todo",
        "author": "",
        "time": "",
        "width": SIZE.width,
        "height": SIZE.height,
        "shapes": [],
        "undo": None,
        "redo": None,
    }
    drawn = change(0, splice(0, 0, TRIANGLE, RING), what="  Two\nshapes ").json
    assert (drawn["version"], drawn["state"], drawn["author"], drawn["splices"]) == (1, "doing", "Ann", [])
    assert (drawn["undo"], drawn["redo"]) == ("Two shapes", None)
    document = get(f"{SAMPLE}/document")
    assert document["shapes"] == [{**TRIANGLE, **FULL}, {**RING, **FULL, "group_id": 7}]
    undone = post(f"{SAMPLE}/undo", base_version=1, author="Ann").json
    assert (undone["version"], undone["undo"], undone["redo"]) == (2, None, "Two shapes")
    assert undone["splices"] == [{"at": 0, "remove": 2, "add": []}]
    OPEN.clear()  # the server starts again
    redone = post(f"{SAMPLE}/redo", base_version=2, author="Ann").json
    assert redone["splices"] == [{"at": 0, "remove": 0, "add": document["shapes"]}]
    assert get(f"{SAMPLE}/document")["shapes"] == document["shapes"]


def test_paint_grows_a_mask_and_answers_nothing(project: Project) -> None:
    change(0, splice(0, 0, RING))
    painted = change(1, {"kind": "paint", "at": 0, "box": [-2, 2, 6, 1], "rle": [1, 5]}).json
    assert painted["splices"] == []
    (shape,) = get(f"{SAMPLE}/document")["shapes"]
    assert shape["box"] == [0, 2, 6, 3]
    assert shape["rle"] == [0, 6, 3, 1, 1, 1, 3, 3]
    erased = change(2, {"kind": "paint", "at": 0, "box": [0, 0, 16, 12], "rle": [192]}).json
    assert erased["splices"] == [{"at": 0, "remove": 1, "add": []}]
    (back,) = post(f"{SAMPLE}/undo", base_version=3).json["splices"]
    assert back["add"] == [shape]


def test_an_operation_is_computed_here(project: Project) -> None:
    change(0, splice(0, 0, TRIANGLE, RING))
    filled = change(1, {"kind": "op", "name": "fill_holes", "at": [1]}, what="Fill holes").json
    full = {**RING, **FULL, "group_id": 7, "rle": [0, 9]}
    assert filled["splices"] == [{"at": 1, "remove": 1, "add": [full]}]
    assert get(f"{SAMPLE}/document")["shapes"] == [{**TRIANGLE, **FULL}, full]
    assert (filled["version"], filled["undo"]) == (2, "Fill holes")
    again = change(1, {"kind": "op", "name": "fill_holes", "at": [1]}, what="Fill holes").json
    assert again == filled, "the answer was lost, and the browser asks again"
    back = post(f"{SAMPLE}/undo", base_version=2).json
    assert back["splices"] == [{"at": 1, "remove": 1, "add": [{**RING, **FULL, "group_id": 7}]}]


@pytest.mark.parametrize(
    "edit",
    [
        {"kind": "op", "name": "explode", "at": [0]},
        {"kind": "op", "name": "fill_holes", "at": [5]},
        {"kind": "op", "name": "add_polygon", "at": [0], "points": []},
        {"kind": "op", "name": "to_polygons", "at": [0], "options": {"tolerance": "much"}},
    ],
)
def test_an_operation_that_cannot_be_refuses_the_whole_change(project: Project, edit: dict[str, Any]) -> None:
    change(0, splice(0, 0, RING))
    refused = change(1, splice(0, 0, TRIANGLE), edit)
    assert (refused.code, refused.json["message"] != "") == (422, True)
    assert get(f"{SAMPLE}/document")["version"] == 1


def test_states_are_listed_shown_and_restored(project: Project) -> None:
    project.save_annotation("a", box(), author="import", source="import")
    change(1, splice(1, 0, TRIANGLE))
    marked = post(f"{SAMPLE}/state", base_version=2, author="Ben", state="review").json
    assert (marked["state"], marked["version"], marked["splices"]) == ("review", 3, [])
    found = get(f"{SAMPLE}/states")["states"]
    assert [(s["version"], s["author"], s["source"], s["shapes"]) for s in found] == [
        (1, "import", "import", 1),
        (2, "Ann", "person", 2),
        (3, "Ben", "person", 2),
    ]
    then = get(f"{SAMPLE}/states/1")
    assert (then["version"], then["state"], len(then["shapes"]), then["undo"]) == (1, "done", 1, None)
    restored = post(f"{SAMPLE}/restore", base_version=3, author="Ben", to=1).json
    assert (restored["version"], restored["state"]) == (4, "review")
    assert restored["splices"] == [{"at": 1, "remove": 1, "add": []}]
    assert ask(APP, f"{SAMPLE}/states/9").code == 422
    assert ask(APP, f"{SAMPLE}/states/x").code == 404


def test_a_stale_change_is_told_and_what_was_drawn_can_be_kept(project: Project) -> None:
    change(0, splice(0, 0, TRIANGLE))
    refused = change(0, splice(0, 0, RING), what="Mine")
    assert refused.code == 409
    assert "changed by Ann in between" in refused.json["message"]
    name = post(f"{SAMPLE}/keep", base_version=0, author="Ben", shapes=[RING]).json["kept"]
    (kept,) = get(f"{SAMPLE}/kept")["kept"]
    assert (kept["name"], kept["author"], kept["shapes"]) == (name, "Ben", 1)
    assert get(f"{SAMPLE}/kept/{name}")["shapes"] == [{**RING, **FULL, "group_id": 7}]
    assert ask(APP, f"{SAMPLE}/kept/..").code == 422
    assert len(get(f"{SAMPLE}/document")["shapes"]) == 1


def test_the_index_notices_a_stroke_by_itself(project: Project) -> None:
    index = Index(project)
    index.refresh()
    assert index.stale_count() == 0
    change(0, splice(0, 0, TRIANGLE))
    assert index.stale_count() == 1


# ------------------------------------------------------------------------------------------------------------ bad input

BODY = {"base_version": 0, "author": "Ann", "what": "x", "edits": []}


@pytest.mark.parametrize(
    "path",
    [
        "/api/projects/none/samples/a/document",
        "/api/projects/none",
        "/api/projects/../samples/a/document",
        f"{PROJECT}/samples/none/document",
        f"{PROJECT}/samples/none/states",
        f"{PROJECT}/samples/none/states/1",
        f"{PROJECT}/samples/none/kept",
        f"{PROJECT}/samples/..%2f..%2fproject/document",
    ],
)
def test_what_is_not_there_is_not_found(project: Project, path: str) -> None:
    assert ask(APP, path).code == 404


@pytest.mark.parametrize("what", ["changes", "undo", "redo", "state", "restore", "keep"])
def test_nothing_is_done_to_a_picture_that_is_not_there(project: Project, what: str) -> None:
    body = {**BODY, "state": "done", "to": 0, "shapes": []}
    assert post(f"{PROJECT}/samples/none/{what}", **body).code == 404
    assert not (project.folder / "events").exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b'{"edits": []}',
        b'{"base_version": true, "edits": []}',
        b'{"base_version": -1, "edits": []}',
        b'{"base_version": "0", "edits": []}',
        b'{"base_version": 0}',
        b'{"base_version": 0, "edits": {}}',
        b'{"base_version": 0, "author": 1, "edits": []}',
        b'{"base_version": 0, "what": [], "edits": []}',
    ],
)
def test_a_request_of_another_form_is_refused(project: Project, body: bytes) -> None:
    answer = ask(APP, f"{SAMPLE}/changes", body=body)
    assert answer.code == 400
    assert answer.json["message"]


def test_a_broken_shape_refuses_the_whole_change(project: Project) -> None:
    answer = change(0, splice(0, 0, TRIANGLE), splice(0, 0, {**TRIANGLE, "points": [[0, 0]]}))
    assert answer.code == 422
    assert "at least 3 points" in answer.json["message"]
    assert not project.annotation_path("a").exists()
    assert not (project.folder / "events").exists()


def test_an_author_is_trimmed(project: Project) -> None:
    body = {**BODY, "edits": [splice(0, 0, TRIANGLE)]}
    assert post(f"{SAMPLE}/changes", **{**body, "author": " A\n" + "x" * 200}).json["author"] == "A " + "x" * 78
    assert post(f"{SAMPLE}/undo", base_version=1, author="  ").json["author"] == "person"


def test_a_damaged_file_is_said_in_a_sentence(project: Project) -> None:
    change(0, splice(0, 0, TRIANGLE))
    project.annotation_path("a").write_bytes(b'{"shapes": [')
    answer = ask(APP, f"{SAMPLE}/document")
    assert answer.code == 422
    assert "not readable JSON" in answer.json["message"]
    assert post(f"{SAMPLE}/restore", base_version=1, to=1).json["version"] == 2


def test_half_a_letter_in_a_file_does_not_stop_the_answer(project: Project) -> None:
    text = '{"version": "5", "shapes": [{"label": "a", "points": [[0, 0], [1, 0], [1, 1]], "description": "\\ud800"}]}'
    project.annotation_path("a").write_text(text)
    assert get(f"{SAMPLE}/document")["shapes"][0]["description"] == "?"
    assert change(0, splice(0, 0, {**TRIANGLE, "description": "\ud800"})).code == 200


# ------------------------------------------------------------------------------------------------------------- killed

STROKES = """
import sys
from tests.serving.test_editing import SAMPLE, change, get, splice
base = get(f"{SAMPLE}/document")["version"]
for i in range(base, base + 5000):
    shape = {"kind": "polygon", "label": "coin", "points": [[i, 0], [i + 1, 0], [i, 1]]}
    assert change(i, splice(0, 0, shape)).code == 200
    print(i, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_after_a_kill_each_stroke_that_was_answered_is_there(project: Project) -> None:
    answered: list[int] = []
    for strokes in (3, 8, 5):
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen([sys.executable, "-c", STROKES], cwd=root, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            answered += [int(process.stdout.readline()) for _ in range(strokes)]
            process.send_signal(signal.SIGKILL)
            answered += [int(line) for line in process.stdout.read().splitlines() if line]
        OPEN.clear()
        drawn = {shape["points"][0][0] for shape in get(f"{SAMPLE}/document")["shapes"]}
        assert drawn >= set(answered)
        assert len(drawn - set(answered)) <= 1, "at most the stroke that was on its way"
        answered = sorted(int(x) for x in drawn)
        versions = [state["version"] for state in get(f"{SAMPLE}/states")["states"]]
        assert versions == list(range(len(drawn) + 1))
    assert len(answered) >= 16


# ---------------------------------------------------------------------------------------------------------- many shapes


def test_a_stroke_among_many_shapes_does_not_write_all_anew(project: Project) -> None:
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    points = tuple((float(8 + 3 * np.cos(angle)), float(6 + 3 * np.sin(angle))) for angle in angles)
    shapes = [shape_to_wire(Polygon(label="coin", points_xy=points)) for _ in range(50)]
    change(0, splice(0, 0, *shapes))
    (place,) = [project.place("a")]
    before = OPEN.get(place.annotation, place.signature)
    change(1, splice(3, 1, TRIANGLE))
    after = OPEN.get(place.annotation, place.signature)
    assert before is not None
    assert after is not None
    assert all(x is y for x, y in zip(before.drawing[4:], after.drawing[4:], strict=True))
