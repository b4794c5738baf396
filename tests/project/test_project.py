"""The Project folder: nothing lost, nothing doubled, plain files."""

import errno
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation
from core.errors import ConfigError, ReadError, StaleSaveError, WriteError
from core.images import ImageSize
from core.project import journal
from core.project.earlier import kept, read_kept, states
from core.project.edits import Replace
from core.project.index import Index
from core.project.project import Project
from core.project.split import read_split
from tests.samples import SIZE, box, picture


def test_a_project_opens_as_it_was_created(project: Project) -> None:
    again = Project.open(project.folder)
    assert again.settings == project.settings
    assert again.settings.labels.names == ("_background_", "coin")


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="not a project"):
        Project.open(tmp_path)


def test_a_project_is_never_created_over_another(project: Project) -> None:
    with pytest.raises(ConfigError, match="already holds a project"):
        Project.create(project.folder, name="x")


def test_a_damaged_project_file_is_named(project: Project) -> None:
    (project.folder / "project.json").write_text('{"schema": 1, "name": "x"}')
    with pytest.raises(ReadError, match=r"project\.json .* is damaged"):
        Project.open(project.folder)


def test_the_bytes_of_a_picture_are_kept_untouched(project: Project) -> None:
    added = project.add_image(picture(1), filename="a.png")
    assert project.sample(added.sample).image.read_bytes() == picture(1)
    assert project.image_info("a").size == SIZE


