"""Change, undo, redo, mark and restore: each on the disk at once, and every state can be had again."""

import json
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.labels import LabelSet
from core.annotation.pixels import Box
from core.annotation.raster import region_to_shapes
from core.annotation.shapes import MaskShape, Polygon, Rectangle, Shape
from core.errors import ConfigError, ReadError, StaleSaveError
from core.formats.labelme import read_labelme, write_labelme
from core.project import journal
from core.project.document import OPEN, Document
from core.project.earlier import keep, kept, read_kept, state_at, states
from core.project.edits import Edit, Paint, Replace
from core.project.index import Index
from core.project.opening import open_sample
from core.project.project import Project
from core.project.sample import SampleState, stamp_of
from tests.labelme_oracle import labelme_reader
from tests.samples import SIZE, box, picture

A, B = "Ann", "Ben"


def line(x: float) -> Polygon:
    """A triangle that is told from others by its place."""
    return Polygon(label="coin", points_xy=((float(x), 1.0), (x + 3.5, 1.0), (float(x), 4.0)))


def blob() -> MaskShape:
    """A ring of 5 x 4 pixels at (3, 2)."""
    region = np.ones((4, 5), dtype=bool)
    region[1:3, 1:4] = False
    (shape,) = region_to_shapes(region, "coin", top=2, left=3)
    return shape


@pytest.fixture
def sample(project: Project) -> Project:
    project.add_image(picture(1), filename="a.png")
    return project


def add(project: Project, *shapes: Shape, at: int = 0, author: str = A) -> Document:
    base = open_sample(project, "a").version
    what = f"Drew {len(shapes)}"
    return journal.change(project, "a", [Replace(at, 0, shapes)], base_version=base, author=author, what=what).document


def shapes_of(document: Document) -> tuple[Shape, ...]:
    return tuple(item.shape for item in document.drawing)


def on_disk(project: Project) -> tuple[Shape, ...]:
    annotation = project.read_annotation("a")
    assert annotation is not None
    return annotation.shapes


def reopened(project: Project) -> Project:
    """The Project as another process would find it."""
    OPEN.clear()
    return Project.open(project.folder)


# ---------------------------------------------------------------------------------------------------------- one change


def test_a_change_is_in_the_file_and_in_the_log(sample: Project) -> None:
    document = add(sample, line(1), box(left=2.0).shapes[0])
    assert (document.version, document.stamp.state, document.stamp.author) == (1, "doing", A)
    assert on_disk(sample) == (line(1), box(left=2.0).shapes[0])
    text = sample.annotation_path("a").read_bytes()
    annotation = read_labelme(text).annotation
    assert text == write_labelme(annotation, image_path="../images/a.png")
    assert annotation.size == SIZE
    assert stamp_of(annotation) == document.stamp
    lines = [json.loads(line) for line in (sample.folder / "events/a.jsonl").read_text().splitlines()]
    assert [(line["version"], line["what"]) for line in lines] == [(0, "Nothing drawn yet"), (1, "Drew 2")]
    (splice,) = lines[1]["splices"]
    assert splice["removed"] == []
    assert splice["added"] == json.loads(text)["shapes"]


def test_labelme_opens_what_strokes_have_written(sample: Project) -> None:
    add(sample, line(1), blob())
    paint = Paint(1, Box(0, 0, 4, 4), np.ones((4, 4), dtype=bool))
    journal.change(sample, "a", [paint], base_version=1, author=A, what="Brush")
    file = labelme_reader().LabelFile(str(sample.annotation_path("a")))
    assert [shape["shape_type"] for shape in file.shapes] == ["polygon", "mask"]
    assert file.shapes[1]["points"] == [[0, 0], [7, 5]]
    assert np.array_equal(file.shapes[1]["mask"], open_sample(sample, "a").drawing[1].shape.region)  # type: ignore[union-attr]


def test_an_imported_sample_has_no_log_until_it_is_changed(sample: Project) -> None:
    sample.save_annotation("a", box(), author="import", source="import")
    assert not (sample.folder / "events").exists()
    assert open_sample(sample, "a").version == 1
    assert not (sample.folder / "events").exists()
    add(sample, line(1))
    assert [(e.version, e.source, e.shapes) for e in states(sample, "a")] == [(1, "import", 1), (2, "person", 2)]
    assert shapes_of(state_at(sample, "a", 1)) == box().shapes


