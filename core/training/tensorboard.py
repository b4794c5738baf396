"""TensorBoard on the Runs of a Project: one process a Project, on loopback only, which ends with the app."""

import atexit
import importlib.util
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from core.errors import UserError
from core.files import write_error
from core.project.project import Project

_HOST: Final = "127.0.0.1"
_PATIENCE: Final = 30.0  # seconds until it answers

_open: Final[dict[Path, tuple[subprocess.Popen[bytes], int]]] = {}  # by folder of Runs: process and port


def command(project: Project, port: int) -> list[str]:
    """What starts it. Raises UserError where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("TensorBoard is not installed.", hint="Run: pip install tensorboard")
    runs = str(project.runs.resolve())
    return [sys.executable, "-m", "tensorboard.main", "--logdir", runs, "--host", _HOST, "--port", str(port)]


def address(project: Project) -> str | None:
    """Where it answers; None while none was opened for this Project, or when it has ended."""
    process, port = _open.get(project.runs.resolve(), (None, 0))
    return f"http://{_HOST}:{port}" if process is not None and process.poll() is None else None


def open_tensorboard(project: Project) -> str:
    """Start it, or find the one that runs, and wait until it answers. Returns its address. Raises UserError."""
    found = address(project)
    if found is not None:
        return found
    port = _free_port()
    log = project.runs / ".tensorboard.log"
    try:
        project.runs.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(project, port), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
    except OSError as error:
        raise write_error(log, error) from error
    _open[project.runs.resolve()] = process, port
    atexit.register(process.kill)
    if not _answers(process, port):
        process.kill()
        raise UserError("TensorBoard does not start.", hint=f"{log} says why.")
    return f"http://{_HOST}:{port}"


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((_HOST, port)) == 0:
                return True
        time.sleep(0.1)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
