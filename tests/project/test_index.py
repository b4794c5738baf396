"""The index is a cache: right after each change, rebuilt when it is gone or damaged."""

import math
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from core.annotation.shapes import Annotation, Polygon, Rectangle
from core.project.index import Index
from core.project.project import Project
from core.project.report import make_report, usable
from core.project.split import Split
from tests.samples import SIZE, box, picture


@pytest.fixture
def filled(project: Project) -> Project:
    for i in range(3):
        project.add_image(picture(i), filename=f"{i}.png")
    project.save_annotation("0", box(), author="Ann")
    project.save_annotation("1", box("cup"), author="Ann", state="doing")
    return project


def test_a_row_says_what_the_picture_shows(filled: Project) -> None:
    row = Index(filled).rows()[0]
    assert (row.state, row.version, row.author, row.size) == ("done", 1, "Ann", SIZE)
    assert row.pixels == {0: 12 * 16 - 12, 1: 12}
    assert row.objects == {1: 1}
    assert usable(row)


def test_shapes_of_one_group_are_one_object(filled: Project) -> None:
    shape = Rectangle(label="coin", points_xy=((0, 0), (1, 1)), group_id=7)
    filled.save_annotation(
        "0", Annotation(size=SIZE, shapes=(shape, replace(shape, points_xy=((5, 5), (6, 6))))), author=""
    )
    assert Index(filled).rows()[0].objects == {1: 1}


def test_only_what_changed_is_made_anew(filled: Project) -> None:
    index = Index(filled)
    assert index.refresh() == 0
    filled.annotation_path("2").write_bytes(filled.annotation_path("0").read_bytes())  # another program wrote it
    assert index.stale_count() == 1
    assert index.refresh() == 1
    assert index.rows()[2].state == "done"


@pytest.mark.parametrize("damage", [b"", b"this is no database at all, only text that is long enough to look like one"])
def test_a_lost_or_damaged_index_is_rebuilt(filled: Project, damage: bytes) -> None:
    before = Index(filled).rows()
    path = filled.folder / "index.sqlite"
    path.unlink()
    if damage:
        path.write_bytes(damage)
    Index(filled).refresh()
    assert Index(filled).rows() == before


def test_an_index_damaged_inside_is_rebuilt(filled: Project) -> None:
    path = filled.folder / "index.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert Index(filled).refresh() == 3
    assert [row.name for row in Index(filled).rows()] == ["0", "1", "2"]


def test_others_may_write_while_rows_are_made(filled: Project) -> None:
    filled.add_labels(["cup"])  # all rows are stale

    def while_made(done: int, total: int) -> None:
        with closing(sqlite3.connect(filled.folder / "index.sqlite", timeout=0)) as db:
            db.execute("UPDATE sample SET digest = digest")

    assert Index(filled).refresh(progress=while_made) == 3


def test_a_new_label_changes_what_is_known(filled: Project) -> None:
    assert Index(filled).rows()[1].unknown_labels == ("cup",)
    filled.add_labels(["cup"])
    Index(filled).refresh()
    assert Index(filled).rows()[1].unknown_labels == ()
    assert Index(filled).rows()[1].objects == {2: 1}


def test_the_report_lists_problems_worst_first(filled: Project) -> None:
    (filled.images / "3.png").write_bytes(b"garbage")
    (filled.images / "4.png").write_bytes(picture(0))  # put there by hand
    filled.save_annotation("4", Annotation(size=SIZE), author="Ann")
    Index(filled).refresh()
    split = Split({"0": "train", "4": "val"})
    report = make_report(Index(filled).rows(), split, filled.settings.labels)
    assert [(problem.kind, problem.sample) for problem in report.problems] == [
        ("unreadable", "3"),
        ("leak", "0"),
        ("unknown_label", "1"),
        ("duplicate", "4"),
        ("empty", "1"),
        ("empty", "4"),
        ("unfinished", "1"),
        ("no_annotation", "2"),
    ]
    assert report.states == {"todo": 2, "doing": 1, "review": 0, "done": 2}
    assert report.pixels["coin"] == 12
    assert report.parts == {"train": 1, "val": 1}


def test_a_picture_that_waits_for_a_review_does_not_train(filled: Project) -> None:
    filled.save_annotation("0", box(), author="Ann", state="review")
    Index(filled).refresh()
    row = Index(filled).rows()[0]
    assert (row.state, usable(row)) == ("review", False)
    report = make_report([row], Split({}), filled.settings.labels)
    assert report.states == {"todo": 0, "doing": 0, "review": 1, "done": 0}
    assert [problem.text for problem in report.problems] == ["waits for a review, so it does not train"]


def test_a_stroke_does_not_read_the_picture_again(filled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Index(filled).rows()[0]
    monkeypatch.setattr("core.project.index.probe_image", lambda *_: pytest.fail("the picture was read"))
    filled.save_annotation("0", box(left=1), author="Ann")
    after = Index(filled).rows()[0]
    assert (after.version, after.digest, after.size, after.shapes) == (2, before.digest, SIZE, 1)
    assert after.picture_stamp == before.picture_stamp != after.stamp


def test_files_that_vanish_meanwhile_are_left_out(filled: Project) -> None:
    """Another process writes a file under a hidden name and renames it, between the list of names and the look."""
    (filled.images / ".x.part").symlink_to(filled.images / "renamed.png")
    assert Index(filled).refresh() == 0
    assert len(Index(filled).rows()) == 3


def test_what_is_wrong_with_shapes_is_counted_and_reported(filled: Project) -> None:
    eight = Polygon(label="coin", points_xy=((1, 1), (5, 5), (5, 1), (1, 5)))
    far = Rectangle(label="coin", points_xy=((50, 1), (60, 5)))
    over = Rectangle(label="coin", points_xy=((-3, 1), (5, 5)))
    filled.save_annotation("0", Annotation(size=SIZE, shapes=(eight, eight, far, over)), author="Ann")
    rows = Index(filled).rows()
    assert rows[0].findings == {"crossing": 2, "outside": 1, "partly_outside": 1}
    assert rows[1].findings == {}
    problems = make_report(rows, Split(), filled.settings.labels).problems
    assert [(problem.kind, problem.text) for problem in problems if problem.sample == "0"] == [
        ("outside", "has 1 shape that lies outside of the picture"),
        ("crossing", "has 2 shapes that cross themselves"),
        ("partly_outside", "has 1 shape that reaches over the edge of the picture"),
    ]


def test_another_preset_looks_for_other_things(filled: Project) -> None:
    octagon = tuple(
        (6 + 5 * math.cos(k * math.pi / 4 + 0.1), 6 + 5 * math.sin(k * math.pi / 4 + 0.1)) for k in range(8)
    )
    filled.save_annotation("0", Annotation(size=SIZE, shapes=(Polygon(label="coin", points_xy=octagon),)), author="Ann")
    assert Index(filled).rows()[0].findings == {}
    filled.update_settings(preset="medical")
    Index(filled).refresh()
    assert Index(filled).rows()[0].findings == {"coarse": 1}
