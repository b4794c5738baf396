"""Corrections that are not saved yet survive a reload, exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.annotation.edit import Stroke
from core.errors import ReadError
from core.project.draft import draft_path, read_draft, remove_draft, write_draft
from core.project.project import Project

STROKES = (Stroke(((1.5, 2.0), (3.25, 4.1)), 7.5, 2), Stroke(((0.1, 0.2),), 1, 0))


def test_a_draft_is_read_as_it_was_written(project: Project) -> None:
    path = draft_path(project, "a")
    assert read_draft(path) is None
    written = write_draft(path, 3, STROKES)
    assert read_draft(path) == written
    assert (written.base_version, written.strokes) == (3, STROKES)


def test_a_draft_without_strokes_is_no_file(project: Project) -> None:
    path = draft_path(project, "a")
    write_draft(path, 3, STROKES)
    write_draft(path, 3, ())
    assert not path.exists()
    remove_draft(path)  # gone already: nothing to do


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"base_version": 1}',
        '{"base_version": "x", "strokes": [], "time": ""}',
        '{"base_version": 1, "time": "", "strokes": [{"class_id": 256, "width": 1, "points_xy": []}]}',
        '{"base_version": 1, "time": "", "strokes": [{"class_id": 1, "width": 1, "points_xy": [[1]]}]}',
    ],
)
def test_a_damaged_draft_is_said(project: Project, text: str) -> None:
    path = draft_path(project, "a")
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ReadError):
        read_draft(path)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), max_size=3), st.floats(0, 500))
def test_coordinates_keep_each_digit(
    tmp_path_factory: pytest.TempPathFactory, points: list[tuple[float, float]], width: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "draft.json"
    stroke = Stroke(tuple(points), width, 255)
    write_draft(path, 1, (stroke,))
    read = read_draft(path)
    assert read is not None
    assert read.strokes == (stroke,)
