"""A cross-validation's folder: folds that never leak, sets that are whole or absent, what a reader makes of them."""

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError, ReadError, UserError
from core.project.index import SampleRow
from core.project.project import Project
from core.project.split import Part, Split, set_groups
from core.training import fold_set as module
from core.training.fold_set import (
    FoldSet,
    check_complete,
    create_set,
    delete_set,
    fold_splits,
    list_sets,
    read_set,
    request_stop_set,
)
from core.training.run import Fold, create_run, delete_run, list_runs, run_split, stop_requested
from core.training.status import process_of, write_status
from tests.training.scenes import make_project, tiny


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p", pictures=7)


def row(name: str, digest: str) -> SampleRow:
    """What the index says of a finished picture."""
    blank: dict[str, Any] = {item.name: None for item in fields(SampleRow)}
    return SampleRow(**{**blank, "name": name, "digest": digest})


SAMPLES = st.lists(
    st.tuples(st.sampled_from("abcdef?"), st.integers(0, 20), st.sampled_from(["train", "val", "test"])),
    min_size=8,
    max_size=20,
)


@given(SAMPLES, st.integers(2, 3))
def test_folds_never_leak(samples: list[tuple[str, int, Part]], k: int) -> None:
    names = [f"s{i}" for i in range(len(samples))]
    groups = {name: group for name, (group, _, _) in zip(names, samples, strict=True) if group != "?"}
    rows = [row(name, f"bytes {digest}") for name, (_, digest, _) in zip(names, samples, strict=True)]
    drawn = Split({name: part for name, (_, _, part) in zip(names, samples, strict=True)}, groups)
    try:
        splits = fold_splits(rows, drawn, k)
    except ConfigError:
        return  # too few groups are left
    assert len(splits) == k
    validated = [name for split in splits for name in split.val]
    assert len(validated) == len(set(validated))
    digests = {row.name: row.digest for row in rows}
    for split in splits:
        assert set(split.train) | set(split.val) == set(validated)
        assert not split.test
        for facts in (drawn.group_of, digests.__getitem__):  # neither a group nor a copy stands on two sides
            assert not {facts(name) for name in split.train} & {facts(name) for name in split.val}
            assert not {facts(name) for name in validated} & {facts(name) for name in drawn.test}


def test_all_but_the_test_pictures_validate_once(project: Project) -> None:
    (project.folder / "split.json").write_text(json.dumps(Split({"scene00": "test", "scene01": "val"}, {}).to_json()))
    set_groups(project.folder, {"scene02": "stack", "scene03": "stack"})
    fold_set = create_set(project, tiny(), 3, name="thorough")
    splits = [run_split(run) for run in fold_set.runs]
    names = sorted(name for split in splits for name in split.val)
    assert names == [f"scene0{i}" for i in range(1, 7)]
    for split in splits:
        assert "scene00" not in split.assignments
        assert split.assignments["scene02"] == split.assignments["scene03"]
        assert sorted([*split.train, *split.val]) == names
    assert [run.fold for run in fold_set.runs] == [Fold(fold_set.id, number, 3) for number in (1, 2, 3)]
    assert [run.name for run in fold_set.runs][1] == "thorough, fold 2 of 3"
    assert fold_set.id.endswith("-thorough")


def test_a_set_is_read_as_it_was_made(project: Project) -> None:
    create_run(project, tiny())
    made = create_set(project, tiny(), 2)
    (found,) = list_sets(project)
    assert found == made
    assert (found.of, found.done, found.alive, found.finished, found.ensemble) == (2, 0, False, False, None)
    assert len(list_runs(project)) == 3


@pytest.mark.parametrize("k", [-3, 0, 1, 11])
def test_as_many_folds_as_cannot_be_are_refused(project: Project, k: int) -> None:
    with pytest.raises(ConfigError, match="folds are not possible"):
        create_set(project, tiny(), k)
    assert not project.runs.exists()


def test_too_few_groups_are_refused_before_anything_is_made(project: Project) -> None:
    set_groups(project.folder, {f"scene0{i}": "stack" for i in range(6)})
    with pytest.raises(ConfigError, match="3 folds need as many groups"):
        create_set(project, tiny(), 3)
    assert list_runs(project) == []
    assert list_sets(project) == []