def test_a_change_that_changes_nothing_makes_no_version(sample: Project) -> None:
    add(sample, blob())
    region = np.array([[True, False], [False, False]])
    paint = Paint(0, Box(-1, -1, 2, 2), np.zeros((2, 2), dtype=bool))  # where nothing is
    assert journal.change(sample, "a", [paint], base_version=1, author=A, what="x").document.version == 1
    outside = Paint(0, Box(100, 100, 2, 2), region)
    assert journal.change(sample, "a", [outside], base_version=1, author=A, what="x").document.version == 1


def test_a_mask_that_becomes_empty_goes(sample: Project) -> None:
    add(sample, line(1), blob())
    rubber = Paint(1, Box(0, 0, SIZE.width, SIZE.height), np.zeros(SIZE, dtype=bool))
    changed = journal.change(sample, "a", [rubber], base_version=1, author=A, what="Erase")
    assert [(step.at, len(step.removed), step.added) for step in changed.unknown] == [(1, 1, ())]
    assert on_disk(sample) == (line(1),)
    assert shapes_of(journal.undo(sample, "a", base_version=2, author=A).document) == (line(1), blob())


@pytest.mark.parametrize(
    "edit",
    [
        Replace(2, 0, ()),
        Replace(0, 2, ()),
        Replace(-1, 0, ()),
        Replace(0, -1, ()),
        Paint(0, Box(0, 0, 1, 1), np.ones((1, 1), dtype=bool)),
        Paint(7, Box(0, 0, 1, 1), np.ones((1, 1), dtype=bool)),
        Replace(0, 0, (MaskShape(label="x", points_xy=((0, 0), (1, 0)), region=np.zeros((1, 2), dtype=bool)),)),
    ],
)
def test_an_edit_that_does_not_fit_refuses_the_whole_change(sample: Project, edit: Edit) -> None:
    add(sample, line(1))
    before = sample.annotation_path("a").read_bytes()
    with pytest.raises(ConfigError):
        journal.change(
            sample, "a", [Replace(0, 1, ()), Replace(0, 0, (line(1),)), edit], base_version=1, author=A, what="x"
        )
    assert sample.annotation_path("a").read_bytes() == before
    assert len(states(sample, "a")) == 2


@pytest.mark.parametrize(
    ("before", "after"), [("todo", "doing"), ("doing", "doing"), ("review", "review"), ("done", "done")]
)
def test_the_first_change_begins_a_picture_and_others_keep_its_state(
    sample: Project, before: SampleState, after: SampleState
) -> None:
    version = 0
    if before != "todo":
        version = journal.set_state(sample, "a", before, base_version=0, author=A).document.version
    changed = journal.change(sample, "a", [Replace(0, 0, (line(1),))], base_version=version, author=A, what="x")
    assert changed.document.stamp.state == after
    assert Index(sample).refresh() == 1
    assert Index(sample).rows()[0].state == after


def test_a_state_is_marked_but_not_undone(sample: Project) -> None:
    add(sample, line(1))
    marked = journal.set_state(sample, "a", "done", base_version=1, author=B).document
    assert (marked.version, marked.stamp.state) == (2, "done")
    assert journal.set_state(sample, "a", "done", base_version=2, author=B).document.version == 2
    undone = journal.undo(sample, "a", base_version=2, author=A).document
    assert (undone.drawing, undone.stamp.state) == ((), "done")
    assert [event.what for event in states(sample, "a")][-2:] == ["Marked as done", "Undo: Drew 1"]
    with pytest.raises(ConfigError, match="nothing to undo"):
        journal.undo(sample, "a", base_version=3, author=A)
    with pytest.raises(ConfigError, match="cannot be"):
        journal.set_state(sample, "a", "ready", base_version=3, author=A)  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------- undo and redo


def test_undo_and_redo_go_on_after_a_restart(sample: Project) -> None:
    for i in range(3):
        add(sample, line(i))
    project = reopened(sample)
    assert journal.undo(project, "a", base_version=3, author=A).document.version == 4
    project = reopened(sample)
    document = journal.undo(project, "a", base_version=4, author=A).document
    assert shapes_of(document) == (line(0),)
    assert (journal.next_undo(document), journal.next_redo(document)) == ("Drew 1", "Drew 1")
    project = reopened(sample)
    assert shapes_of(journal.redo(project, "a", base_version=5, author=A).document) == (line(1), line(0))
    project = reopened(sample)
    document = add(project, line(9))  # what could be redone is gone
    assert journal.next_redo(document) is None
    with pytest.raises(ConfigError, match="nothing to redo"):
        journal.redo(project, "a", base_version=7, author=A)


