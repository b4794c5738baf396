"""The Run's folder: what is written, what a reader makes of it, whatever state the writer left it in."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError, UserError
from core.project.project import Project
from core.training.run import (
    Run,
    create_run,
    delete_run,
    labels_changed,
    list_runs,
    read_metrics,
    read_run,
    rename_run,
    request_stop,
    resume_run,
    run_split,
    stop_requested,
)
from core.training.status import (
    STALE_AFTER,
    STATE_FILE,
    Failed,
    Finished,
    Interrupted,
    Running,
    Stopped,
    Waiting,
    process_of,
    write_status,
)
from tests.training.scenes import add_picture, make_project, tiny


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p")


@pytest.fixture
def run(project: Project) -> Run:
    return create_run(project, tiny(), name="first try")


def after(run: Run, **status: Any) -> Run:
    write_status(run.folder, status)
    return read_run(run.folder)


def test_a_new_run_waits_and_knows_its_pictures(project: Project, run: Run) -> None:
    assert isinstance(run.status, Waiting)
    assert not run.alive
    assert run.name == "first try"
    assert run.id.endswith("-first-try")
    assert run.folder.parent == project.runs
    split = run_split(run)
    assert len(split.train) == 5
    assert len(split.val) == 1
    assert [r.id for r in list_runs(project)] == [run.id]


def test_two_runs_of_one_second_have_two_folders(project: Project) -> None:
    assert len({create_run(project, tiny()).id for _ in range(3)}) == 3


def test_classes_are_those_of_the_project(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", labels=("square", "box", "crate"))
    assert create_run(project, tiny()).config.network.classes == 4


def test_a_project_without_anything_to_learn_is_refused(tmp_path: Path) -> None:
    bare = Project.create(tmp_path / "bare", name="bare")
    with pytest.raises(UserError, match="no label yet"):
        create_run(bare, tiny())
    labelled = Project.create(tmp_path / "labelled", name="labelled", labels=LabelSet.of(["square"]))
    with pytest.raises(UserError, match="No picture is finished yet"):
        create_run(labelled, tiny())
    assert not labelled.runs.exists()


def test_a_running_process_is_running_and_a_dead_one_interrupted(run: Run) -> None:
    own = process_of(os.getpid())
    alive = after(run, state="running", epoch=2, epochs=9, heartbeat=time.time() - 100, seconds_left=5.0, **own)
    assert isinstance(alive.status, Running)
    assert (alive.status.epoch, alive.status.epochs, alive.status.seconds_left) == (2, 9, 5.0)
    assert alive.alive
    reborn = {**own, "process_created": own["process_created"] - 1000}  # its number was given to another process
    assert isinstance(after(run, state="running", heartbeat=time.time(), **reborn).status, Interrupted)


def test_the_heartbeat_decides_where_the_process_cannot_be_seen(run: Run) -> None:
    elsewhere = {**process_of(os.getpid()), "host": "another machine"}
    fresh = after(run, state="running", heartbeat=time.time(), **elsewhere)
    stale = after(run, state="running", heartbeat=time.time() - STALE_AFTER - 1, **elsewhere)
    assert isinstance(fresh.status, Running)
    assert isinstance(stale.status, Interrupted)


def test_a_process_that_died_while_it_loaded_is_interrupted(run: Run) -> None:
    gone = {**process_of(os.getpid()), "process_created": 1.0}
    assert isinstance(after(run, state="waiting", **gone).status, Interrupted)
    assert after(run, state="waiting", **process_of(os.getpid())).alive


def test_ends_are_told_apart(run: Run) -> None:
    assert after(run, state="finished", epoch=5, seconds=9.0).status == Finished(5, 9.0)
    assert after(run, state="stopped", epoch=5, seconds=9.0).status == Stopped(0, 9.0)
    (run.folder / "log.txt").write_text("\n".join(f"line {i}" for i in range(100)))
    failed = after(run, state="failed", message="No memory.", hint="Buy some.").status
    assert isinstance(failed, Failed)
    assert (failed.message, failed.hint) == ("No memory.", "Buy some.")
    assert failed.log_tail.splitlines()[-1] == "line 99"
    assert "line 1\n" not in failed.log_tail


@pytest.mark.parametrize("text", ["", "{", "[]", '"running"'])
def test_a_status_that_cannot_be_read_is_interrupted(run: Run, text: str) -> None:
    (run.folder / "status.json").write_text(text)
    assert isinstance(read_run(run.folder).status, Interrupted)


def test_only_what_ended_early_after_an_epoch_can_be_resumed(run: Run) -> None:
    stopped = after(run, state="stopped", epoch=1)
    assert not stopped.resumable
    with pytest.raises(UserError, match="before its first epoch was complete"):
        resume_run(run.folder)
    (run.folder / "metrics.csv").write_text("epoch,train_loss\n1,0.5\n2,0.4\n")
    (run.folder / STATE_FILE).parent.mkdir()
    (run.folder / STATE_FILE).write_bytes(b"state")
    request_stop(run)
    stopped = after(run, state="stopped", epoch=3)
    assert stopped.status == Stopped(2, 0.0)
    assert stopped.resumable
    assert isinstance(resume_run(run.folder).status, Waiting)
    assert not stop_requested(run.folder)
    after(run, state="finished", epoch=9)
    with pytest.raises(UserError, match="has finished"):
        resume_run(run.folder)
    after(run, state="running", heartbeat=time.time(), **process_of(os.getpid()))
    with pytest.raises(UserError, match="still training"):
        resume_run(run.folder)


def test_stopping_a_run_that_never_started_ends_it(run: Run) -> None:
    request_stop(run)
    assert read_run(run.folder).status == Stopped(0, 0.0)


def test_curves_are_columns_and_a_torn_row_is_left_out(run: Run) -> None:
    assert read_metrics(run) == {}
    (run.folder / "metrics.csv").write_text('epoch,val_iou:"a b",val_loss\n1,0.25,\n2,oops,1\n3,0.5,1e-3\n4,0.7')
    assert read_metrics(run) == {"epoch": [1, 3], 'val_iou:"a b"': [0.25, 0.5], "val_loss": [None, 0.001]}


def test_a_run_is_renamed_and_deleted(project: Project, run: Run) -> None:
    assert rename_run(run, " second try ").name == "second try"
    with pytest.raises(ConfigError):
        rename_run(run, " ")
    delete_run(project, run)
    assert list_runs(project) == []
    assert not run.folder.exists()


def test_a_run_in_use_is_not_deleted(project: Project, run: Run) -> None:
    busy = after(run, state="running", heartbeat=time.time(), **process_of(os.getpid()))
    with pytest.raises(UserError, match="still training"):
        delete_run(project, busy)
    (run.folder / "best").mkdir()
    (run.folder / "best" / "model.json").write_text("{}")
    project.set_current_model(run.folder / "best")
    with pytest.raises(UserError, match="model in use"):
        delete_run(project, after(run, state="finished"))


def test_a_changed_annotation_is_noticed(project: Project, run: Run) -> None:
    assert not labels_changed(project, run)
    add_picture(project, 50)
    assert labels_changed(project, run)


def test_a_damaged_run_says_so_and_does_not_hide_the_others(project: Project, run: Run) -> None:
    other = create_run(project, tiny(), name="other")
    value = json.loads((run.folder / "config.json").read_text())
    for damaged in ({**value, "schema": 99}, {"schema": 1}, {**value, "training": {"network": {}, "epochs": 0}}):
        (run.folder / "config.json").write_text(json.dumps(damaged))
        with pytest.raises(ReadError):
            read_run(run.folder)
        assert [r.id for r in list_runs(project)] == [other.id]