def test_a_fold_that_would_learn_nothing_is_refused_before_anything_is_made(project: Project) -> None:
    for i in range(6):  # only the last still shows something
        annotation = project.read_annotation(f"scene0{i}")
        assert annotation is not None
        project.save_annotation(f"scene0{i}", replace(annotation, shapes=()), author="test")
    with pytest.raises(UserError, match=r"Fold \d of 3 has nothing to learn from"):
        create_set(project, tiny(), 3)
    assert list_runs(project) == []
    empty = Project.create(project.folder.parent / "empty", name="empty", labels=project.settings.labels)
    with pytest.raises(UserError, match="No picture is finished yet"):
        create_set(empty, tiny(), 3)


def test_a_set_that_could_not_be_written_leaves_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def full(*arguments: Any, **options: Any) -> Any:
        if made:
            raise UserError("The disk is full.")
        made.append(create_run(*arguments, **options))
        return made[0]

    monkeypatch.setattr(module, "create_run", full)
    with pytest.raises(UserError, match="disk is full"):
        create_set(project, tiny(), 3)
    assert list_runs(project) == []
    assert list((project.folder / "folds").iterdir()) == []


def test_a_damaged_set_says_so_and_hides_neither_others_nor_its_runs(project: Project) -> None:
    broken, other = create_set(project, tiny(), 2), create_set(project, tiny(), 2, name="other")
    for text in ("", "[]", "{}", '{"schema": 9, "name": "a", "of": 2, "created": ""}', '{"schema": 1, "of": "x"}'):
        (broken.folder / "config.json").write_text(text)
        with pytest.raises(ReadError):
            read_set(project, broken.id)
        assert [found.id for found in list_sets(project)] == [other.id]
    assert len(list_runs(project)) == 4
    for text in ("", "[]", "7"):
        (other.folder / "status.json").write_text(text)
        assert not read_set(project, other.id).alive


def test_a_run_of_a_set_is_deleted_with_the_set_only(project: Project) -> None:
    fold_set = create_set(project, tiny(), 2)
    with pytest.raises(UserError, match=r"part of a cross-validation.*as a whole"):
        delete_run(project, fold_set.runs[0])
    delete_set(project, fold_set)
    assert list_sets(project) == []
    assert list_runs(project) == []
    assert not fold_set.folder.exists()


def test_a_set_whose_model_is_in_use_or_that_trains_is_not_deleted(project: Project) -> None:
    fold_set = create_set(project, tiny(), 2)
    for folder in (fold_set.folder, fold_set.runs[1].folder / "best"):
        folder.mkdir(exist_ok=True)
        (folder / "model.json").write_text("{}")
        project.set_current_model(folder)
        with pytest.raises(UserError, match="model in use"):
            delete_set(project, fold_set)
    write_status(fold_set.folder, {"state": "running", **process_of(os.getpid())})
    with pytest.raises(UserError, match="still under way"):
        delete_set(project, read_set(project, fold_set.id))


def test_a_set_that_lost_a_run_says_so(project: Project) -> None:
    fold_set = create_set(project, tiny(), 3)
    check_complete(fold_set)
    (fold_set.runs[1].folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"Of the 3 runs .* 2 are left"):
        check_complete(read_set(project, fold_set.id))


def test_stop_reaches_the_set_and_the_run_under_way(project: Project) -> None:
    fold_set = create_set(project, tiny(), 3)
    write_status(fold_set.runs[0].folder, {"state": "finished", "epoch": 2})
    request_stop_set(read_set(project, fold_set.id))
    assert [stop_requested(folder) for folder in (fold_set.folder, *(run.folder for run in fold_set.runs))] == [
        True,
        False,
        True,
        False,
    ]


def test_the_time_left_counts_the_runs_that_wait(project: Project) -> None:
    fold_set = create_set(project, tiny(), 3)
    me = process_of(os.getpid())

    def now(*states: dict[str, Any]) -> FoldSet:
        for run, state in zip(fold_set.runs, states, strict=False):
            write_status(run.folder, state)
        return read_set(project, fold_set.id)

    assert now().seconds_left() is None
    assert now({"state": "running", **me}).seconds_left() is None
    half = {"state": "running", "seconds": 30.0, "seconds_left": 10.0, **me}
    assert now(half).seconds_left() == pytest.approx(10 + 2 * 40)
    finished = {"state": "finished", "seconds": 60.0}
    assert now(finished, half).seconds_left() == pytest.approx(10 + 50)
    assert now(finished, finished, finished).seconds_left() == 0