def test_undo_answers_what_to_put_back(sample: Project) -> None:
    add(sample, line(1), blob())
    region = np.zeros((2, 9), dtype=bool)
    paint = Paint(1, Box(0, 3, 9, 2), region)
    painted = journal.change(sample, "a", [paint], base_version=1, author=A, what="Erase").document
    assert shapes_of(painted) != (line(1), blob())
    undone = journal.undo(sample, "a", base_version=2, author=A)
    (step,) = undone.unknown
    assert (step.at, len(step.removed), [item.shape for item in step.added]) == (1, 1, [blob()])
    assert shapes_of(undone.document) == on_disk(sample) == (line(1), blob())


def test_a_stroke_costs_the_log_its_own_pixels_and_not_the_whole_mask(project: Project) -> None:
    size = replace_size = box().size._replace(height=600, width=700)
    project.add_image(picture(1, size), filename="a.png")
    speckles = np.random.default_rng(0).random(replace_size) < 0.5
    (shape,) = [MaskShape(label="coin", points_xy=((0.0, 0.0), (699.0, 599.0)), region=speckles)]
    add(project, shape)
    log = project.folder / "events/a.jsonl"
    before = log.stat().st_size
    stroke = Paint(0, Box(300, 300, 9, 9), np.ones((9, 9), dtype=bool))
    journal.change(project, "a", [stroke], base_version=1, author=A, what="Brush")
    assert log.stat().st_size - before < 1000
    assert shapes_of(state_at(project, "a", 1)) == (shape,)


# ----------------------------------------------------------------------------------------------------------- restore


def test_any_state_comes_back_as_one_step_that_can_be_undone(sample: Project) -> None:
    for i in range(4):
        add(sample, line(i))
    changed = journal.restore(sample, "a", 2, base_version=4, author=B)
    assert shapes_of(changed.document) == (line(1), line(0))
    assert [(step.at, len(step.removed), len(step.added)) for step in changed.unknown] == [(0, 2, 0)]
    assert [event.what for event in states(sample, "a")][-1] == "Back to version 2"
    assert len(journal.undo(sample, "a", base_version=5, author=B).document.drawing) == 4
    with pytest.raises(ReadError, match="no version 99"):
        journal.restore(sample, "a", 99, base_version=6, author=B)


def test_versions_that_were_saved_whole_before_the_log_are_among_the_states(sample: Project) -> None:
    for i in range(3):
        sample.save_annotation("a", box(left=i), author=A)
    add(sample, line(1))
    assert [event.version for event in states(sample, "a")] == [1, 2, 3, 4]
    assert shapes_of(state_at(sample, "a", 1)) == box(left=0).shapes
    restored = journal.restore(reopened(sample), "a", 2, base_version=4, author=A)
    assert shapes_of(restored.document) == box(left=1).shapes


def test_a_whole_save_is_one_event_and_one_version(sample: Project) -> None:
    add(sample, line(1), line(2))
    annotation = sample.read_annotation("a")
    assert annotation is not None
    saved = replace(annotation, shapes=(line(1), line(5)), flags={"seen": True})
    assert sample.save_annotation("a", saved, author=B, what="Corrected", base_version=1) == 2
    assert [(e.version, e.author, e.what) for e in states(sample, "a")][1:] == [(1, A, "Drew 2"), (2, B, "Corrected")]
    document = journal.undo(sample, "a", base_version=2, author=A).document
    assert shapes_of(document) == (line(1), line(2))
    assert journal.restore(sample, "a", 2, base_version=3, author=A).document.version == 4
    assert shapes_of(open_sample(sample, "a")) == (line(1), line(5))
    assert states(sample, "a")[-1].what == "Back to version 2"


def test_a_renamed_label_is_an_event_and_can_be_undone(sample: Project) -> None:
    add(sample, line(1))
    sample.rename_label("coin", "denarius", author="rename")
    document = open_sample(sample, "a")
    assert [item.shape.label for item in document.drawing] == ["denarius"]
    assert journal.next_undo(document) == "Label coin renamed to denarius"


# --------------------------------------------------------------------------------------------------------- two people


