"""The annotation file and the event log as one: killed at any point, edited outside, damaged, deleted, put back."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.annotation.shapes import Polygon, Shape
from core.errors import ReadError, WriteError
from core.formats.labelme import LabelmeFile, read_labelme
from core.project import journal
from core.project.document import OPEN
from core.project.earlier import state_at, states
from core.project.edits import Replace
from core.project.opening import open_sample
from core.project.project import Project
from tests.samples import box, picture


class Killed(BaseException):
    """The process ends here: nothing after it is done."""


def line(x: float) -> Polygon:
    return Polygon(label="coin", points_xy=((float(x), 1.0), (x + 3.5, 1.0), (float(x), 4.0)))


@pytest.fixture
def sample(project: Project) -> Project:
    project.add_image(picture(1), filename="a.png")
    return project


def draw(project: Project, x: float) -> int:
    version = open_sample(project, "a").version
    edits = [Replace(0, 0, (line(x),))]
    return journal.change(project, "a", edits, base_version=version, author="Ann", what=f"Drew {x}").document.version


def shown(project: Project) -> tuple[Shape, ...]:
    return tuple(item.shape for item in open_sample(project, "a").drawing)


def at(project: Project, version: int) -> tuple[Shape, ...]:
    return tuple(item.shape for item in state_at(project, "a", version).drawing)


def log_of(project: Project) -> Path:
    return project.folder / "events" / "a.jsonl"


def file_of(project: Project) -> Path:
    return project.annotation_path("a")


def outside(project: Project, *shapes: Shape, **others: Any) -> None:
    """Another program writes the file; as Labelme, it keeps keys that it does not know."""
    path = file_of(project)
    value = json.loads(path.read_text()) if path.exists() else {"version": "5.5.0", "flags": {}, "shapes": []}
    value["shapes"] = [
        {"label": shape.label, "points": shape.points_xy, "shape_type": shape.kind, "flags": {}} for shape in shapes
    ]
    path.write_text(json.dumps(value | others))


# --------------------------------------------------------------------------------------------------- killed or refused


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, call: int, *, after: bool) -> Iterator[list[str]]:
    """The process ends before or after its nth call to the disk. Gives the calls that there were."""
    calls: list[str] = []

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            calls.append(name)
            if len(calls) == call and not after:
                raise Killed
            result = real(*args, **options)
            if len(calls) == call:
                raise Killed
            return result

        return run

    with monkeypatch.context() as patch:
        for name in ("fsync", "replace", "chmod"):
            patch.setattr(os, name, watched(name, getattr(os, name)))
        yield calls


@pytest.mark.parametrize("first", [True, False], ids=["first change", "later change"])
def test_killed_at_any_call_to_the_disk_a_stroke_is_there_or_not_and_all_others_are(
    sample: Project, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    drawn: list[int] = []
    if not first:
        drawn = [1, 2]
        for x in drawn:
            draw(sample, x)
    kept = shutil.copytree(sample.folder, sample.folder.with_name("kept"))
    with killed(monkeypatch, 0, after=False) as calls:
        draw(sample, 9)
    came = []
    for call in range(1, len(calls) + 1):
        for after in (False, True):
            shutil.rmtree(sample.folder)
            shutil.copytree(kept, sample.folder)
            OPEN.clear()
            version = open_sample(sample, "a").version
            with killed(monkeypatch, call, after=after), pytest.raises(Killed):
                draw(sample, 5)
            OPEN.clear()
            project = Project.open(sample.folder)
            document = open_sample(project, "a")
            expected = tuple(line(x) for x in reversed(drawn))
            came.append(document.version == version + 1)
            assert shown(project) == ((line(5), *expected) if came[-1] else expected)
            assert [event.version for event in states(project, "a")] == list(range(document.version + 1))
            assert file_of(project).read_bytes()  # the file is whole, too
            assert read_labelme(file_of(project).read_bytes()).annotation.shapes == shown(project)
            assert draw(project, 6) == document.version + 1
            journal.undo(project, "a", base_version=document.version + 1, author="Ann")
    assert len(came) >= 8
    assert came == sorted(came), "once a stroke is in the log it does not go away"
    assert came[-1]


def test_a_line_that_was_torn_anywhere_is_dropped(sample: Project) -> None:
    draw(sample, 1)
    before, file = log_of(sample).stat().st_size, file_of(sample).read_bytes()
    draw(sample, 2)
    whole = log_of(sample).read_bytes()
    for end in range(before, len(whole)):
        log_of(sample).write_bytes(whole[:end])
        file_of(sample).write_bytes(file)
        OPEN.clear()
        assert shown(sample) == (line(1),)
        assert draw(sample, 3) == 2
        assert [event.version for event in states(sample, "a")] == [0, 1, 2]
    log_of(sample).write_bytes(whole[:before] + b"\0" * 300 + b"\n")
    file_of(sample).write_bytes(file)
    OPEN.clear()
    assert draw(sample, 3) == 2


def test_a_stroke_that_is_in_the_log_only_is_made(sample: Project) -> None:
    draw(sample, 1)
    file = file_of(sample).read_bytes()
    draw(sample, 2)
    newer = file_of(sample).read_bytes()
    file_of(sample).write_bytes(file)
    OPEN.clear()
    assert shown(sample) == (line(2), line(1))
    assert file_of(sample).read_bytes() == newer
    assert journal.next_undo(open_sample(sample, "a")) == "Drew 2"


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_full_disk_refuses_a_stroke_and_changes_nothing(
    sample: Project, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    draw(sample, 1)
    log, file = log_of(sample).read_bytes(), file_of(sample).read_bytes()
    real, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        if call == 3:  # a stroke syncs the log and the file
            assert draw(sample, 2) == 2
            return
        with pytest.raises(WriteError, match="disk is full"):
            draw(sample, 2)
    assert (log_of(sample).read_bytes(), file_of(sample).read_bytes()) == (log, file)
    assert draw(sample, 2) == 2


# ------------------------------------------------------------------------------------------------------ other programs


def test_what_another_program_wrote_is_an_event_and_ends_what_can_be_undone(sample: Project) -> None:
    draw(sample, 1)
    draw(sample, 2)
    outside(sample, line(7), line(1), odd=[1, 2])
    document = open_sample(sample, "a")
    assert (document.version, document.stamp.source, shown(sample)) == (3, "outside", (line(7), line(1)))
    assert (document.log.undo, document.log.redo) == ((), ())
    assert [(e.version, e.source, e.what) for e in states(sample, "a")][-1] == (
        3,
        "outside",
        "Changed by another program",
    )
    assert open_sample(Project.open(sample.folder), "a").version == 3, "it is noticed once"
    assert at(sample, 2) == (line(2), line(1))
    assert draw(sample, 8) == 4
    assert json.loads(file_of(sample).read_text())["odd"] == [1, 2]
    assert at(sample, 3) == (line(7), line(1))


def test_a_change_from_outside_makes_a_stroke_stale(sample: Project) -> None:
    draw(sample, 1)
    outside(sample, line(7))
    with pytest.raises(journal.StaleSaveError, match="changed by another program"):
        journal.change(sample, "a", [Replace(0, 0, (line(2),))], base_version=1, author="Ann", what="x")


def test_what_another_program_writes_while_the_file_is_read_is_not_overlooked(
    sample: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(sample, 2)
    OPEN.clear()
    theirs = file_of(sample).read_bytes().replace(b"coin", b"stamp")

    def while_read(data: bytes, *, name: str) -> LabelmeFile:
        file_of(sample).write_bytes(theirs)
        return read_labelme(data, name=name)

    with monkeypatch.context() as patch:
        patch.setattr("core.project.document.read_labelme", while_read)
        open_sample(sample, "a")
    draw(sample, 5)
    assert [shape.label for shape in shown(sample)] == ["coin", "stamp"]


def test_half_a_letter_pair_of_another_program_hinders_no_stroke(sample: Project) -> None:
    draw(sample, 2)
    value = json.loads(file_of(sample).read_bytes()) | {"note\ud800": "\udfff"}
    file_of(sample).write_bytes(json.dumps(value).encode())
    version = draw(sample, 5)
    OPEN.clear()
    assert open_sample(sample, "a").version == version
    assert len(shown(sample)) == 2


def test_what_we_do_not_read_stays_in_the_history(sample: Project) -> None:
    """A picture within the file, and a shape that is broken, would go with the first stroke."""
    broken = {"label": "coin", "points": [[1, 2]], "shape_type": "polygon"}
    data = json.dumps({"shapes": [broken], "imagePath": "a.png", "imageData": "YWJj", "version": "5.0.1"}).encode()
    file_of(sample).write_bytes(data)
    assert open_sample(sample, "a").version == 0
    draw(sample, 1)
    assert (sample.history / "a/0.json").read_bytes() == data
    outside(sample, line(1), imageData="YWJj")
    theirs = file_of(sample).read_bytes()
    draw(sample, 2)
    assert (sample.history / "a/2.json").read_bytes() == theirs


def test_a_file_put_back_from_a_copy_leaves_every_state(sample: Project) -> None:
    draw(sample, 1)
    copy = file_of(sample).read_bytes()
    for x in (2, 3, 4):
        draw(sample, x)
    file_of(sample).write_bytes(copy)
    assert shown(sample) == (line(1),)
    assert [len(at(sample, version)) for version in range(6)] == [0, 1, 2, 3, 4, 1]
    assert journal.restore(sample, "a", 4, base_version=5, author="Ann").document.version == 6
    assert len(shown(sample)) == 4


def test_a_log_put_back_from_a_copy_goes_on_behind_the_file(sample: Project) -> None:
    draw(sample, 1)
    copy = log_of(sample).read_bytes()
    for x in (2, 3, 4):
        draw(sample, x)
    log_of(sample).write_bytes(copy)
    assert len(shown(sample)) == 4
    assert [(event.version, event.source) for event in states(sample, "a")][1:] == [(1, "person"), (5, "outside")]
    assert draw(sample, 5) == 6


def test_without_its_log_a_sample_begins_another(sample: Project) -> None:
    for x in (1, 2):
        draw(sample, x)
    log_of(sample).unlink()
    document = open_sample(sample, "a")
    assert (document.version, document.log.undo, shown(sample)) == (2, (), (line(2), line(1)))
    assert draw(sample, 3) == 3
    assert [event.version for event in states(sample, "a")] == [2, 3]
    assert len(at(sample, 2)) == 2


def test_a_file_that_was_removed_can_be_had_again(sample: Project) -> None:
    for x in (1, 2, 3):
        draw(sample, x)
    file_of(sample).unlink()
    document = open_sample(sample, "a")
    assert (document.version, document.stamp.state, document.drawing) == (4, "todo", ())
    restored = journal.restore(sample, "a", 3, base_version=4, author="Ann")
    assert (restored.document.stamp.state, len(shown(sample))) == ("doing", 3)


def test_a_damaged_file_is_said_and_any_state_comes_back_in_its_place(sample: Project) -> None:
    for x in (1, 2):
        draw(sample, x)
    damaged = file_of(sample).read_bytes()[:99]
    file_of(sample).write_bytes(damaged)
    for ask in (lambda: open_sample(sample, "a"), lambda: draw(sample, 3)):
        with pytest.raises(ReadError, match="not readable JSON"):
            ask()
    assert file_of(sample).read_bytes() == damaged, "nothing is written over it unasked"
    assert [event.version for event in states(sample, "a")] == [0, 1, 2]
    assert len(at(sample, 1)) == 1
    assert journal.restore(sample, "a", 2, base_version=2, author="Ann").document.version == 3
    assert shown(sample) == (line(2), line(1))
    (kept,) = sample.history.glob("a/damaged-*.json")
    assert kept.read_bytes() == damaged


def test_a_damaged_file_without_a_log_comes_back_from_the_history(sample: Project) -> None:
    for i in range(3):
        sample.save_annotation("a", box(left=i), author="Ann")
    file_of(sample).write_bytes(b"{")
    assert [event.version for event in states(sample, "a")] == [1, 2]
    assert at(sample, 2) == box(left=1).shapes
    with pytest.raises(ReadError, match="no version 3"):
        journal.restore(sample, "a", 3, base_version=3, author="Ann")
    journal.restore(sample, "a", 2, base_version=3, author="Ann")
    assert shown(sample) == box(left=1).shapes
    assert len(list(sample.history.glob("a/damaged-*.json"))) == 1


def test_a_save_over_a_damaged_file_goes_on_counting(sample: Project) -> None:
    for x in (1, 2):
        draw(sample, x)
    file_of(sample).write_bytes(b"{")
    assert sample.save_annotation("a", box(), author="Ann") == 3
    assert len(at(sample, 2)) == 2
    assert len(list(sample.history.glob("a/damaged-*.json"))) == 1


def test_whole_saves_over_a_damaged_file_leave_earlier_versions_alone(sample: Project) -> None:
    for i in range(3):
        sample.save_annotation("a", box(left=i), author="Ann")
    first = (sample.history / "a/1.json").read_bytes()
    file_of(sample).write_bytes(b"{")
    assert sample.save_annotation("a", box(left=8), author="Ann") == 4
    assert sample.save_annotation("a", box(left=9), author="Ann") == 5
    assert (sample.history / "a/1.json").read_bytes() == first


def test_a_damaged_line_costs_only_the_states_around_it(sample: Project) -> None:
    for x in range(6):
        draw(sample, x)
    lines = log_of(sample).read_bytes().splitlines(keepends=True)
    lines[3] = b'{"version": 3, "ti\n'
    log_of(sample).write_bytes(b"".join(lines))
    assert len(shown(sample)) == 6
    assert [event.version for event in states(sample, "a")] == [0, 1, 2, 4, 5, 6]
    assert [len(at(sample, version)) for version in (0, 1, 2, 4, 5, 6)] == [0, 1, 2, 4, 5, 6]
    assert open_sample(sample, "a").log.undo == (5, 6)
    with pytest.raises(ReadError, match="no version 3"):
        at(sample, 3)


def test_a_line_that_was_changed_by_hand_is_refused_with_a_sentence(sample: Project) -> None:
    for x in range(3):
        draw(sample, x)
    log = log_of(sample)
    log.write_bytes(log.read_bytes().replace(b'"at":0,"removed":[]', b'"at":9,"removed":[]', 2))
    assert len(shown(sample)) == 3
    with pytest.raises(ReadError, match="does not fit"):
        at(sample, 0)
    assert draw(sample, 4) == 4


def test_a_drawing_for_another_picture_is_refused(sample: Project) -> None:
    draw(sample, 1)
    outside(sample, line(1), imageHeight=99, imageWidth=99)
    with pytest.raises(ReadError, match="99 x 99"):
        open_sample(sample, "a")


def test_a_removed_sample_takes_its_log_and_its_history_along(sample: Project) -> None:
    for _ in range(2):
        if not sample.has_sample("a"):
            sample.add_image(picture(1), filename="a.png")
        draw(sample, 1)
        sample.save_annotation("a", box(), author="Ann")
        sample.remove_sample("a")
        assert (sample.folder / "removed/events/a.jsonl").is_file()
        assert not (sample.history / "a").exists()
    assert sorted(path.name for path in (sample.folder / "removed/history").iterdir()) == ["a", "a-2"]


def test_only_what_was_worked_on_last_stays_in_memory(project: Project) -> None:
    for i in range(4):
        project.add_image(picture(i), filename=f"{i}.png")
        journal.change(project, f"{i}", [Replace(0, 0, (line(1),))], base_version=0, author="Ann", what="x")
    document = open_sample(project, "3")
    assert open_sample(project, "3").drawing is document.drawing
    small = type(OPEN)(limit=document.nbytes * 2)
    for i in range(4):
        place = project.place(f"{i}")
        small.put(place.annotation, place.signature, open_sample(project, f"{i}"))
    kept = [small.get(project.place(f"{i}").annotation, project.place(f"{i}").signature) for i in range(4)]
    assert [document is not None for document in kept] == [False, False, True, True]