def test_the_same_picture_twice_is_one_sample(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    added = project.add_image(picture(1), filename="b.png")
    assert (added.sample, added.existed) == ("a", True)
    assert len(project.samples()) == 1


def test_another_picture_of_the_same_name_gets_a_number_and_the_same_group(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    added = project.add_image(picture(2), filename="a.png")
    assert (added.sample, added.renamed) == ("a-2", True)
    assert read_split(project.folder).group_of("a-2") == "a"


def test_a_picture_that_does_not_decode_is_not_added(project: Project) -> None:
    with pytest.raises(ReadError, match="cannot be read"):
        project.add_image(picture(1)[:60], filename="cut.png")
    assert project.samples() == []


def test_a_picture_gets_the_suffix_of_its_content(project: Project) -> None:
    project.add_image(picture(1), filename="a.JPG")
    assert project.sample("a").image.name == "a.png"


def test_a_name_that_is_a_path_stays_in_the_folder(project: Project) -> None:
    added = project.add_image(picture(1), filename="../../evil.png")
    assert project.sample(added.sample).image.parent == project.images


def test_saving_keeps_the_version_before(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    assert project.save_annotation("a", box(), author="Ann", state="doing") == 1
    assert project.save_annotation("a", box(left=5), author="Ben") == 2
    found = states(project, "a")
    assert [(state.version, state.author, state.state) for state in found] == [(1, "Ann", "doing"), (2, "Ben", "done")]
    assert journal.restore(project, "a", 1, base_version=2, author="Ann").document.version == 3
    annotation = project.read_annotation("a")
    assert annotation is not None
    assert annotation.shapes == box().shapes
    assert [state.version for state in states(project, "a")] == [1, 2, 3]


def test_a_stale_save_is_refused_and_both_are_kept(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(left=1), author="Ann", base_version=0)
    with pytest.raises(StaleSaveError, match="saved by someone else"):
        project.save_annotation("a", box(left=9), author="Ben", base_version=0)
    current = project.read_annotation("a")
    assert current is not None
    assert current.shapes == box(left=1).shapes
    (refused,) = kept(project, "a")
    assert [item.shape for item in read_kept(project, "a", refused.name).drawing] == list(box(left=9).shapes)


def test_of_many_saves_at_once_none_is_lost(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")

    def save(author: int) -> None:
        Project.open(project.folder).save_annotation("a", box(left=author), author=str(author))

    threads = [threading.Thread(target=save, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = states(project, "a")
    assert {state.author for state in found} == {str(i) for i in range(8)}
    assert found[-1].version == 8


def test_a_full_disk_changes_nothing_that_was_saved(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(), author="Ann")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="disk is full"):
        project.save_annotation("a", box(left=9), author="Ann")
    monkeypatch.undo()
    annotation = project.read_annotation("a")
    assert annotation is not None
    assert annotation.shapes == box().shapes
    assert project.annotation_version("a") == 1


def test_a_damaged_annotation_is_never_opened_as_empty_nor_overwritten(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(), author="Ann")
    damaged = project.annotation_path("a").read_bytes()[:50]
    project.annotation_path("a").write_bytes(damaged)
    with pytest.raises(ReadError):
        project.read_annotation("a")
    project.save_annotation("a", box(), author="Ann")
    (kept,) = project.history.glob("a/damaged-*.json")
    assert kept.read_bytes() == damaged


def test_the_annotation_file_is_labelme_json_beside_its_picture(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(), author="Ann")
    value = json.loads(project.annotation_path("a").read_text())
    assert value["imagePath"] == "../images/a.png"
    assert value["imageData"] is None
    assert (value["imageHeight"], value["imageWidth"]) == SIZE
    assert value["maskloop"]["version"] == 1


def test_the_mask_is_the_annotation_drawn(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    assert project.read_mask("a") is None
    project.save_annotation("a", box(), author="Ann")
    expected = np.zeros(SIZE, np.uint8)
    expected[2:6, 2:5] = 1
    assert np.array_equal(project.read_mask("a"), expected)


def test_an_annotation_of_another_size_gives_no_mask(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(size=ImageSize(99, 99)), author="Ann")
    with pytest.raises(ReadError, match="99 x 99"):
        project.read_mask("a")


def test_renaming_a_label_renames_it_in_every_annotation(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(), author="Ann", state="doing")
    assert project.rename_label("coin", "denarius", author="Ann") == 1
    annotation = project.read_annotation("a")
    assert annotation is not None
    assert annotation.label_names == ("denarius",)
    assert Index(project).rows()[0].state == "doing"
    assert Project.open(project.folder).settings.labels.names[1] == "denarius"


def test_settings_changed_elsewhere_are_not_undone(project: Project) -> None:
    other = Project.open(project.folder)
    other.add_labels(["cup"])
    project.update_settings(pixel_size=0.5)
    assert Project.open(project.folder).settings.labels.names == ("_background_", "coin", "cup")


def test_a_removed_sample_can_be_put_back_by_hand(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(), author="Ann")
    project.remove_sample("a")
    assert project.samples() == []
    assert (project.folder / "removed/images/a.png").read_bytes() == picture(1)
    assert Index(project).rows() == []


def test_a_bulk_of_pictures_is_in_the_index_afterwards(project: Project) -> None:
    with project.bulk():
        for i in range(5):
            project.add_image(picture(i), filename=f"{i}.png")
            project.save_annotation(f"{i}", box(), author="import")
        assert project.add_image(picture(3), filename="again.png").existed
    assert [row.objects for row in Index(project).rows()] == [{1: 1}] * 5


def test_labels_keep_their_colours_when_others_join() -> None:
    labels = LabelSet.of(["a", "b"])
    assert labels.with_names(["c", "a"]).labels[:3] == labels.labels


def test_two_imports_at_once_lose_no_picture(project: Project) -> None:
    other = Project.open(project.folder)  # as another process has it
    with project.bulk(), other.bulk():
        first = project.add_image(picture(1), filename="a.png")
        second = other.add_image(picture(2), filename="a.png")
    assert (first.sample, second.sample) == ("a", "a-2")
    assert [sample.image.read_bytes() for sample in project.samples()] == [picture(1), picture(2)]


def test_a_stroke_that_comes_while_a_label_is_renamed_stays_or_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_image(picture(1), filename="a.png")
    old = project.settings.labels.names[1]
    project.save_annotation("a", box(old), author="Ann")
    other, refused = Project.open(project.folder), threading.Event()

    def draw() -> None:
        try:
            edit = Replace(1, 0, box("late", left=9).shapes)
            journal.change(other, "a", [edit], base_version=1, author="Ben", what="Drew")
        except StaleSaveError:
            refused.set()

    stroke = threading.Thread(target=draw)
    read = Project.read_annotation

    def slow(project: Project, name: str) -> Annotation | None:
        found = read(project, name)
        if stroke.ident is None:
            stroke.start()
            stroke.join(0.3)  # it waits for the lock; were there none, it would be over by now
        return found

    monkeypatch.setattr(Project, "read_annotation", slow)
    project.rename_label(old, "new", author="Ann")
    stroke.join(30)
    annotation = read(project, "a")
    assert annotation is not None
    assert refused.is_set() or "late" in annotation.label_names
    assert "new" in annotation.label_names