def test_a_change_on_an_older_version_is_refused_and_can_be_kept(sample: Project) -> None:
    add(sample, line(1))
    with pytest.raises(StaleSaveError, match="changed by Ann in between"):
        journal.change(sample, "a", [Replace(0, 0, (line(2),))], base_version=0, author=B, what="Mine")
    for call in (journal.undo, journal.redo):
        with pytest.raises(StaleSaveError):
            call(sample, "a", base_version=0, author=B)
    with pytest.raises(StaleSaveError):
        journal.set_state(sample, "a", "done", base_version=7, author=B)
    with pytest.raises(StaleSaveError):
        journal.restore(sample, "a", 0, base_version=7, author=B)
    assert on_disk(sample) == (line(1),)
    names = [keep(sample, "a", (line(2),), base_version=0, author=B) for _ in range(2)]
    assert len(set(names)) == 2
    assert [(k.author, k.shapes) for k in kept(sample, "a")] == [(B, 1), (B, 1)]
    assert shapes_of(read_kept(sample, "a", names[1])) == (line(2),)
    with pytest.raises(ReadError):
        read_kept(sample, "a", "../../project")


def test_an_answer_that_was_lost_is_given_again(sample: Project) -> None:
    """The browser sends its last request once more after a broken connection or a restart of the server."""
    draw = {"base_version": 0, "author": A, "what": "Drew"}
    edits = [Replace(0, 0, (line(1), blob()))]
    journal.change(sample, "a", edits, **draw)  # type: ignore[arg-type]
    assert journal.change(reopened(sample), "a", edits, **draw).document.version == 1  # type: ignore[arg-type]
    with pytest.raises(StaleSaveError):
        journal.change(sample, "a", [Replace(0, 0, (line(2), blob()))], **draw)  # type: ignore[arg-type]
    first = journal.undo(sample, "a", base_version=1, author=A)
    again = journal.undo(reopened(sample), "a", base_version=1, author=A)
    assert again.document.version == 2
    assert [(s.at, len(s.removed), len(s.added)) for s in again.unknown] == [
        (s.at, len(s.removed), len(s.added)) for s in first.unknown
    ]
    for _ in range(2):
        assert journal.redo(sample, "a", base_version=2, author=A).document.version == 3
    for _ in range(2):
        assert journal.set_state(sample, "a", "review", base_version=3, author=A).document.version == 4
    for _ in range(2):
        restored = journal.restore(sample, "a", 0, base_version=4, author=A)
        assert (restored.document.version, restored.unknown[0].added) == (5, ())


def test_of_many_writers_each_stroke_is_kept_once(sample: Project) -> None:
    def draw(author: int) -> None:
        project = Project.open(sample.folder)
        for i in range(5):
            while True:
                base = open_sample(project, "a").version
                edit = Replace(0, 0, (line(author * 100 + i),))
                try:
                    journal.change(project, "a", [edit], base_version=base, author=str(author), what=f"{i}")
                    break
                except StaleSaveError:
                    continue

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drawn = {shape.points_xy[0][0] for shape in shapes_of(open_sample(reopened(sample), "a"))}
    assert drawn == {author * 100 + i for author in range(4) for i in range(5)}
    assert [event.version for event in states(sample, "a")] == list(range(21))


# ------------------------------------------------------------------------------------------------------- many changes


@dataclass
class Model:
    """What a Sample shall be, in plain memory."""

    states: list[tuple[Shape, ...]]  # by version
    undo: list[tuple[tuple[Shape, ...], tuple[Shape, ...]]]  # before and after
    redo: list[tuple[tuple[Shape, ...], tuple[Shape, ...]]]
    first: int = 0  # 1 where nothing was written before the first save


MOVES = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 9), st.sampled_from(["line", "blob", "box"])),
    st.tuples(st.just("remove"), st.integers(0, 9), st.integers(1, 3)),
    st.tuples(st.just("paint"), st.integers(0, 9), st.integers(0, 2**16 - 1)),
    st.tuples(
        st.sampled_from(["undo", "redo", "undo", "redo", "mark", "reopen", "save"]), st.integers(0, 9), st.just(0)
    ),
    st.tuples(st.just("restore"), st.integers(0, 9), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(MOVES, min_size=1, max_size=14))
