"""TensorBoard on a Project's Runs: one process a Project, for this machine only, gone with the one that started it.

`python -m core.training.tensorboard RUNS_FOLDER` is that process. It says its address as a line of stdout and ends when
its stdin does, which the system closes however the other process ends.
"""

import io
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from core.errors import ConfigError, UserError
from core.project.project import Project
from core.training.events import EVENTS_FOLDER, PICTURE_EPOCHS

_REPOSITORY: Final = Path(__file__).resolve().parents[2]  # where `-m core...` finds the code, whatever the app's folder
_HOST: Final = "127.0.0.1"
_PATIENCE: Final = 60.0  # seconds to the address, and to the end
_PORTS: Final = 65_535


@dataclass(frozen=True)
class _Board:
    address: str
    process: subprocess.Popen[str]


_boards: Final[dict[Path, _Board]] = {}  # by Project folder; those of this process
_lock: Final = threading.Lock()


def has_events(project: Project) -> bool:
    """Whether any Run has something that TensorBoard can show."""
    return any(project.runs.glob(f"*/{EVENTS_FOLDER}/*tfevents*"))


def board_address(project: Project) -> str | None:
    """Where this process has TensorBoard running for the Project."""
    board = _boards.get(project.folder)
    return board.address if board is not None and board.process.poll() is None else None


def open_board(project: Project) -> str:
    """The address of a TensorBoard on the Project's Runs; starts it, unless it runs. Takes some seconds.

    Raises UserError where TensorBoard is not installed, or does not start.
    """
    _check_installed()
    with _lock:
        found = board_address(project)
        if found is not None:
            return found
        board = _start(project.runs)
        _boards[project.folder] = board
        return board.address


def close_board(project: Project) -> None:
    """End the Project's TensorBoard, if this process has one."""
    with _lock:
        board = _boards.pop(project.folder, None)
    if board is not None:
        _end(board.process)


def _start(runs: Path) -> _Board:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.training.tensorboard", str(runs.resolve())],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,  # Ctrl+C in the server's terminal is the server's
        )
        assert process.stdout is not None
        too_late = threading.Timer(_PATIENCE, process.kill)
        too_late.start()
        address = process.stdout.readline().strip()
        too_late.cancel()
        if address:
            return _Board(address, process)
        _end(process)
        said.seek(0)
        reason = said.read().decode(errors="replace").strip().splitlines()[-1:]
    raise UserError("TensorBoard did not start.", hint=" ".join(reason) or "Try once more.")


def _end(process: subprocess.Popen[str]) -> None:
    with process:  # closes its stdin, which ends it, and waits
        too_late = threading.Timer(_PATIENCE, process.kill)
        too_late.start()
        process.communicate()
        too_late.cancel()


def _check_installed() -> None:
    if find_spec("tensorboard") is None:
        raise UserError(
            "TensorBoard is not installed.", hint="Run .venv/bin/pip install -r requirements.txt, then again."
        )


# ------------------------------------------------------------------------------------------------------ the server


def serve(runs: Path, *, port: int = 0) -> str:
    """Serve TensorBoard from threads of this process as long as it lives; port 0 is a free one. Returns the address.

    Raises ConfigError for a port that cannot be had, UserError where TensorBoard is not installed.
    """
    if not 0 <= port <= _PORTS:
        raise ConfigError(f"There is no port {port}.", hint=f"Choose one from 1024 to {_PORTS}, or 0 for a free one.")
    _check_installed()
    from tensorboard.default import get_static_plugins
    from tensorboard.program import TensorBoard, TensorBoardServerException, WerkzeugServer

    def server(app: Callable[..., Iterable[bytes]], flags: Any) -> Any:
        return WerkzeugServer(_only_by_loopback_name(app), flags)

    board = TensorBoard(get_static_plugins(), server_class=server)
    options = {"logdir": runs, "host": _HOST, "port": port, "samples_per_plugin": f"images={PICTURE_EPOCHS}"}
    board.configure(["tensorboard", *(f"--{name}={value}" for name, value in options.items())])
    try:
        with redirect_stderr(io.StringIO()):  # advice on options that are not ours
            return str(board.launch())
    except TensorBoardServerException as error:
        raise ConfigError(
            f"TensorBoard cannot have port {port}.", hint="Choose another, or 0 for a free one."
        ) from error


def _only_by_loopback_name(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """`app` for requests by this machine's own name. A foreign name could be made to point here (DNS rebinding)."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST", "").partition(":")[0] in (_HOST, "localhost"):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"This host is not served here."]

    return guarded


def main() -> None:
    print(serve(Path(sys.argv[1])), flush=True)
    sys.stdin.buffer.read()  # until the process that started this one is gone, or wants its end


if __name__ == "__main__":
    main()
