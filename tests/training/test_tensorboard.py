"""TensorBoard as a process: it starts, answers on loopback, is there once, and is gone with whoever started it."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from core.errors import ConfigError, UserError
from core.project.project import Project
from core.training import tensorboard
from core.training.events import Events
from core.training.run import create_run
from core.training.tensorboard import board_address, close_board, has_events, open_board, serve
from tests.training.scenes import make_project, tiny
from tests.training.test_supervisor import until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A Project with a Run that has events."""
    project = make_project(tmp_path / "p", pictures=1)
    assert not has_events(project)
    run = create_run(project, tiny())
    assert not has_events(project)
    Events(run, None, print)
    yield project
    close_board(project)


def get(address: str, path: str = "", **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(f"{address}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_it_starts_once_shows_the_runs_and_is_stopped(project: Project) -> None:
    before = children()
    assert has_events(project)
    assert board_address(project) is None
    address = open_board(project)
    assert board_address(project) == address
    assert urlsplit(address).hostname == "127.0.0.1"
    status, page = get(address)
    assert status == 200
    assert b"TensorBoard" in page
    (run,) = project.runs.iterdir()
    until(lambda: json.loads(get(address, "data/runs")[1]) == [f"{run.name}/tensorboard"], "the run is read")

    started = children() - before
    assert open_board(project) == address
    assert children() - before == started

    close_board(project)
    assert board_address(project) is None
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in started)
    with pytest.raises(OSError, match="refused"):
        get(address)
    close_board(project)


def test_one_that_died_is_started_anew(project: Project) -> None:
    open_board(project)
    process = tensorboard._boards[project.folder].process
    process.kill()
    process.communicate()
    assert board_address(project) is None
    assert get(open_board(project))[0] == 200


def test_a_foreign_name_is_not_served(project: Project) -> None:
    address = open_board(project)
    port = urlsplit(address).port
    assert get(address, Host=f"localhost:{port}")[0] == 200
    assert get(address, Host=f"evil.example:{port}")[0] == 403
    assert get(address, "data/runs", Host="evil.example")[0] == 403


def test_it_ends_when_the_process_that_started_it_is_killed(project: Project) -> None:
    program = (
        "import sys; from pathlib import Path; from core.project.project import Project;"
        "from core.training import tensorboard as t; p = Project.open(Path(sys.argv[1])); t.open_board(p);"
        "print(t._boards[p.folder].process.pid, flush=True); sys.stdin.read()"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", program, str(project.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    with server:
        assert server.stdout is not None
        process = psutil.Process(int(server.stdout.readline()))
        family = [process, *process.children(recursive=True)]
        server.kill()
        _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


def test_without_the_package_it_says_what_to_install(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="not installed") as error:
        open_board(project)
    assert "pip install" in error.value.hint


def test_one_that_cannot_start_says_why(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "_REPOSITORY", project.folder)  # there is no `core` to run
    with pytest.raises(UserError, match="did not start") as error:
        open_board(project)
    assert "No module named" in error.value.hint
    assert board_address(project) is None


@pytest.mark.parametrize("port", [-1, 65_536, 10**9])
def test_a_port_that_is_none_is_refused(project: Project, port: int) -> None:
    with pytest.raises(ConfigError, match="There is no port"):
        serve(project.runs, port=port)


def test_the_command_line_serves_until_ctrl_c(project: Project) -> None:
    command = [sys.executable, "-m", "core", "tensorboard", str(project.folder), "--json"]
    verb = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert verb.stderr is not None
        address = verb.stderr.readline().split()[3]
        assert get(address)[0] == 200
        same_port = [*command, f"--port={urlsplit(address).port}"]
        taken = subprocess.run(same_port, capture_output=True, text=True, cwd=ROOT, check=False)
        assert taken.returncode == 2
        assert "cannot have port" in taken.stderr
        verb.send_signal(signal.SIGINT)
        out, err = verb.communicate(timeout=30)
        assert (verb.returncode, json.loads(out)) == (0, {"address": address}), err
    finally:
        verb.kill()


def test_a_project_without_events_is_told_to_train(tmp_path: Path) -> None:
    project = make_project(tmp_path / "empty", pictures=1)
    done = subprocess.run(
        [sys.executable, "-m", "core", "tensorboard", str(project.folder)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Train first." in done.stderr) == (2, True)