def test_any_sequence_of_changes_equals_a_plain_model(moves: list[tuple[str, int, int | str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "p", name="x", labels=LabelSet.of(["coin"]))
        project.add_image(picture(1), filename="a.png")
        model = Model([()], [], [])
        for i, (move, number, detail) in enumerate(moves):
            if move == "reopen":
                project = reopened(project)
                continue
            _make(project, model, i, move, number, detail)
            document = open_sample(project, "a")
            assert shapes_of(document) == model.states[-1]
            assert document.version == len(model.states) - 1
            assert (len(document.log.undo), len(document.log.redo)) == (len(model.undo), len(model.redo))
        project = reopened(project)
        if len(model.states) > 1:
            assert on_disk(project) == model.states[-1]
        assert [event.version for event in states(project, "a")] == list(range(model.first, len(model.states)))
        for version in range(model.first, len(model.states)):
            assert shapes_of(state_at(project, "a", version)) == model.states[version]


def _make(project: Project, model: Model, i: int, move: str, number: int, detail: int | str) -> None:
    """One move on the Project and on the model."""
    present, base = model.states[-1], len(model.states) - 1
    match move:
        case "undo" | "redo":
            stack, other = (model.undo, model.redo) if move == "undo" else (model.redo, model.undo)
            turn = journal.undo if move == "undo" else journal.redo
            if not stack:
                with pytest.raises(ConfigError):
                    turn(project, "a", base_version=base, author=A)
                return
            turn(project, "a", base_version=base, author=A)
            before, after = stack.pop()
            other.append((before, after))
            model.states.append(before if move == "undo" else after)
        case "mark":
            state = open_sample(project, "a").stamp.state
            wanted: SampleState = "review" if state == "done" else "done"
            journal.set_state(project, "a", wanted, base_version=base, author=A)
            model.states.append(present)
        case "restore":
            version = model.first + number % (len(model.states) - model.first)
            journal.restore(project, "a", version, base_version=base, author=A)
            _do(model, model.states[version])
        case "save":
            saved = (*present[:number], line(i))
            logged = (project.folder / "events").exists()
            project.save_annotation("a", replace(box(), shapes=saved), author=A)
            if logged and saved != present:
                _do(model, saved)
            else:  # a save is a version even when the shapes are the same
                model.first = model.first if logged else 1
                model.states.append(saved)
        case _:
            edit, after = _edit(present, i, move, number, detail)
            journal.change(project, "a", [edit], base_version=base, author=A, what=f"{move} {i}")
            _do(model, after)


def _do(model: Model, after: tuple[Shape, ...]) -> None:
    if after != model.states[-1]:
        model.undo.append((model.states[-1], after))
        model.redo.clear()
        model.states.append(after)


def _edit(
    present: tuple[Shape, ...], i: int, move: str, number: int, detail: int | str
) -> tuple[Edit, tuple[Shape, ...]]:
    at = number % (len(present) + 1)
    if move == "paint":
        masks = [at for at, shape in enumerate(present) if isinstance(shape, MaskShape)]
        if not masks:
            return Replace(0, 0, ()), present
        at, place = masks[number % len(masks)], Box(number, number % 5, 4, 4)
        region = np.array([int(detail) >> bit & 1 for bit in range(16)], dtype=bool).reshape(4, 4)
        canvas = np.zeros(SIZE, dtype=bool)
        shape = present[at]
        assert isinstance(shape, MaskShape)
        (left, top), (right, bottom) = ((int(x), int(y)) for x, y in shape.points_xy)
        canvas[top : bottom + 1, left : right + 1] = shape.region
        canvas[place.top : place.bottom, place.left : place.right] = region
        rows, columns = np.nonzero(canvas)
        if not len(rows):
            return Paint(at, place, region), (*present[:at], *present[at + 1 :])
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        corners = ((float(left), float(top)), (float(right), float(bottom)))
        painted = replace(shape, points_xy=corners, region=canvas[top : bottom + 1, left : right + 1])
        return Paint(at, place, region), (*present[:at], painted, *present[at + 1 :])
    if move == "remove":
        count = min(int(detail), len(present) - at)
        return Replace(at, count, ()), (*present[:at], *present[at + count :])
    shapes: dict[str, Shape] = {
        "line": line(i),
        "blob": blob(),
        "box": Rectangle(label="x", points_xy=((0.0, float(i)), (3.0, 4.0))),
    }
    added = shapes[str(detail)]
    return Replace(at, 0, (added,)), (*present[:at], added, *present[at:])
