"""Training in the background: real processes, watched through the Run's folder alone."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from core.errors import UserError
from core.files import read_json
from core.process import NICENESS
from core.project.project import Project
from core.training import supervisor
from core.training.run import (
    Run,
    create_run,
    read_metrics,
    read_run,
    request_stop,
)
from core.training.status import Failed, Interrupted, Running, Stopped
from core.training.supervisor import alive_run, resume, start
from tests.training.scenes import make_project, tiny

LONG = tiny(epochs=100_000)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p")


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that other processes do; fail after minutes: a busy machine gives a nice process little."""
    limit = time.monotonic() + 240
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < limit, f"waited in vain until {what}"
        pause.wait(0.05)


def until_trained(run: Run, epochs: int) -> None:
    until(lambda: len(read_metrics(run).get("epoch", [])) >= epochs, f"{epochs} epochs are complete")


def until_watched(run: Run) -> None:
    """Until the watching thread has seen the process end."""
    until(lambda: not any(t.name == f"watch {run.id}" for t in threading.enumerate()), "the process ends")


def process_of(run: Run) -> psutil.Process:
    return psutil.Process(read_json(run.folder / "status.json")["pid"])


def test_a_run_trains_in_a_process_of_its_own_session_and_stops_when_asked(project: Project) -> None:
    run = create_run(project, LONG)
    start(run)
    assert read_run(run.folder).alive
    until_trained(run, 1)
    until(lambda: getattr(read_run(run.folder).status, "seconds_left", None) is not None, "the time left is known")
    running = read_run(run.folder)
    assert isinstance(running.status, Running)
    process = process_of(run)
    assert process.nice() >= NICENESS
    assert process.pid != psutil.Process().pid

    other = create_run(project, tiny())
    with pytest.raises(UserError, match="is training"):
        start(other)
    found = alive_run(project)
    assert found is not None
    assert found.id == run.id

    request_stop(running)
    until_watched(run)
    assert isinstance(read_run(run.folder).status, Stopped)
    assert alive_run(project) is None
    with pytest.raises(UserError, match="started before"):
        start(run)


def test_a_killed_process_shows_as_interrupted_and_resumes(project: Project) -> None:
    run = create_run(project, LONG)
    start(run)
    until_trained(run, 2)
    process_of(run).send_signal(signal.SIGKILL)
    until_watched(run)
    status = read_run(run.folder).status
    assert isinstance(status, Interrupted)
    assert status.last_epoch >= 2
    assert "killed (signal 9)" in status.reason
    before = len(read_metrics(run)["epoch"])

    resume(run)
    until_trained(run, before + 1)
    process_of(run).send_signal(signal.SIGTERM)  # as the system does when it shuts down
    until_watched(run)
    assert isinstance(read_run(run.folder).status, Stopped)
    epochs = read_metrics(run)["epoch"]
    assert epochs == list(range(1, len(epochs) + 1))


def test_a_process_that_cannot_even_begin_is_failed_with_its_log(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_REPOSITORY", project.folder)  # there is no `core` to run
    run = create_run(project, tiny())
    start(run)
    until_watched(run)
    status = read_run(run.folder).status
    assert isinstance(status, Failed)
    assert "core" in status.log_tail
